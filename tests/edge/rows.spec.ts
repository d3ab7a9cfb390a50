// What a commit costs: the rows that a stream's object writes for it, alarms and segments included.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessToken, bearer, type Edge, messagesOf, OPERATOR, PRODUCER, startEdge } from "./harness.ts";

/** What is paid for, whatever else is asked of the edge meanwhile. */
const MAX_ROWS_PER_COMMIT = 2;
const COMMITS = 40;

let edge: Edge;
before(async () => {
  // The Anchorer takes segments, and waits for its chain; its own rows are few.
  edge = await startEdge({ vars: { SEGMENT_MAX_AGE_MS: "2000", ANCHOR_INTERVAL_MS: "60000" } });
});
after(() => edge.stop());

const rowsWritten = async (): Promise<number> =>
  ((await edge.get("/v1/status")).json.edge as { objectRowsWritten: number }).objectRowsWritten;

test("a relay's commit writes its batch, and a segment little more", async (context) => {
  const { id, short, epoch } = await edge.streamOn(edge.relay("r1"), "rows");
  const relay = edge.relay("r1");
  await edge.listed("rows");
  const commit = (first: number) => relay.batch(short, epoch, first, messagesOf(PRODUCER, first, 1));
  await commit(0);
  await edge.flushed(id, 1);

  const before = await rowsWritten();
  for (let first = 1; first <= COMMITS; first += 1) assert.equal((await commit(first)).status, 200);
  const committed = await rowsWritten();
  await edge.flushed(id, COMMITS + 1);
  const [commits, all] = [committed - before, (await rowsWritten()) - before].map((rows) => rows / COMMITS);
  context.diagnostic(`rows per commit: ${commits}; with segments, alarms and the Anchorer: ${all}`);
  assert.ok(Number(commits) >= 1 && Number(commits) <= MAX_ROWS_PER_COMMIT, `${commits} rows for each commit`);
  assert.ok(Number(all) <= MAX_ROWS_PER_COMMIT, `${all} rows for each commit with what follows from it`);
});

test("a message by HTTP writes its batch and its seq", async (context) => {
  const headers = { ...bearer(accessToken(OPERATOR)), "content-type": "application/octet-stream" };
  const publish = async (): Promise<void> => {
    const answer = await edge.send("POST", "/v1/streams/posted/messages", { headers, body: "x" });
    assert.equal(answer.status, 201, answer.text);
  };
  await publish();
  await edge.listed("posted");
  const before = await rowsWritten();
  for (let message = 0; message < COMMITS; message += 1) await publish();
  const rows = ((await rowsWritten()) - before) / COMMITS;
  context.diagnostic(`rows per message by HTTP: ${rows}`);
  // Each message has a producer of its own here, and so a row of the producer's when it is flushed, in some segments.
  assert.ok(rows <= MAX_ROWS_PER_COMMIT + 1.5, `${rows} rows for each message`);
});
