// Objects of the version before: their SQLite has no table of versions, and those of older ones lack other tables too.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { accessToken, assertProblem, bearer, messagesOf, PRODUCER, startEdge } from "./harness.ts";
import { groupOf, newKey } from "./signing.ts";

/** The databases of all objects of a stopped edge that have a table. */
const databasesWith = async (folder: string, table: string): Promise<DatabaseSync[]> => {
  const names = await readdir(folder, { recursive: true });
  const databases = names
    .filter((name) => name.endsWith(".sqlite"))
    .map((name) => new DatabaseSync(join(folder, name)));
  const query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?";
  const [found, others] = [true, false].map((has) =>
    databases.filter((database) => (database.prepare(query).get(table) !== undefined) === has),
  ) as [DatabaseSync[], DatabaseSync[]];
  for (const other of others) other.close();
  return found;
};

const version = (database: DatabaseSync): unknown =>
  database.prepare("SELECT version FROM schema_version").get()?.version;

test("objects of the version before are upgraded and lose nothing", async () => {
  let edge = await startEdge();
  try {
    const relay = edge.relay("r1");
    const { id, short, epoch } = await edge.streamOn(relay, "demo");
    await relay.batch(short, epoch, 0, messagesOf(PRODUCER, 0, 5));
    await edge.flushed(id, 5);
    await edge.dispose();

    const versioned = await databasesWith(edge.folder, "schema_version");
    assert.ok(versioned.length >= 2, "the stream's and the directory's");
    for (const database of versioned) {
      assert.equal(typeof version(database), "number");
      database.exec("DROP TABLE schema_version");
      database.close();
    }
    const streams = await databasesWith(edge.folder, "places");
    assert.ok(streams.length >= 1, "the stream's, and perhaps that of the audit log");
    for (const database of streams) {
      database.exec("DROP TABLE places; DROP TABLE inbox");
      database.close();
    }

    edge = await startEdge({ folder: edge.folder });
    const after = edge.relay("r1");
    after.incarnation = relay.incarnation;
    assert.equal((await after.register()).status, 200);
    assert.equal((await after.acquireEpoch(short)).json.epoch, epoch);
    assert.equal((await after.batch(short, epoch, 5, messagesOf(PRODUCER, 5, 3))).json.committed, 8);
    const { messages } = (await edge.get("/v1/streams/demo/messages")).json as { messages: unknown[] };
    assert.equal(messages.length, 8);
    await edge.dispose();

    const upgraded = await databasesWith(edge.folder, "schema_version");
    assert.ok(upgraded.length >= 2, "those of the objects that were asked since");
    for (const database of upgraded) {
      assert.ok(Number(version(database)) >= 1);
      database.close();
    }
    const again = await databasesWith(edge.folder, "places");
    assert.ok(again.length >= 1, "the table that was missing is there");
    for (const database of again) {
      assert.ok(database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'inbox'").get() !== undefined);
      database.close();
    }
    edge = await startEdge({ folder: edge.folder });
  } finally {
    await edge.stop();
  }
});

test("producers of the version before, without author, go on", async () => {
  let edge = await startEdge();
  try {
    const relay = edge.relay("r1");
    const { id, short, epoch } = await edge.streamOn(relay, "demo");
    await relay.batch(short, epoch, 0, messagesOf(PRODUCER, 0, 5));
    const author = `0x${"07".repeat(20)}`;
    const headers = {
      ...bearer(accessToken(author)),
      "content-type": "application/octet-stream",
      "streamchain-producer": PRODUCER.toString("hex"),
      "streamchain-producer-seq": "5",
      prefer: "respond-async",
    };
    const waits = await edge.send("POST", "/v1/streams/demo/messages", { headers, body: "waits" });
    assert.equal(waits.status, 202, waits.text);
    await edge.flushed(id, 5);
    await edge.dispose();

    for (const database of await databasesWith(edge.folder, "places")) {
      database.exec(`UPDATE producers SET id = substr(id, 1, 16); UPDATE inbox SET producer = substr(producer, 1, 16);
                     UPDATE places SET producer = substr(producer, 1, 16); UPDATE schema_version SET version = 1`);
      database.close();
    }

    edge = await startEdge({ folder: edge.folder });
    const after = edge.relay("r1");
    after.incarnation = relay.incarnation;
    assert.equal((await after.register()).status, 200);
    assert.equal((await after.acquireEpoch(short)).json.epoch, epoch);
    const waiting = { producer: PRODUCER, number: 5, payload: "waits" };
    assert.deepEqual((await after.batch(short, epoch, 5, [waiting])).json, { committed: 6 }, "it waits no longer");
    const again = await edge.send("POST", "/v1/streams/demo/messages", { headers, body: "waits" });
    assert.deepEqual([again.json.stored, again.json.seq], [true, 5]);
  } finally {
    await edge.stop();
  }
});

test("a leader of the version before goes on unchecked", async () => {
  let edge = await startEdge();
  try {
    const relay = edge.relay("r1");
    const { short, epoch } = await edge.streamOn(relay, "demo");
    await edge.dispose();

    for (const database of await databasesWith(edge.folder, "authors")) {
      database.exec(`DROP TABLE authors; DELETE FROM sessions; UPDATE schema_version SET version = 2;
                     UPDATE state SET json = json_remove(json, '$.checksAuthors')`);
      database.close();
    }

    edge = await startEdge({ folder: edge.folder });
    const after = edge.relay("r1");
    after.incarnation = relay.incarnation;
    assert.equal((await after.register()).status, 200);
    assert.equal((await after.acquireEpoch(short)).json.epoch, epoch);
    const stored = await after.batch(short, epoch, 0, messagesOf(PRODUCER, 0, 2));
    assert.equal(stored.json.committed, 2, stored.text);
    after.incarnation = "ffffffffffffffff";
    assert.equal((await after.acquireEpoch(short)).json.epoch, epoch + 1);
    const next = messagesOf(PRODUCER, 2, 1);
    assertProblem(await after.batch(short, epoch + 1, 2, next), 409, "unknown-author");
    await edge.sessionOf(short);
    assert.equal((await after.batch(short, epoch + 1, 2, next)).json.committed, 3);
  } finally {
    await edge.stop();
  }
});

test("authors of remembered sessions are known", async () => {
  let edge = await startEdge();
  try {
    const relay = edge.relay("r1");
    const { short, epoch } = await edge.streamOn(relay, "demo");
    await edge.dispose();
    for (const database of await databasesWith(edge.folder, "authors")) {
      database.exec("DROP TABLE authors; UPDATE schema_version SET version = 2");
      database.close();
    }
    edge = await startEdge({ folder: edge.folder });
    const after = edge.relay("r1");
    after.incarnation = relay.incarnation;
    const stored = await after.batch(short, epoch, 0, messagesOf(PRODUCER, 0, 2));
    assert.equal(stored.json.committed, 2, stored.text);
  } finally {
    await edge.stop();
  }
});

test("batches of the version before share the object with new ones", async () => {
  const patient = { vars: { SEGMENT_MAX_AGE_MS: "600000" } };
  let edge = await startEdge(patient);
  try {
    const relay = edge.relay("r1");
    const { id, short, epoch } = await edge.streamOn(relay, "demo");
    await edge.listed("demo");
    await relay.batch(short, epoch, 0, messagesOf(PRODUCER, 0, 5));
    await edge.dispose();

    // As that version left it: one row for each batch, and the rows of state and producers as new as the batch.
    for (const database of await databasesWith(edge.folder, "chunks")) {
      const batches = database.prepare("SELECT first, count, records FROM chunks").all();
      const [batch] = batches as { first: number; count: number; records: Uint8Array }[];
      const { json } = database.prepare("SELECT json FROM state").get() as { json: string };
      const { name, ...rest } = JSON.parse(json);
      if (name !== "demo" || batch === undefined) continue; // that of the audit log
      const state = { name, ...rest, head: 5, backlog: batch.records.length };
      database.exec(`CREATE TABLE batches (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, records BLOB NOT NULL);
                     INSERT INTO batches SELECT first, count, records FROM chunks; DROP TABLE chunks;
                     UPDATE schema_version SET version = 2`);
      database.prepare("UPDATE state SET json = ?").run(JSON.stringify(state));
      const producer = Buffer.concat([PRODUCER, Buffer.alloc(20, 7)]);
      database.prepare("INSERT INTO producers VALUES (?, 4)").run(producer);
      assert.deepEqual([batch.first, batch.count], [0, 5]);
      database.close();
    }

    edge = await startEdge({ ...patient, folder: edge.folder });
    const after = edge.relay("r1");
    after.incarnation = relay.incarnation;
    assert.equal((await after.register()).status, 200);
    assert.equal((await after.acquireEpoch(short)).json.epoch, epoch);
    assert.equal((await after.producer(short, PRODUCER, epoch)).json.stored, 4);
    assert.equal((await after.batch(short, epoch, 5, messagesOf(PRODUCER, 5, 3))).json.committed, 8);
    const { messages } = (await edge.get("/v1/streams/demo/messages?from=2")).json as { messages: { seq: number }[] };
    assert.deepEqual(
      messages.map(({ seq }) => seq),
      [2, 3, 4, 5, 6, 7],
    );
    edge = await edge.restart();
    assert.equal((await edge.get("/v1/streams/demo")).json.head, 8);
    await edge.flushed(id, 8);
  } finally {
    await edge.stop();
  }
});

test("producers and certificates of the version before: none signs", async () => {
  let edge = await startEdge();
  try {
    const relay = edge.relay("r1");
    const { id, short, epoch } = await edge.streamOn(relay, "demo");
    await relay.batch(short, epoch, 0, messagesOf(PRODUCER, 0, 5));
    const headers = { ...bearer(accessToken(`0x${"08".repeat(20)}`)), prefer: "respond-async" };
    assert.equal((await edge.postJson("/v1/streams/demo/messages", { text: "waits" }, headers)).status, 202);
    await edge.flushed(id, 5);
    await edge.dispose();

    for (const database of await databasesWith(edge.folder, "producers")) {
      database.exec(`ALTER TABLE producers DROP COLUMN digest; ALTER TABLE inbox DROP COLUMN count;
                     ALTER TABLE inbox DROP COLUMN previous; ALTER TABLE inbox DROP COLUMN digest;
                     UPDATE schema_version SET version = 4`);
      database.close();
    }
    const [d1] = await databasesWith(edge.folder, "certificates");
    assert.ok(d1);
    d1.exec("DROP TABLE certificates; ALTER TABLE streams DROP COLUMN signed");
    const migration = await readFile(join(import.meta.dirname, "..", "..", "migrations", "0011_signed.sql"), "utf8");
    d1.exec(migration);
    assert.deepEqual(
      d1
        .prepare("SELECT signed FROM streams")
        .all()
        .map(({ signed }) => signed),
      d1
        .prepare("SELECT 'optional' AS signed FROM streams")
        .all()
        .map(({ signed }) => signed),
    );
    d1.close();

    edge = await startEdge({ folder: edge.folder });
    const after = edge.relay("r1");
    after.incarnation = relay.incarnation;
    assert.equal((await after.register()).status, 200);
    const grant = (await after.acquireEpoch(short, { groups: true })).json;
    assert.deepEqual([grant.epoch, grant.signed, grant.waiting], [epoch, "optional", 1]);
    const author = Buffer.alloc(20, 7);
    const known = await after.producer(short, PRODUCER, epoch, `&author=0x${author.toString("hex")}`);
    assert.deepEqual(known.json, { stored: 4 }, "it goes on unsigned");
    const key = await newKey();
    const signed = await groupOf({
      stream: id,
      key,
      author: `0x${author.toString("hex")}`,
      producer: PRODUCER.toString("hex"),
      first: 5,
      texts: ["signed"],
    });
    assertProblem(await after.batch(short, epoch, 5, signed.messages), 409, "broken-chain");
    assert.equal((await after.batch(short, epoch, 5, messagesOf(PRODUCER, 5, 1))).json.committed, 6);
    const first = await groupOf({
      stream: id,
      key,
      author: `0x${author.toString("hex")}`,
      texts: ["another producer"],
    });
    assert.equal((await after.batch(short, epoch, 6, first.messages)).json.committed, 7);
    assert.equal((await edge.get("/v1/streams/demo")).json.signed, "optional");
  } finally {
    await edge.stop();
  }
});
