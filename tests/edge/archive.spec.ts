// The archive: what is final goes from the database into packs, and every reader gets it from there; payloads that go.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decodeSequence } from "./cbor.ts";
import {
  asOperator,
  assertProblem,
  asUser,
  type Edge,
  type EdgeOptions,
  type FakeRelay,
  type Json,
  messagesOf,
  PRODUCER,
  startEdge,
  until,
} from "./harness.ts";

const TX = `0x${"33".repeat(32)}`;
const BLOCK_HASH = `0x${"44".repeat(32)}`;

/** Packs of a few segments, looked for all the time. */
const SMALL = { ARCHIVE_PACK_BYTES: "1000", ARCHIVE_INTERVAL_MS: "100", ARCHIVE_MAX_AGE_MS: "9999999999999" };

interface Shown {
  seq: number;
  time: number;
  author: string;
  payload: string;
  erased?: { size: number; digest: string };
}

let edge: Edge;
let relay: FakeRelay;
before(async () => {
  edge = await startEdge({ vars: SMALL });
  relay = edge.relay("r1");
});
after(() => edge.stop());

const start = async (options: EdgeOptions): Promise<[Edge, FakeRelay]> => {
  const other = await startEdge(options);
  return [other, other.relay("r1")];
};

const textOf = (number: number): string => `message ${number}`;
const payloadOf = (number: number): string => `0x${Buffer.from(textOf(number)).toString("hex")}`;

/** What a table of the database has of a stream. */
const count = async (of: Edge, table: string, id: string): Promise<number> => {
  const query = (await of.database()).prepare(`SELECT count(*) AS n FROM ${table} WHERE stream = ?`);
  return (await query.bind(id).first<{ n: number }>())?.n ?? 0;
};

/** Makes each segment from `from` on final, by an anchor of its own. */
const finalize = async (of: Edge, id: string, from = 0): Promise<void> => {
  const statement = `INSERT INTO anchors (stream, first, count, root, tx, block, block_hash, log_index, state)
    SELECT stream, first, count, root, ?, 12, ?, first, 'final' FROM segments WHERE stream = ? AND first >= ?`;
  await (await of.database()).prepare(statement).bind(TX, BLOCK_HASH, id, from).run();
};

const packed = (of: Edge, id: string, left = 0): Promise<unknown> =>
  until("the archive has what is final", async () => (await count(of, "segments", id)) === left);

/** All messages by HTTP, page by page. */
const history = async (of: Edge, name: string, limit = 7): Promise<Shown[]> => {
  const all: Shown[] = [];
  for (let from = 0, head = 1; from < head; ) {
    const answer = await of.get(`/v1/streams/${name}/messages?from=${from}&limit=${limit}`);
    assert.equal(answer.status, 200, answer.text);
    const page = answer.json as unknown as { messages: Shown[]; next: number; head: number };
    assert.ok(page.next > from || page.head === from, `a page at ${from} goes on`);
    all.push(...page.messages);
    [from, head] = [page.next, page.head];
  }
  return all;
};

/** All messages by the event stream, from a cursor before all of them. */
const followed = async (of: Edge, name: string, total: number): Promise<Shown[]> => {
  const aborter = new AbortController();
  const response = await of.raw(`/v1/streams/${name}/events?after=0-0`, { signal: aborter.signal });
  let text = "";
  const messages = (): Shown[] =>
    [...text.matchAll(/event: stored\ndata: (.*)\n\n/g)].map(([, data]) => JSON.parse(data as string));
  const decoder = new TextDecoder();
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    if (messages().length >= total) break;
  }
  aborter.abort();
  return messages();
};

const receipt = (of: Edge, name: string, seq: number) => of.get(`/v1/streams/${name}/messages/${seq}/receipt`);

const objects = async (of: Edge): Promise<Map<string, Buffer>> => {
  const bucket = await of.archive();
  const found = new Map<string, Buffer>();
  for (const { key } of (await bucket.list()).objects) {
    const object = await bucket.get(key);
    if (object !== null) found.set(key, Buffer.from(await object.arrayBuffer()));
  }
  return found;
};

const erase = (of: Edge, name: string, seq: number, headers = asOperator()) =>
  of.send("DELETE", `/v1/streams/${name}/messages/${seq}`, { headers });

test("what is final goes into packs, and is read as before", async () => {
  const stream = await edge.streamOn(relay, "moving", { anchor: "own" });
  const sizes = [3, 10, 1, 20, 5, 9];
  const total = 48;
  await edge.storeSegments(relay, stream, sizes);
  const segments = (await edge.get("/v1/streams/moving/segments")).json;
  const before = await history(edge, "moving");
  assert.deepEqual(
    before.map(({ seq, payload }) => [seq, payload]),
    Array.from({ length: total }, (_, seq) => [seq, payloadOf(seq)]),
  );
  await finalize(edge, stream.id);
  const receipts = await Promise.all(before.map(({ seq }) => receipt(edge, "moving", seq)));
  await packed(edge, stream.id);
  assert.ok((await count(edge, "packs", stream.id)) >= 1);
  assert.deepEqual(await history(edge, "moving"), before);
  assert.deepEqual(await history(edge, "moving", 1_000), before);
  assert.deepEqual(await followed(edge, "moving", total), before);
  assert.deepEqual((await edge.get("/v1/streams/moving/segments")).json, segments);
  const paged: Json[] = [];
  for (let from: number | undefined = 0; from !== undefined; ) {
    const page = (await edge.get(`/v1/streams/moving/segments?from=${from}&limit=2`)).json;
    paged.push(...(page.segments as Json[]));
    from = page.next as number | undefined;
  }
  assert.deepEqual(paged, segments.segments);
  for (const [seq, { json }] of receipts.entries()) {
    const again = await receipt(edge, "moving", seq);
    assert.deepEqual([again.status, again.json], [200, json], `receipt of ${seq}`);
  }
});

test("pages join archive, database and object", async () => {
  const stream = await edge.streamOn(relay, "joined", { anchor: "own" });
  await edge.storeSegments(relay, stream, [20, 20, 20]);
  await finalize(edge, stream.id);
  await packed(edge, stream.id);
  await relay.batch(stream.short, stream.epoch, 60, messagesOf(PRODUCER, 60, 20));
  await edge.flushed(stream.id, 20);
  await relay.batch(stream.short, stream.epoch, 80, messagesOf(PRODUCER, 80, 20));
  for (const limit of [7, 1_000]) {
    const all = await history(edge, "joined", limit);
    assert.deepEqual(
      all.map(({ payload }) => payload),
      Array.from({ length: 100 }, (_, seq) => payloadOf(seq)),
    );
  }
  assert.ok((await count(edge, "segments", stream.id)) >= 1);
});

test("an erased message is gone everywhere, the others stay", async () => {
  const stream = await edge.streamOn(relay, "erased", { anchor: "own" });
  await edge.storeSegments(relay, stream, [20, 20]);
  await finalize(edge, stream.id);
  await packed(edge, stream.id);
  await relay.batch(stream.short, stream.epoch, 40, messagesOf(PRODUCER, 40, 10));
  await edge.flushed(stream.id, 10);
  await relay.batch(stream.short, stream.epoch, 50, messagesOf(PRODUCER, 50, 10));
  const before = await history(edge, "erased");
  const gone = [17, 45, 55]; // in a pack, in the database, in the object until it is asked for
  for (const seq of gone) {
    const answer = await erase(edge, "erased", seq);
    assert.equal(answer.status, 200, answer.text);
    const { size, digest } = answer.json.erased as { size: number; digest: string };
    assert.equal(size, textOf(seq).length);
    const shown = (await history(edge, "erased")).find((message) => message.seq === seq);
    assert.deepEqual(shown, { ...before[seq], payload: "0x", erased: { size, digest } });
    assert.deepEqual((await erase(edge, "erased", seq)).json, answer.json, "asked again");
  }
  const expected = before.map((message) => (gone.includes(message.seq) ? "0x" : message.payload));
  const payloads = (messages: Shown[]) => messages.map(({ payload }) => payload);
  assert.deepEqual(payloads(await history(edge, "erased")), expected);
  assert.deepEqual(payloads(await followed(edge, "erased", 60)), expected);
  await finalize(edge, stream.id, 40);
  await packed(edge, stream.id);
  await until("the pack is rewritten", async () => (await count(edge, "erasures", stream.id)) === 0);
  await until("no object has an erased payload", async () => {
    const packs = [...(await objects(edge)).entries()].filter(([key]) => key.includes(stream.id));
    return packs.length > 0 && packs.every(([, bytes]) => gone.every((seq) => !bytes.includes(textOf(seq))));
  });
  assert.deepEqual(payloads(await history(edge, "erased")), expected);
  for (const seq of [16, 18, 44, 56]) {
    const answer = await receipt(edge, "erased", seq);
    assert.equal(answer.status, 200, `${seq}: ${answer.text}`);
  }
});

test("CBOR has size and hash of erased messages for who asks", async () => {
  const items = async (query: string) => {
    const headers = { accept: "application/cbor-seq" };
    const response = await edge.raw(`/v1/streams/erased/messages?from=17&limit=1${query}`, { headers });
    return [...decodeSequence(new Uint8Array(await response.arrayBuffer()))] as unknown[][];
  };
  const [old] = await items("");
  assert.equal(old?.length, 4);
  const [now] = await items("&erased=1");
  assert.equal(now?.length, 5);
  assert.deepEqual((now?.at(4) as unknown[] | undefined)?.at(0), textOf(17).length);
});

test("only owner and operator may erase; the audit log has it", async () => {
  const stream = await edge.streamOn(relay, "owned");
  await edge.storeSegments(relay, stream, [3]);
  assertProblem(await edge.send("DELETE", "/v1/streams/owned/messages/1"), 401, "unauthorized");
  const member = `0x${"cd".repeat(20)}`;
  assertProblem(await erase(edge, "owned", 1, asUser(member)), 403, "forbidden");
  const headers = { "content-type": "application/json", ...asOperator() };
  const body = JSON.stringify({ rights: ["read", "write", "manage"] });
  await edge.send("PUT", `/v1/streams/owned/members/${member}`, { headers, body });
  assertProblem(await erase(edge, "owned", 1, asUser(member)), 403, "forbidden");
  assertProblem(await erase(edge, "owned", 3), 404, "no-such-message");
  assert.equal((await history(edge, "owned"))[1]?.payload, payloadOf(1));
  assert.equal((await erase(edge, "owned", 1)).status, 200);
  await until("the audit log has it", async () => {
    const audit = await edge.get("/v1/audit?action=message.erase&outcome=done", asOperator());
    return audit.text.includes("/v1/streams/owned/messages/1");
  });
  const entries = await edge.get("/v1/streams/_audit", asOperator());
  assertProblem(await erase(edge, entries.json.id as string, 0), 403, "forbidden");
});

test("a payload for the chain stays until its anchor is final", async () => {
  const stream = await edge.streamOn(relay, "whole", { mode: "payload" });
  await edge.storeSegments(relay, stream, [2]);
  assertProblem(await erase(edge, "whole", 1), 404, "not-anchored");
  await finalize(edge, stream.id);
  assert.equal((await erase(edge, "whole", 1)).status, 200);
});

test("relays are told to forget what is erased", async () => {
  const stream = await edge.streamOn(relay, "forgotten");
  await edge.storeSegments(relay, stream, [3]);
  await erase(edge, "forgotten", 2);
  await until("the relay has the notice", async () => {
    const { json } = await relay.register();
    const notices = json.notices as Json[];
    return notices.some(({ kind, stream: of, seq }) => kind === "erased" && of === stream.short && seq === 2);
  });
});

test("without an archive all stays; the status says how full", async () => {
  const [other, only] = await start({ archive: false, vars: SMALL });
  try {
    const stream = await other.streamOn(only, "kept", { anchor: "own" });
    await other.storeSegments(only, stream, [20, 20]);
    await finalize(other, stream.id);
    const status = async () => (await other.get("/v1/status")).json.storage as Json;
    const { database, archive } = (await status()) as { database: Json; archive: Json };
    assert.ok((database.bytes as number) > 10_000, JSON.stringify(database));
    assert.deepEqual([database.capacity, database.state], [10_000_000_000, "low"]);
    assert.deepEqual([archive.bound, archive.packs], [false, 0]);
    assert.equal((await erase(other, "kept", 3)).status, 200);
    assert.equal((await history(other, "kept"))[3]?.payload, "0x");
    assert.equal(await count(other, "segments", stream.id), 2);
  } finally {
    await other.stop();
  }
});

test("a nearly full database takes messages, no new streams", async () => {
  let [other, only] = await start({ archive: false });
  try {
    const stream = await other.streamOn(only, "early");
    other = await other.restart({ archive: false, vars: { DATABASE_BYTES: "1000" } });
    const late = other.relay("r1");
    late.incarnation = only.incarnation;
    await late.register();
    assertProblem(await other.postJson("/v1/streams", { name: "late" }), 507, "storage-full");
    const stored = await late.batch(stream.short, stream.epoch, 0, messagesOf(PRODUCER, 0, 3));
    assert.deepEqual([stored.status, stored.json.committed], [200, 3]);
    await other.flushed(stream.id, 3);
    const { database } = (await other.get("/v1/status")).json.storage as { database: Json };
    assert.equal(database.state, "full");
  } finally {
    await other.stop();
  }
});
