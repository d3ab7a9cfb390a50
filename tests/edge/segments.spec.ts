// What an auditor reads: the segments under a stream's messages.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertProblem, type Edge, type FakeRelay, startEdge } from "./harness.ts";

interface Segment {
  first: number;
  count: number;
  root: string;
}

let edge: Edge;
let relay: FakeRelay;
before(async () => {
  edge = await startEdge();
  relay = edge.relay("r1");
});
after(() => edge.stop());

const page = async (stream: string, query = ""): Promise<{ segments: Segment[]; next?: number }> => {
  const answer = await edge.get(`/v1/streams/${stream}/segments${query}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.json as unknown as { segments: Segment[]; next?: number };
};

test("segments come in order, page by page, each with its root", async () => {
  await edge.storeSegments(relay, await edge.streamOn(relay, "segmented"), [2, 5, 1]);
  const all = (await page("segmented")).segments;
  assert.deepEqual(
    all.map(({ first, count }) => [first, count]),
    [
      [0, 2],
      [2, 5],
      [7, 1],
    ],
  );
  for (const { root } of all) assert.match(root, /^0x[0-9a-f]{64}$/);
  assert.equal(new Set(all.map(({ root }) => root)).size, 3);
  const first = await page("segmented", "?limit=2");
  assert.deepEqual([first.segments, first.next], [all.slice(0, 2), 7]);
  const second = await page("segmented", `?from=${first.next}&limit=2`);
  assert.deepEqual([second.segments, second.next], [all.slice(2), undefined]);
});

test("a stream with nothing in the database yet has no segments", async () => {
  await edge.streamOn(relay, "bare");
  await edge.listed("bare");
  assert.deepEqual(await page("bare"), { segments: [] });
});

test("unknown streams and malformed numbers are refused", async () => {
  assertProblem(await edge.get("/v1/streams/nowhere/segments"), 404, "no-such-stream");
  await edge.streamOn(relay, "shaped");
  await edge.listed("shaped");
  assertProblem(await edge.get("/v1/streams/shaped/segments?from=-1"), 400, "bad-request");
});
