// Every route for every kind of caller: one table, which fails when the router has a route that it lacks.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { accessToken, asOperator, bearer, type Edge, offer, startEdge } from "./harness.ts";
import { newWallet, signIn } from "./siwe.ts";

/** Who asks, in the order of the table's columns. All but the first four own nothing. */
const CALLERS = ["nobody", "guest", "wrong stream", "read-only", "expired", "revoked", "owner", "operator"] as const;
type Caller = (typeof CALLERS)[number];

type Row = [route: string, path: string, body: unknown, statuses: number[]];

/** A private and closed stream, by its id; and somebody who has nothing to do with it. */
const VAULT = "{vault}";
const NOBODY = "0x00000000000000000000000000000000000000ff";
const SESSION = "/v1/sessions/{session}";
const SIGNAL = { to: "{session}", signal: "hello" };

/** nobody, guest, wrong stream, read-only, expired, revoked, owner, operator */
const all = (status: number): number[] => Array(8).fill(status);
/** For everybody, but credentials that are sent must hold. */
const open = (status: number): number[] => [status, status, status, status, 401, 401, status, status];
/** For everybody with credentials. */
const known = (status: number): number[] => [401, status, status, status, 401, 401, status, status];
const reading = (status: number): number[] => [401, 403, 403, status, 401, 401, status, status];
const managing = (status: number): number[] => [401, 403, 403, 403, 401, 401, status, status];
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
  ["GET /v1/keys", "/v1/keys", null, managing(200)],
  ["POST /v1/keys", "/v1/keys", { name: "a key", rights: ["read"] }, managing(201)],
  ["DELETE /v1/keys/{key}", `/v1/keys/${"00".repeat(8)}`, null, managing(404)],
  ["DELETE /v1/keys/{key}", `/v1/keys/${"00".repeat(8)}?account=${NOBODY}`, null, operating(404)],
  ["GET /v1/audit", "/v1/audit", null, operating(200)],
  ["GET /v1/ice-servers", "/v1/ice-servers", null, known(200)],
  ["GET /v1/streams", "/v1/streams", null, open(200)],
  ["POST /v1/streams", "/v1/streams", { name: "square" }, open(200)],
  ["POST /v1/streams", "/v1/streams", { name: "costly", mode: "payload" }, [401, 403, 403, 403, 401, 401, 403, 201]],
  ["POST /v1/streams", "/v1/streams", { name: "vault", owner: "{owner}" }, managing(200)],
  ["GET /v1/streams/{stream}", `/v1/streams/${VAULT}`, null, reading(200)],
  ["GET /v1/streams/{stream}", "/v1/streams/square", null, [200, 200, 403, 200, 401, 401, 200, 200]],
  ["PATCH /v1/streams/{stream}", `/v1/streams/${VAULT}`, { p2p: false }, managing(200)],
  ["GET /v1/streams/{stream}/members", `/v1/streams/${VAULT}/members`, null, managing(200)],
  [
    "PUT /v1/streams/{stream}/members/{address}",
    `/v1/streams/${VAULT}/members/0x${"11".repeat(20)}`,
    { rights: [] },
    managing(200),
  ],
  ["DELETE /v1/streams/{stream}/members/{address}", `/v1/streams/${VAULT}/members/${NOBODY}`, null, managing(404)],
  ["POST /v1/streams/{stream}/messages", `/v1/streams/${VAULT}/messages`, { payload: "0x6869" }, managing(201)],
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
  ["POST /v1/chain/replay", "/v1/chain/replay", null, operating(503)],
  ["GET /v1/streams/{stream}/events", `/v1/streams/${VAULT}/events?life=1`, null, reading(200)],
  ["GET /v1/streams/{stream}/chain", `/v1/streams/${VAULT}/chain`, null, reading(200)],
  ["DELETE /v1/sessions/{session}", SESSION, null, known(404)],
  ["GET /v1/sessions/{session}/signals", `${SESSION}/signals`, null, known(403)],
  ["POST /v1/sessions/{session}/signals", `${SESSION}/signals`, SIGNAL, known(403)],
  ["PUT /v1/relays/{relay}", "/v1/relays/r1", {}, all(401)],
  ["DELETE /v1/relays/{relay}", "/v1/relays/r1", null, all(401)],
  ["PUT /v1/relays/{relay}/streams/{stream}", `/v1/relays/r1/streams/${VAULT}`, {}, all(401)],
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

test("the table has every route of the router with every method", async () => {
  const source = await readFile(join(import.meta.dirname, "..", "..", "src", "router.rs"), "utf8");
  const enumeration = source.slice(source.indexOf("pub enum Route {"), source.indexOf("impl Route {"));
  const paths = [...enumeration.matchAll(/\/\/\/ `(\/v1\/[^`]*)`/g)].map((match) => match[1] as string);
  const variants = [...enumeration.matchAll(/^ {4}[A-Z]\w*[,(]/gm)];
  assert.equal(paths.length, variants.length, "every route's comment is its path");
  const examples: Record<string, string> = {
    stream: "square",
    seq: "0",
    key: "00".repeat(8),
    producer: "00".repeat(16),
    session: "00".repeat(28),
    relay: "r1",
    address: NOBODY,
  };
  const missing: string[] = [];
  for (const path of paths) {
    const example = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      assert.ok(examples[name], `${path}: this test has no example of ${name}`);
      return examples[name] as string;
    });
    const allowed = (await edge.send("OPTIONS", example)).headers.get("allow") ?? "";
    assert.notEqual(allowed, "", `${example} is served`);
    const methods = allowed.split(", ").filter((method) => method !== "HEAD" && method !== "OPTIONS");
    const routes = methods.map((method) => `${method} ${path}`);
    missing.push(...routes.filter((route) => !TABLE.some(([known]) => known === route)));
  }
  assert.deepEqual(missing, [], "routes without a row");
});
