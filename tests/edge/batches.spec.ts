// Batches: what a relay stores, and what is refused.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Cbor, encode } from "./cbor.ts";
import {
  accessToken,
  assertProblem,
  batchBytes,
  bearer,
  type Edge,
  type FakeRelay,
  type Json,
  type Message,
  messagesOf,
  offer,
  PRODUCER,
  startEdge,
} from "./harness.ts";

let edge: Edge;
let relay: FakeRelay;
let stream: { id: string; short: string; epoch: number };
let streams = 0;

before(async () => {
  edge = await startEdge();
  relay = edge.relay("r1");
});
after(() => edge.stop());

const fresh = async () => {
  streams += 1;
  stream = await edge.streamOn(relay, `batches-${streams}`);
};

/** Posts batches of several streams together; the answers in the order in which they came. */
const bundled = async (
  batches: [short: string, body: Uint8Array][],
): Promise<{ position: number; status: number; body: Json }[]> => {
  const parts = batches.map(([short, body]): Cbor => [Buffer.from(short.slice(2), "hex"), body]);
  const { status, text } = await relay.rawBundle(encode(parts));
  assert.equal(status, 200, text);
  const lines = text.trim().split("\n");
  return lines.map((line) => JSON.parse(line));
};

const head = async () => (await edge.get(`/v1/streams/${stream.id}`)).json.head;

test("a batch is stored, and the stream grows by it", async () => {
  await fresh();
  const first = await relay.batch(stream.short, stream.epoch, 0, messagesOf(PRODUCER, 0, 3));
  assert.deepEqual([first.status, first.json], [200, { committed: 3 }]);
  const second = await relay.batch(stream.short, stream.epoch, 3, messagesOf(PRODUCER, 3, 2));
  assert.deepEqual(second.json, { committed: 5 });
  assert.equal(await head(), 5);
});

test("an exact retry is answered alike and stores nothing twice", async () => {
  await fresh();
  for (let time = 0; time < 3; time += 1) {
    const answer = await relay.batch(stream.short, stream.epoch, 0, messagesOf(PRODUCER, 0, 3));
    assert.deepEqual(answer.json, { committed: 3 });
  }
  assert.equal(await head(), 3);
});

test("a batch with a gap or an overlap says what was expected", async () => {
  await fresh();
  await relay.batch(stream.short, stream.epoch, 0, messagesOf(PRODUCER, 0, 3));
  for (const first of [4, 2, 0]) {
    const answer = await relay.batch(stream.short, stream.epoch, first, messagesOf(PRODUCER, 3, 1));
    assert.equal(assertProblem(answer, 409, "gap").expected, 3);
  }
  assert.equal(await head(), 3);
});

test("an epoch that is over is refused with the right one", async () => {
  await fresh();
  relay.incarnation = "ffffffffffffffff";
  assert.equal((await relay.acquireEpoch(stream.short)).json.epoch, 2, "another run, another epoch");
  const answer = await relay.batch(stream.short, 1, 0, messagesOf(PRODUCER, 0, 1));
  assert.equal(assertProblem(answer, 409, "stale-epoch").epoch, 2);
  assertProblem(await relay.producer(stream.short, PRODUCER, 1), 409, "stale-epoch");
});

test("a relay that does not hold the stream stores nothing", async () => {
  await fresh();
  const other = edge.relay("r2");
  await other.register();
  assert.equal(assertProblem(await other.acquireEpoch(stream.short), 409, "not-owner").relay, "r1");
  const answer = await other.batch(stream.short, stream.epoch, 0, messagesOf(PRODUCER, 0, 1));
  assert.equal(assertProblem(answer, 409, "not-owner").relay, "r1");
});

test("a relay acquires only what a session assigned to it", async () => {
  const { short } = (await edge.postJson("/v1/streams", { name: "unassigned" })).json as { short: string };
  const refused = assertProblem(await relay.acquireEpoch(short), 409, "not-owner");
  assert.match(refused.detail as string, /assigned to no relay/);
  assertProblem(await relay.batch(short, 1, 0, messagesOf(PRODUCER, 0, 1)), 409, "stale-epoch");
  assertProblem(await relay.inbox(short, 1), 409, "stale-epoch");
  assert.equal((await edge.get(`/v1/streams/${short}`)).json.relay, undefined);
});

test("a batch of an author without a session is refused whole", async () => {
  await fresh();
  const stranger = Buffer.alloc(20, 0xee);
  const [own] = messagesOf(PRODUCER, 0, 1) as [Message];
  const forged = { ...own, author: stranger };
  const refused = assertProblem(await relay.batch(stream.short, stream.epoch, 0, [own, forged]), 409, "unknown-author");
  assert.equal(refused.author, `0x${"ee".repeat(20)}`);
  assert.equal(await head(), 0);
  await edge.sessionOf(stream.short, stranger);
  assert.equal((await relay.batch(stream.short, stream.epoch, 0, [own, forged])).json.committed, 2);
});

test("a session that may only read makes no author", async () => {
  await fresh();
  const reader = accessToken(`0x${"dd".repeat(20)}`, { scope: { rights: ["read"] } });
  assert.equal((await edge.postOffer(stream.short, await offer("chromium"), bearer(reader))).status, 201);
  const [own] = messagesOf(PRODUCER, 0, 1) as [Message];
  const forged = { ...own, author: Buffer.alloc(20, 0xdd) };
  assertProblem(await relay.batch(stream.short, stream.epoch, 0, [forged]), 409, "unknown-author");
});

test("a producer's number is stored once, and none is left out", async () => {
  await fresh();
  assert.equal((await relay.producer(stream.short, PRODUCER, stream.epoch)).json.stored, null);
  await relay.batch(stream.short, stream.epoch, 0, messagesOf(PRODUCER, 0, 3));
  assert.equal((await relay.producer(stream.short, PRODUCER, stream.epoch)).json.stored, 2);
  for (const number of [2, 4]) {
    const answer = await relay.batch(stream.short, stream.epoch, 3, messagesOf(PRODUCER, number, 1));
    const problem = assertProblem(answer, 409, "producer-conflict");
    assert.deepEqual([problem.producer, problem.stored], [PRODUCER.toString("hex"), 2]);
  }
  assert.equal(await head(), 3);
});

test("a body that is no batch is refused, the next one is stored", async () => {
  await fresh();
  const good = batchBytes(stream.epoch, 0, messagesOf(PRODUCER, 0, 2));
  assertProblem(await relay.rawBatch(stream.short, good.subarray(0, good.length - 1)), 400, "bad-request");
  assert.equal((await relay.rawBatch(stream.short, good)).status, 200);
});

test("a batch above its bounds is refused before it is read", async () => {
  await fresh();
  assertProblem(await relay.rawBatch(stream.short, Buffer.alloc(800_000)), 413, "too-large");
  const most = messagesOf(PRODUCER, 0, 4_096);
  assert.equal((await relay.batch(stream.short, stream.epoch, 0, most)).json.committed, 4_096);
});

test("a message of 64 KiB is stored whole", async () => {
  await fresh();
  const payload = Buffer.alloc(65_536, 0xa5);
  await relay.batch(stream.short, stream.epoch, 0, [{ producer: PRODUCER, number: 0, payload }]);
  const { messages } = (await edge.get(`/v1/streams/${stream.id}/messages`)).json as {
    messages: { payload: string }[];
  };
  assert.equal(messages[0]?.payload, `0x${payload.toString("hex")}`);
});

test("batches of a stream that was never made are refused", async () => {
  const short = `0x${"ab".repeat(20)}`;
  assertProblem(await relay.acquireEpoch(short), 404, "no-such-stream");
  assertProblem(await relay.batch(short, 1, 0, messagesOf(PRODUCER, 0, 1)), 404, "no-such-stream");
});

test("each batch of a bundle is answered by itself", async () => {
  await fresh();
  const one = stream;
  await fresh();
  const two = stream;
  const never = `0x${"ab".repeat(20)}`;
  const answers = await bundled([
    [one.short, batchBytes(one.epoch, 0, messagesOf(PRODUCER, 0, 3))],
    [never, batchBytes(1, 0, messagesOf(PRODUCER, 0, 1))],
    [two.short, batchBytes(two.epoch, 4, messagesOf(PRODUCER, 4, 1))],
    [two.short, Uint8Array.of(0xff)],
  ]);
  const seen = answers
    .sort((a, b) => a.position - b.position)
    .map(({ position, status, body }) => [position, status, body.committed ?? `${body.type}`.split("/").pop()]);
  assert.deepEqual(seen, [
    [0, 200, 3],
    [1, 404, "no-such-stream"],
    [2, 409, "gap"],
    [3, 400, "bad-request"],
  ]);
  assert.equal(answers[2]?.body.expected, 0, "a problem is whole");
  const [again] = await bundled([[one.short, batchBytes(one.epoch, 0, messagesOf(PRODUCER, 0, 3))]]);
  assert.deepEqual([again?.status, again?.body], [200, { committed: 3 }], "a retry is answered like the first time");
});

test("a body that is no bundle is refused whole", async () => {
  for (const body of [Uint8Array.of(), Uint8Array.of(0x80), Uint8Array.of(0x81, 0x80)]) {
    assertProblem(await relay.rawBundle(body), 400, "bad-request");
  }
  assertProblem(await relay.rawBundle(new Uint8Array(1024 * 1024 + 1)), 413, "too-large");
});
