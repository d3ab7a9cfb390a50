import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ANCHORED_TOPIC, checkOnChain } from "../src/lib/chain/on-chain.ts";
import { parseReceipt, type Receipt } from "../src/lib/chain/receipt.ts";
import type { StreamChainError } from "../src/lib/errors.ts";
import { type Hex, toHex, toWord } from "../src/lib/wire/bytes.ts";

const word = (byte: string): Hex => `0x${byte.repeat(32)}`;
const address = (byte: string): Hex => `0x${byte.repeat(20)}`;

const receipt: Receipt = parseReceipt({
  type: "streamchain-receipt",
  version: 1,
  chainId: 31_337,
  contract: address("c0"),
  stream: { id: word("51"), owner: address("0a"), name: "demo" },
  message: { seq: 5, time: 1, author: address("0b"), payload: "0x00" },
  leaf: word("1e"),
  proof: [],
  root: word("aa"),
  anchor: { first: 4, count: 3, root: word("aa"), tx: word("7a"), block: 12, blockHash: word("b1"), logIndex: 2 },
});

type Log = { address: Hex; topics: Hex[]; data: Hex; logIndex: Hex };

const anchored: Log = {
  address: address("c0"),
  topics: [ANCHORED_TOPIC, word("51"), `0x${"00".repeat(12)}${"0d".repeat(20)}`],
  data: `0x${[toHex(toWord(4)), toHex(toWord(3)), word("aa")].map((hex) => hex.slice(2)).join("")}`,
  logIndex: "0x2",
};

const transaction = { status: "0x1", blockNumber: "0xc", blockHash: word("b1"), logs: [anchored] };

/** A node that answers from a table. */
function node(answers: Record<string, unknown> = {}): typeof fetch {
  const table: Record<string, unknown> = {
    eth_chainId: "0x7a69",
    eth_getTransactionReceipt: transaction,
    eth_getBlockByNumber: { number: "0x20" },
    ...answers,
  };
  return async (_, init) => {
    const { method } = JSON.parse(String(init?.body)) as { method: string };
    return Response.json({ jsonrpc: "2.0", id: 1, result: table[method] });
  };
}

const check = (answers?: Record<string, unknown>) => checkOnChain(receipt, "http://node.test", node(answers));

describe("the check of a receipt against a node", () => {
  test("uses the topic of the contract's event", () => {
    assert.equal(ANCHORED_TOPIC.length, 66);
  });

  test("verifies a receipt whose event is final on the chain", async () => {
    const result = await check();
    assert.ok(result.ok);
    const finality = result.steps.find((step) => step.id === "finality");
    assert.deepEqual(finality?.values.at(-1), ["final", "yes"]);
  });

  test("verifies an anchor that is not final, and says so", async () => {
    const result = await check({ eth_getBlockByNumber: { number: "0xb" } });
    assert.ok(result.ok);
    assert.deepEqual(result.steps.at(-1)?.values.at(-1), ["final", "no"]);
  });

  const withLog = (log: Partial<Log>) => ({
    eth_getTransactionReceipt: { ...transaction, logs: [{ ...anchored, ...log }] },
  });

  const LIES: readonly [title: string, step: string, answers: Record<string, unknown>][] = [
    ["another chain", "chain-id", { eth_chainId: "0x1" }],
    ["no such transaction", "transaction", { eth_getTransactionReceipt: null }],
    ["a failed transaction", "transaction", { eth_getTransactionReceipt: { ...transaction, status: "0x0" } }],
    ["another block", "block", { eth_getTransactionReceipt: { ...transaction, blockNumber: "0xd" } }],
    ["another block hash", "block", { eth_getTransactionReceipt: { ...transaction, blockHash: word("b2") } }],
    ["no event", "event", { eth_getTransactionReceipt: { ...transaction, logs: [] } }],
    ["another contract's event", "event", withLog({ address: address("c1") })],
    ["another stream's event", "event", withLog({ topics: [ANCHORED_TOPIC, word("52"), word("00")] })],
    ["another event", "event", withLog({ topics: [word("ff"), word("51"), word("00")] })],
    ["another log index", "event", withLog({ logIndex: "0x3" })],
    ["another root", "event", withLog({ data: anchored.data.replaceAll("aa", "ab") as Hex })],
  ];

  for (const [title, step, answers] of LIES) {
    test(`fails at "${step}" when the node has ${title}`, async () => {
      const result = await check(answers);
      assert.equal(result.ok, false);
      assert.equal(result.steps.find((candidate) => !candidate.ok)?.id, step);
    });
  }

  const receiptWith = (fields: object) => ({ eth_getTransactionReceipt: { ...transaction, ...fields } });

  const ODD: readonly [title: string, answers: Record<string, unknown>][] = [
    ["a padded status", receiptWith({ status: "0x01" })],
    ["a status that is a number", receiptWith({ status: 1 })],
    ["no status", receiptWith({ status: undefined })],
    ["a padded block number", receiptWith({ blockNumber: "0x000c" })],
    ["a block number that is not quoted", receiptWith({ blockNumber: 12 })],
    ["a padded chain id", { eth_chainId: "0x007a69" }],
    ["a chain id that is not quoted", { eth_chainId: 31_337 }],
    [
      "hashes and topics in upper case",
      withLog({ topics: anchored.topics.map((t) => t.toUpperCase().replace("X", "x") as Hex) }),
    ],
    ["a padded log index", withLog({ logIndex: "0x02" })],
    ["a log index that is not quoted", withLog({ logIndex: 2 as unknown as Hex })],
    ["unreadable logs of other contracts", receiptWith({ logs: [{ logIndex: "0x1", topics: null }, anchored] })],
    ["other logs of odd kinds beside it", receiptWith({ logs: [null, 7, [], anchored] })],
  ];

  for (const [title, answers] of ODD) {
    test(`holds for a node that writes ${title}`, async () => {
      assert.equal((await check(answers)).ok, true);
    });
  }

  const UNREADABLE: readonly [title: string, answers: Record<string, unknown>][] = [
    ["an empty list as the receipt", { eth_getTransactionReceipt: [] }],
    ["an empty object as the receipt", { eth_getTransactionReceipt: {} }],
    ["a text as the receipt", { eth_getTransactionReceipt: "0x" }],
    ["no result", { eth_getTransactionReceipt: undefined }],
    ["a status of 2", receiptWith({ status: "0x2" })],
    ["a receipt without block hash", receiptWith({ blockHash: undefined })],
    ["logs that are no list", receiptWith({ logs: {} })],
    ["logs without index", receiptWith({ logs: [{ ...anchored, logIndex: null }] })],
    ["a log without address", withLog({ address: undefined as unknown as Hex })],
    ["no chain id", { eth_chainId: [] }],
    ["a negative chain id", { eth_chainId: -1 }],
  ];

  for (const [title, answers] of UNREADABLE) {
    test(`gives no verdict for a node that writes ${title}`, async () => {
      await assert.rejects(check(answers), (error: StreamChainError) => error.code === "rpc");
    });
  }

  test("says that a pending transaction is in no block", async () => {
    for (const pending of [{ blockNumber: null, blockHash: null }, { blockNumber: null }, { blockHash: null }]) {
      const result = await check(receiptWith(pending));
      assert.equal(result.ok, false);
      assert.deepEqual(result.steps.at(-1)?.values.at(-1), ["block", "none"]);
    }
  });

  test("does not hold for an event that a reorganisation took back", async () => {
    const removed = { ...anchored, removed: true };
    assert.equal((await check(receiptWith({ logs: [removed] }))).ok, false);
    assert.equal((await check(receiptWith({ transactionHash: word("7b") }))).ok, false, "another transaction");
  });

  test("says that finality is unknown where the node says so", async () => {
    const refusing: typeof fetch = async (url, init) => {
      const { method } = JSON.parse(String(init?.body)) as { method: string };
      if (method !== "eth_getBlockByNumber") return node()(url, init);
      return Response.json({ id: 1, error: { code: -32_602, message: "unknown block tag finalized" } });
    };
    const odd = [null, {}, [], { number: null }, { number: "soon" }].map((block) =>
      node({ eth_getBlockByNumber: block }),
    );
    for (const fetcher of [refusing, ...odd]) {
      const result = await checkOnChain(receipt, "http://node.test", fetcher);
      assert.equal(result.ok, true);
      assert.deepEqual(result.steps.at(-1)?.values.at(-1), ["final", "unknown"]);
    }
  });

  test("treats a node without answer as an error, not a verdict", async () => {
    const dead: typeof fetch = () => Promise.reject(new TypeError("fetch failed"));
    await assert.rejects(checkOnChain(receipt, "http://node.test", dead), (e: StreamChainError) => e.code === "rpc");
  });

  test("treats a JSON-RPC error as an error, not a verdict", async () => {
    const failing: typeof fetch = async () => Response.json({ id: 1, error: { code: -32_000, message: "busy" } });
    await assert.rejects(checkOnChain(receipt, "http://node.test", failing), /busy/);
    for (const error of ["busy", { code: 1, data: "busy" }, { message: ["x"], data: "busy" }]) {
      const odd: typeof fetch = async () => Response.json({ id: 1, error });
      await assert.rejects(checkOnChain(receipt, "http://node.test", odd), /busy/);
    }
  });
});
