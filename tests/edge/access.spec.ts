// Every route for every kind of caller: one table, which fails when the API has a route that it lacks.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { accessToken, asOperator, assertProblem, bearer, type Edge, offer, startEdge } from "./harness.ts";
import { groupOf, newKey, proofOf } from "./signing.ts";
import { newWallet, signIn } from "./siwe.ts";

/** Who asks, in the order of the table's columns. All but the first four own nothing. */
const CALLERS = ["nobody", "guest", "wrong stream", "read-only", "expired", "revoked", "owner", "operator"] as const;
type Caller = (typeof CALLERS)[number];

type Row = [route: string, path: string, body: unknown, statuses: number[]];

/** A private and closed stream, by its id; and somebody who has nothing to do with it. */
const VAULT = "{vault}";
const NOBODY = "0x00000000000000000000000000000000000000ff";
/** The generator of P-256. */
const POINT = "A2sX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW";
const SESSION = "/v1/sessions/{session}";
const SIGNAL = { to: "{session}", signal: "hello" };

/** nobody, guest, wrong stream, read-only, expired, revoked, owner, operator */
const all = (status: number): number[] => Array(8).fill(status);
/** For everybody, but credentials that are sent must hold. */
const open = (status: number): number[] => [status, status, status, status, 401, 401, status, status];
/** For everybody with credentials. */
const known = (status: number): number[] => [401, status, status, status, 401, 401, status, status];
/** Of the vault, which is not there for strangers. */
const reading = (status: number): number[] => [404, 404, 404, status, 401, 401, status, status];
const managing = (status: number): number[] => [404, 404, 404, 403, 401, 401, status, status];
/** Of one's own account. */
const wallets = (status: number): number[] => [401, 403, 403, 403, 401, 401, status, status];
const operating = (status: number): number[] => [401, 403, 403, 403, 401, 401, 403, status];

const TABLE: Row[] = [
  ["GET /v1/health", "/v1/health", null, all(200)],
  ["GET /v1/config", "/v1/config", null, all(200)],
  ["GET /v1/status", "/v1/status", null, all(200)],
  ["GET /v1/costs", "/v1/costs", null, all(503)],
  ["POST /v1/auth/guest", "/v1/auth/guest", null, all(201)],
  ["POST /v1/auth/nonce", "/v1/auth/nonce", null, all(201)],
  ["POST /v1/auth/wallet", "/v1/auth/wallet", { message: "", signature: "0x" }, all(400)],
  ["POST /v1/auth/token", "/v1/auth/token", {}, known(201)],
  ["POST /v1/auth/revoke", "/v1/auth/revoke", { account: NOBODY }, operating(200)],
  ["GET /v1/keys", "/v1/keys", null, wallets(200)],
  ["POST /v1/keys", "/v1/keys", { name: "a key", rights: ["read"] }, wallets(201)],
  ["DELETE /v1/keys/{key}", `/v1/keys/${"00".repeat(8)}`, null, wallets(404)],
  ["DELETE /v1/keys/{key}", `/v1/keys/${"00".repeat(8)}?account=${NOBODY}`, null, operating(404)],
  ["PUT /v1/keys/{key}/public-key", `/v1/keys/${"00".repeat(8)}/public-key`, { publicKey: POINT }, wallets(404)],
  ["GET /v1/authors/{author}/keys/{publicKey}", `/v1/authors/${NOBODY}/keys/${POINT}`, null, all(404)],
  ["GET /v1/audit", "/v1/audit", null, operating(200)],
  ["GET /v1/metrics", "/v1/metrics", null, operating(200)],
  ["GET /v1/ice-servers", "/v1/ice-servers", null, known(200)],
  ["GET /v1/streams", "/v1/streams", null, open(200)],
  ["POST /v1/streams", "/v1/streams", { name: "square" }, open(200)],
  ["POST /v1/streams", "/v1/streams", { name: "costly", mode: "payload" }, [401, 403, 403, 403, 401, 401, 403, 201]],
  ["POST /v1/streams", "/v1/streams", { name: "vault", owner: "{owner}" }, wallets(200)],
  ["GET /v1/streams/{stream}", `/v1/streams/${VAULT}`, null, reading(200)],
  ["GET /v1/streams/{stream}", "/v1/streams/square", null, [200, 200, 403, 200, 401, 401, 200, 200]],
  ["PATCH /v1/streams/{stream}", `/v1/streams/${VAULT}`, { p2p: false }, managing(200)],
  ["GET /v1/streams/{stream}/members", `/v1/streams/${VAULT}/members`, null, managing(200)],
  [
    "PUT /v1/streams/{stream}/members/{member}",
    `/v1/streams/${VAULT}/members/0x${"11".repeat(20)}`,
    { rights: [] },
    managing(200),
  ],
  ["DELETE /v1/streams/{stream}/members/{member}", `/v1/streams/${VAULT}/members/${NOBODY}`, null, managing(404)],
  ["GET /v1/streams/{stream}/webhooks", `/v1/streams/${VAULT}/webhooks`, null, managing(200)],
  ["POST /v1/streams/{stream}/webhooks", `/v1/streams/${VAULT}/webhooks`, { url: "http://127.0.0.1/" }, managing(201)],
  [
    "PATCH /v1/streams/{stream}/webhooks/{webhook}",
    `/v1/streams/${VAULT}/webhooks/${"00".repeat(8)}`,
    { state: "paused" },
    managing(404),
  ],
  [
    "DELETE /v1/streams/{stream}/webhooks/{webhook}",
    `/v1/streams/${VAULT}/webhooks/${"00".repeat(8)}`,
    null,
    managing(404),
  ],
  ["POST /v1/streams/{stream}/messages", `/v1/streams/${VAULT}/messages`, { payload: "0x6869" }, managing(201)],
  ["DELETE /v1/streams/{stream}/messages/{seq}", `/v1/streams/${VAULT}/messages/99`, null, managing(404)],
  ["POST /v1/streams/{stream}/sessions", `/v1/streams/${VAULT}/sessions`, "{offer}", reading(201)],
  [
    "POST /v1/streams/{stream}/sessions",
    "/v1/streams/square/sessions",
    "{offer}",
    [201, 201, 403, 201, 401, 401, 201, 201],
  ],
  ["GET /v1/streams/{stream}/messages", `/v1/streams/${VAULT}/messages`, null, reading(200)],
  ["GET /v1/streams/{stream}/messages/{seq}/receipt", `/v1/streams/${VAULT}/messages/0/receipt`, null, reading(404)],
  ["GET /v1/streams/{stream}/anchors", `/v1/streams/${VAULT}/anchors`, null, reading(200)],
  ["GET /v1/streams/{stream}/segments", `/v1/streams/${VAULT}/segments`, null, reading(200)],
  ["GET /v1/streams/{stream}/runs", `/v1/streams/${VAULT}/runs`, null, reading(200)],
  ["GET /v1/rounds", "/v1/rounds", null, all(200)],
  ["GET /v1/rounds/{round}", "/v1/rounds/0", null, all(404)],
  ["GET /v1/rounds/{round}/buckets/{bucket}", "/v1/rounds/0/buckets/0", null, all(404)],
  ["POST /v1/chain/replay", "/v1/chain/replay", null, operating(503)],
  ["GET /v1/streams/{stream}/events", `/v1/streams/${VAULT}/events?life=1`, null, reading(200)],
  ["GET /v1/streams/{stream}/chain", `/v1/streams/${VAULT}/chain`, null, reading(200)],
  ["DELETE /v1/sessions/{session}", SESSION, null, known(404)],
  [
    "POST /v1/sessions/{session}/streams/{stream}",
    `/v1/sessions/${"00".repeat(28)}/streams/${VAULT}`,
    null,
    known(404),
  ],
  ["GET /v1/sessions/{session}/signals", `${SESSION}/signals`, null, [401, 404, 404, 403, 401, 401, 403, 403]],
  ["POST /v1/sessions/{session}/signals", `${SESSION}/signals`, SIGNAL, [401, 404, 404, 403, 401, 401, 403, 403]],
  ["PUT /v1/relays/{relay}", "/v1/relays/r1", {}, all(401)],
  ["DELETE /v1/relays/{relay}", "/v1/relays/r1", null, all(401)],
  ["POST /v1/relays/{relay}/batches", "/v1/relays/r1/batches", {}, all(401)],
  ["PUT /v1/relays/{relay}/streams/{stream}", `/v1/relays/r1/streams/${VAULT}`, {}, all(401)],
  ["PUT /v1/relays/{relay}/streams/{stream}/presence", `/v1/relays/r1/streams/${VAULT}/presence`, {}, all(401)],
  ["DELETE /v1/relays/{relay}/streams/{stream}", `/v1/relays/r1/streams/${VAULT}`, null, all(401)],
  [
    "GET /v1/relays/{relay}/streams/{stream}/producers/{producer}",
    `/v1/relays/r1/streams/${VAULT}/producers/${"00".repeat(16)}`,
    null,
    all(401),
  ],
  ["GET /v1/relays/{relay}/streams/{stream}/inbox", `/v1/relays/r1/streams/${VAULT}/inbox?epoch=1`, null, all(401)],
  ["POST /v1/relays/{relay}/streams/{stream}/batches", `/v1/relays/r1/streams/${VAULT}/batches`, {}, all(401)],
];

let edge: Edge;
const headers = {} as Record<Caller, Record<string, string>>;
const filled: Record<string, string> = {};

before(async () => {
  edge = await startEdge();
  const [owner, member, gone] = [newWallet(), newWallet(), newWallet()];
  const ownerToken = await signIn(edge, owner);
  const vault = { name: "vault", owner: owner.address, read: "private", write: "closed" };
  const made = await edge.postJson("/v1/streams", vault, bearer(ownerToken));
  assert.equal(made.status, 201, made.text);
  filled.vault = made.json.id as string;
  filled.owner = owner.address;
  filled.session = `${(made.json.short as string).slice(2)}${"00".repeat(8)}`;
  filled.offer = await offer("chromium");
  await edge.postJson("/v1/streams", { name: "square" });
  await edge.listed("vault");
  const membership = JSON.stringify({ rights: ["read", "write", "manage"] });
  const json = { "content-type": "application/json" };
  await edge.send("PUT", `/v1/streams/${filled.vault}/members/${member.address}`, {
    headers: { ...bearer(ownerToken), ...json },
    body: membership,
  });
  const memberToken = await signIn(edge, member);
  const narrowed = async (wanted: object): Promise<Record<string, string>> => {
    const answer = await edge.postJson("/v1/auth/token", wanted, bearer(memberToken));
    assert.equal(answer.status, 201, answer.text);
    return bearer(answer.json.token as string);
  };
  const revoked = bearer(await signIn(edge, gone));
  assert.equal((await edge.postJson("/v1/auth/revoke", {}, revoked)).status, 200);
  Object.assign(headers, {
    nobody: {},
    guest: bearer((await edge.send("POST", "/v1/auth/guest")).json.token as string),
    "wrong stream": await narrowed({ streams: ["elsewhere"] }),
    "read-only": await narrowed({ rights: ["read"] }),
    expired: bearer(accessToken(owner.address, { life: -10 })),
    revoked,
    owner: bearer(ownerToken),
    operator: asOperator(),
  } satisfies Record<Caller, Record<string, string>>);
});
beforeEach(() =>
  edge
    .relay("r1")
    .register()
    .then(() => {}),
);
after(() => edge.stop());

const fill = (text: string): string => text.replaceAll(/\{(\w+)\}/g, (all, name: string) => filled[name] ?? all);

const ask = async (caller: Caller, [route, path, body]: Row): Promise<number> => {
  const method = route.split(" ")[0] as string;
  const type = body === "{offer}" ? "application/sdp" : "application/json";
  const text = body === null ? null : fill(typeof body === "string" ? body : JSON.stringify(body));
  const init = body === null ? {} : { body: text };
  const all = { ...headers[caller], ...(body === null ? {} : { "content-type": type }) };
  return (await edge.send(method, fill(path), { headers: all, ...init })).status;
};

for (const row of TABLE) {
  const [route, path, , expected] = row;
  test(`${route} at ${path}`, async () => {
    const seen: string[] = [];
    for (const caller of CALLERS) seen.push(`${caller} ${await ask(caller, row)}`);
    const wanted = CALLERS.map((caller, column) => `${caller} ${expected[column]}`);
    assert.deepEqual(seen, wanted);
  });
}

// The routes of the Worker are those of the description: src/routes_tests.rs.
test("the table has every route that is described, and no other", async () => {
  const file = join(import.meta.dirname, "..", "..", "web", "static", "openapi.json");
  const { paths } = JSON.parse(await readFile(file, "utf8")) as { paths: Record<string, Record<string, unknown>> };
  const methods = ["get", "post", "put", "patch", "delete"];
  const described = Object.entries(paths).flatMap(([path, operations]) =>
    methods.filter((method) => method in operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.ok(described.length > 30, `${described.length} routes`);
  assert.deepEqual([...new Set(TABLE.map(([route]) => route))].sort(), described.sort());
});

test("a private stream looks absent to strangers on every route", async () => {
  const absent = `0x${"5a".repeat(32)}`;
  const rows = TABLE.filter(([, path]) => path.includes(VAULT) && !path.startsWith("/v1/relays/"));
  assert.ok(rows.length > 10);
  const whole = async (caller: Caller, method: string, path: string, body: unknown): Promise<object> => {
    const type = body === "{offer}" ? "application/sdp" : "application/json";
    const text = body === null ? null : fill(typeof body === "string" ? body : JSON.stringify(body));
    const init = text === null ? {} : { body: text };
    const sent = { ...headers[caller], ...(text === null ? {} : { "content-type": type }) };
    const answer = await edge.send(method, path, { headers: sent, ...init });
    const { requestId: _, ...document } = answer.json;
    const shown = [...answer.headers].filter(([name]) => !["x-request-id", "date", "content-length"].includes(name));
    return { status: answer.status, document, shown };
  };
  for (const caller of ["nobody", "guest", "wrong stream"] as const) {
    for (const [route, path, body] of rows) {
      const method = route.split(" ")[0] as string;
      const methods = method === "GET" ? ["GET", "HEAD", "OPTIONS"] : [method, "OPTIONS"];
      for (const method of methods) {
        const sent = method === "HEAD" || method === "OPTIONS" ? null : body;
        const vault = await whole(caller, method, fill(path), sent);
        const nothing = await whole(caller, method, path.replace(VAULT, absent), sent);
        assert.deepEqual(vault, nothing, `${caller}: ${method} ${path}`);
      }
    }
  }
  const session = `/v1/sessions/${"5a".repeat(20)}${"00".repeat(8)}`;
  const ended = await whole("guest", "DELETE", fill(SESSION), null);
  assert.deepEqual(ended, await whole("guest", "DELETE", session, null));
});

test("a badly signed group says nothing of a private stream", async () => {
  const absent = `0x${"5a".repeat(32)}`;
  const key = await newKey();
  for (const id of [filled.vault as string, absent]) {
    // Signed for another stream.
    const group = await groupOf({ stream: `0x${"77".repeat(32)}`, key, texts: ["who is there?"] });
    const answer = await edge.postJson(`/v1/streams/${id}/messages`, group.json, await proofOf(key, edge.host));
    assertProblem(answer, 404, "no-such-stream");
  }
});
