// The database is down for a while: what is stored stays stored and readable, and gets there once it is back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "../harness/system.ts";
import { type Edge, messagesOf, startEdge, until } from "./harness.ts";

const PRODUCER = Buffer.alloc(16, 9);

let edge: Edge;
before(async () => {
  edge = await startEdge();
});
after(() => edge.stop());

const run = async (sql: string): Promise<void> => {
  await (await edge.database()).prepare(sql).run();
};

const texts = async (name: string): Promise<string[]> => {
  const { json } = await edge.get(`/v1/streams/${name}/messages?limit=1000`);
  const messages = json.messages as { seq: number; payload: string }[];
  assert.deepEqual(
    messages.map(({ seq }) => seq),
    messages.map((_, index) => index),
  );
  return messages.map(({ payload }) => Buffer.from(payload.slice(2), "hex").toString());
};

const expected = (count: number): string[] => Array.from({ length: count }, (_, index) => `message ${index}`);

const OUTAGES: [what: string, down: string, up: string][] = [
  ["is gone", "ALTER TABLE segments RENAME TO away", "ALTER TABLE away RENAME TO segments"],
  [
    "refuses writes",
    "CREATE TRIGGER refuse BEFORE INSERT ON segments BEGIN SELECT RAISE(ABORT, 'D1 is overloaded'); END",
    "DROP TRIGGER refuse",
  ],
];

for (const [index, [what, down, up]] of OUTAGES.entries()) {
  test(`nothing is lost while the table of segments ${what}`, async () => {
    const name = `outage-${index}`;
    const relay = edge.relay("r1");
    const stream = await edge.streamOn(relay, name);
    const store = async (first: number): Promise<void> => {
      const answer = await relay.batch(stream.short, stream.epoch, first, messagesOf(PRODUCER, first, 10));
      assert.deepEqual(answer.json, { committed: first + 10 });
    };
    await store(0);
    await edge.flushed(stream.id, 10);
    await run(down);
    const begun = Date.now();
    for (let first = 10; first < 60; first += 10) await store(first);
    if (what === "refuses writes") assert.deepEqual(await texts(name), expected(60), "the object itself has the rest");
    await until("two flushes have failed", async () => Date.now() - begun > 3_500);
    await store(60);
    await run(up);
    // The wait between two tries has grown meanwhile.
    await eventually("the database has all 70", () => edge.flushed(stream.id, 70).then(() => true), 60_000);
    assert.deepEqual(await texts(name), expected(70));
    const rows = await (await edge.database())
      .prepare("SELECT first, count FROM segments WHERE stream = ? ORDER BY first")
      .bind(stream.id)
      .all<{ first: number; count: number }>();
    assert.equal(
      rows.results.reduce(
        (next: number, { first, count }: { first: number; count: number }) =>
          first === next ? next + count : Number.NaN,
        0,
      ),
      70,
      "segments touch and none is there twice",
    );
  });
}
