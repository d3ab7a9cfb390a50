// What a round costs on chain, whatever is in it, beside what others publish: rounds over runs of 1, 100 and 1,000 streams,
// anchored by real transactions on a chain of its own.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPublicClient, createWalletClient, encodeFunctionData, http, keccak256, toHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { doubleHash, runOf, streamOf, treeOf } from "../../contracts/test/vectors/messages.mjs";
import { CONTRACT_ARTIFACT } from "../../scripts/lib/build/contracts.mjs";
import { deployContract } from "../../scripts/lib/deploy.mjs";
import { CERAMIC_GAS, EAS_GAS, MINUTE_OF_MESSAGES as MESSAGES } from "../../scripts/lib/docs/costs.mjs";
import { chainPart, chainReady, developmentAccount } from "../../scripts/lib/system/chain.mjs";
import { freePort, LOCALHOST } from "../../scripts/lib/system/ports.mjs";
import { rounded } from "./statistics.mjs";

/** @typedef {`0x${string}`} Hex */
/** @typedef {{ address: Hex, abi: import("viem").Abi, rpc: string }} Contract */
/** @typedef {{ id: Hex, first: number, count: number, root: Hex, leaf: Hex, messages: ReturnType<typeof runOf>["messages"] }} Run */

const STREAMS = [1, 100, 1_000];
/** Rounds before those that are measured: every height below has its slot then. */
const WARM_UP = 128;
/** Each height is merged as often among so many rounds as it is in the long run. */
const MEASURED = 64;
const BUCKETS = 256;
const POLLING_MS = 10;
const ZERO = /** @type {Hex} */ (`0x${"00".repeat(32)}`);

/** @param {Hex} id */
const bucketOf = (id) => Number.parseInt(id.slice(2, 4), 16);

/**
 * The runs of so many streams, a minute of messages each.
 * @param {number} count
 * @returns {Run[]}
 */
const runsOf = (count) => {
  const runs = Array.from({ length: count }, (_, index) => {
    const { id } = streamOf(`bench-${index}`);
    const { first, count: length, root, messages } = runOf({ id }, 0, [MESSAGES]);
    const types = ["bytes32", "uint64", "uint32", "bytes32", "bytes32"];
    const leaf = doubleHash(types, [id, 0n, length, root, ZERO]);
    return { id, first, count: length, root: /** @type {Hex} */ (root), leaf, messages };
  });
  return runs.sort((a, b) => (a.id < b.id ? -1 : 1));
};

/** The buckets over these runs: the runs of each, and the tree over their leaves. @param {Run[]} runs */
const bucketsOf = (runs) =>
  Array.from({ length: BUCKETS }, (_, bucket) => {
    const own = runs.filter((run) => bucketOf(run.id) === bucket);
    return { own, tree: own.length > 0 ? treeOf(own.map((run) => run.leaf)) : undefined };
  });

/** The tree over the buckets of a round. @param {number} round @param {ReturnType<typeof bucketsOf>} buckets */
const roundTree = (round, buckets) =>
  treeOf(
    buckets.map(({ own, tree }, bucket) =>
      doubleHash(["uint64", "uint8", "uint32", "bytes32"], [BigInt(round), bucket, own.length, tree?.root ?? ZERO]),
    ),
  );

/** A transaction of this account, which must succeed. @param {Contract} contract @param {Hex} key */
const sender = ({ address, abi, rpc }, key) => {
  const wallet = createWalletClient({ account: privateKeyToAccount(key), chain: foundry, transport: http(rpc) });
  const client = createPublicClient({ chain: foundry, transport: http(rpc), pollingInterval: POLLING_MS });
  /** @param {string} functionName @param {unknown[]} args */
  return async (functionName, args) => {
    const data = encodeFunctionData({ abi, functionName, args });
    const hash = await wallet.sendTransaction({ to: address, data, gas: 200_000n });
    const { status, gasUsed } = await client.waitForTransactionReceipt({ hash });
    if (status !== "success") throw new Error(`${functionName} was reverted`);
    return Number(gasUsed);
  };
};

/**
 * The gas of each of the measured rounds over the runs of so many streams; the contract proves a message of the last one.
 * @param {Contract} contract
 * @param {number} account whose stream of rounds
 * @param {number} streams
 */
const gasOfRounds = async (contract, account, streams) => {
  const { address, key } = developmentAccount(account);
  const send = sender(contract, key);
  const { id, nameHash } = streamOf("_rounds", /** @type {Hex} */ (address.toLowerCase()));
  await send("open", [nameHash, address]);
  for (let round = 0; round < WARM_UP; round++) await send("anchorRound", [id, round, keccak256(toHex(round))]);
  const runs = runsOf(streams);
  const buckets = bucketsOf(runs);
  const gas = [];
  const next = WARM_UP + MEASURED;
  for (let round = WARM_UP; round < next; round++) {
    gas.push(await send("anchorRound", [id, round, roundTree(round, buckets).root]));
  }
  // An even round is a peak by itself, so its proof needs no node of the range.
  await send("anchorRound", [id, next, roundTree(next, buckets).root]);
  await proven(contract, { rounds: id, round: next, runs, buckets });
  return { average: gas.reduce((sum, one) => sum + one, 0) / gas.length, most: Math.max(...gas) };
};

/**
 * Asks the contract for a message of the newest round.
 * @param {Contract} contract
 * @param {{ rounds: Hex, round: number, runs: Run[], buckets: ReturnType<typeof bucketsOf> }} what
 */
const proven = async ({ address, abi, rpc }, { rounds, round, runs, buckets }) => {
  const run = /** @type {Run} */ (runs[runs.length >> 1]);
  const bucket = /** @type {(typeof buckets)[number]} */ (buckets[bucketOf(run.id)]);
  const message = /** @type {Run["messages"][number]} */ (run.messages[17]);
  const { seq, time, author, payload, proof } = message;
  const args = [
    rounds,
    run.id,
    { seq, time, author, payloadHash: keccak256(/** @type {Hex} */ (payload)) },
    {
      ...{ firstSeq: run.first, count: run.count, previous: ZERO, round, runs: bucket.own.length, path: proof },
      runPath: bucket.tree?.getProof(bucket.own.indexOf(run)) ?? [],
      bucketPath: roundTree(round, buckets).getProof(bucketOf(run.id)),
      rangePath: [],
    },
  ];
  const client = createPublicClient({ chain: foundry, transport: http(rpc) });
  if (!(await client.readContract({ address, abi, functionName: "verifyInRound", args }))) {
    throw new Error(`the contract does not find message ${seq} in round ${round}`);
  }
};

/** @param {Contract} contract */
const rows = async (contract) => {
  const found = [];
  for (const [index, streams] of STREAMS.entries()) {
    const { average, most } = await gasOfRounds(contract, index + 3, streams);
    found.push({
      figure: `gas of a round, ${streams} streams`,
      value: Math.round(average),
      unit: "gas",
      note: `average of ${MEASURED} rounds in steady state, at most ${most}; a message of the next one is proven by the contract`,
    });
    if (streams !== STREAMS.at(-1)) continue;
    found.push({
      figure: `gas per message, a round of ${streams} streams, ${MESSAGES} messages each`,
      value: rounded(average / (streams * MESSAGES), 4),
      unit: "gas",
      note: `a minute of one message a second in each stream: ${streams * MESSAGES} messages`,
    });
  }
  return [
    ...found,
    { figure: "gas of an EAS timestamp", value: EAS_GAS, unit: "gas", note: "one hash; for comparison" },
    {
      figure: "gas of a Ceramic anchor",
      value: CERAMIC_GAS,
      unit: "gas",
      note: "computed from the source in CIP-110: an event with a root, nothing that contracts can check; for comparison",
    },
  ];
};

/** The rows about rounds, measured on a chain that is started for them. */
export const roundRows = async () => {
  const dir = mkdtempSync(join(tmpdir(), "streamchain-round-gas-"));
  const port = await freePort("tcp");
  const rpc = `http://${LOCALHOST}:${port}`;
  const chain = chainPart({ dir, port, mining: "auto", log: join(dir, "log") }, () => {});
  chain.start();
  try {
    await chainReady(chain, rpc);
    const { address } = await deployContract({ rpc, log: () => {} });
    const { abi } = JSON.parse(readFileSync(CONTRACT_ARTIFACT, "utf8"));
    return await rows({ address, abi, rpc });
  } finally {
    await chain.stop();
    rmSync(dir, { recursive: true, force: true });
  }
};
