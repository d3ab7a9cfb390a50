// Rate limits over HTTP: exact where it costs something, per address, per author and per stream.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import {
  type Answer,
  asOperator,
  assertProblem,
  asUser,
  type Edge,
  type FakeRelay,
  offer,
  startEdge,
} from "./harness.ts";

let edge: Edge;
let relay: FakeRelay;
let sdp: string;

before(async () => {
  const limits =
    "sessions-address=5/3600,sessions-author=3/3600,sessions-stream=8/3600,streams-address=2/3600,credentials-address=2/3600,messages-stream=8/3600";
  edge = await startEdge({ vars: { RATE_LIMITS: `${limits},streams-account=3/3600` } });
  relay = edge.relay("r1");
  sdp = await offer("chromium");
});
beforeEach(() => relay.register());
after(() => edge.stop());

/** The headers of a client at this address, as the platform would set them. */
const from = (address: string) => ({ "cf-connecting-ip": address });

const open = (stream: string, address: string, more: Record<string, string> = {}): Promise<Answer> =>
  edge.postOffer(stream, sdp, { ...from(address), ...more });

const make = (name: string, address: string, more: Record<string, string> = {}): Promise<Answer> =>
  edge.postJson("/v1/streams", { name }, { ...from(address), ...more });

/** Checks that an answer is a refusal by this limit that says when to come again. */
const assertLimited = (answer: Answer, policy: string, amount: number): void => {
  const problem = assertProblem(answer, 429, "rate-limited");
  assert.equal(problem.policy, policy);
  const wait = Number(answer.headers.get("retry-after"));
  assert.ok(Number.isInteger(wait) && wait > 0 && wait <= 3_600, `Retry-After: ${answer.headers.get("retry-after")}`);
  assert.equal(answer.headers.get("ratelimit"), `"${policy}";r=0;t=${wait}`);
  assert.equal(answer.headers.get("ratelimit-policy"), `"${policy}";q=${amount};w=3600`);
  assert.match(answer.headers.get("access-control-expose-headers") ?? "", /Retry-After, RateLimit, RateLimit-Policy/);
};

test("sessions are limited for each address", async () => {
  await make("addresses", "192.0.2.100");
  for (let session = 0; session < 5; session++) assert.equal((await open("addresses", "192.0.2.1")).status, 201);
  assertLimited(await open("addresses", "192.0.2.1"), "sessions-address", 5);
  assert.equal((await open("addresses", "192.0.2.2")).status, 201);
});

test("the header of the client's address is configurable", async () => {
  const vars = { RATE_LIMITS: "sessions-address=2/3600", CLIENT_ADDRESS_HEADER: "X-Real-IP" };
  const behind = await startEdge({ vars });
  try {
    await behind.relay("r1").register();
    const open = (real: string, spoofed: string): Promise<Answer> =>
      behind.postOffer("proxied", sdp, { "x-real-ip": real, ...from(spoofed) });
    assert.equal((await open("192.0.2.1", "198.51.100.1")).status, 201);
    assert.equal((await open("192.0.2.1", "198.51.100.2")).status, 201);
    assertLimited(await open("192.0.2.1", "198.51.100.3"), "sessions-address", 2);
    assertLimited(await open("203.0.113.9, 192.0.2.1", "198.51.100.4"), "sessions-address", 2);
    assert.equal((await open("192.0.2.2", "198.51.100.1")).status, 201);
  } finally {
    await behind.stop();
  }
});

test("sessions of one author are limited wherever they come from", async () => {
  await make("authors", "192.0.2.102");
  const author = asUser(`0x${"12".repeat(20)}`);
  for (let session = 0; session < 3; session++) {
    assert.equal((await open("authors", `192.0.2.${10 + session}`, author)).status, 201);
  }
  assertLimited(await open("authors", "192.0.2.20", author), "sessions-author", 3);
  assert.equal((await open("authors", "192.0.2.20", asUser(`0x${"13".repeat(20)}`))).status, 201);
});

test("sessions are limited for each stream", async () => {
  await make("crowded", "192.0.2.103");
  for (let client = 0; client < 8; client++) assert.equal((await open("crowded", `198.51.100.${client}`)).status, 201);
  assertLimited(await open("crowded", "198.51.100.9"), "sessions-stream", 8);
  assert.equal((await open("authors", "198.51.100.9")).status, 201);
});

test("outsiders use up none of a stream's rates", async () => {
  const made = await edge.postJson("/v1/streams", { name: "walled", write: "closed", read: "private" }, asOperator());
  assert.equal(made.status, 201, made.text);
  const publish = (as: Record<string, string>): Promise<Answer> =>
    edge.postJson("/v1/streams/walled/messages", { text: "in" }, as);
  for (let client = 0; client < 9; client++) {
    const outsider = from(`198.51.100.${100 + client}`);
    assertProblem(await edge.postOffer("walled", sdp, outsider), 404, "no-such-stream");
    assertProblem(await publish({ ...outsider, ...asUser(`0x${"15".repeat(20)}`) }), 404, "no-such-stream");
  }
  assert.equal((await publish(asOperator())).status, 201);
  assert.equal((await edge.postOffer("walled", sdp, asOperator())).status, 201);
});

test("new streams are limited for each address, old ones are not", async () => {
  assert.equal((await make("new-1", "203.0.113.1")).status, 201);
  assert.equal((await open("new-2", "203.0.113.1")).status, 201);
  assertLimited(await make("new-3", "203.0.113.1"), "streams-address", 2);
  assertLimited(await open("new-3", "203.0.113.1"), "streams-address", 2);
  assert.equal((await edge.get("/v1/streams/new-3")).status, 404, "what was refused was not made");
  assert.equal((await make("new-1", "203.0.113.1")).status, 200);
  assert.equal((await open("new-2", "203.0.113.1")).status, 201);
});

test("new streams of one account are limited wherever it is", async () => {
  const account = asUser(`0x${"14".repeat(20)}`);
  for (let stream = 0; stream < 3; stream++) {
    assert.equal((await make(`of-account-${stream}`, `203.0.113.${10 + stream}`, account)).status, 201);
  }
  assertLimited(await make("of-account-3", "203.0.113.20", account), "streams-account", 3);
});

test("failed sign-ins count towards the limit of an address", async () => {
  const signIn = (address: string) =>
    edge.postJson("/v1/auth/wallet", { message: "x", signature: "0x" }, from(address));
  for (let attempt = 0; attempt < 2; attempt++) assert.notEqual((await signIn("203.0.113.30")).status, 429);
  assertLimited(await signIn("203.0.113.30"), "credentials-address", 2);
  assert.notEqual((await signIn("203.0.113.31")).status, 429);
});

test("relays are not limited: they speak for many", async () => {
  for (let renewal = 0; renewal < 20; renewal++) assert.equal((await relay.register()).status, 200);
});

test("the platform's filter refuses one address", async () => {
  const filtered = await startEdge({
    vars: { RATE_LIMITS: "requests=3/60" },
    ratelimits: { REQUESTS: { namespace_id: "1", simple: { limit: 3, period: 60 } } },
  });
  try {
    const statuses: number[] = [];
    // The platform counts by the minute: at its turn the count begins anew.
    for (let request = 0; request < 8; request++) {
      statuses.push((await filtered.get("/v1/config", from("192.0.2.7"))).status);
    }
    assert.ok(statuses.includes(429), `${statuses}`);
    assert.equal((await filtered.get("/v1/config", from("192.0.2.8"))).status, 200);
    const refused = await filtered.get("/v1/config", from("192.0.2.7"));
    if (refused.status === 429) assert.equal(refused.json.policy, "requests");
  } finally {
    await filtered.stop();
  }
});
