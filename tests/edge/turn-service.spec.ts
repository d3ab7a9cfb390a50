// A TURN provider with an API for credentials (Cloudflare's): played here, so that its failures can be.

import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { asUser, type Edge, type Json, offer, startEdge, until } from "./harness.ts";

const VARS = {
  CLOUDFLARE_TURN_KEY_ID: "k1",
  CLOUDFLARE_TURN_TOKEN: "token-of-k1",
  CLOUDFLARE_TURN_API: "http://turn-api.invalid",
};
const ISSUED = {
  iceServers: [
    { urls: ["stun:stun.example:3478", "stun:stun.example:53"] },
    { urls: ["turn:turn.example:3478?transport=udp", "turns:turn.example:443"], username: "u1", credential: "c1" },
  ],
};
const EXPECTED = [
  { urls: "stun:stun.example:3478" },
  { urls: "turn:turn.example:3478?transport=udp", username: "u1", credential: "c1" },
  { urls: "turns:turn.example:443", username: "u1", credential: "c1" },
];

/** Every request to the provider, as it came. */
let asked: { url: string; bearer: string | null; body: Json }[] = [];
let answer: () => Promise<Response>;
const edges: Edge[] = [];

/** Users of whom the provider was asked, one after the other. */
let users: string[] = [];

/** Requests for what all share are played by `answer`; each user's own have the user's name. */
const outbound = async (request: Request): Promise<Response> => {
  if (!request.url.startsWith(VARS.CLOUDFLARE_TURN_API)) return new Response("down", { status: 503 });
  const body = (await request.json()) as Json;
  if (body.customIdentifier !== "shared") {
    users.push(body.customIdentifier as string);
    if (!givesOwn) return new Response("no", { status: 503 });
    const urls = "turns:turn.example:443";
    return Response.json({ iceServers: [{ urls, username: `of-${body.customIdentifier}`, credential: "c" }] });
  }
  asked.push({ url: request.url, bearer: request.headers.get("authorization"), body });
  return answer();
};
let givesOwn = false;

beforeEach(() => {
  [asked, users, givesOwn] = [[], [], false];
  answer = async () => Response.json(ISSUED, { status: 201 });
});
after(() => Promise.all(edges.map((edge) => edge.stop())));

const started = async (vars: Record<string, string> = {}): Promise<Edge> => {
  const edge = await startEdge({ vars: { ...VARS, ...vars }, outbound: outbound as never });
  edges.push(edge);
  return edge;
};

const told = async (edge: Edge): Promise<Json[]> => {
  const guest = await edge.send("POST", "/v1/auth/guest");
  const headers = { authorization: `Bearer ${guest.json.token}` };
  const got = await edge.send("GET", "/v1/ice-servers", { headers });
  assert.equal(got.status, 200, got.text);
  return got.json.iceServers as Json[];
};

const someCredentials = (edge: Edge): Promise<Json[]> =>
  until("the provider's servers are told", async () => {
    const servers = await told(edge);
    return servers.length > 0 && servers;
  });

test("a registration has credentials fetched, once for all", async () => {
  const edge = await started();
  const relay = edge.relay("r1");
  await relay.register();
  assert.deepEqual(await someCredentials(edge), EXPECTED);
  await relay.register();
  const session = await edge.postOffer("demo", await offer("chromium"));
  assert.equal(session.status, 201, session.text);
  const link = session.headers.get("link") ?? "";
  assert.match(link, /<stun:stun\.example:3478>; rel="ice-server"/);
  assert.match(link, /<turns:turn\.example:443>; rel="ice-server"; username="u1"; credential="c1"/);
  assert.doesNotMatch(link, /:53/);
  assert.deepEqual(asked, [
    {
      url: `${VARS.CLOUDFLARE_TURN_API}/v1/turn/keys/k1/credentials/generate-ice-servers`,
      bearer: "Bearer token-of-k1",
      body: { ttl: 86_400, customIdentifier: "shared" },
    },
  ]);
});

test("what was issued outlives the Worker's instance", async () => {
  const edge = await started();
  await edge.relay("r1").register();
  await someCredentials(edge);
  const again = await edge.restart({ vars: VARS, outbound: outbound as never });
  edges.push(again);
  assert.deepEqual(await told(again), EXPECTED);
  assert.equal(asked.length, 1);
});

for (const [failure, respond] of [
  ["refuses the token", async () => new Response("no", { status: 401 })],
  ["answers without end", async () => new Response("x".repeat(100_000))],
  ["can't be reached", () => Promise.reject(new Error("connection refused"))],
] as const) {
  test(`no session fails for a provider that ${failure}`, async () => {
    const edge = await started();
    answer = respond;
    const relay = edge.relay("r1");
    await relay.register();
    await until("the provider was asked", async () => asked.length > 0);
    await relay.register();
    const session = await edge.postOffer("demo", await offer("chromium"));
    assert.equal(session.status, 201, session.text);
    assert.equal(session.headers.get("link"), null);
    assert.deepEqual(await told(edge), []);
    assert.equal(asked.length, 1);
  });
}

test("no request waits for a provider that does not answer", async () => {
  const edge = await started();
  const late = Promise.withResolvers<Response>();
  answer = () => late.promise;
  const relay = edge.relay("r1");
  await relay.register();
  await until("the provider was asked", async () => asked.length > 0);
  assert.deepEqual(await told(edge), []);
  assert.equal((await edge.postOffer("demo", await offer("chromium"))).status, 201);
  assert.equal(asked.length, 1);
  late.resolve(Response.json(ISSUED));
  assert.deepEqual(await someCredentials(edge), EXPECTED);
  assert.equal(asked.length, 1);
});

describe("a user's own credentials", () => {
  const [ann, ben] = [`0x${"a1".repeat(20)}`, `0x${"b2".repeat(20)}`];
  const link = async (edge: Edge, user?: string): Promise<string> => {
    const session = await edge.postOffer("demo", await offer("chromium"), user === undefined ? {} : asUser(user));
    assert.equal(session.status, 201, session.text);
    return session.headers.get("link") ?? "";
  };
  const own = (edge: Edge, user: string): Promise<unknown> =>
    until(`${user} has its own`, async () => (await link(edge, user)).includes(`username="of-${user}"`));

  test("come with its later sessions, one request a user", async () => {
    givesOwn = true;
    const edge = await started();
    await edge.relay("r1").register();
    await someCredentials(edge);
    users = [];
    assert.match(await link(edge, ann), /username="u1"/, "the first session does not wait for them");
    await own(edge, ann);
    await own(edge, ben);
    assert.doesNotMatch(await link(edge, ann), /username="u1"/, "nobody else's beside them");
    const got = await edge.send("GET", "/v1/ice-servers", { headers: asUser(ann) });
    const servers = got.json.iceServers as Json[];
    assert.deepEqual(
      servers.map(({ username }) => username),
      [`of-${ann}`],
    );
    assert.deepEqual(users, [ann, ben], "kept for their life");
    assert.match(await link(edge), /username="u1"/, "a new guest has those that all share");
    assert.deepEqual(users, [ann, ben], "and costs the provider nothing");

    const again = await edge.restart({ vars: VARS, outbound: outbound as never });
    edges.push(again);
    await again.relay("r1").register();
    assert.match(await link(again, ann), new RegExp(`username="of-${ann}"`), "they outlive the instance");
    assert.deepEqual(users, [ann, ben]);
  });

  test("are replaced by those of all while the provider fails", async () => {
    const edge = await started();
    await edge.relay("r1").register();
    await someCredentials(edge);
    for (let i = 0; i < 5; i += 1) assert.match(await link(edge, ann), /username="u1"/);
    const ofAnn = users.filter((user) => user === ann);
    assert.equal(ofAnn.length, 1, "and it is left alone for a while");
  });

  test("are asked for within the share of a network", async () => {
    givesOwn = true;
    const edge = await started({ RATE_LIMITS: "turn-address=2/3600" });
    await edge.relay("r1").register();
    const many = Array.from({ length: 6 }, (_, i) => `0x${`0${i}`.repeat(20)}`);
    for (const user of many) assert.match(await link(edge, user), /^$|username="u1"/);
    await until("two were asked for", async () => users.length === 2);
    for (const user of many) await link(edge, user);
    assert.equal(users.length, 2);
  });
});
