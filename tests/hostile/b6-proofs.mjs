import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SimpleMerkleTree } from "@openzeppelin/merkle-tree";
import { encodeAbiParameters, encodeFunctionData, keccak256, toBytes, toHex } from "viem";
import { CONTRACT_ARTIFACT } from "../../scripts/lib/build/contracts.mjs";
import { relayPath } from "../../scripts/lib/build/relay.mjs";
import { alterations } from "../harness/receipts.ts";
import { chainOf } from "./lib/chain.mjs";
import { newName, until } from "./lib/target.mjs";

const PATIENCE_MS = 40_000;
const AT_ONCE = 8;
const COMMAND_TIMEOUT_MS = 20_000;
const HOLDS = 0;
const DEPLOYMENT_GAS = 10_000_000n;

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "B6-proofs",
  title: "Have `relay-node verify` call a receipt good that was changed, or is of a forger's contract or stream.",
  needs: ["chain"],
  run: async (target, tally) => {
    if (!existsSync(relayPath())) throw new Error("relay-node is not built: npm run build");
    const folder = mkdtempSync(join(tmpdir(), "streamchain-hostile-"));
    try {
      const honest = await receiptOf(target);
      const { contract, operator } = target.config;
      const believed = ["--contract", contract, "--owner", operator];
      const verify = (/** @type {unknown} */ receipt, /** @type {string[]} */ more) =>
        verifyText(folder, target.rpc ?? "", JSON.stringify(receipt), more);
      tally.check("the honest receipt holds", (await verify(honest, believed)) === HOLDS);
      await changed(tally, honest, (receipt) => verify(receipt, believed));

      const forger = chainOf(target, 1);
      const own = await deploy(forger);
      const foreign = await forge(target, forger, own, honest);
      tally.check("a forger's contract", (await verify(foreign, believed)) !== HOLDS);
      tally.check("a forger's contract, and nobody says which is believed", (await verify(foreign, [])) !== HOLDS);
      tally.check(
        "the forgery holds for who believes the forger",
        (await verify(foreign, ["--contract", own])) === HOLDS,
      );
      const namesake = await forge(target, forger, contract, honest);
      tally.check("a forger's stream of the same name", (await verify(namesake, believed)) !== HOLDS);
      const byId = ["--contract", contract, "--stream", honest.stream.id];
      tally.check("a forger's stream, by id", (await verify(namesake, byId)) !== HOLDS);
      const byName = ["--contract", contract, "--stream", honest.stream.name];
      tally.check("a forger's stream, by a name alone", (await verify(namesake, byName)) !== HOLDS);
      const falseRound = await forgeRound(forger, contract, honest);
      tally.check("a forger's round about an honest stream", (await verify(falseRound, believed)) !== HOLDS);
      tally.check(
        "a forger's round, and nobody says whose rounds are believed",
        (await verify(falseRound, ["--contract", contract, "--stream", honest.stream.id])) !== HOLDS,
      );
      const ofForger = ["--contract", contract, "--rounds-owner", forger.account.address];
      tally.check("a forger's round holds for who believes the forger", (await verify(falseRound, ofForger)) === HOLDS);
      const byAnchorer = ["--contract", contract, "--anchorer", operator];
      tally.check("a forger's anchor", (await verify(namesake, byAnchorer)) !== HOLDS);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

/** A receipt of a message of a new stream of the operator's. @param {import("./lib/target.mjs").Target} target */
const receiptOf = async (target) => {
  const { token } = await target.guest();
  const name = newName();
  await target.publish(name, "true", { token });
  const answer = await until(async () => {
    const found = await target.get(`/v1/streams/${name}/messages/0/receipt`);
    return found.status === 200 ? found.json : null;
  }, PATIENCE_MS);
  if (answer === null) throw new Error(`no receipt within ${PATIENCE_MS / 1000} s`);
  return answer;
};

/** @param {import("./lib/tally.mjs").Tally} tally @param {any} honest @param {(receipt: unknown) => Promise<number>} verify */
const changed = async (tally, honest, verify) => {
  const all = alterations(honest).map(({ field, json }) => ({ field, receipt: JSON.parse(json) }));
  const digits = JSON.stringify(honest);
  // Each digit of the file changed, one at a time, as far as that stays JSON.
  for (let at = 0; at < digits.length; at += 4) {
    if (!/[0-9a-f]/.test(digits[at] ?? "")) continue;
    const other = digits[at] === "1" ? "2" : "1";
    const text = `${digits.slice(0, at)}${other}${digits.slice(at + 1)}`;
    try {
      const receipt = JSON.parse(text);
      if (JSON.stringify(Object.keys(receipt)) !== JSON.stringify(Object.keys(honest))) continue;
      all.push({ field: `character ${at}`, receipt });
    } catch {
      // No JSON: no receipt.
    }
  }
  for (let i = 0; i < all.length; i += AT_ONCE) {
    const some = all.slice(i, i + AT_ONCE);
    const codes = await Promise.all(some.map(({ receipt }) => verify(receipt)));
    for (const [k, { field }] of some.entries()) tally.check(`a receipt with ${field} changed`, codes[k] !== HOLDS);
  }
};

/** @param {string} folder @param {string} rpc @param {string} receipt @param {string[]} more @returns {Promise<number>} exit code */
const verifyText = (folder, rpc, receipt, more) => {
  const file = join(folder, `${newName("receipt")}.json`);
  writeFileSync(file, receipt);
  const args = ["verify", file, "--rpc", rpc, ...more];
  const env = { ...process.env, XDG_CONFIG_HOME: folder, STREAMCHAIN_VERIFY_CONFIG: undefined };
  return new Promise((resolve) => {
    execFile(relayPath(), args, { env, timeout: COMMAND_TIMEOUT_MS }, (error) => {
      resolve(error === null ? HOLDS : typeof error.code === "number" ? error.code : -1);
    });
  });
};

const BUCKETS = 256;
const ZERO = `0x${"00".repeat(32)}`;

/** @param {string[]} types @param {unknown[]} values */
const leafOf = (types, values) =>
  keccak256(
    keccak256(
      encodeAbiParameters(
        types.map((type) => ({ type })),
        values,
      ),
    ),
  );

/**
 * A receipt like the honest one with another text, in a round of the forger's own: every hash of it is right.
 * @param {ReturnType<typeof chainOf>} chain
 * @param {`0x${string}`} contract
 * @param {any} honest
 */
const forgeRound = async (chain, contract, honest) => {
  const owner = chain.account.address;
  const { abi } = artifact();
  const [name, payload, { stream }] = ["_rounds", toHex("forged"), honest];
  const nameHash = keccak256(toBytes(name));
  const rounds = keccak256(encodeAbiParameters([{ type: "address" }, { type: "bytes32" }], [owner, nameHash]));
  const message = { ...honest.message, seq: 0, payload };
  const words = ["bytes32", "uint64", "uint64", "address", "bytes32"];
  const leaf = leafOf(words, [stream.id, 0n, BigInt(message.time), message.author, keccak256(payload)]);
  const run = leafOf(["bytes32", "uint64", "uint32", "bytes32", "bytes32"], [stream.id, 0n, 1, leaf, ZERO]);
  const own = Number(stream.id.slice(0, 4));
  const buckets = Array.from({ length: BUCKETS }, (_, bucket) => {
    const [runs, root] = bucket === own ? [1, run] : [0, ZERO];
    return leafOf(["uint64", "uint8", "uint32", "bytes32"], [0n, bucket, runs, root]);
  });
  const tree = SimpleMerkleTree.of(buckets, { sortLeaves: false });
  const call = (/** @type {string} */ functionName, /** @type {unknown[]} */ args) =>
    chain.receipt({ to: contract, data: encodeFunctionData({ abi, functionName, args }) });
  await call("open", [nameHash, owner]);
  const anchored = await call("anchorRound", [rounds, 0n, tree.root]);
  const log = anchored.logs[0];
  if (!log) throw new Error("the forger's round has no event");
  return {
    ...honest,
    version: 2,
    message,
    leaf,
    proof: [],
    root: leaf,
    round: {
      stream: { id: rounds, owner: owner.toLowerCase(), name },
      run: { first: 0, count: 1, previous: ZERO, proof: [] },
      bucket: { runs: 1, root: run, proof: tree.getProof(own) },
    },
    anchor: {
      first: 0,
      count: 1,
      root: tree.root,
      tx: anchored.transactionHash,
      block: Number(anchored.blockNumber),
      blockHash: anchored.blockHash,
      logIndex: log.logIndex,
    },
  };
};

const artifact = () => JSON.parse(readFileSync(CONTRACT_ARTIFACT, "utf8"));

/** @param {ReturnType<typeof chainOf>} chain @returns {Promise<`0x${string}`>} */
const deploy = async (chain) => {
  const { contractAddress } = await chain.receipt({ data: artifact().bytecode.object, gas: DEPLOYMENT_GAS });
  if (!contractAddress) throw new Error("the forger's contract was not deployed");
  return contractAddress;
};

/**
 * A receipt like the honest one, of a stream of the same name that the forger opened in `contract` and anchored.
 * @param {import("./lib/target.mjs").Target} target
 * @param {ReturnType<typeof chainOf>} chain
 * @param {`0x${string}`} contract
 * @param {any} honest
 */
const forge = async (target, chain, contract, honest) => {
  const owner = chain.account.address;
  const { abi } = artifact();
  const nameHash = keccak256(toBytes(honest.stream.name));
  const id = keccak256(encodeAbiParameters([{ type: "address" }, { type: "bytes32" }], [owner, nameHash]));
  const payload = toHex("forged");
  const types = ["bytes32", "uint64", "uint64", "address", "bytes32"].map((type) => ({ type }));
  const values = [id, 0n, BigInt(honest.message.time), honest.message.author, keccak256(payload)];
  const leaf = keccak256(keccak256(encodeAbiParameters(types, values)));
  const call = (/** @type {string} */ functionName, /** @type {unknown[]} */ args) =>
    chain.receipt({ to: contract, data: encodeFunctionData({ abi, functionName, args }) });
  await call("open", [nameHash, owner]);
  const anchored = await call("anchor", [[{ stream: id, firstSeq: 0n, count: 1, root: leaf }]]);
  const log = anchored.logs[0];
  if (!log) throw new Error("the forger's anchor has no event");
  const { round: _, ...rest } = honest;
  return {
    ...rest,
    version: 1,
    chainId: target.config.chainId,
    contract: contract.toLowerCase(),
    stream: { id, owner: owner.toLowerCase(), name: honest.stream.name },
    message: { ...honest.message, seq: 0, payload },
    leaf,
    proof: [],
    root: leaf,
    anchor: {
      first: 0,
      count: 1,
      root: leaf,
      tx: anchored.transactionHash,
      block: Number(anchored.blockNumber),
      blockHash: anchored.blockHash,
      logIndex: log.logIndex,
    },
  };
};
