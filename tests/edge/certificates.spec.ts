// Who vouches for a key: wallets in their sign-in, accounts for their services; until it expires or is revoked.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { PrivateKeyAccount } from "viem/accounts";
import { type Answer, asOperator, assertProblem, bearer, type Edge, type Json, startEdge } from "./harness.ts";
import { groupOf, type Key, newKey, newProducer } from "./signing.ts";
import { type Changes, messageOf, newNonce, newWallet, postSigned, signInWith } from "./siwe.ts";

/** A contract wallet that takes one signature: what the faked node answers for it. */
const CONTRACT_WALLET = "0x5615dEB798BB3E4dFa0139dFa1b3D433Cc23b72f";
const CONTRACT_SIGNATURE = `0x${"ab".repeat(70)}`;

const node = async (request: Request): Promise<Response> => {
  const { id, method, params } = (await request.json()) as { id: number; method: string; params: [never] };
  if (method === "eth_chainId") return Response.json({ jsonrpc: "2.0", id, result: "0x7a69" });
  if (method !== "eth_call") return Response.json({ jsonrpc: "2.0", id, error: { code: -32601, message: "no" } });
  const { to, data } = params[0] as { to: string; data: string };
  const agrees = to === CONTRACT_WALLET.toLowerCase() && data.includes("ab".repeat(70));
  return Response.json({ jsonrpc: "2.0", id, result: agrees ? `0x1626ba7e${"0".repeat(56)}` : "0x" });
};

let edge: Edge;
let stream = "";
before(async () => {
  edge = await startEdge({ outbound: node });
  stream = (await edge.postJson("/v1/streams", { name: "demo" })).json.id as string;
});
after(() => edge.stop());

const resource = (key: Key): string => `urn:streamchain:key:p256:${key.text}`;

/** Signs in and delegates to a key. */
const delegate = async (wallet: PrivateKeyAccount, key: Key, { resources = [], ...changes }: Changes = {}) => {
  const all = { ...changes, resources: [...(resources as string[]), resource(key)] };
  const message = messageOf(edge, wallet.address, await newNonce(edge), all);
  const answer = await signInWith(edge, wallet, message);
  assert.equal(answer.status, 201, answer.text);
  return { message, as: bearer(answer.json.token as string) };
};

const certificateOf = (author: string, key: Key, query = ""): Promise<Answer> =>
  edge.get(`/v1/authors/${author}/keys/${key.text}${query}`);

/** Publishes a first message that the key signs for the author. */
const publish = async (
  key: Key,
  author: string,
  as: Record<string, string>,
  name = "demo",
  id = stream,
): Promise<Answer> => {
  const group = await groupOf({ stream: id, key, author, producer: newProducer(), texts: ["signed"] });
  return edge.postJson(`/v1/streams/${name}/messages`, group.json, as);
};

const reasonOf = (answer: Answer): unknown => assertProblem(answer, 400, "bad-signature").reason;

test("a wallet's sign-in certifies a key, and the sign-in is kept", async () => {
  const [wallet, key] = [newWallet(), await newKey()];
  const author = wallet.address.toLowerCase();
  assertProblem(await certificateOf(author, key), 404, "no-such-key");
  const { message, as } = await delegate(wallet, key);
  const kept = (await certificateOf(author, key)).json;
  assert.deepEqual([kept.kind, kept.message, kept.chainId], ["wallet", message, 31_337]);
  assert.equal(kept.signature, await wallet.signMessage({ message }));
  assert.equal((kept.expires as number) - (kept.issued as number), 30 * 86_400);
  assert.equal((await publish(key, author, as)).status, 201);
  assert.equal(reasonOf(await publish(await newKey(), author, as)), "unknown-key");
  await delegate(wallet, key);
  assert.equal((await certificateOf(author, key)).json.message, message, "while it lasts, none is kept beside it");
});

test("a contract wallet certifies a key as its contract says", async () => {
  const key = await newKey();
  const changes = { resources: [resource(key)] };
  const message = messageOf(edge, CONTRACT_WALLET, await newNonce(edge), changes);
  const answer = await postSigned(edge, message, CONTRACT_SIGNATURE);
  assert.equal(answer.status, 201, answer.text);
  const author = CONTRACT_WALLET.toLowerCase();
  assert.equal((await certificateOf(author, key)).json.signature, CONTRACT_SIGNATURE);
  assert.equal((await publish(key, author, bearer(answer.json.token as string))).status, 201);
});

test("a sign-in names one key at most, and a whole one", async () => {
  const wallet = newWallet();
  const [one, two] = [await newKey(), await newKey()];
  for (const resources of [[resource(one), resource(two)], [`${resource(one)}A`], ["urn:streamchain:key:p256:AAAA"]]) {
    const message = messageOf(edge, wallet.address, await newNonce(edge), { resources });
    const answer = await signInWith(edge, wallet, message);
    assert.equal(answer.json.reason, "key", answer.text);
  }
});

test("a key's time and streams are those of the sign-in", async () => {
  const [wallet, key] = [newWallet(), await newKey()];
  const author = wallet.address.toLowerCase();
  const other = (await edge.postJson("/v1/streams", { name: "other" })).json.id as string;
  const { as } = await delegate(wallet, key, { resources: [`http://${edge.host}/v1/streams/demo`] });
  assert.equal((await publish(key, author, as)).status, 201);
  // The token itself is for that stream alone; another of the account's is not.
  const wide = await signInWith(edge, wallet, messageOf(edge, wallet.address, await newNonce(edge)));
  const asAnyone = bearer(wide.json.token as string);
  assert.equal(reasonOf(await publish(key, author, asAnyone, "other", other)), "other-stream");
  const short = await newKey();
  const expirationTime = new Date(Date.now() + 3_600_000);
  await delegate(wallet, short, { expirationTime });
  const kept = (await certificateOf(author, short)).json;
  assert.equal(kept.expires, Math.floor(expirationTime.getTime() / 1_000));
  const database = await edge.database();
  await database.prepare("UPDATE certificates SET expires = issued + 1 WHERE key = ?").bind(short.hex).run();
  assert.equal(reasonOf(await publish(short, author, asAnyone)), "expired");
});

test("a key for other streams says nothing of a hidden one", async () => {
  const [wallet, key] = [newWallet(), await newKey()];
  const author = wallet.address.toLowerCase();
  await delegate(wallet, key, { resources: [`http://${edge.host}/v1/streams/demo`] });
  const as = bearer(
    (await signInWith(edge, wallet, messageOf(edge, wallet.address, await newNonce(edge)))).json.token as string,
  );
  const settings = { name: "hidden", read: "private", write: "closed" };
  const hidden = (await edge.postJson("/v1/streams", settings, asOperator())).json.id as string;
  for (const id of [hidden, `0x${"5a".repeat(32)}`]) {
    assertProblem(await publish(key, author, as, id, id), 404, "no-such-stream");
  }
});

test("of a key's certificates the one for the stream is shown", async () => {
  const [wallet, key] = [newWallet(), await newKey()];
  const author = wallet.address.toLowerCase();
  const only = (name: string) => ({ resources: [`http://${edge.host}/v1/streams/${name}`] });
  const demo = await delegate(wallet, key, only("demo"));
  // Both count now; the second one began later.
  const elsewhere = await delegate(wallet, key, { ...only("elsewhere"), issuedAt: new Date(Date.now() + 30_000) });
  const shown = async (query: string): Promise<unknown> => (await certificateOf(author, key, query)).json.message;
  assert.equal(await shown(""), elsewhere.message);
  assert.equal(await shown(`?stream=${stream}&name=demo`), demo.message);
  assert.equal(await shown("?name=demo"), demo.message, "a name is one of the operator's streams");
  assert.equal(await shown(`?stream=${stream}`), elsewhere.message, "an id alone is passed over");
  assert.equal(await shown("?name=neither"), elsewhere.message, "where none is for the stream, the newest");
  assertProblem(await certificateOf(author, key, "?name=Not%20A%20Name"), 400, "bad-stream-name");
});

test("revoking an account ends its keys, not what they signed", async () => {
  const [wallet, key] = [newWallet(), await newKey()];
  const author = wallet.address.toLowerCase();
  const before = await delegate(wallet, key);
  assert.equal((await publish(key, author, before.as)).status, 201);
  assert.equal((await edge.postJson("/v1/auth/revoke", {}, before.as)).status, 200);
  const kept = (await certificateOf(author, key)).json;
  const reach = (kept.revoked as number) - Date.now() / 1_000;
  assert.ok(reach > 10 && reach <= 15, `what relays take before they learn of it is vouched for: ${reach} s`);
  const later = await signInWith(edge, wallet, messageOf(edge, wallet.address, await newNonce(edge)));
  const as = bearer(later.json.token as string);
  assert.equal(reasonOf(await publish(key, author, as)), "revoked");
  const relay = edge.relay("r1");
  const { short, epoch } = await edge.streamOn(relay, "relayed");
  const asked = await relay.producer(short, Buffer.alloc(16, 1), epoch, `&author=${author}&key=${key.text}`);
  assert.equal((asked.json.key as Json).ok, false);
  // A new sign-in certifies the same key again, for another span of time.
  const again = await delegate(wallet, key, { issuedAt: new Date(Date.now() + 30_000) });
  assert.equal((await publish(key, author, again.as)).status, 201);
  assert.equal((await certificateOf(author, key)).json.message, again.message);
  const old = (await certificateOf(author, key, `?at=${kept.issued}`)).json;
  assert.equal(old.message, before.message, "each time has its own");
});

test("a service signs with the key that its account registers", async () => {
  const { as } = await delegate(newWallet(), await newKey());
  const [first, second] = [await newKey(), await newKey()];
  const wanted = { name: "sensor", rights: ["read", "write"], publicKey: first.text };
  const made = await edge.postJson("/v1/keys", wanted, as);
  assert.equal(made.status, 201, made.text);
  const { id, author, key } = made.json as { id: string; author: string; key: string };
  assert.equal((await publish(first, author, bearer(key))).status, 201);
  const kept = (await certificateOf(author, first)).json;
  assert.deepEqual([kept.kind, kept.message, kept.expires], ["service", undefined, undefined]);
  const put = (publicKey: string) =>
    edge.send("PUT", `/v1/keys/${id}/public-key`, {
      headers: { "content-type": "application/json", ...as },
      body: JSON.stringify({ publicKey }),
    });
  for (let round = 0; round < 2; round += 1) {
    const changed = await put(second.text);
    assert.equal(changed.status, 200, changed.text);
  }
  assert.equal((await publish(second, author, bearer(key))).status, 201);
  assert.equal(reasonOf(await publish(first, author, bearer(key))), "revoked");
  assertProblem(await put("AAAA"), 400, "bad-request");
  const removed = await edge.send("DELETE", `/v1/keys/${id}`, { headers: as });
  assert.equal(removed.status, 200, removed.text);
  assert.ok((await certificateOf(author, second)).json.revoked);
  assertProblem(await put(second.text), 404, "no-such-key");
  const wrong = { ...wanted, publicKey: `A${"B".repeat(43)}` };
  assertProblem(await edge.postJson("/v1/keys", wrong, as), 400, "bad-request");
});

test("a service's key that comes back at once signs again", async () => {
  const { as } = await delegate(newWallet(), await newKey());
  const [first, second] = [await newKey(), await newKey()];
  const made = await edge.postJson("/v1/keys", { name: "s", rights: ["write"], publicKey: first.text }, as);
  const { id, author, key } = made.json as { id: string; author: string; key: string };
  for (const { text } of [second, first]) {
    const init = { headers: { "content-type": "application/json", ...as }, body: JSON.stringify({ publicKey: text }) };
    const put = await edge.send("PUT", `/v1/keys/${id}/public-key`, init);
    assert.equal(put.status, 200, put.text);
  }
  const kept = (await certificateOf(author, first)).json;
  assert.equal(kept.revoked, undefined, "the newest certificate of the key");
  const begun = Date.now() / 1_000 - (kept.issued as number);
  assert.ok(begun > 50, `a relay's clock may be behind: ${begun} s`);
  assert.equal((await publish(first, author, bearer(key))).status, 201);
  assert.equal(reasonOf(await publish(second, author, bearer(key))), "revoked");
});

test("a sign-in beside a certificate of the same second is refused", async () => {
  const [wallet, key] = [newWallet(), await newKey()];
  const author = wallet.address.toLowerCase();
  const issuedAt = new Date();
  await delegate(wallet, key, { issuedAt, resources: [`http://${edge.host}/v1/streams/demo`] });
  const changes = { issuedAt, resources: [resource(key)] };
  const again = await signInWith(edge, wallet, messageOf(edge, wallet.address, await newNonce(edge), changes));
  assertProblem(again, 409, "certificate-conflict");
  const wide = await signInWith(edge, wallet, messageOf(edge, wallet.address, await newNonce(edge)));
  assert.equal((await publish(key, author, bearer(wide.json.token as string))).status, 201, "the first one counts");
});

test("a key that ends within a minute signs nothing by HTTP", async () => {
  const [wallet, key] = [newWallet(), await newKey()];
  const expirationTime = new Date(Date.now() + 50_000);
  const { as } = await delegate(wallet, key, { expirationTime });
  assert.equal(reasonOf(await publish(key, wallet.address.toLowerCase(), as)), "expired");
});

test("later sign-ins hide no certificate of an earlier time", async () => {
  const [wallet, key] = [newWallet(), await newKey()];
  const author = wallet.address.toLowerCase();
  const { message } = await delegate(wallet, key, { resources: [`http://${edge.host}/v1/streams/demo`] });
  const { issued } = (await certificateOf(author, key)).json as { issued: number };
  const database = await edge.database();
  // They cover the same time, begin later in it, and are for other streams.
  const copy = `INSERT INTO certificates (author, key, kind, account, message, signature, chain_id, issued, expires, added)
                SELECT author, key, kind, account, replace(message, '/streams/demo', '/streams/other'), signature, chain_id,
                issued + ?, expires, added FROM certificates WHERE author = ? ORDER BY issued LIMIT 1`;
  await database.batch(Array.from({ length: 65 }, (_, index) => database.prepare(copy).bind(index + 1, author)));
  const at = `?at=${issued + 100}&stream=${stream}&name=demo`;
  assert.equal((await certificateOf(author, key, at)).json.message, message);
  const wide = await signInWith(edge, wallet, messageOf(edge, wallet.address, await newNonce(edge)));
  assert.equal((await publish(key, author, bearer(wide.json.token as string))).status, 201);
});

test("an author's certificates are bounded in time", async () => {
  const [wallet, key] = [newWallet(), await newKey()];
  const author = wallet.address.toLowerCase();
  await delegate(wallet, key);
  const database = await edge.database();
  const copy = `INSERT INTO certificates (author, key, kind, account, message, signature, chain_id, issued, expires, added)
                SELECT author, key, kind, account, message, signature, chain_id, issued - ?, expires, added
                FROM certificates WHERE author = ? ORDER BY issued DESC LIMIT 1`;
  await database.batch(Array.from({ length: 63 }, (_, index) => database.prepare(copy).bind(index + 1, author)));
  const changes = { resources: [resource(await newKey())] };
  const refused = await signInWith(edge, wallet, messageOf(edge, wallet.address, await newNonce(edge), changes));
  assertProblem(refused, 409, "full");
  const without = await signInWith(edge, wallet, messageOf(edge, wallet.address, await newNonce(edge)));
  assert.equal(without.status, 201, "without a key it signs in");
  await database.prepare("UPDATE certificates SET added = added - 2592001 WHERE author = ?").bind(author).run();
  await delegate(wallet, await newKey());
});

test("keys that were certified go with nobody else's", async () => {
  const [wallet, key] = [newWallet(), await newKey()];
  await delegate(wallet, key);
  const stranger = newWallet();
  const { as } = await delegate(stranger, await newKey());
  assert.equal(reasonOf(await publish(key, stranger.address.toLowerCase(), as)), "unknown-key");
  // The group names the wallet as its author, and the request is the stranger's.
  const group = await groupOf({ stream, key, author: wallet.address.toLowerCase(), texts: ["borrowed"] });
  const borrowed = await edge.postJson("/v1/streams/demo/messages", group.json, as);
  assert.equal(reasonOf(borrowed), "unknown-key");
  assertProblem(await edge.get("/v1/authors/0x12/keys/AAAA"), 400, "bad-id");
});
