// What every answer carries, what other origins may do, and how large a request may be.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Answer, asOperator, assertProblem, type Edge, type FakeRelay, offer, startEdge } from "./harness.ts";

let edge: Edge;
let relay: FakeRelay;
before(async () => {
  edge = await startEdge();
  relay = edge.relay("r1");
  await edge.streamOn(relay, "demo");
});
after(() => edge.stop());

const ELSEWHERE = { origin: "https://elsewhere.example" };
const JSON_TYPE = { "content-type": "application/json" };

const samples = async (): Promise<Record<string, Answer>> => ({
  ok: await edge.get("/v1/config", ELSEWHERE),
  made: await edge.postJson("/v1/streams", { name: "hygiene" }, ELSEWHERE),
  session: await edge.postOffer("demo", await offer("chromium"), ELSEWHERE),
  "not there": await edge.get("/v1/nothing", ELSEWHERE),
  refused: await edge.get("/v1/audit", ELSEWHERE),
  "out of shape": await edge.get("/v1/streams/demo/messages?from=x", ELSEWHERE),
  preflight: await edge.send("OPTIONS", "/v1/streams", { headers: ELSEWHERE }),
});

test("every answer has the headers that keep browsers safe", async () => {
  for (const [name, { headers }] of Object.entries(await samples())) {
    assert.equal(headers.get("x-content-type-options"), "nosniff", name);
    assert.equal(headers.get("referrer-policy"), "no-referrer", name);
    const policy = headers.get("content-security-policy") ?? "";
    for (const rule of ["script-src 'none'", "frame-ancestors 'none'", "form-action 'none'"]) {
      assert.ok(policy.includes(rule), `${name}: ${policy}`);
    }
    assert.equal(headers.get("cache-control"), "no-store", name);
    assert.equal(headers.get("set-cookie"), null, `${name}: no cookies, ever`);
  }
});

test("any origin may use the API, without a browser's credentials", async () => {
  for (const [name, { headers }] of Object.entries(await samples())) {
    assert.equal(headers.get("access-control-allow-origin"), "*", name);
    assert.equal(headers.get("access-control-allow-credentials"), null, name);
    assert.equal(headers.get("timing-allow-origin"), "*", `${name}: its pages know the protocol`);
    const exposed = (headers.get("access-control-expose-headers") ?? "").split(", ");
    for (const header of ["Location", "Link", "Retry-After", "RateLimit"]) {
      assert.ok(exposed.includes(header), `${name}: ${header}`);
    }
    for (const header of ["StreamChain-Access-Token", "StreamChain-Author", "StreamChain-Next"]) {
      assert.ok(exposed.includes(header), `${name}: ${header}`);
    }
  }
});

test("a preflight names what the resource takes, and no more", async () => {
  const preflight = async (path: string) => {
    const { status, headers } = await edge.send("OPTIONS", path, {
      headers: { ...ELSEWHERE, "access-control-request-method": "POST" },
    });
    assert.equal(status, 204);
    const allowed = headers.get("access-control-allow-headers") ?? "";
    assert.ok(allowed.includes("authorization") && allowed.includes("content-type"), allowed);
    return headers.get("access-control-allow-methods");
  };
  assert.equal(await preflight("/v1/streams/demo/sessions"), "POST, OPTIONS");
  assert.equal(await preflight("/v1/health"), "GET, HEAD, OPTIONS");
});

test("every body has a limit, whether or not it says its length", async () => {
  const [short, relayType] = [`0x${"00".repeat(20)}`, { authorization: `Bearer ${relay.bearer}` }];
  const cases: [method: string, path: string, headers: Record<string, string>, bytes: number][] = [
    ["POST", "/v1/streams", { ...JSON_TYPE, ...asOperator() }, 16 * 1_024],
    ["PATCH", "/v1/streams/demo", { ...JSON_TYPE, ...asOperator() }, 16 * 1_024],
    ["PUT", `/v1/streams/demo/members/${short}`, { ...JSON_TYPE, ...asOperator() }, 16 * 1_024],
    ["POST", "/v1/streams/demo/sessions", { "content-type": "application/sdp" }, 32 * 1_024],
    ["PUT", "/v1/relays/r1", { ...JSON_TYPE, ...relayType }, 64 * 1_024],
    [
      "POST",
      `/v1/relays/r1/streams/${short}/batches`,
      { "content-type": "application/cbor", ...relayType },
      1_024 * 1_024,
    ],
  ];
  for (const [method, path, headers, bytes] of cases) {
    const body = Buffer.alloc(bytes + 1, " ");
    assertProblem(await edge.send(method, path, { headers, body }), 413, "too-large");
    const unstated = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(body));
        controller.close();
      },
    });
    const answer = await edge.send(method, path, { headers, body: unstated, duplex: "half" } as RequestInit);
    assertProblem(answer, 413, "too-large");
  }
  assert.equal((await edge.get("/v1/health")).status, 200);
});

test("a body of another type is refused before it is read", async () => {
  for (const [method, path, headers] of [
    ["POST", "/v1/streams", asOperator()],
    ["PATCH", "/v1/streams/demo", asOperator()],
    ["POST", "/v1/streams/demo/sessions", {}],
  ] as const) {
    const plain = { ...headers, "content-type": "text/plain" };
    assertProblem(await edge.send(method, path, { headers: plain, body: "{}" }), 415, "unsupported-type");
  }
});
