// Sealing by need: what is open stays in the stream's object, and readers see no seam between it and the database.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertProblem, type Edge, type FakeRelay, messagesOf, PRODUCER, startEdge } from "./harness.ts";

/** As many messages as are sealed without waiting for their age. */
const FULL = 1_000;

let edge: Edge;
let relay: FakeRelay;
before(async () => {
  edge = await startEdge({ vars: { SEGMENT_MAX_AGE_MS: "600000" } });
  relay = edge.relay("r1");
});
after(() => edge.stop());

const seqs = async (query: string): Promise<number[]> => {
  const { messages } = (await edge.get(query)).json as { messages: { seq: number }[] };
  return messages.map(({ seq }) => seq);
};

const range = (first: number, end: number): number[] =>
  Array.from({ length: end - first }, (_, index) => first + index);

/** The seqs of the messages that an event stream has first. */
const followed = async (path: string, count: number): Promise<number[]> => {
  const aborter = new AbortController();
  const response = await edge.raw(path, { signal: aborter.signal });
  const seen: number[] = [];
  let text = "";
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString();
    const blocks = text.split("\n\n");
    text = blocks.pop() as string;
    for (const block of blocks) {
      if (block.includes("event: stored")) seen.push(JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? "").seq);
    }
    if (seen.length >= count) break;
  }
  aborter.abort();
  return seen;
};

test("a thousand messages are a segment, the rest is read too", async () => {
  const { id, short, epoch } = await edge.streamOn(relay, "seam");
  const commit = async (first: number, count: number): Promise<void> => {
    const answer = await relay.batch(short, epoch, first, messagesOf(PRODUCER, first, count));
    assert.equal(answer.status, 200, answer.text);
  };
  for (let first = 0; first < FULL; first += 250) await commit(first, 250);
  await edge.flushed(id, FULL);
  for (let first = FULL; first < FULL + 30; first += 3) await commit(first, 3);
  const { segments } = (await edge.get("/v1/streams/seam/segments")).json as { segments: { count: number }[] };
  assert.deepEqual(
    segments.map(({ count }) => count),
    [FULL],
    "what is open is in no segment",
  );

  const end = FULL + 30;
  assert.deepEqual(await seqs("/v1/streams/seam/messages?from=990&limit=1000"), range(990, end));
  assert.deepEqual(await seqs("/v1/streams/seam/messages?from=995&limit=11"), range(995, 1_006));
  assert.deepEqual(await seqs("/v1/streams/seam/messages?from=1004&limit=2"), [1_004, 1_005], "from within a batch");
  assert.deepEqual(await seqs("/v1/streams/seam/messages?from=1029"), [1_029]);
  assert.deepEqual(await followed("/v1/streams/seam/events?from=996", 34), range(996, end));
  assert.deepEqual(await followed("/v1/streams/seam/events?lastEventId=0-1007", 23), range(1_007, end));
  assertProblem(await edge.get(`/v1/streams/seam/messages/${end - 1}/receipt`), 404, "not-anchored");
  assertProblem(await edge.get(`/v1/streams/seam/messages/${end}/receipt`), 404, "no-such-message");
  const { head, stored } = (await edge.get("/v1/streams/seam")).json;
  assert.deepEqual([head, stored], [end, end]);

  edge = await edge.restart({ vars: { SEGMENT_MAX_AGE_MS: "600000" } });
  assert.deepEqual(await seqs("/v1/streams/seam/messages?from=998&limit=1000"), range(998, end));
  await edge.flushed(id, end); // An object that begins seals what it finds.
});

test("a quarter of a megabyte is a segment", async () => {
  const again = edge.relay("r1");
  const { id, short, epoch } = await edge.streamOn(again, "large");
  const payload = Buffer.alloc(60_000, 7);
  for (let number = 0; number < 5; number += 1) {
    const batch = await again.batch(short, epoch, number, [{ producer: PRODUCER, number, payload }]);
    assert.equal(batch.status, 200, batch.text);
  }
  await edge.flushed(id, 5);
});
