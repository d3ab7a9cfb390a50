// Streams: made once, listed in pages, read with their marks.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Answer, asOperator, assertProblem, type Edge, OPERATOR, startEdge, until } from "./harness.ts";

let edge: Edge;
before(async () => {
  edge = await startEdge();
});
after(() => edge.stop());

interface Listed {
  streams: { name: string; id: string; anchor: string }[];
  cursor?: number;
}

const list = async (query = ""): Promise<Listed> => (await edge.get(`/v1/streams${query}`)).json as unknown as Listed;

test("a stream is made once, and again it is simply there", async () => {
  const made = await edge.postJson("/v1/streams", { name: "demo" });
  assert.equal(made.status, 201);
  const { id, short, created, ...rest } = made.json;
  assert.match(id as string, /^0x[0-9a-f]{64}$/);
  assert.equal(short, (id as string).slice(0, 42));
  assert.ok(Math.abs((created as number) - Date.now()) < 60_000);
  assert.deepEqual(rest, {
    name: "demo",
    owner: OPERATOR,
    mode: "root",
    read: "public",
    write: "open",
    p2p: false,
    prove: false,
    anchor: "shared",
    retention: "forever",
    epoch: 0,
    head: 0,
    stored: 0,
    anchored: 0,
    final: 0,
  });
  assert.equal(made.headers.get("location"), `/v1/streams/${id}`);
  const again = await edge.postJson("/v1/streams", { name: "demo" });
  assert.equal(again.status, 200);
  assert.deepEqual(again.json, made.json);
  assert.deepEqual((await edge.get("/v1/streams/demo")).json, made.json);
});

test("the list has the newest first, in pages", async () => {
  for (const name of ["page-a", "page-b", "page-c"]) {
    await edge.postJson("/v1/streams", { name, mode: "hash" }, asOperator());
    await edge.listed(name);
  }
  const first = await list("?limit=2");
  assert.deepEqual(
    first.streams.map(({ name }) => name),
    ["page-c", "page-b"],
  );
  const second = await list(`?limit=2&cursor=${first.cursor}`);
  assert.deepEqual(
    second.streams.map(({ name }) => name),
    ["page-a", "demo"],
  );
  const third = await list(`?limit=2&cursor=${second.cursor}`);
  assert.deepEqual(third, { streams: [] });
});

test("what is no stream is refused with the reason", async () => {
  const problem = assertProblem(await edge.postJson("/v1/streams", { name: "UPPER" }), 400, "bad-stream-name");
  assert.match(problem.detail as string, /expected 1 to 64 characters of a-z 0-9/);
  assertProblem(await edge.postJson("/v1/streams", { name: "_audit" }), 403, "forbidden");
  for (const body of [{}, [], "demo", { name: 7 }, { name: "demo", mode: "else" }]) {
    assertProblem(await edge.postJson("/v1/streams", body), 400, "bad-request");
  }
  const headers = { "content-type": "application/json" };
  assertProblem(await edge.send("POST", "/v1/streams", { headers, body: "{" }), 400, "bad-request");
  assertProblem(await edge.send("POST", "/v1/streams", { headers, body: " ".repeat(20_000) }), 413, "too-large");
  assertProblem(await edge.send("POST", "/v1/streams", { body: "{}" }), 415, "unsupported-type");
});

test("how a stream is anchored is chosen once, and fits its mode", async () => {
  const make = (name: string, settings: object) => edge.postJson("/v1/streams", { name, ...settings }, asOperator());
  const change = (id: unknown, settings: object) =>
    edge.send("PATCH", `/v1/streams/${id}`, {
      headers: { "content-type": "application/json", ...asOperator() },
      body: JSON.stringify(settings),
    });
  const refused = (answer: Answer, field: string): void =>
    assert.equal(assertProblem(answer, 400, "bad-request").field, field);
  refused(await make("rounds-hash", { mode: "hash", anchor: "shared" }), "mode");
  refused(await make("rounds-prove", { prove: true, anchor: "shared" }), "prove");
  assertProblem(await edge.get("/v1/streams/rounds-hash"), 404, "no-such-stream");
  assert.equal((await make("digests", { mode: "hash" })).json.anchor, "own");

  const { id } = (await make("rounds", { anchor: "own" })).json;
  assert.equal((await change(id, { anchor: "shared" })).json.anchor, "shared");
  refused(await change(id, { mode: "payload" }), "mode");
  refused(await change(id, { anchor: "own" }), "anchor");
  refused(await change(id, { anchor: "own", prove: true }), "anchor");
  await until("the list has the change", async () => {
    const { streams } = await list("?limit=1");
    return streams[0]?.name === "rounds" && streams[0]?.anchor === "shared";
  });
  assert.equal((await edge.get(`/v1/streams/${id}`)).json.anchor, "shared");
});

test("asking for a stream does not make it", async () => {
  assertProblem(await edge.get("/v1/streams/nowhere"), 404, "no-such-stream");
  assertProblem(await edge.get("/v1/streams/nowhere/anchors"), 404, "no-such-stream");
  assertProblem(await edge.get("/v1/streams/nowhere/messages/0/receipt"), 404, "no-such-stream");
  assertProblem(await edge.get("/v1/streams/nowhere"), 404, "no-such-stream");
});
