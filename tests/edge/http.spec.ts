// The border: what every resource has in common, and a deployment in which something is missing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertProblem, CONTRACT, type Edge, type Json, OPERATOR, startEdge } from "./harness.ts";

let edge: Edge;
before(async () => {
  edge = await startEdge();
});
after(() => edge.stop());

test("health and config answer without anything behind them", async () => {
  assert.deepEqual((await edge.get("/v1/health")).json, { ok: true });
  const { limits, features, version, ...rest } = (await edge.get("/v1/config")).json;
  assert.deepEqual(rest, {
    chainId: 31_337,
    contract: CONTRACT,
    contractBlock: 0,
    operator: OPERATOR,
    roundsOwner: OPERATOR,
  });
  assert.equal((limits as Json).payload, 65_536);
  assert.ok(Array.isArray(features) && features.includes("receipts"));
  assert.match(version as string, /^\d+\.\d+\.\d+/);
});

test("a chain that is down is reported, and the rest works", async () => {
  const status = await edge.get("/v1/status");
  assert.equal(status.status, 200);
  const { now, chain, anchorer, relays } = status.json as Record<string, Json>;
  assert.ok(Math.abs(Number(now) - Date.now()) < 60_000);
  assert.equal(chain?.ok, false);
  assert.equal(chain?.id, 31_337);
  assert.equal(anchorer?.address, OPERATOR);
  assert.deepEqual(relays, []);
});

test("what messages cost can't be told while no node answers", async () => {
  const answer = await edge.get("/v1/costs");
  assertProblem(answer, 503, "chain-unreachable");
  assert.equal(answer.headers.get("retry-after"), "10");
});

test("a node that pages may ask is named in the config", async () => {
  const edge = await startEdge({ vars: { PUBLIC_RPC_URL: "https://node.test" } });
  try {
    assert.equal((await edge.get("/v1/config")).json.rpcUrl, "https://node.test");
  } finally {
    await edge.stop();
  }
});

test("unknown paths are problems", async () => {
  assertProblem(await edge.get("/v1/nothing"), 404, "not-found");
  assertProblem(await edge.get("/"), 404, "not-found");
});

test("another method is refused with those that are allowed", async () => {
  const answer = await edge.send("DELETE", "/v1/streams");
  assertProblem(answer, 405, "method-not-allowed");
  assert.equal(answer.headers.get("allow"), "GET, HEAD, POST, OPTIONS");
});

test("HEAD is GET without the body", async () => {
  const head = await edge.send("HEAD", "/v1/config");
  assert.deepEqual([head.status, head.text, head.headers.get("content-type")], [200, "", "application/json"]);
  assert.equal((await edge.send("HEAD", "/v1/streams/nowhere")).status, 404);
});

test("a preflight never fails for its path or known headers", async () => {
  for (const path of ["/v1/nothing", "/v1/streams/NO NAME/events", "/v1/streams/absent/events", "/v1/sessions/12"]) {
    const preflight = await edge.send("OPTIONS", encodeURI(path), {
      headers: {
        origin: "https://app.example",
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization,cache-control,last-event-id",
      },
    });
    assert.equal(preflight.status, 204, path);
    assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
    const allowed = (preflight.headers.get("access-control-allow-headers") ?? "").split(", ");
    for (const name of ["authorization", "cache-control", "last-event-id"]) assert.ok(allowed.includes(name), name);
  }
  const methods = (await edge.send("OPTIONS", "/v1/nothing")).headers.get("access-control-allow-methods") ?? "";
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"]) assert.ok(methods.includes(method), methods);
});

test("a failure inside is a problem without its reason", async () => {
  const database = await edge.database();
  await database.prepare("ALTER TABLE streams RENAME TO hidden").run();
  try {
    const problem = assertProblem(await edge.get("/v1/streams"), 500, "internal");
    assert.doesNotMatch(JSON.stringify(problem), /hidden|SQL|no such table/);
    assert.equal((await edge.get("/v1/config")).status, 200);
  } finally {
    await database.prepare("ALTER TABLE hidden RENAME TO streams").run();
  }
  assert.equal((await edge.get("/v1/streams")).status, 200);
});

test("a setting that is wrong is named", async () => {
  const broken = await startEdge({ vars: { MASTER_SECRET: "short" } });
  try {
    const problem = assertProblem(await broken.get("/v1/config"), 500, "misconfigured");
    assert.match(problem.detail as string, /^MASTER_SECRET: /);
    assert.equal((await broken.get("/v1/health")).status, 200);
  } finally {
    await broken.stop();
  }
});

test("before the contract is deployed the rest works, and says so", async () => {
  const early = await startEdge({ vars: { CONTRACT_ADDRESS: "" } });
  try {
    assert.equal((await early.get("/v1/config")).json.contract, null);
    const { chain } = (await early.get("/v1/status")).json as { chain: Json };
    assert.match(chain.error as string, /CONTRACT_ADDRESS/);
    assert.equal((await early.postJson("/v1/streams", { name: "demo" })).status, 201);
    assertProblem(await early.get("/v1/streams/demo/messages/0/receipt"), 404, "not-anchored");
  } finally {
    await early.stop();
  }
});
