// docs/verify-receipt.mjs on receipts of both versions whose anchors are on a real chain (anvil).

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { createPublicClient, createWalletClient, type Hex, http, keccak256, toHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { CONTRACT_ARTIFACT } from "../../scripts/lib/build/contracts.mjs";
import { deployContract } from "../../scripts/lib/deploy.mjs";
import { ROOT } from "../../scripts/lib/paths.mjs";
import { chainPart, chainReady, developmentAccount } from "../../scripts/lib/system/chain.mjs";
import { freePort, LOCALHOST } from "../../scripts/lib/system/ports.mjs";

const SCRIPT = join(ROOT, "docs", "verify-receipt.mjs");
const vectors = (name: string) => JSON.parse(readFileSync(join(ROOT, "contracts/test/vectors", name), "utf8"));

// biome-ignore lint/suspicious/noExplicitAny: receipts are read, changed and written as they come.
type Receipt = any;

/** The accounts that own the vectors' streams: development accounts 1 and 2. */
const OWNER = privateKeyToAccount(developmentAccount(1).key);
const OPERATOR = privateKeyToAccount(developmentAccount(2).key);

suite("the script of the documents", () => {
  let chain: ReturnType<typeof chainPart>;
  let rpc: string;
  let contract: Hex;
  let rounds: Receipt[];
  let own: Receipt;
  const dir = mkdtempSync(join(tmpdir(), "streamchain-verify-"));

  /** A transaction to the contract; returns where its last event is. */
  const send = async (account: typeof OWNER, functionName: string, args: unknown[]) => {
    const { abi } = JSON.parse(readFileSync(CONTRACT_ARTIFACT, "utf8"));
    const wallet = createWalletClient({ account, chain: foundry, transport: http(rpc) });
    const client = createPublicClient({ chain: foundry, transport: http(rpc), pollingInterval: 20 });
    const tx = await wallet.writeContract({ address: contract, abi, functionName, args });
    const { status, blockNumber, blockHash, logs } = await client.waitForTransactionReceipt({ hash: tx });
    assert.equal(status, "success", functionName);
    return { tx, block: Number(blockNumber), blockHash, logIndex: logs.at(-1)?.logIndex ?? -1 };
  };

  const anchorRounds = async (): Promise<Receipt[]> => {
    const { rounds: list, receipts, stream } = vectors("rounds.json");
    assert.equal(OPERATOR.address.toLowerCase(), stream.owner);
    await send(OPERATOR, "open", [keccak256(toHex("_rounds")), OPERATOR.address]);
    const places: object[] = [];
    for (const { round, root } of list) places.push(await send(OPERATOR, "anchorRound", [stream.id, round, root]));
    return receipts.map((receipt: Receipt) => ({
      ...receipt,
      contract,
      anchor: { ...receipt.anchor, ...places[receipt.anchor.first] },
    }));
  };

  /** A receipt of version 1: of the vectors' case "three messages", whose run begins at 3. */
  const anchorOwn = async (): Promise<Receipt> => {
    const cases = vectors("merkle.json").cases;
    const [before, found] = [cases[0], cases.find((one: { title: string }) => one.title === "segments of 3, 1 and 5")];
    const { stream, first, count, root, messages } = found;
    assert.equal(OWNER.address.toLowerCase(), stream.owner);
    await send(OWNER, "open", [stream.nameHash, OWNER.address]);
    await send(OWNER, "anchor", [[{ stream: stream.id, firstSeq: 0, count: first, root: before.root }]]);
    const place = await send(OWNER, "anchor", [[{ stream: stream.id, firstSeq: first, count, root }]]);
    const { seq, time, author, payload, leaf, proof } = messages[4];
    return {
      type: "streamchain-receipt",
      version: 1,
      chainId: 31_337,
      contract,
      stream: { id: stream.id, owner: stream.owner, name: stream.name },
      message: { seq, time, author, payload },
      leaf,
      proof,
      root,
      anchor: { first, count, root, ...place },
    };
  };

  before(async () => {
    const port = await freePort("tcp");
    rpc = `http://${LOCALHOST}:${port}`;
    chain = chainPart({ dir, port, mining: "auto", log: join(dir, "log") }, () => {});
    chain.start();
    await chainReady(chain, rpc);
    const { address } = await deployContract({ rpc, log: () => {} });
    contract = address;
    rounds = await anchorRounds();
    own = await anchorOwn();
  });
  after(() => chain.stop());

  /** Runs the script; returns its exit code and what it wrote. */
  const verify = (receipt: Receipt, account: string, believed: string = contract) => {
    const file = join(dir, `${keccak256(toHex(JSON.stringify(receipt))).slice(2, 18)}.json`);
    writeFileSync(file, JSON.stringify(receipt));
    return new Promise<{ code: number; said: string }>((resolve) => {
      execFile(process.execPath, [SCRIPT, file, rpc, believed, account], (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), said: `${stdout}${stderr}` }),
      );
    });
  };

  test("receipts of rounds hold", async () => {
    for (const receipt of [rounds[0], rounds[8], rounds[15], rounds.at(-1)]) {
      const { code, said } = await verify(receipt, OPERATOR.address);
      assert.equal(code, 0, said);
      assert.match(said, new RegExp(`${OPERATOR.address} anchored message ${receipt.message.seq} of`));
      assert.ok(said.includes(`"${receipt.stream.name}" of ${receipt.stream.owner}`), said);
    }
  });

  test("a receipt of version 1 holds", async () => {
    const { code, said } = await verify(own, OWNER.address);
    assert.equal(code, 0, said);
  });

  test("a contract proves what the receipts say", async () => {
    const { abi } = JSON.parse(readFileSync(CONTRACT_ARTIFACT, "utf8"));
    const client = createPublicClient({ chain: foundry, transport: http(rpc) });
    for (const { stream, message, proof, round, anchor } of rounds) {
      const { seq, time, author, payload } = message;
      const claim = { seq, time, author, payloadHash: keccak256(payload) };
      const { first: firstSeq, count, previous } = round.run;
      const way = {
        ...{ firstSeq, count, previous, round: anchor.first, runs: round.bucket.runs },
        ...{ bucketPath: round.bucket.proof, path: proof, runPath: round.run.proof, rangePath: round.range.proof },
      };
      const args = [round.stream.id, stream.id, claim, way];
      assert.equal(await client.readContract({ address: contract, abi, functionName: "verifyInRound", args }), true);
    }
  });

  test("another account, contract or changed receipt does not hold", async () => {
    const receipt = rounds[8];
    const { round, anchor, message } = receipt;
    const lies: [what: string, receipt: Receipt, account: string, believed?: string][] = [
      ["the account", receipt, OWNER.address],
      ["contract", receipt, OPERATOR.address, `0x${"11".repeat(20)}`],
      ["the leaf", { ...receipt, message: { ...message, time: message.time + 1 } }, OPERATOR.address],
      ["bucket", { ...receipt, round: { ...round, run: { ...round.run, count: 1000 } } }, OPERATOR.address],
      ["round", { ...receipt, anchor: { ...anchor, first: anchor.first + 1 } }, OPERATOR.address],
      ["event", { ...receipt, anchor: { ...anchor, tx: own.anchor.tx } }, OPERATOR.address],
      ["event", { ...own, anchor: { ...own.anchor, tx: anchor.tx } }, OWNER.address],
      ["version", { ...receipt, version: 1 }, OPERATOR.address],
    ];
    for (const [what, changed, account, believed] of lies) {
      const { code, said } = await verify(changed, account, believed);
      assert.equal(code, 1, `${what}: ${said}`);
      assert.match(said, new RegExp(`does not hold.*${what}`), said);
    }
  });
});
