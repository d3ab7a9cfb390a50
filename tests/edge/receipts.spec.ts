// Receipts and anchors, with the chain's events entered as the Listener enters them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { SimpleMerkleTree } from "@openzeppelin/merkle-tree";
import { assertProblem, CONTRACT, type Edge, type FakeRelay, messagesOf, PRODUCER, startEdge } from "./harness.ts";

const TX = `0x${"aa".repeat(32)}`;
const BLOCK_HASH = `0x${"bb".repeat(32)}`;

let edge: Edge;
let relay: FakeRelay;
before(async () => {
  edge = await startEdge();
  relay = edge.relay("r1");
});
after(() => edge.stop());

/** Enters an anchor over the segments with `count` messages from `first` on. */
const enterAnchor = async (id: string, first: number, count: number, state = "anchored"): Promise<string> => {
  const database = await edge.database();
  const roots = await database
    .prepare("SELECT root FROM segments WHERE stream = ? AND first >= ? AND first < ? ORDER BY first")
    .bind(id, first, first + count)
    .all<{ root: string }>();
  const leaves = roots.results.map((row: { root: string }) => row.root);
  const { root } = SimpleMerkleTree.of(leaves, { sortLeaves: false });
  await database
    .prepare(
      `INSERT INTO anchors (stream, first, count, root, tx, block, block_hash, log_index, state)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .bind(id, first, count, root, TX, 12, BLOCK_HASH, 3, state)
    .run();
  return root;
};

interface Receipt {
  type: string;
  version: number;
  chainId: number;
  contract: string;
  stream: { id: string; owner: string; name: string };
  message: { seq: number; time: number; author: string; payload: string };
  leaf: string;
  proof: string[];
  root: string;
  anchor: Record<string, unknown>;
}

const keccak = (...parts: string[]) =>
  Buffer.from(keccak_256(Buffer.concat(parts.map((part) => Buffer.from(part.replace("0x", ""), "hex"))))).toString(
    "hex",
  );
const word = (value: number | string) =>
  (typeof value === "number" ? value.toString(16) : value.replace("0x", "")).padStart(64, "0");

/** Where a receipt leads, computed apart from the product. */
const fold = ({ stream, message, proof }: Receipt): string => {
  const { seq, time, author, payload } = message;
  const inner = keccak(stream.id, word(seq), word(time), word(author), keccak(payload));
  let hash = keccak(inner);
  for (const sibling of proof.map((text) => text.slice(2))) {
    hash = hash < sibling ? keccak(hash, sibling) : keccak(sibling, hash);
  }
  return `0x${hash}`;
};

test("every message under an anchor has a receipt to its root", async () => {
  const stream = await edge.streamOn(relay, "receipts", { anchor: "own" });
  const { id } = stream;
  await edge.storeSegments(relay, stream, [1, 4, 3]);
  const root = await enterAnchor(id, 0, 8);
  for (let seq = 0; seq < 8; seq += 1) {
    const answer = await edge.get(`/v1/streams/receipts/messages/${seq}/receipt`);
    assert.equal(answer.status, 200, answer.text);
    const receipt = answer.json as unknown as Receipt;
    assert.equal(fold(receipt), root, `the proof of ${seq}`);
    assert.equal(receipt.root, root);
    assert.equal(receipt.message.seq, seq);
    assert.equal(receipt.message.payload, `0x${Buffer.from(`message ${seq}`).toString("hex")}`);
    const anchor = { first: 0, count: 8, root, tx: TX, block: 12, blockHash: BLOCK_HASH, logIndex: 3 };
    assert.deepEqual(receipt.anchor, anchor);
    assert.deepEqual([receipt.type, receipt.version, receipt.chainId], ["streamchain-receipt", 1, 31_337]);
    assert.deepEqual([receipt.contract, receipt.stream.id, receipt.stream.name], [CONTRACT, id, "receipts"]);
  }
});

test("a message that is not anchored has no receipt yet", async () => {
  const stream = await edge.streamOn(relay, "pending", { anchor: "own" });
  const { id, short, epoch } = stream;
  await edge.storeSegments(relay, stream, [2]);
  await relay.batch(short, epoch, 2, messagesOf(PRODUCER, 2, 1));
  for (const seq of [0, 2]) {
    assertProblem(await edge.get(`/v1/streams/pending/messages/${seq}/receipt`), 404, "not-anchored");
  }
  await enterAnchor(id, 0, 2);
  assert.equal((await edge.get("/v1/streams/pending/messages/1/receipt")).status, 200);
  assertProblem(await edge.get("/v1/streams/pending/messages/2/receipt"), 404, "not-anchored");
  assertProblem(await edge.get("/v1/streams/pending/messages/3/receipt"), 404, "no-such-message");
});

test("no receipt goes out that does not check", async () => {
  const stream = await edge.streamOn(relay, "wrong", { anchor: "own" });
  const { id } = stream;
  await edge.storeSegments(relay, stream, [2]);
  await enterAnchor(id, 0, 2);
  const database = await edge.database();
  await database
    .prepare("UPDATE anchors SET root = ? WHERE stream = ?")
    .bind(`0x${"cc".repeat(32)}`, id)
    .run();
  assertProblem(await edge.get("/v1/streams/wrong/messages/0/receipt"), 500, "internal");
});

test("anchors are listed in the order of the stream, in pages", async () => {
  const stream = await edge.streamOn(relay, "anchors", { anchor: "own" });
  const { id } = stream;
  await edge.storeSegments(relay, stream, [2, 3, 1]);
  const roots = [await enterAnchor(id, 0, 2, "final"), await enterAnchor(id, 2, 3), await enterAnchor(id, 5, 1)];
  const list = async (query: string) => (await edge.get(`/v1/streams/anchors/anchors${query}`)).json;
  const first = await list("?limit=2");
  const common = { tx: TX, block: 12, blockHash: BLOCK_HASH, logIndex: 3 };
  assert.deepEqual(first, {
    anchors: [
      { first: 0, count: 2, root: roots[0], ...common, state: "final" },
      { first: 2, count: 3, root: roots[1], ...common, state: "anchored" },
    ],
    next: 5,
  });
  const second = (await list("?limit=2&from=5")) as { anchors: { first: number }[]; next?: number };
  assert.deepEqual([second.anchors.map(({ first }) => first), second.next], [[5], undefined]);
});

test("what was published on chain is listed in its order, in pages", async () => {
  const { id } = await edge.streamOn(relay, "chain", { anchor: "own" });
  await edge.listed("chain");
  const database = await edge.database();
  const insert = database.prepare(
    `INSERT INTO chain_events (stream, block, log_index, block_hash, tx, author, payload, state)
     VALUES (?, ?, ?, ?, ?, ?, unhex(?), 'anchored')`,
  );
  const author = `0x${"dd".repeat(20)}`;
  for (const [block, index] of [
    [5, 1],
    [5, 0],
    [4, 9],
  ]) {
    await insert.bind(id, block, index, BLOCK_HASH, TX, author, `0${index}`).run();
  }
  const list = async (query: string) => (await edge.get(`/v1/streams/chain/chain${query}`)).json;
  const event = { blockHash: BLOCK_HASH, tx: TX, author, state: "anchored" };
  const first = (await list("?limit=2")) as { next: { block: number; logIndex: number } };
  assert.deepEqual(first, {
    events: [
      { ...event, block: 4, logIndex: 9, payload: "0x09" },
      { ...event, block: 5, logIndex: 0, payload: "0x00" },
    ],
    next: { block: 5, logIndex: 0 },
  });
  const second = await list(`?limit=2&block=${first.next.block}&logIndex=${first.next.logIndex}`);
  assert.deepEqual(second, { events: [{ ...event, block: 5, logIndex: 1, payload: "0x01" }] });
});
