// Rounds at the edge: batchers are asked as the Anchorer asks them, and the chain's events are entered as the Listener
// enters them. Roots and proofs are computed apart from the product.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { asOperator, assertProblem, type Edge, type FakeRelay, OPERATOR, startEdge, until } from "./harness.ts";
import {
  BLOCK_HASH,
  bucketLeaf,
  digits,
  fold,
  GROUPS,
  merkleRoot,
  partOf,
  RoundDriver,
  type Run,
  rangeLeaf,
  roundsStream,
  runLeaf,
  TX,
  ZERO,
} from "./rounds.ts";

const OWNER = `0x${"0e".repeat(20)}`;

let edge: Edge;
let relay: FakeRelay;
before(async () => {
  edge = await startEdge({ vars: { BATCHERS: `${GROUPS.length}`, ARCHIVE_INTERVAL_MS: "100" } });
  relay = edge.relay("r1");
});
after(() => edge.stop());

const groupOf = (stream: string) => (Number.parseInt(digits(stream).slice(0, 2), 16) < 128 ? 0 : 128);

const ok = <T>(answer: { status: number; text: string; json: unknown }): T => {
  assert.equal(answer.status, 200, answer.text);
  return answer.json as T;
};

const driver = new RoundDriver(() => edge);
const offer = (run: Omit<Run, "previous">, watched = false, owner = OWNER) => driver.offer(run, owner, watched);
const close = (group: number, round: number, previous: unknown = null) => driver.close(group, round, previous);
const makeRound = () => driver.make();
const enterRound = (round: number, root: string, state = "anchored") => driver.enter(round, root, state);

const leaveRounds = async (): Promise<void> => {
  await (await edge.database()).prepare("DELETE FROM anchors WHERE stream = ?").bind(roundsStream()).run();
};

/** The run over all that is stored of a stream. */
const stored = async (id: string, count: number): Promise<Omit<Run, "previous">> => {
  const query = (await edge.database()).prepare("SELECT root FROM segments WHERE stream = ? ORDER BY first");
  const { results } = await query.bind(id).all<{ root: string }>();
  return { stream: id, first: 0, count, root: merkleRoot(results.map((row: { root: string }) => row.root)) };
};

const streamId = (first: string, rest: string) => `0x${first}${rest.repeat(31)}`;
const rootOf = (byte: string) => `0x${byte.repeat(32)}`;

test("the runs of a round are public, and lead to its root", async () => {
  const runs = [
    { stream: streamId("05", "01"), first: 0, count: 3, root: rootOf("01") },
    { stream: streamId("05", "02"), first: 7, count: 1, root: rootOf("02") },
    { stream: streamId("f0", "03"), first: 0, count: 9, root: rootOf("03") },
  ];
  for (const run of runs) assert.deepEqual(await offer(run), [run.first, null]);
  const { round, root, roots } = await makeRound();
  assert.deepEqual(
    roots.map(([bucket, { runs }]) => [bucket, runs]),
    [
      [0x05, 2],
      [0xf0, 1],
    ],
  );
  const expected = runs.slice(0, 2).map((run) => ({ ...run, previous: ZERO }));
  const bucket = ok<Record<string, unknown>>(await edge.get(`/v1/rounds/${round}/buckets/5`));
  const bucketRoot = merkleRoot(expected.map(runLeaf));
  const { proof, ...rest } = bucket as { proof: string[] };
  assert.deepEqual(rest, { round, bucket: 5, runs: 2, root: bucketRoot, roundRoot: root, entries: expected });
  assert.equal(proof.length, 8);
  assert.equal(`0x${fold(bucketLeaf(round, 5, { runs: 2, root: bucketRoot }), proof)}`, root);

  const bytes = await edge.raw(`/v1/rounds/${round}/buckets/5`, { headers: { accept: "application/octet-stream" } });
  assert.equal(bytes.headers.get("content-type"), "application/octet-stream");
  assert.match(bytes.headers.get("cache-control") ?? "", /immutable/);
  assert.equal(bytes.headers.get("vary"), "accept");
  const list = expected.map((run) =>
    [
      digits(run.stream),
      run.first.toString(16).padStart(16, "0"),
      run.count.toString(16).padStart(8, "0"),
      digits(run.root),
      digits(run.previous),
    ].join(""),
  );
  assert.equal(Buffer.from(await bytes.arrayBuffer()).toString("hex"), list.join(""));

  const empty = ok<{ runs: number; root: string; entries: unknown[]; proof: string[] }>(
    await edge.get(`/v1/rounds/${round}/buckets/6`),
  );
  assert.deepEqual([empty.runs, empty.root, empty.entries], [0, ZERO, []]);
  assert.equal(`0x${fold(bucketLeaf(round, 6, empty), empty.proof)}`, root);

  const shown = ok<Record<string, unknown>>(await edge.get(`/v1/rounds/${round}`));
  assert.deepEqual(shown, {
    round,
    root,
    runs: 3,
    fixed: 1_700_000_000_000,
    buckets: roots.map(([number, of]) => ({ bucket: number, ...of })),
  });
  await enterRound(round, root);
  const listed = ok<{ rounds: Record<string, unknown>[] }>(await edge.get(`/v1/rounds?from=${round}`));
  const place = { tx: TX, block: 12, blockHash: BLOCK_HASH, logIndex: 3, state: "anchored" };
  assert.deepEqual(listed.rounds, [{ round, root, runs: 3, fixed: 1_700_000_000_000, ...place }]);
  await leaveRounds();
});

test("what is no round and no bucket is refused", async () => {
  assertProblem(await edge.get("/v1/rounds/1000000"), 404, "not-found");
  assertProblem(await edge.get("/v1/rounds/1000000/buckets/0"), 404, "not-found");
  assertProblem(await edge.get("/v1/rounds/-1"), 400, "bad-request");
  assertProblem(await edge.get("/v1/rounds/0/buckets/256"), 400, "bad-request");
});

test("no list goes out that does not lead to the round's root", async () => {
  const stream = streamId("11", "04");
  await offer({ stream, first: 0, count: 3, root: rootOf("04") });
  const { round } = await makeRound();
  assert.equal((await edge.get(`/v1/rounds/${round}/buckets/17`)).status, 200);
  await (await edge.database())
    .prepare("UPDATE round_lists SET entries = unhex(replace(hex(entries), ?, ?)) WHERE round = ?")
    .bind("04".repeat(32), `05${"04".repeat(31)}`, round)
    .run();
  assertProblem(await edge.get(`/v1/rounds/${round}/buckets/17`), 500, "internal");
});

test("a run goes on where the one before ended, and names its leaf", async () => {
  const stream = streamId("21", "05");
  const first = { stream, first: 4, count: 6, root: rootOf("05") };
  assert.deepEqual(await offer(first), [4, null]);
  const one = await makeRound();
  assert.deepEqual(await offer({ stream, first: 4, count: 8, root: rootOf("06") }), [10, null], "from where it began");
  assert.deepEqual(await offer({ stream, first: 10, count: 1, root: rootOf("07") }), [10, null]);
  assert.deepEqual(await offer({ stream, first: 10, count: 2, root: rootOf("08") }), [10, null], "more of it");
  const two = await makeRound();
  const entries = ok<{ entries: Run[] }>(await edge.get(`/v1/rounds/${two.round}/buckets/33`)).entries;
  const previous = runLeaf({ ...first, previous: ZERO });
  assert.deepEqual(entries, [{ stream, first: 10, count: 2, root: rootOf("08"), previous }]);
  assert.equal(two.round, one.round + 1);
});

test("a batcher that was killed goes on with what it froze", async () => {
  const stream = streamId("31", "09");
  await offer({ stream, first: 0, count: 2, root: rootOf("09") });
  const round = driver.next;
  const previous = partOf(round - 1, 0, driver.newest);
  const closed = await close(0, round, previous);
  edge = await edge.restart({ vars: { BATCHERS: `${GROUPS.length}` } });
  relay = edge.relay("r1");
  assert.deepEqual(await offer({ stream, first: 2, count: 2, root: rootOf("0a") }), [2, null]);
  const again = await close(0, round, previous);
  assert.deepEqual([again.roots, again.more], [closed.roots, true], "and what came since waits for the next round");
  const made = await makeRound();
  assert.deepEqual(made.roots, closed.roots);
  // The lines of streams may be dropped; the database knows where the next run begins.
  const next = await makeRound();
  assert.deepEqual(
    next.roots.map(([bucket, { runs }]) => [bucket, runs]),
    [[0x31, 1]],
  );
});

test("every message in a round has a receipt of version 2", async () => {
  const stream = await edge.streamOn(relay, "in-rounds");
  await edge.storeSegments(relay, stream, [1, 4, 3]);
  const run = await stored(stream.id, 8);
  await offer(run);
  for (const other of ["0b", "0c"]) {
    await offer({ stream: streamId(digits(stream.id).slice(0, 2), other), first: 0, count: 1, root: rootOf(other) });
  }
  const { round, root, roots } = await makeRound();
  assertProblem(await edge.get("/v1/streams/in-rounds/messages/0/receipt"), 404, "not-anchored");
  await enterRound(round, root);
  const database = await edge.database();
  const leaf = rangeLeaf(round, root);
  await database.prepare("INSERT INTO range_nodes VALUES (0, ?, ?)").bind(round, leaf).run();
  interface Receipt {
    version: number;
    message: { seq: number };
    leaf: string;
    proof: string[];
    root: string;
    anchor: Record<string, unknown>;
    round: {
      stream: { id: string; owner: string; name: string };
      run: { first: number; count: number; previous: string; proof: string[] };
      bucket: { runs: number; root: string; proof: string[] };
    };
  }
  for (let seq = 0; seq < 8; seq += 1) {
    const receipt = ok<Receipt>(await edge.get(`/v1/streams/in-rounds/messages/${seq}/receipt`));
    assert.deepEqual([receipt.version, receipt.message.seq], [2, seq]);
    assert.equal(`0x${fold(receipt.leaf, receipt.proof)}`, run.root, "to the run");
    const entry = { ...run, previous: receipt.round.run.previous };
    assert.equal(`0x${fold(runLeaf(entry), receipt.round.run.proof)}`, receipt.round.bucket.root, "to the bucket");
    const bucket = Number.parseInt(digits(stream.id).slice(0, 2), 16);
    const bucketRoot = { runs: 3, root: receipt.round.bucket.root };
    assert.deepEqual(new Map(roots).get(bucket), bucketRoot);
    const ofBucket = bucketLeaf(round, bucket, bucketRoot);
    assert.equal(`0x${fold(ofBucket, receipt.round.bucket.proof)}`, root, "to the round");
    const anchor = { first: round, count: 1, root, tx: TX, block: 12, blockHash: BLOCK_HASH, logIndex: 3 };
    assert.deepEqual(receipt.anchor, anchor);
    assert.deepEqual(receipt.round.stream, { id: roundsStream(), owner: OPERATOR, name: "_rounds" });
  }
  await leaveRounds();
  assertProblem(await edge.get("/v1/streams/in-rounds/messages/0/receipt"), 404, "not-anchored");
  // Another root at the round's place on the chain anchors nothing of this edge.
  await enterRound(round, rootOf("ee"));
  assertProblem(await edge.get("/v1/streams/in-rounds/messages/0/receipt"), 404, "not-anchored");
  await leaveRounds();
});

test("one row changes the marks of all streams in a round", async () => {
  const names = ["unwatched-a", "unwatched-b"];
  const ids: string[] = [];
  for (const name of names) {
    const { id, short, epoch } = await edge.streamOn(relay, name, { anchor: "shared" });
    await edge.storeSegments(relay, { id, short, epoch }, [3, 2]);
    await relay.release(short, epoch);
    ids.push(id);
    await offer(await stored(id, 5), false, OPERATOR);
  }
  const { round, root } = await makeRound();
  const marks = async (name: string) => {
    const { anchored, final } = ok<{ anchored: number; final: number }>(await edge.get(`/v1/streams/${name}`));
    return [anchored, final];
  };
  const all = async () => Promise.all(names.map(marks));
  assert.deepEqual(await all(), [
    [0, 0],
    [0, 0],
  ]);
  await enterRound(round, root);
  assert.deepEqual(await all(), [
    [5, 0],
    [5, 0],
  ]);
  const runs = ok<{ runs: Record<string, unknown>[] }>(await edge.get(`/v1/streams/${names[0]}/runs`)).runs;
  assert.deepEqual(
    runs.map(({ first, count, state }) => [first, count, state]),
    [[0, 5, "anchored"]],
  );
  const database = await edge.database();
  await database.prepare("UPDATE anchors SET state = 'final' WHERE stream = ?").bind(roundsStream()).run();
  assert.deepEqual(await all(), [
    [5, 5],
    [5, 5],
  ]);
  await leaveRounds();
  assert.deepEqual(
    await all(),
    [
      [0, 0],
      [0, 0],
    ],
    "and taken back together",
  );
});

test("a watched stream, and its relay, are notified of a round", async () => {
  const stream = await edge.streamOn(relay, "watched");
  await edge.storeSegments(relay, stream, [2, 2]);
  const run = await stored(stream.id, 4);
  await offer(run, true);
  const quiet = { stream: streamId(digits(stream.id).slice(0, 2), "0d"), first: 0, count: 1, root: rootOf("0d") };
  await offer(quiet, true);
  const { round, root } = await makeRound();
  const notices: Record<string, unknown>[] = [];
  const heard = async (state: string) =>
    until(`the relay is notified: ${state}`, async () => {
      notices.push(...((await relay.register()).json.notices as Record<string, unknown>[]));
      return notices.some((notice) => notice.stream === stream.short && notice.state === state);
    });
  for (const state of ["anchored", "final"]) {
    await applyRound(groupOf(stream.id), round, state);
    await heard(state);
  }
  const own = notices.filter((notice) => notice.stream === stream.short && notice.kind === "anchored");
  const expected = { stream: stream.short, kind: "anchored", first: 0, count: 4, root: run.root, tx: TX, block: 12 };
  assert.deepEqual(own.slice(0, 1), [{ ...expected, state: "anchored" }]);
  await enterRound(round, root, "final");
  const { anchored, final } = ok<{ anchored: number; final: number }>(await edge.get("/v1/streams/watched"));
  assert.deepEqual([anchored, final], [4, 4]);
  await leaveRounds();
});

/** The batcher learns where a round is. */
const applyRound = async (group: number, round: number, state: string): Promise<void> => {
  const rounds = [{ round, tx: TX, block: 12, state }];
  const applied = await edge.ask("BATCHER", `${group}`, "ApplyRounds", rounds);
  assert.equal(applied.status, 200, applied.text);
};

test("a relay that reads rounds hears of one once", async () => {
  const led: { id: string; short: string }[] = [];
  while (led.filter(({ id }) => groupOf(id) === 0).length < 3) {
    const stream = await edge.streamOn(relay, `led-${led.length}`);
    await edge.storeSegments(relay, stream, [2]);
    led.push(stream);
  }
  const ofGroup = led.filter(({ id }) => groupOf(id) === 0);
  for (const { id } of ofGroup) await offer(await stored(id, 2), true);
  await until("old notices are fetched", async () => {
    const { json } = await relay.register({ readsRounds: true });
    return (json.notices as unknown[]).length === 0;
  });
  const { round } = await makeRound();
  await applyRound(0, round, "anchored");
  const notices: Record<string, unknown>[] = [];
  await until("the relay is notified", async () => {
    const { json } = await relay.register({ readsRounds: true });
    notices.push(...(json.notices as Record<string, unknown>[]));
    return notices.length > 0;
  });
  const [notice] = notices.filter(({ kind }) => kind === "round");
  const { runs, ...rest } = notice as { runs: { stream: string; first: number; count: number }[] };
  assert.deepEqual(rest, { stream: `0x${"00".repeat(20)}`, kind: "round", tx: TX, block: 12, state: "anchored" });
  assert.deepEqual(
    runs.map(({ stream, first, count }) => [stream, first, count]).sort(),
    ofGroup.map(({ short }) => [short, 0, 2]).sort(),
  );
  assert.equal(notices.filter(({ kind }) => kind === "anchored").length, 0, "and of no stream by itself");
  await relay.register({ readsRounds: false });
});

test("a reader who comes later hears of a quiet stream's round", async () => {
  await relay.goodbye(); // nobody leads the stream
  const posted = await edge.postJson("/v1/streams/quiet/messages", { text: "x" }, asOperator());
  assert.equal(posted.status, 201, posted.text);
  const { id } = (await edge.get("/v1/streams/quiet")).json as { id: string };
  await edge.flushed(id, 1);
  await until("its object has offered its run", async () => {
    const { rounds } = (await edge.get("/v1/status")).json as { rounds: { batchers: { pending?: number }[] } };
    return rounds.batchers.some(({ pending = 0 }) => pending > 0);
  });
  const { round, root, roots } = await makeRound();
  const bucket = Number.parseInt(digits(id).slice(0, 2), 16);
  assert.ok(
    roots.some(([of]) => of === bucket),
    "its run is in the round",
  );
  const aborter = new AbortController();
  const response = await edge.raw("/v1/streams/quiet/events", { signal: aborter.signal });
  let text = "";
  const reading = (async () => {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) text += Buffer.from(chunk).toString();
  })().catch(() => {});
  await until("the reader has its state", async () => text.includes("event: state"));
  for (const state of ["anchored", "final"]) {
    if (state === "anchored") await enterRound(round, root);
    else await (await edge.database()).prepare("UPDATE anchors SET state = 'final' WHERE first = ?").bind(round).run();
    await applyRound(groupOf(id), round, state);
    await until(`the reader hears that it is ${state}`, async () => text.includes(`event: ${state}`));
  }
  aborter.abort();
  await reading;
  await leaveRounds();
});

test("a final round's lists go into the archive and stay public", async () => {
  const buckets = [0x07, 0xe1];
  const runs = [streamId("07", "a1"), streamId("07", "a2"), streamId("e1", "a3")];
  for (const stream of runs) await offer({ stream, first: 0, count: 1, root: rootOf("a0") });
  const { round, root } = await makeRound();
  const read = async (accept: string): Promise<string[]> =>
    Promise.all(
      buckets.map(async (bucket) => {
        const response = await edge.raw(`/v1/rounds/${round}/buckets/${bucket}`, { headers: { accept } });
        assert.equal(response.status, 200);
        return Buffer.from(await response.arrayBuffer()).toString("hex");
      }),
    );
  const before = [await read("application/json"), await read("application/octet-stream")];
  await enterRound(round, root, "final");
  const query = (await edge.database()).prepare("SELECT count(*) AS n FROM round_lists WHERE round = ?").bind(round);
  const ensured = await edge.ask("ARCHIVER", "archiver", "EnsureArchiver");
  assert.equal(ensured.status, 200, ensured.text);
  await until("the lists have moved", async () => (await query.first<{ n: number }>())?.n === 0);
  assert.deepEqual([await read("application/json"), await read("application/octet-stream")], before);
  await leaveRounds();
});

test("an offer for another batcher, or of nothing, is refused", async () => {
  const run = [streamId("05", "01"), OWNER, 0, 3, rootOf("01"), false];
  assertProblem(await edge.ask("BATCHER", "128", "OfferRun", ...run), 500, "internal");
  run[3] = 0;
  assertProblem(await edge.ask("BATCHER", "0", "OfferRun", ...run), 500, "internal");
});

test("the status says how far rounds are", async () => {
  const status = ok<{ rounds: { anchored: number; final: number; batchers: unknown[] } }>(await edge.get("/v1/status"));
  assert.equal(typeof status.rounds.anchored, "number");
  assert.equal(typeof status.rounds.final, "number");
  assert.ok(Array.isArray(status.rounds.batchers));
});
