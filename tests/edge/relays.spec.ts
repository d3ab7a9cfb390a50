// Relays: who may speak as one, which gets a stream, and what happens when it goes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertProblem, type Edge, FINGERPRINT, offer, startEdge, until } from "./harness.ts";

let edge: Edge;
before(async () => {
  edge = await startEdge();
});
after(() => edge.stop());

const registration = {
  incarnation: "0102030405060708",
  fingerprint: FINGERPRINT,
  region: "",
  shards: [{ candidates: [{ transport: "udp", address: "192.0.2.1", port: 7100 }] }],
};

const put = (path: string, bearer: string | undefined, body: unknown) => {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (bearer !== undefined) headers.authorization = `Bearer ${bearer}`;
  return edge.send("PUT", path, { headers, body: JSON.stringify(body) });
};

test("only the relay itself may speak for it", async () => {
  const [own, other] = [edge.relay("r1").bearer, edge.relay("r2").bearer];
  for (const bearer of [undefined, "", "r1", `r1.${"00".repeat(32)}`, other, `r1${other.slice(2)}`]) {
    assertProblem(await put("/v1/relays/r1", bearer, registration), 401, "unauthorized");
  }
  assert.equal((await put("/v1/relays/r1", own, registration)).status, 200);
  const path = `/v1/relays/r1/streams/0x${"00".repeat(20)}`;
  assertProblem(await put(path, other, { incarnation: "0102030405060708" }), 401, "unauthorized");
  assertProblem(await edge.send("POST", `${path}/batches`), 401, "unauthorized");
  assertProblem(await edge.get(`${path}/producers/${"00".repeat(16)}?epoch=1`), 401, "unauthorized");
  assertProblem(await edge.send("DELETE", "/v1/relays/r1"), 401, "unauthorized");
});

test("a registration out of shape is refused with the field's name", async () => {
  const { bearer } = edge.relay("r1");
  const wrong: [change: object, names: RegExp][] = [
    [{ shards: [] }, /shards: 0/],
    [{ shards: [{ candidates: [{ transport: "udp", address: "example.org", port: 1 }] }] }, /IP/i],
    [{ incarnation: 7 }, /JSON/],
    [{ incarnation: "zz" }, /incarnation/],
  ];
  for (const [change, names] of wrong) {
    const problem = assertProblem(
      await put("/v1/relays/r1", bearer, { ...registration, ...change }),
      400,
      "bad-request",
    );
    assert.match(problem.detail as string, names);
  }
  assertProblem(await put("/v1/relays/r1", bearer, "x".repeat(70_000)), 413, "too-large");
  assertProblem(await put("/v1/relays/UPPER", bearer, registration), 400, "bad-id");
});

test("a renewal says when to come again: sooner with sessions", async () => {
  const relay = edge.relay("r1");
  assert.equal((await relay.register({ sessions: 0 })).json.renewAfterMs, 5_000);
  assert.equal((await relay.register({ sessions: 3 })).json.renewAfterMs, 2_000);
});

test("status lists the relays with their load", async () => {
  const relay = edge.relay("r1");
  await relay.register({ sessions: 3, streams: 2 });
  const { relays } = (await edge.get("/v1/status")).json as { relays: Record<string, unknown>[] };
  const { lastSeen, location, ...rest } = relays.find(({ id }) => id === "r1") ?? {};
  assert.deepEqual(rest, { id: "r1", region: "local", alive: true, sessions: 3, streams: 2 });
  assert.ok(Math.abs((lastSeen as number) - Date.now()) < 60_000);
  // Where its requests come from, as the runtime says.
  assert.deepEqual(Object.keys(location as object), ["latitude", "longitude"]);
});

test("a stream stays with the least loaded relay until its goodbye", async () => {
  const [busy, idle] = [edge.relay("busy"), edge.relay("idle")];
  await edge.relay("r1").register({ sessions: 500 });
  await busy.register({ sessions: 100 });
  await idle.register({ sessions: 1 });
  const relayOf = async () => (await edge.get("/v1/streams/moving")).json.relay;
  assert.equal((await edge.postOffer("moving", await offer("chromium"))).status, 201);
  assert.equal(await relayOf(), "idle");
  await idle.register({ sessions: 400 });
  await edge.postOffer("moving", await offer("chromium"));
  assert.equal(await relayOf(), "idle", "a load is no reason to move");
  assert.equal((await idle.goodbye()).status, 200);
  await until("the stream moves to the relay that is left", async () => {
    await busy.register({ sessions: 100 });
    await edge.postOffer("moving", await offer("chromium"));
    return (await relayOf()) === "busy";
  });
});

test("a leader writes until another relay acquires, then never", async () => {
  const [first, second] = [edge.relay("first"), edge.relay("second")];
  for (const other of ["r1", "busy", "idle"]) await edge.relay(other).register({ sessions: 1_000 });
  await first.register({ sessions: 0 });
  await edge.sessionOf("fenced");
  const short = (await edge.get("/v1/streams/fenced")).json.short as string;
  const taken = await first.acquireEpoch(short);
  assert.equal(taken.json.epoch, 1);
  assert.equal((await second.acquireEpoch(short)).status, 409);
  await first.goodbye();
  const shards = [{ candidates: [{ transport: "udp", address: "192.0.2.2", port: 7200 }] }];
  await until("new sessions go to the second relay", async () => {
    await second.register({ sessions: 0, shards });
    return (await edge.postOffer("fenced", await offer("chromium"))).text.includes("192.0.2.2 7200");
  });
  await edge.sessionOf("fenced");
  const producer = Buffer.alloc(16, 1);
  const message = (number: number) => [{ producer, number, payload: "x" }];
  assert.equal((await first.batch(short, 1, 0, message(0))).json.committed, 1);
  assert.equal((await second.acquireEpoch(short)).json.epoch, 2);
  const late = await first.batch(short, 1, 1, message(1));
  assert.equal(assertProblem(late, 409, "stale-epoch").epoch, 2);
  const refused = await first.acquireEpoch(short);
  assert.equal(assertProblem(refused, 409, "not-owner").relay, "second");
  assert.equal((await second.batch(short, 2, 1, message(1))).json.committed, 2);
});
