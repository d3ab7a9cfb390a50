// API keys, narrower tokens, members, and their end; as relays hear of it.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import {
  type Answer,
  accessToken,
  asOperator,
  assertProblem,
  bearer,
  type Edge,
  type FakeRelay,
  OPERATOR,
  offer,
  rightsOf,
  startEdge,
  until,
} from "./harness.ts";
import { newWallet, signIn } from "./siwe.ts";

/** Of a key that ends while a test waits: more than a busy machine takes to make it. */
const KEY_LIFE_MS = 2_000;

let edge: Edge;
let relay: FakeRelay;
const owner = newWallet();
const ownerAddress = owner.address.toLowerCase();
let asOwner: Record<string, string>;

before(async () => {
  edge = await startEdge();
  relay = edge.relay("r1");
  asOwner = bearer(await signIn(edge, owner));
});
beforeEach(() => relay.register().then(() => {}));
after(() => edge.stop());

const make = async (name: string, settings: object = {}): Promise<string> => {
  const answer = await edge.postJson("/v1/streams", { name, owner: ownerAddress, ...settings }, asOwner);
  assert.equal(answer.status, 201, answer.text);
  return answer.json.id as string;
};

const change = (id: string, settings: object, who = asOwner): Promise<Answer> => {
  const headers = { "content-type": "application/json", ...who };
  return edge.send("PATCH", `/v1/streams/${id}`, { headers, body: JSON.stringify(settings) });
};

const makeMember = (id: string, member: string, rights: string[]): Promise<Answer> => {
  const headers = { "content-type": "application/json", ...asOwner };
  return edge.send("PUT", `/v1/streams/${id}/members/${member}`, { headers, body: JSON.stringify({ rights }) });
};

const openSession = async (id: string, headers: Record<string, string> = {}): Promise<Answer> =>
  edge.postOffer(id, await offer("chromium"), headers);

interface Withdrawn {
  stream: string;
  kind: string;
  author: string | null;
  authors?: string[];
  again: boolean;
}

/** What the relay hears at its next renewal. */
const heard = async (): Promise<Withdrawn[]> => {
  const { notices } = (await relay.register()).json as unknown as { notices: Withdrawn[] };
  return notices.filter(({ kind }) => kind === "withdrawn");
};

interface Key {
  id: string;
  key: string;
  author: string;
}

const makeKey = async (wanted: object, who = asOwner): Promise<Key> => {
  const answer = await edge.postJson("/v1/keys", { name: "a service", ...wanted }, who);
  assert.equal(answer.status, 201, answer.text);
  return answer.json as unknown as Key;
};

test("a wallet's stream has its settings and the contract's id", async () => {
  const made = await edge.postJson(
    "/v1/streams",
    { name: "owned", owner: owner.address, mode: "hash", read: "private", write: "closed", p2p: true, prove: true },
    asOwner,
  );
  const { mode, read, write, p2p, prove } = made.json;
  assert.deepEqual([mode, read, write, p2p, prove], ["hash", "private", "closed", true, true]);
  assert.equal(made.json.owner, ownerAddress);
  assertProblem(await edge.get("/v1/streams/owned", asOperator()), 404, "no-such-stream");
  const changed = await change(made.json.id as string, { read: "public", p2p: false });
  assert.deepEqual([changed.json.read, changed.json.p2p, changed.json.write], ["public", false, "closed"]);
  assertProblem(await change(made.json.id as string, { read: "half" }), 400, "bad-request");
  assertProblem(await change(made.json.id as string, { owner: OPERATOR }), 400, "bad-request");
});

test("private streams are listed for their owner and the operator", async () => {
  await make("secret", { read: "private" });
  await edge.listed("secret");
  const names = async (headers: Record<string, string>): Promise<string[]> => {
    const { streams } = (await edge.get("/v1/streams", headers)).json as unknown as { streams: { name: string }[] };
    return streams.map(({ name }) => name);
  };
  assert.ok((await names(asOwner)).includes("secret"));
  assert.ok((await names(asOperator())).includes("secret"));
  assert.ok(!(await names({})).includes("secret"));
  assert.ok(!(await names(bearer(await signIn(edge, newWallet())))).includes("secret"));
});

test("settings that changed reach the database", async () => {
  const id = await make("changing");
  await edge.listed("changing");
  await change(id, { read: "private" });
  const read = (await edge.database()).prepare("SELECT read FROM streams WHERE id = ?").bind(id);
  await until("the row says so", async () => (await read.first<{ read: string }>())?.read === "private");
});

test("a session may do what its author may, and no more", async () => {
  const [open, closed, box] = [
    await make("an-open-one"),
    await make("a-closed-one", { write: "closed" }),
    await make("a-letter-box", { read: "private" }),
  ];
  assert.deepEqual([rightsOf(await openSession(open)), rightsOf(await openSession(closed))], [3, 1]);
  assert.equal(rightsOf(await openSession(box)), 2, "a guest may post and not read");
  assert.equal(rightsOf(await openSession(closed, asOwner)), 3);
  const vault = await make("nothing-for-guests", { read: "private", write: "closed" });
  assertProblem(await openSession(vault), 404, "no-such-stream");
  const member = newWallet();
  const asMember = bearer(await signIn(edge, member));
  assertProblem(await openSession(vault, asMember), 404, "no-such-stream");
  await makeMember(vault, member.address, ["write"]);
  assert.equal(rightsOf(await openSession(vault, asMember)), 2);
  await makeMember(vault, member.address, ["read", "write"]);
  assert.equal(rightsOf(await openSession(vault, asMember)), 3);
});

test("members change, and their sessions begin again", async () => {
  const id = await make("with-members", { read: "private" });
  await openSession(id, asOwner);
  const member = newWallet().address.toLowerCase();
  await heard();
  assert.equal((await makeMember(id, member, ["read", "manage"])).status, 200);
  const listed = await edge.get(`/v1/streams/${id}/members`, asOwner);
  assert.deepEqual(listed.json, { members: [{ address: member, rights: ["read", "manage"] }] });
  assert.equal((await edge.send("DELETE", `/v1/streams/${id}/members/${member}`, { headers: asOwner })).status, 200);
  const again = await edge.send("DELETE", `/v1/streams/${id}/members/${member}`, { headers: asOwner });
  assertProblem(again, 404, "no-such-member");
  const told = (await heard()).map(({ stream, author, again }) => [stream, author, again]);
  assert.deepEqual(
    told,
    [[id.slice(0, 42), member, true]],
    "the notice of a later change takes the place of an earlier one",
  );
  assertProblem(await makeMember(id, "0x12", []), 400, "bad-id");
  assertProblem(await makeMember(id, member, ["own"]), 400, "bad-request");
});

test("all sessions of a stream that is closed begin again", async () => {
  const id = await make("closing");
  await openSession(id);
  await heard();
  await change(id, { p2p: true });
  assert.deepEqual(await heard(), []);
  await change(id, { write: "closed" });
  const [notice] = await heard();
  assert.deepEqual([notice?.stream, notice?.author, notice?.again], [id.slice(0, 42), null, true]);
});

test("an API key opens what it names, and is shown once", async () => {
  const [named, other] = [
    await make("for-services", { read: "private" }),
    await make("not-for-them", { read: "private" }),
  ];
  const key = await makeKey({ streams: [named], rights: ["read", "write"] });
  assert.match(key.key, /^sck_[A-Za-z0-9_-]{70}$/);
  assert.equal((await edge.get(`/v1/streams/${named}`, bearer(key.key))).status, 200);
  assertProblem(await edge.get(`/v1/streams/${other}`, bearer(key.key)), 404, "no-such-stream");
  assertProblem(await change(named, { p2p: true }, bearer(key.key)), 403, "forbidden");
  assertProblem(await edge.get("/v1/keys", bearer(key.key)), 403, "forbidden");
  const session = await openSession(named, bearer(key.key));
  assert.deepEqual([rightsOf(session), session.headers.get("streamchain-author")], [3, key.author]);
  const listed = await edge.get("/v1/keys", asOwner);
  assert.ok(listed.text.includes(key.id) && !listed.text.includes(key.key.slice(-30)) && !listed.text.includes("hash"));
});

test("an API key becomes tokens that are no wider and end with it", async () => {
  const id = await make("for-tokens", { read: "private" });
  const key = await makeKey({ streams: [id], rights: ["read"] });
  const made = await edge.postJson("/v1/auth/token", { rights: ["read", "write", "manage"] }, bearer(key.key));
  assert.equal(made.json.author, key.author);
  const token = bearer(made.json.token as string);
  assert.equal((await edge.get(`/v1/streams/${id}`, token)).status, 200);
  assertProblem(await change(id, {}, token), 403, "forbidden");
  await heard();
  for (let times = 0; times < 2; times += 1) {
    assert.equal((await edge.send("DELETE", `/v1/keys/${key.id}`, { headers: asOwner })).status, 200);
  }
  assertProblem(await edge.get(`/v1/streams/${id}`, token), 401, "unauthorized");
  assertProblem(await edge.get(`/v1/streams/${id}`, bearer(key.key)), 401, "unauthorized");
  const [notice] = await heard();
  assert.deepEqual([notice?.stream, notice?.author, notice?.again], [`0x${"00".repeat(20)}`, key.author, false]);
});

test("a key loses what its account loses", async () => {
  const id = await make("lent", { read: "private" });
  const member = newWallet();
  const asMember = bearer(await signIn(edge, member));
  await makeMember(id, member.address, ["read"]);
  const key = await makeKey({ rights: ["read"] }, asMember);
  assert.equal((await edge.get(`/v1/streams/${id}`, bearer(key.key))).status, 200);
  await openSession(id, bearer(key.key));
  await heard();
  await edge.send("DELETE", `/v1/streams/${id}/members/${member.address}`, { headers: asOwner });
  assertProblem(await edge.get(`/v1/streams/${id}`, bearer(key.key)), 404, "no-such-stream");
  assert.ok(
    (await heard()).some(({ authors }) => authors?.includes(key.author)),
    "its sessions are named too",
  );
});

test("a key that is changed, expired, or out of shape is refused", async () => {
  const key = await makeKey({ rights: ["read"], expires: Date.now() + KEY_LIFE_MS });
  const last = key.key.at(-2) === "A" ? "B" : "A";
  for (const wrong of ["sck_", "sck_zz", `${key.key}A`, `${key.key.slice(0, -2)}${last}${key.key.at(-1)}`]) {
    assertProblem(await edge.get("/v1/ice-servers", bearer(wrong)), 401, "unauthorized");
  }
  await until("it is over", async () => (await edge.get("/v1/ice-servers", bearer(key.key))).status === 401);
  const bodies = [
    {},
    { name: "", rights: ["read"] },
    { name: "x".repeat(65), rights: ["read"] },
    { name: "x", rights: [] },
    { name: "x", rights: ["own"] },
    { name: "x", rights: ["read"], expires: 1 },
    { name: "x", rights: ["read"], streams: Array(17).fill("demo") },
    { name: "x", rights: ["read"], colour: "red" },
  ];
  for (const body of bodies) assertProblem(await edge.postJson("/v1/keys", body, asOwner), 400, "bad-request");
  const bad = await edge.postJson("/v1/keys", { name: "x", rights: ["read"], streams: ["NO"] }, asOwner);
  assertProblem(bad, 400, "bad-stream-name");
});

test("a token is renewed for a day, and a guest's is not", async () => {
  const now = Math.floor(Date.now() / 1_000);
  const signedIn = (secondsAgo: number): Record<string, string> =>
    bearer(accessToken(ownerAddress, { since: now - secondsAgo }));
  assert.equal((await edge.postJson("/v1/auth/token", {}, signedIn(3_600))).status, 201);
  assertProblem(await edge.postJson("/v1/auth/token", {}, signedIn(90_000)), 401, "unauthorized");
  const guest = await edge.send("POST", "/v1/auth/guest");
  const renewed = await edge.postJson("/v1/auth/token", {}, bearer(guest.json.token as string));
  assert.deepEqual([renewed.json.expires, renewed.json.author], [guest.json.expires, guest.json.author]);
  const short = await edge.postJson("/v1/auth/token", { life: 5, rights: ["read"] }, asOwner);
  assert.ok((short.json.expires as number) <= Date.now() + 6_000);
});

test("a life bounds all that is made from the token", async () => {
  const now = Math.floor(Date.now() / 1_000);
  const made = await edge.postJson("/v1/auth/token", { life: 60 }, bearer(accessToken(ownerAddress, { since: now })));
  const end = made.json.expires as number;
  const short = bearer(made.json.token as string);
  for (const wanted of [{}, { life: 900 }]) {
    const again = await edge.postJson("/v1/auth/token", wanted, short);
    assert.deepEqual([again.status, again.json.expires], [201, end]);
  }
  for (const wanted of [{}, { expires: end + 3_600_000 }]) {
    const key = await edge.postJson("/v1/keys", { name: "short", rights: ["read"], ...wanted }, short);
    assert.deepEqual([key.status, key.json.expires], [201, end]);
    const token = await edge.postJson("/v1/auth/token", {}, bearer(key.json.key as string));
    assert.ok((token.json.expires as number) <= end);
  }
  const later = bearer(accessToken(ownerAddress, { since: now - 3_600, end: now - 1 }));
  assertProblem(await edge.postJson("/v1/auth/token", {}, later), 401, "unauthorized");
});

test("revoking ends all tokens and sessions, until a new sign-in", async () => {
  const wallet = newWallet();
  const token = bearer(await signIn(edge, wallet));
  const key = await makeKey({ rights: ["read"] }, token);
  const narrowed = await edge.postJson("/v1/auth/token", { rights: ["read"] }, token);
  const narrow = bearer(narrowed.json.token as string);
  assertProblem(await edge.postJson("/v1/auth/revoke", {}, narrow), 403, "forbidden");
  assertProblem(await edge.postJson("/v1/auth/revoke", {}, bearer(key.key)), 403, "forbidden");
  await heard();
  assert.equal((await edge.postJson("/v1/auth/revoke", {}, token)).status, 200);
  for (const old of [token, narrow]) assertProblem(await edge.get("/v1/ice-servers", old), 401, "unauthorized");
  assert.equal((await edge.get("/v1/ice-servers", bearer(key.key))).status, 200, "a key is revoked by itself");
  const again = bearer(await signIn(edge, wallet));
  assert.equal((await edge.get("/v1/ice-servers", again)).status, 200);
  assert.equal((await edge.postJson("/v1/auth/revoke", { keys: true }, again)).status, 200);
  assertProblem(await edge.get("/v1/ice-servers", bearer(key.key)), 401, "unauthorized");
  const authors = (await heard()).map(({ author }) => author);
  const address = wallet.address.toLowerCase();
  assert.deepEqual(authors, [address, key.author], "one notice for each, also after the second time");
});

test("the operator revokes anybody", async () => {
  const guest = await edge.send("POST", "/v1/auth/guest");
  const token = bearer(guest.json.token as string);
  assertProblem(await edge.postJson("/v1/auth/revoke", { account: guest.json.author }, asOwner), 403, "forbidden");
  const { status } = await edge.postJson("/v1/auth/revoke", { account: guest.json.author }, asOperator());
  assert.equal(status, 200);
  assertProblem(await openSession("anywhere", token), 401, "unauthorized");
});
