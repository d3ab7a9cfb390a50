// The id that a request has in its answer, its problems and the logs; and what the edge counts.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Answer, assertProblem, type Edge, type FakeRelay, type Json, startEdge } from "./harness.ts";

let edge: Edge;
let relay: FakeRelay;
before(async () => {
  edge = await startEdge();
  relay = edge.relay("r1");
  await edge.streamOn(relay, "demo");
});
after(() => edge.stop());

const NEW_ID = /^[0-9a-f]{16}$/;
const idOf = (answer: Answer): string => answer.headers.get("x-request-id") ?? "";

test("a request keeps an id that is in shape", async () => {
  assert.equal(idOf(await edge.get("/v1/config", { "x-request-id": "abc-DEF_123" })), "abc-DEF_123");
});

test("a request without an id in shape gets one of its own", async () => {
  const seen = new Set<string>();
  for (const given of ["", "with space"]) {
    const id = idOf(await edge.get("/v1/config", given === "" ? {} : { "x-request-id": given }));
    assert.match(id, NEW_ID, given);
    seen.add(id);
  }
  assert.equal(seen.size, 2, "each request has another one");
});

test("a problem of the Worker or of an object has the id", async () => {
  const given = { "x-request-id": "problem-of-mine" };
  for (const [path, status, slug] of [
    ["/v1/nothing", 404, "not-found"],
    ["/v1/streams/demo/messages?from=x", 400, "bad-request"],
    ["/v1/streams/never-made", 404, "no-such-stream"],
  ] as const) {
    const answer = await edge.get(path, given);
    assert.equal(assertProblem(answer, status, slug).requestId, "problem-of-mine", path);
    assert.equal(idOf(answer), "problem-of-mine", path);
  }
});

test("pages of other origins may read the id and send one", async () => {
  const answer = await edge.send("OPTIONS", "/v1/streams");
  assert.match(answer.headers.get("access-control-expose-headers") ?? "", /X-Request-Id/);
  assert.match(answer.headers.get("access-control-allow-headers") ?? "", /x-request-id/);
  assert.match(idOf(answer), NEW_ID);
});

interface Counters {
  readonly requests: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly objectCalls: number;
  readonly objectRowsWritten: number;
  readonly d1: Readonly<Record<"queries" | "rowsRead" | "rowsWritten" | "ms", number>>;
}

const counters = async (): Promise<Counters> => {
  const status: Json = (await edge.get("/v1/status")).json;
  return status.edge as Counters;
};

test("the edge counts requests, calls of objects and rows", async () => {
  const before = await counters();
  await edge.get("/v1/streams/demo/messages");
  await edge.get("/v1/streams/other/messages");
  await edge.get("/v1/nothing");
  const made = await edge.postJson("/v1/streams", { name: "counted" });
  assert.equal(made.status, 201, made.text);
  await edge.listed("counted");
  const after = await counters();
  const more = (path: string, outcome: string) =>
    (after.requests[path]?.[outcome] ?? 0) - (before.requests[path]?.[outcome] ?? 0);
  assert.equal(more("/v1/streams/{stream}/messages", "2xx"), 1);
  assert.equal(more("/v1/streams/{stream}/messages", "4xx"), 1);
  assert.equal(more("none", "4xx"), 1);
  assert.equal(more("/v1/streams", "2xx"), 1);
  assert.ok(after.objectCalls > before.objectCalls);
  assert.ok(after.objectRowsWritten > before.objectRowsWritten, "the stream's rows");
  assert.ok(after.d1.queries > before.d1.queries);
  assert.ok(after.d1.rowsWritten > before.d1.rowsWritten, "the row in the list of streams");
  assert.ok(after.d1.rowsRead >= before.d1.rowsRead && after.d1.ms >= before.d1.ms);
});
