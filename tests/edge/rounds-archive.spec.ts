// What a final round leaves in the database: its buckets and lists go into the archive, and every reader gets them from there.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { type Fault, faultyArchive } from "./faulty-archive.ts";
import { type Edge, type FakeRelay, type Json, OPERATOR, startEdge, until } from "./harness.ts";
import {
  BLOCK_HASH,
  bucketsOf,
  digits,
  GROUPS,
  listOf,
  merkleRoot,
  type Roots,
  RoundDriver,
  roundRoot,
  roundsStream,
  runLeaf,
  TX,
  ZERO,
} from "./rounds.ts";

/** Bytes of a round's buckets in the database before they move, and behind that. */
const [WHOLE, MAP] = [256 * 36, 32];
/** What all rows about a round have at most once it is in the archive; its buckets alone were 9,216. */
const MAX_ROUND_BYTES = 512;
/** The Archiver tries again with growing waits. */
const PATIENCE_MS = 120_000;

let edge: Edge;
let relay: FakeRelay;
let faultOf: (method: string, key: string) => Fault = () => undefined;
let puts: string[] = [];
before(async () => {
  edge = await startEdge({
    vars: { BATCHERS: `${GROUPS.length}`, ARCHIVE_INTERVAL_MS: "100", SEGMENT_MAX_AGE_MS: "100" },
    ...faultyArchive((method, key) => {
      if (method === "put") puts.push(key);
      return faultOf(method, key);
    }),
  });
  relay = edge.relay("r1");
  const ensured = await edge.ask("ARCHIVER", "archiver", "EnsureArchiver");
  assert.equal(ensured.status, 200, ensured.text);
});
beforeEach(() => {
  [faultOf, puts] = [() => undefined, []];
});
after(() => edge.stop());

const driver = new RoundDriver(() => edge);

const bucketOf = (id: string): number => Number.parseInt(digits(id).slice(0, 2), 16);
const groupOf = (id: string): number => (bucketOf(id) < 128 ? 0 : 128);

const one = async (query: string, ...values: (string | number)[]): Promise<number> => {
  const found = await (await edge.database())
    .prepare(query)
    .bind(...values)
    .first<{ n: number }>();
  return found?.n ?? 0;
};
const bytesOfBuckets = (round: number) => one("SELECT length(buckets) AS n FROM rounds WHERE round = ?", round);
const lists = (round: number) => one("SELECT count(*) AS n FROM round_lists WHERE round = ?", round);

const moved = (round: number): Promise<unknown> =>
  until(
    `round ${round} has moved`,
    async () => (await bytesOfBuckets(round)) === MAP && (await lists(round)) === 0,
    PATIENCE_MS,
  );

/** All columns of a table. @param of which of its rows */
const bytesOf = async (table: string, of: string, ...values: (string | number)[]): Promise<number> => {
  const columns = await (await edge.database()).prepare(`SELECT name FROM pragma_table_info('${table}')`).all();
  const lengths = (columns.results as { name: string }[]).map(({ name }) => `coalesce(length(${name}), 0)`);
  return one(`SELECT coalesce(sum(${lengths.join(" + ")}), 0) AS n FROM ${table} WHERE ${of}`, ...values);
};

/** A stream with a few messages, and its run, offered. */
const streamWithRun = async (name: string) => {
  const stream = await edge.streamOn(relay, name, { anchor: "own" });
  await edge.storeSegments(relay, stream, [2, 3]);
  const query = (await edge.database()).prepare("SELECT root FROM segments WHERE stream = ? ORDER BY first");
  const { results } = await query.bind(stream.id).all<{ root: string }>();
  const run = {
    stream: stream.id,
    first: 0,
    count: 5,
    root: merkleRoot(results.map((row: { root: string }) => row.root)),
  };
  return { name, id: stream.id, run };
};

/** Streams until each group has one. */
const streamsOfGroups = async (prefix: string) => {
  const found = new Map<number, Awaited<ReturnType<typeof streamWithRun>>>();
  for (let number = 0; found.size < GROUPS.length; number += 1) {
    const stream = await streamWithRun(`${prefix}-${number}`);
    if (!found.has(groupOf(stream.id))) found.set(groupOf(stream.id), stream);
  }
  return GROUPS.map((group) => found.get(group) as Awaited<ReturnType<typeof streamWithRun>>);
};

const get = async (path: string): Promise<Json> => {
  const answer = await edge.get(path);
  assert.equal(answer.status, 200, `${path}: ${answer.text}`);
  return answer.json;
};

/** A round with a run of another stream, so that the ones before are not the newest. */
const another = async (group = 0): Promise<void> => {
  const stream = `0x${group === 0 ? "01" : "81"}${`${driver.next}`.padStart(62, "0")}`;
  await driver.offer({ stream, first: 0, count: 1, root: `0x${"0f".repeat(32)}` }, OPERATOR);
  const { round, root } = await driver.make({ asked: [group] });
  await driver.enter(round, root, "final");
};

/** All that readers get of a round. */
const readings = async (round: number, streams: { name: string; id: string }[]): Promise<unknown[]> => {
  const paths = [
    `/v1/rounds/${round}`,
    ...streams.flatMap(({ name, id }) => [
      `/v1/rounds/${round}/buckets/${bucketOf(id)}`,
      `/v1/streams/${name}/runs`,
      `/v1/streams/${name}/messages/0/receipt`,
      `/v1/streams/${name}/messages/4/receipt`,
    ]),
  ];
  const read = await Promise.all(paths.map(get));
  // The range grows with each round.
  for (const { round: part } of read) if (typeof part === "object") delete (part as Json).range;
  return read;
};

const finalize = async (round: number): Promise<void> => {
  const update = "UPDATE anchors SET state = 'final' WHERE stream = ? AND first = ?";
  await (await edge.database()).prepare(update).bind(roundsStream(), round).run();
};

test("a round in the archive leaves some hundred bytes", async () => {
  const streams = await streamsOfGroups("left");
  for (const { run } of streams) await driver.offer(run, OPERATOR);
  const { round, root } = await driver.make();
  await driver.enter(round, root, "final");
  await until("the lists of the newest round have moved", async () => (await lists(round)) === 0);
  assert.equal(await bytesOfBuckets(round), WHOLE, "the buckets of the newest one stay");
  const before = await readings(round, streams);
  await another();
  await moved(round);
  assert.deepEqual(await readings(round, streams), before);
  const bytes = [
    await bytesOf("rounds", "round = ?", round),
    await bytesOf("round_lists", "round = ?", round),
    await bytesOf("anchors", "stream = ? AND first = ?", roundsStream(), round),
  ];
  assert.ok(bytes.reduce((sum, part) => sum + part, 0) <= MAX_ROUND_BYTES, `rounds, lists, anchors: ${bytes} bytes`);
});

test("a batcher that was left out has no runs in the round", async () => {
  const [late, kept] = await streamsOfGroups("late");
  assert.ok(late && kept);
  await driver.offer(late.run, OPERATOR);
  await driver.offer(kept.run, OPERATOR);
  const { round, root } = await driver.make({ without: 0 });
  assert.equal(await lists(round), 2, "the one that was left out wrote its list all the same");
  await driver.enter(round, root, "final");
  await another(128);
  await moved(round);
  const entries = async (of: number, id: string) => (await get(`/v1/rounds/${of}/buckets/${bucketOf(id)}`)).entries;
  assert.deepEqual(await entries(round, kept.id), [{ ...kept.run, previous: ZERO }]);
  assert.deepEqual(await entries(round, late.id), []);
  const stateOf = async (name: string) => (await get(`/v1/streams/${name}/runs`)).runs as Json[];
  assert.deepEqual(
    [await stateOf(kept.name), await stateOf(late.name)].map(([run]) => run?.state),
    ["final", undefined],
    "a run that waits for a later round is in none",
  );
  assert.equal((await edge.get(`/v1/streams/${late.name}/messages/0/receipt`)).status, 404);
  const later = await driver.make();
  await driver.enter(later.round, later.root, "final");
  assert.deepEqual(await entries(later.round, late.id), [{ ...late.run, previous: ZERO }]);
  assert.equal((await edge.get(`/v1/streams/${late.name}/messages/0/receipt`)).status, 200);
});

for (const fault of ["before", "behind"] as const) {
  test(`a round stays in the database until it is put (${fault})`, async () => {
    const streams = await streamsOfGroups(`fault-${fault}`);
    for (const { run } of streams) await driver.offer(run, OPERATOR);
    const { round, root } = await driver.make();
    await driver.enter(round, root);
    await another();
    const key = `rounds/${round}.buckets`;
    faultOf = (method, name) => (method === "put" && name === key ? fault : undefined);
    await finalize(round);
    const before = await readings(round, streams);
    const tried = () => puts.filter((name) => name === key).length;
    await until("it was tried twice", async () => tried() >= 2, PATIENCE_MS);
    assert.deepEqual([await bytesOfBuckets(round), await lists(round)], [WHOLE, 2]);
    assert.deepEqual(await readings(round, streams), before);
    faultOf = () => undefined;
    await moved(round);
    assert.deepEqual(await readings(round, streams), before);
  });
}

test("a list that leads to no root stays, the others move", async () => {
  const streams = await streamsOfGroups("wrong");
  const [wrong, right] = streams;
  assert.ok(wrong && right);
  await driver.offer(wrong.run, OPERATOR);
  const bad = await driver.make();
  await driver.enter(bad.round, bad.root);
  const database = await edge.database();
  const read = database.prepare("SELECT hex(entries) AS list FROM round_lists WHERE round = ?").bind(bad.round);
  const list = (await read.first<{ list: string }>())?.list ?? "";
  await database.prepare("UPDATE round_lists SET entries = zeroblob(108) WHERE round = ?").bind(bad.round).run();
  await driver.offer(right.run, OPERATOR);
  const good = await driver.make();
  await driver.enter(good.round, good.root);
  await another();
  await finalize(bad.round);
  await finalize(good.round);
  await moved(good.round);
  const shown = async () => ((await get("/v1/status")).storage as { archive: { error: string | null } }).archive.error;
  await until("the status says so", async () => `${await shown()}`.includes(`round ${bad.round} stays`));
  assert.deepEqual([await bytesOfBuckets(bad.round), await lists(bad.round)], [WHOLE, 1]);
  await database.prepare("UPDATE round_lists SET entries = unhex(?) WHERE round = ?").bind(list, bad.round).run();
  await moved(bad.round);
  await until("the status is well", async () => (await shown()) === null);
});

test("rounds of the version before move too, its lists are mended", async () => {
  const [database, bucket] = [await edge.database(), await edge.archive()];
  await until("no lists are left", async () => (await one("SELECT count(*) AS n FROM round_lists")) === 0, PATIENCE_MS);
  puts = [];
  const first = driver.next;
  const count = 52; // more than the Archiver asks for at once
  const rounds = Array.from({ length: count }, (_, index) => {
    const round = first + index;
    const run = (of: number) => ({
      stream: `0x${of.toString(16).padStart(2, "0")}${`${round}`.padStart(62, "0")}`,
      first: 0,
      count: 1,
      root: `0x${"0e".repeat(32)}`,
      previous: ZERO,
    });
    const runs = [run(100 + index), run(255)];
    const roots: Roots = runs.map((one) => [bucketOf(one.stream), { runs: 1, root: runLeaf(one) }]);
    // The version before put the list of a batcher that was left out with those of the others.
    const list = listOf(index % 2 === 0 ? runs : [run(3), ...runs]);
    return { round, runs, roots, list };
  });
  const insert = "INSERT INTO rounds (round, root, runs, buckets, fixed) VALUES (?, ?, 2, unhex(?), 1700000000000)";
  const anchor = `INSERT INTO anchors (stream, first, count, root, tx, block, block_hash, log_index, state)
    VALUES (?, ?, 1, ?, ?, 12, ?, 3, 'final')`;
  const statements = [];
  for (const { round, roots, list } of rounds) {
    const root = roundRoot(round, roots);
    await bucket.put(`rounds/${round}.runs`, list);
    statements.push(database.prepare(insert).bind(round, root, bucketsOf(roots).toString("hex")));
    statements.push(database.prepare(anchor).bind(roundsStream(), round, root, TX, BLOCK_HASH));
  }
  await database.batch(statements);
  const left = "SELECT count(*) AS n FROM rounds WHERE round >= ? AND length(buckets) > ?";
  await until("all but the newest have moved", async () => (await one(left, first, MAP)) === 1, PATIENCE_MS);
  assert.equal(await bytesOfBuckets(first + count - 1), WHOLE);
  for (const { round, runs, roots } of rounds.slice(0, -1)) {
    const object = await bucket.get(`rounds/${round}.buckets`);
    assert.ok(object !== null && Buffer.from(await object.arrayBuffer()).equals(bucketsOf(roots)), `round ${round}`);
    // Some of them, with lists that were right and with lists that were wrong.
    for (const run of round % 10 < 2 ? runs : []) {
      const { entries } = await get(`/v1/rounds/${round}/buckets/${bucketOf(run.stream)}`);
      assert.deepEqual(entries, [run]);
    }
  }
  assert.deepEqual(
    puts.filter((key) => key.endsWith(".runs")).sort(),
    rounds
      .filter((_, index) => index % 2 === 1 && index < count - 1)
      .map(({ round }) => `rounds/${round}.runs`)
      .sort(),
    "a list that is right is not put again",
  );
});
