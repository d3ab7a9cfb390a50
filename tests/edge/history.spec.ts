// History: what is stored can be read, in pages, whether the database has it yet or not.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decodeSequence } from "./cbor.ts";
import { assertProblem, type Edge, type FakeRelay, messagesOf, PRODUCER, startEdge } from "./harness.ts";

interface Page {
  stream: string;
  from: number;
  messages: { seq: number; time: number; author: string; payload: string }[];
  next: number;
  head: number;
}

let edge: Edge;
let relay: FakeRelay;
before(async () => {
  edge = await startEdge();
  relay = edge.relay("r1");
});
after(() => edge.stop());

const page = async (stream: string, query = ""): Promise<Page> =>
  (await edge.get(`/v1/streams/${stream}/messages${query}`)).json as unknown as Page;

const payloadOf = (number: number) => `0x${Buffer.from(`message ${number}`).toString("hex")}`;

test("an empty stream has an empty page", async () => {
  const { id } = await edge.streamOn(relay, "empty");
  assert.deepEqual(await page("empty"), { stream: id, from: 0, messages: [], next: 0, head: 0 });
  assert.deepEqual(await page("empty", "?from=7"), { stream: id, from: 7, messages: [], next: 7, head: 0 });
});

test("a message has the fields that were stored", async () => {
  const { short, epoch } = await edge.streamOn(relay, "fields");
  const author = Buffer.alloc(20, 0xc0);
  await edge.sessionOf(short, author);
  await relay.batch(short, epoch, 0, [
    { producer: PRODUCER, number: 0, payload: "hi", author, time: 1_700_000_000_123 },
  ]);
  const expected = { seq: 0, time: 1_700_000_000_123, author: `0x${"c0".repeat(20)}`, payload: "0x6869" };
  assert.deepEqual((await page("fields")).messages, [expected]);
});

test("pages join the database and what is not flushed yet", async () => {
  const { id, short, epoch } = await edge.streamOn(relay, "pages");
  await relay.batch(short, epoch, 0, messagesOf(PRODUCER, 0, 70));
  await edge.flushed(id, 70);
  await relay.batch(short, epoch, 70, messagesOf(PRODUCER, 70, 60));
  const seen: number[] = [];
  let from = 0;
  do {
    const { messages, next, head } = await page("pages", `?from=${from}&limit=13`);
    assert.equal(head, 130);
    for (const { seq, payload } of messages) assert.equal(payload, payloadOf(seq));
    seen.push(...messages.map(({ seq }) => seq));
    from = next;
  } while (from < 130);
  assert.deepEqual(
    seen,
    Array.from({ length: 130 }, (_, seq) => seq),
  );
  assert.equal((await page("pages")).messages.length, 100, "a hundred unless said otherwise");
});

test("readers see each message once while segments are written", async () => {
  const { id, short, epoch } = await edge.streamOn(relay, "moving");
  let stored = 0;
  const writing = (async () => {
    for (let batch = 0; batch < 60; batch += 1) {
      await relay.batch(short, epoch, stored, messagesOf(PRODUCER, stored, 5));
      stored += 5;
    }
  })();
  let reads = 0;
  while (stored < 300) {
    const before = stored;
    const { messages } = await page("moving", "?limit=1000");
    assert.ok(messages.length >= before, `${before} were stored before the request, ${messages.length} were read`);
    assert.deepEqual(
      messages.map(({ seq }) => seq),
      Array.from(messages.keys()),
    );
    reads += 1;
  }
  await writing;
  assert.ok(reads > 0);
  await edge.flushed(id, 300);
  assert.equal((await page("moving", "?limit=1000")).messages.length, 300);
});

test("a page has at most a mebibyte, and at least one message", async () => {
  const { id, short, epoch } = await edge.streamOn(relay, "large");
  const payload = Buffer.alloc(60_000, 1);
  const batch = (from: number) =>
    Array.from({ length: 12 }, (_, index) => ({ producer: PRODUCER, number: from + index, payload }));
  await relay.batch(short, epoch, 0, batch(0));
  await relay.batch(short, epoch, 12, batch(12));
  await relay.batch(short, epoch, 24, batch(24));
  const unflushed = await page("large");
  await edge.flushed(id, 36);
  for (const first of [unflushed, await page("large")]) {
    assert.equal(first.messages.length, 17, "17 × 60,000 bytes are below 2^20");
    assert.equal(first.next, 17);
  }
  const second = await page("large", "?from=17");
  assert.deepEqual([second.messages[0]?.seq, second.messages.length], [17, 17]);
});

test("the same as a CBOR sequence, for who asks for it", async () => {
  const { short, epoch } = await edge.streamOn(relay, "cbor");
  await relay.batch(short, epoch, 0, messagesOf(PRODUCER, 0, 30));
  const response = await edge.raw("/v1/streams/cbor/messages?from=10&limit=5", {
    headers: { accept: "application/cbor-seq" },
  });
  assert.equal(response.headers.get("content-type"), "application/cbor-seq");
  assert.deepEqual([response.headers.get("streamchain-next"), response.headers.get("streamchain-head")], ["15", "30"]);
  const items = decodeSequence(new Uint8Array(await response.arrayBuffer())) as [
    number,
    number,
    Uint8Array,
    Uint8Array,
  ][];
  assert.deepEqual(
    items.map(([seq]) => seq),
    [10, 11, 12, 13, 14],
  );
  assert.equal(Buffer.from(items[0]?.[3] ?? []).toString(), "message 10");
  assert.equal(items[0]?.[2].length, 20);
});

test("a stream can be called by name, id and short id", async () => {
  const { id, short, epoch } = await edge.streamOn(relay, "names");
  await relay.batch(short, epoch, 0, messagesOf(PRODUCER, 0, 1));
  for (const reference of ["names", id, short]) assert.equal((await page(reference)).messages.length, 1);
});

test("malformed numbers and unknown streams are refused", async () => {
  for (const query of ["?from=-1", "?from=x", "?from=9007199254740992", "?limit=1.5", "?limit="]) {
    assertProblem(await edge.get(`/v1/streams/empty/messages${query}`), 400, "bad-request");
  }
  assertProblem(await edge.get("/v1/streams/nowhere/messages"), 404, "no-such-stream");
  assertProblem(await edge.get(`/v1/streams/0x${"12".repeat(20)}/messages`), 404, "no-such-stream");
});
