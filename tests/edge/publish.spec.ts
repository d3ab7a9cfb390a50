// Messages by HTTP: stored exactly once, with a relay, without one, and when it dies.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessToken, asOperator, assertProblem, bearer, type Edge, messagesOf, startEdge, until } from "./harness.ts";

const AUTHOR = `0x${"ab".repeat(20)}`;
const PRODUCER = "5c".repeat(16);

let edge: Edge;

before(async () => {
  edge = await startEdge();
});
after(() => edge.stop());

const post = (stream: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
  edge.send("POST", `/v1/streams/${stream}/messages`, {
    headers: { "content-type": "application/octet-stream", ...bearer(accessToken(AUTHOR)), ...headers },
    body: body as BodyInit,
  });

const numbered = (number: number) => ({
  "streamchain-producer": PRODUCER,
  "streamchain-producer-seq": String(number),
});

const texts = async (stream: string): Promise<string[]> => {
  const { json } = await edge.get(`/v1/streams/${stream}/messages`);
  const messages = json.messages as { payload: string }[];
  return messages.map(({ payload }) => Buffer.from(payload.slice(2), "hex").toString());
};

test("without a leader a message is stored at once, and once", async () => {
  const first = await post("alone", "hello", numbered(0));
  assert.equal(first.status, 201, first.text);
  assert.deepEqual(first.json, { stored: true, seq: 0, author: AUTHOR, producer: PRODUCER, producerSeq: 0 });
  assert.deepEqual((await post("alone", "hello", numbered(0))).json.seq, 0);
  assert.equal((await post("alone", "again", numbered(1))).json.seq, 1);
  assert.deepEqual(await texts("alone"), ["hello", "again"]);
  const found = await edge.get(first.headers.get("location") as string);
  assert.equal((found.json.messages as { author: string }[])[0]?.author, AUTHOR);
  const refused = assertProblem(await post("alone", "too far", numbered(5)), 409, "producer-conflict");
  assert.equal(refused.stored, 1);
});

test("an idempotency key stands for one message of one author", async () => {
  const key = { "idempotency-key": "order-7" };
  const seqs = [await post("keys", "a", key), await post("keys", "a", key)].map(({ json }) => json.seq);
  assert.deepEqual(seqs, [0, 0]);
  const other = await post("keys", "b", { ...key, ...bearer(accessToken(`0x${"cd".repeat(20)}`)) });
  assert.equal(other.json.seq, 1);
  assert.equal((await post("keys", "c")).json.seq, 2);
  assert.equal((await post("keys", "c")).json.seq, 3);
  assertProblem(await post("keys", "d", { ...key, ...numbered(0) }), 400, "bad-request");
});

test("a message is bytes or JSON, up to the limit, with the right", async () => {
  const as = (body: unknown) => post("bodies", JSON.stringify(body), { "content-type": "application/json" });
  assert.equal((await as({ text: "as text" })).status, 201);
  assert.equal((await as({ payload: "0x6173206279746573" })).status, 201);
  assert.equal((await post("bodies", new Uint8Array(65_536))).status, 201);
  assert.deepEqual((await texts("bodies")).slice(0, 2), ["as text", "as bytes"]);
  assertProblem(await post("bodies", new Uint8Array(65_537)), 413, "too-large");
  assertProblem(await as({ payload: `0x${"00".repeat(65_537)}` }), 413, "too-large");
  assertProblem(await as({}), 400, "bad-request");
  assertProblem(await post("bodies", "x", { "content-type": "text/plain" }), 415, "unsupported-type");
  const nobody = { authorization: "Bearer none" };
  assertProblem(await edge.postJson("/v1/streams/bodies/messages", { text: "who?" }, nobody), 401, "unauthorized");
  await edge.postJson("/v1/streams", { name: "shut", write: "closed" }, asOperator());
  assertProblem(await post("shut", "a stranger's"), 403, "forbidden");
  assert.equal((await post("shut", "the owner's", asOperator())).status, 201);
  // Whether the audit log has its stream yet or not, nobody makes it and nobody writes to it.
  assert.ok([403, 404].includes((await post("_audit", "forged")).status));
});

test("a message without credentials makes a guest", async () => {
  const path = "/v1/streams/guests/messages";
  const type = { "content-type": "application/octet-stream" };
  const first = await edge.send("POST", path, { headers: type, body: "hello" });
  assert.equal(first.status, 201, first.text);
  const token = first.headers.get("streamchain-access-token");
  assert.ok(token, "the guest's token");
  assert.equal(first.headers.get("streamchain-author"), first.json.author);
  const second = await edge.send("POST", path, { headers: { ...type, ...bearer(token) }, body: "again" });
  assert.deepEqual([second.status, second.json.author], [201, first.json.author]);
  assert.equal(second.headers.get("streamchain-access-token"), null);
  assert.deepEqual(await texts("guests"), ["hello", "again"]);
  for (const number of [{ "idempotency-key": "k" }, numbered(0)]) {
    // Sent again it would be another author's message.
    assertProblem(await edge.send("POST", path, { headers: { ...type, ...number }, body: "x" }), 401, "unauthorized");
  }
  await edge.postJson("/v1/streams", { name: "not-for-guests", write: "closed" }, asOperator());
  const shut = await edge.send("POST", "/v1/streams/not-for-guests/messages", { headers: type, body: "x" });
  assertProblem(shut, 403, "forbidden");
});

test("an encoded body is refused, and nothing of it is stored", async () => {
  await edge.postJson("/v1/streams", { name: "encoded" });
  for (const coding of ["gzip", "br", "deflate", "identity, gzip", "x-other"]) {
    const answer = await post("encoded", "bytes", { "content-encoding": coding });
    assertProblem(answer, 415, "unsupported-type");
    assert.equal(answer.headers.get("accept-encoding"), "identity");
    const json = await edge.postJson("/v1/streams", { name: "zipped" }, { "content-encoding": coding });
    assertProblem(json, 415, "unsupported-type");
  }
  assert.equal((await post("encoded", "plain", { "content-encoding": "identity" })).status, 201);
  assert.deepEqual(await texts("encoded"), ["plain"]);
});

test("the leader is notified, fetches the message and stores it", async () => {
  const relay = edge.relay("r1");
  const { short, epoch } = await edge.streamOn(relay, "held");
  const posting = post("held", "by http", numbered(0));
  await until("the relay is told", async () => {
    const { json } = await relay.register();
    return (json.notices as { kind: string; stream: string }[]).some(
      ({ kind, stream }) => kind === "append" && stream === short,
    );
  });
  const waiting = await relay.inbox(short, epoch);
  assert.ok(waiting.text.includes("by http"));
  assertProblem(await relay.inbox(short, epoch + 1), 409, "stale-epoch");
  const other = messagesOf(Buffer.alloc(16, 1), 0, 1);
  assert.equal((await relay.batch(short, epoch, 0, other)).json.waiting, 1);
  const fetched = {
    author: Buffer.from(AUTHOR.slice(2), "hex"),
    producer: Buffer.from(PRODUCER, "hex"),
    number: 0,
    payload: "by http",
  };
  const anothers = { ...fetched, author: Buffer.alloc(20, 9) };
  await edge.sessionOf(short, anothers.author);
  assert.deepEqual((await relay.batch(short, epoch, 1, [anothers])).json, { committed: 2, waiting: 1 });
  assert.deepEqual((await relay.batch(short, epoch, 2, [fetched])).json, { committed: 3 });
  assert.deepEqual((await posting).json.seq, 2);
  assert.equal((await relay.inbox(short, epoch)).text, "");
});

test("an asynchronous answer comes before the leader fetches", async () => {
  const relay = edge.relay("r4");
  const { short, epoch } = await edge.streamOn(relay, "at-once");
  const prefer = { prefer: "wait=10, Respond-Async;foo=bar" };
  const answers = [];
  for (const number of [0, 1, 2]) {
    const answer = await post("at-once", `message ${number}`, { ...numbered(number), ...prefer });
    answers.push([answer.status, answer.json.stored]);
  }
  assert.deepEqual(answers, Array(3).fill([202, false]));
  const waiting = await relay.inbox(short, epoch);
  assert.ok(
    ["message 0", "message 2"].every((message) => waiting.text.includes(message)),
    "all of them wait",
  );
  assert.equal((await post("nobodys", "hello", { ...numbered(0), ...prefer })).status, 201, "stored at once");
});

test("after a goodbye or a release the edge stores what waits", async () => {
  const relay = edge.relay("r2");
  const { short, epoch } = await edge.streamOn(relay, "left");
  await relay.goodbye();
  assert.equal((await post("left", "the relay is gone", numbered(0))).json.seq, 0);
  assertProblem(await relay.batch(short, epoch, 0, messagesOf(Buffer.alloc(16, 1), 0, 1)), 409, "stale-epoch");
  await relay.register();
  const again = await relay.acquireEpoch(short);
  assert.deepEqual([again.json.epoch, again.json.head], [epoch + 2, 1]);
  const posting = post("left", "released", numbered(1));
  await until("it waits", async () => (await relay.inbox(short, epoch + 2)).text.includes("released"));
  assert.equal((await relay.release(short, epoch + 2)).status, 200);
  assert.equal((await posting).json.seq, 1);
  assert.deepEqual(await texts("left"), ["the relay is gone", "released"]);
  assertProblem(await edge.relay("edge").register(), 403, "forbidden");
});

test("what waits outlives the edge's own restart", async () => {
  const relay = edge.relay("r3");
  await edge.streamOn(relay, "restarted");
  const answer = await post("restarted", "patient", numbered(0));
  assert.deepEqual([answer.status, answer.json.stored], [202, false]);
  edge = await edge.restart();
  const same = edge.relay("r3");
  same.incarnation = relay.incarnation;
  await same.goodbye();
  const again = await until("stored", async () => {
    const later = await post("restarted", "patient", numbered(0));
    return later.status === 201 && later;
  });
  assert.equal(again.json.seq, 0);
  assert.deepEqual(await texts("restarted"), ["patient"]);
});
