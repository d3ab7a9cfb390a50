// The archive when its bucket fails, and payloads that are older than their stream keeps them: nothing that was stored is
// lost meanwhile, and all goes on by itself afterwards.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { type Fault, faultyArchive } from "./faulty-archive.ts";
import { asOperator, type Edge, type FakeRelay, type Json, messagesOf, PRODUCER, startEdge, until } from "./harness.ts";

/** Packs of a few segments, looked for all the time. */
const VARS = { ARCHIVE_PACK_BYTES: "600", ARCHIVE_INTERVAL_MS: "100", ARCHIVE_MAX_AGE_MS: "9999999999999" };
const DAY_MS = 86_400_000;

let faults: { get?: Fault; put?: Fault; delete?: Fault } = {};
let calls: string[] = [];

let edge: Edge;
let relay: FakeRelay;
before(async () => {
  edge = await startEdge({
    vars: VARS,
    ...faultyArchive((method, key) => {
      const call = `${method} ${key}`;
      // Nothing else is done before what is to be deleted is: its answer is lost once.
      const fault = method === "delete" && calls.includes(call) ? undefined : faults[method];
      calls.push(call);
      return fault;
    }),
  });
  relay = edge.relay("r1");
});
beforeEach(() => {
  [faults, calls] = [{}, []];
});
after(() => edge.stop());

const count = async (table: string, id: string): Promise<number> => {
  const query = (await edge.database()).prepare(`SELECT count(*) AS n FROM ${table} WHERE stream = ?`);
  return (await query.bind(id).first<{ n: number }>())?.n ?? 0;
};

const finalize = async (id: string): Promise<void> => {
  const statement = `INSERT INTO anchors (stream, first, count, root, tx, block, block_hash, log_index, state)
    SELECT stream, first, count, root, ?, 12, ?, first, 'final' FROM segments WHERE stream = ?`;
  const hash = (byte: string) => `0x${byte.repeat(32)}`;
  await (await edge.database()).prepare(statement).bind(hash("33"), hash("44"), id).run();
};

/** A stream with final messages in segments of these sizes. */
const made = async (name: string, sizes: number[], settings: Json = {}): Promise<string> => {
  const stream = await edge.streamOn(relay, name, { anchor: "own", ...settings });
  await edge.storeSegments(relay, stream, sizes);
  await finalize(stream.id);
  return stream.id;
};

/** A stream that failed is left alone for a while. */
const PATIENCE_MS = 120_000;

const packed = (id: string): Promise<unknown> =>
  until("all is packed", async () => (await count("segments", id)) === 0, PATIENCE_MS);

interface Shown {
  payload: string;
  erased?: { size: number; digest: string };
}
const history = async (name: string): Promise<Shown[]> => {
  const answer = await edge.get(`/v1/streams/${name}/messages?limit=1000`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json.messages as Shown[];
};
const texts = async (name: string): Promise<string[]> =>
  (await history(name)).map(({ payload }) => Buffer.from(payload.slice(2), "hex").toString());
const expected = (total: number): string[] => messagesOf(PRODUCER, 0, total).map(({ payload }) => `${payload}`);

for (const fault of ["before", "behind"] as const) {
  test(`what cannot be put stays in the database (${fault})`, async () => {
    faults = { put: fault };
    const name = `put-${fault}`;
    const id = await made(name, [5, 5, 5, 5]);
    await until("it was tried", async () => calls.some((call) => call.startsWith("put")));
    assert.equal(await count("segments", id), 4);
    assert.equal(await count("packs", id), 0);
    assert.deepEqual(await texts(name), expected(20));
    faults = {};
    await packed(id);
    assert.deepEqual(await texts(name), expected(20));
  });
}

test("packed messages are read again once the bucket is back", async () => {
  const name = "get";
  const id = await made(name, [20, 20]);
  await packed(id);
  faults = { get: "before" };
  const failed = await edge.get(`/v1/streams/${name}/messages?limit=1000`);
  assert.equal(failed.status, 500, "a page is whole, or it fails");
  assert.equal((await edge.get(`/v1/streams/${name}/messages/3/receipt`)).status, 500);
  faults = {};
  assert.deepEqual(await texts(name), expected(40));
  assert.equal((await edge.get(`/v1/streams/${name}/messages/3/receipt`)).status, 200);
});

test("an erasure holds at once, and in the pack later", async () => {
  const name = "erased";
  const id = await made(name, [20]);
  await packed(id);
  faults = { put: "before" };
  const answer = await edge.send("DELETE", `/v1/streams/${name}/messages/7`, { headers: asOperator() });
  assert.equal(answer.status, 200, answer.text);
  await until("rewriting was tried", async () => calls.some((call) => call.startsWith("put")));
  assert.equal((await history(name))[7]?.payload, "0x");
  assert.equal(await count("erasures", id), 1);
  faults = { delete: "behind" };
  await until("the pack is rewritten", async () => (await count("erasures", id)) === 0, PATIENCE_MS);
  faults = {};
  const all = await history(name);
  assert.deepEqual([all[7]?.payload, all.filter(({ payload }) => payload === "0x").length], ["0x", 1]);
});

test("payloads go when their time is over, receipts stay", async () => {
  const [kept, stripped] = ["kept", "stripped"];
  // The messages of these relays are of 2023; some of today come behind them.
  await made(kept, [10, 10]);
  const id = await made(stripped, [10, 10], { retention: 1 });
  const stream = await edge.get(`/v1/streams/${stripped}`);
  const today = messagesOf(PRODUCER, 20, 3).map((message) => ({ ...message, time: Date.now() - DAY_MS / 2 }));
  const { short, epoch } = stream.json as { short: string; epoch: number };
  assert.equal((await relay.batch(short, epoch, 20, today)).status, 200);
  const receipts = await Promise.all([0, 19].map((seq) => edge.get(`/v1/streams/${stripped}/messages/${seq}/receipt`)));
  await until("the old payloads are gone", async () => {
    const all = await history(stripped);
    return all.slice(0, 20).every(({ erased, payload }) => erased !== undefined && payload === "0x");
  });
  const all = await history(stripped);
  assert.deepEqual(
    all.map(({ erased }) => erased?.size),
    [...expected(20).map((text) => text.length), undefined, undefined, undefined],
  );
  assert.deepEqual((await texts(stripped)).slice(20), expected(23).slice(20), "what is younger stays");
  for (const [i, seq] of [0, 19].entries()) {
    const { json, status } = await edge.get(`/v1/streams/${stripped}/messages/${seq}/receipt`);
    assert.equal(status, 200);
    assert.deepEqual([json.leaf, json.root], [receipts[i]?.json.leaf, receipts[i]?.json.root]);
    const { erased } = json.message as Shown;
    assert.equal(erased?.size, expected(20)[seq]?.length);
  }
  assert.deepEqual(await texts(kept), expected(20), "and those of streams that keep all");
  // Packs are there before the segments go: counted in this order, what moves meanwhile is counted once at least.
  assert.ok((await count("segments", id)) + (await count("packs", id)) > 0);
});
