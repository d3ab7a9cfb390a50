// Signed messages at the edge: authors that are keys, groups by HTTP and by relays, what readers and verifiers get.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SimpleMerkleTree } from "@openzeppelin/merkle-tree";
import { decodeSequence } from "./cbor.ts";
import {
  type Answer,
  asOperator,
  assertProblem,
  bearer,
  type Edge,
  type FakeRelay,
  type Json,
  messagesOf,
  offer,
  PRODUCER,
  startEdge,
  until,
} from "./harness.ts";
import { bytes, type Group, groupOf, hex, type Key, newKey, newProducer, proofOf } from "./signing.ts";

let edge: Edge;
let relay: FakeRelay;
before(async () => {
  edge = await startEdge();
  relay = edge.relay("r1");
});
after(() => edge.stop());

/** The token of an author that is its key. */
const tokenOf = async (key: Key): Promise<string> => {
  const answer = await edge.send("POST", "/v1/auth/guest", { headers: await proofOf(key, edge.host) });
  assert.equal(answer.status, 201, answer.text);
  return answer.json.token as string;
};

const make = async (name: string, settings: Json = {}): Promise<{ id: string; short: string }> => {
  const { json } = await edge.postJson("/v1/streams", { name, ...settings }, asOperator());
  return json as { id: string; short: string };
};

/** Publishes a group of one by its headers. */
const postOne = (stream: string, group: Group, headers: Record<string, string>): Promise<Answer> =>
  edge.send("POST", `/v1/streams/${stream}/messages`, {
    headers: { "content-type": "application/octet-stream", ...headers, ...group.headers },
    body: group.payloads[0] as BodyInit,
  });

const postGroup = (stream: string, group: Group, headers: Record<string, string>): Promise<Answer> =>
  edge.postJson(`/v1/streams/${stream}/messages`, group.json, headers);

interface Page {
  messages: { seq: number; author: string; payload: string; signed?: boolean }[];
  groups: Json[];
  next: number;
}

const history = async (stream: string, query = ""): Promise<Page> =>
  (await edge.get(`/v1/streams/${stream}/messages?signatures=1${query}`)).json as unknown as Page;

test("a guest is its key, and proves it again for each token", async () => {
  const key = await newKey();
  for (let round = 0; round < 2; round += 1) {
    const answer = await edge.send("POST", "/v1/auth/guest", { headers: await proofOf(key, edge.host) });
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.json.author, key.author);
  }
  await relay.register({ sessions: 0 });
  await make("guests");
  const opened = await edge.postOffer("guests", await offer("chromium"), await proofOf(key, edge.host));
  assert.equal(opened.status, 201, opened.text);
  assert.equal(opened.headers.get("streamchain-author"), key.author);
  const token = opened.headers.get("streamchain-access-token") ?? "";
  const again = await edge.postOffer("guests", await offer("chromium"), bearer(token));
  assert.equal(again.headers.get("streamchain-author"), key.author);
  // Without a key the edge makes a guest, as before.
  const unnamed = await edge.send("POST", "/v1/auth/guest");
  assert.notEqual(unnamed.json.author, key.author);
  const revoked = await edge.postJson("/v1/auth/revoke", {}, bearer(token));
  assert.equal(revoked.status, 200, revoked.text);
  assertProblem(await edge.postOffer("guests", await offer("chromium"), bearer(token)), 401, "unauthorized");
});

test("a proof counts for one key, host and time", async () => {
  const [key, other] = [await newKey(), await newKey()];
  const ask = (headers: Record<string, string>) => edge.send("POST", "/v1/auth/guest", { headers });
  const elsewhere = await ask(await proofOf(key, "other.example"));
  assert.equal(assertProblem(elsewhere, 401, "key-refused").reason, "signature");
  const borrowed = await ask({ ...(await proofOf(key, edge.host)), "streamchain-key": other.text });
  assert.equal(assertProblem(borrowed, 401, "key-refused").reason, "signature");
  const now = Math.floor(Date.now() / 1_000);
  for (const seconds of [now - 1_000, now + 1_000]) {
    const late = assertProblem(await ask(await proofOf(key, edge.host, seconds)), 401, "key-refused");
    assert.equal(late.reason, "time");
    assert.ok(Math.abs((late.now as number) - now) < 100, "the edge's time, to try again with");
  }
  for (const wrong of ["", "x", `${now}`, `${now}.AAAA`]) {
    const headers = { "streamchain-key": key.text, "streamchain-key-proof": wrong };
    if (wrong !== "") assertProblem(await ask(headers), 400, "bad-request");
  }
  assertProblem(
    await ask({ "streamchain-key-proof": (await proofOf(key, edge.host))["streamchain-key-proof"] ?? "" }),
    400,
    "bad-request",
  );
});

test("a signed message is verified, stored once, shown as signed", async () => {
  const { id } = await make("one");
  const key = await newKey();
  const producer = newProducer();
  const first = await groupOf({ stream: id, key, producer, texts: ["hello"] });
  const posted = await postOne("one", first, await proofOf(key, edge.host));
  assert.equal(posted.status, 201, posted.text);
  const expected = {
    stored: true,
    seq: 0,
    author: key.author,
    producer,
    producerSeq: 0,
    count: 1,
    digest: first.digest,
  };
  assert.deepEqual(posted.json, expected);
  const as = bearer(posted.headers.get("streamchain-access-token") ?? "");
  assert.deepEqual((await postOne("one", first, as)).json, expected, "the same again");
  const second = await groupOf({ stream: id, key, producer, first: 1, previous: first.digest, texts: ["again"] });
  assert.equal((await postOne("one", second, as)).json.seq, 1);
  await edge.postJson("/v1/streams/one/messages", { text: "anybody's" });
  const { messages, groups } = await history("one");
  assert.deepEqual(
    messages.map(({ signed }) => signed),
    [true, true, undefined],
  );
  assert.deepEqual(groups[1], {
    seq: 1,
    count: 1,
    producer,
    producerSeq: 1,
    previous: first.digest,
    key: key.hex,
    signature: hex(second.signature),
  });
  const plain = (await edge.get("/v1/streams/one/messages")).json;
  assert.equal(plain.groups, undefined, "only for those who ask");
});

test("what is not the author's own word is refused", async () => {
  const { id } = await make("refused");
  const [key, other] = [await newKey(), await newKey()];
  const as = bearer(await tokenOf(key));
  const producer = newProducer();
  const first = await groupOf({ stream: id, key, producer, texts: ["mine"] });
  const reason = async (group: Group, changes: Record<string, string> = {}) =>
    assertProblem(
      await postOne("refused", { ...group, headers: { ...group.headers, ...changes } }, as),
      400,
      "bad-signature",
    ).reason;
  assert.equal(await reason({ ...first, payloads: [Buffer.from("not mine")] }), "signature");
  assert.equal(await reason(first, { "streamchain-producer-seq": "1" }), "signature");
  assert.equal(await reason(first, { "streamchain-previous": `0x${"11".repeat(32)}` }), "signature");
  const { id: elsewhere } = await make("elsewhere");
  assert.equal(await reason(await groupOf({ stream: elsewhere, key, texts: ["moved"] })), "signature");
  assert.equal(
    await reason(await groupOf({ stream: id, key: other, author: key.author, texts: ["x"] })),
    "unknown-key",
  );
  assert.equal((await postOne("refused", first, as)).status, 201);
  const unchained = await groupOf({ stream: id, key, producer, first: 1, texts: ["left out"] });
  assertProblem(await postOne("refused", unchained, as), 409, "broken-chain");
  const numbers = { "streamchain-producer": producer, "streamchain-producer-seq": "1" };
  const mixed = await edge.send("POST", "/v1/streams/refused/messages", {
    headers: { "content-type": "application/octet-stream", ...as, ...numbers },
    body: "unsigned",
  });
  assertProblem(mixed, 409, "broken-chain");
  const contrary = await groupOf({ stream: id, key, producer, texts: ["something else"] });
  assertProblem(await postOne("refused", contrary, as), 409, "producer-conflict");
  const nobody = await groupOf({ stream: id, key, texts: ["who?"] });
  assertProblem(await postOne("refused", nobody, {}), 401, "unauthorized");
  assert.equal((await history("refused")).messages.length, 1, "nothing else is stored");
});

test("a group is stored whole, and read from any of its messages", async () => {
  const { id } = await make("groups");
  const key = await newKey();
  const as = bearer(await tokenOf(key));
  const producer = newProducer();
  const first = await groupOf({ stream: id, key, producer, texts: ["a", "b", "c"] });
  const posted = await postGroup("groups", first, as);
  assert.equal(posted.status, 201, posted.text);
  assert.deepEqual([posted.json.seq, posted.json.count, posted.json.digest], [0, 3, first.digest]);
  assert.equal((await postGroup("groups", first, as)).json.seq, 0, "the same again");
  const second = await groupOf({ stream: id, key, producer, first: 3, previous: first.digest, texts: ["d", "e"] });
  assert.equal((await postGroup("groups", second, as)).json.seq, 3);
  const cut = { ...second.json, messages: (second.json.messages as Json[]).slice(1) };
  assertProblem(await edge.postJson("/v1/streams/groups/messages", cut, as), 400, "bad-signature");
  const many = await groupOf({ stream: id, key, texts: Array.from({ length: 257 }, (_, index) => String(index)) });
  assertProblem(await postGroup("groups", many, as), 400, "bad-request");
  const large = await groupOf({ stream: id, key, texts: ["x".repeat(65_536), "y"] });
  assertProblem(await postGroup("groups", large, as), 413, "too-large");

  const inside = await history("groups", "&from=1&limit=3");
  assert.deepEqual(
    inside.groups.map(({ seq, count }) => [seq, count]),
    [
      [0, 3],
      [3, 2],
    ],
    "each group with a message on the page",
  );
  assert.ok(inside.messages.every(({ signed }) => signed));
  const response = await edge.raw("/v1/streams/groups/messages?from=1&limit=3&signatures=1", {
    headers: { accept: "application/cbor-seq" },
  });
  const items = decodeSequence(new Uint8Array(await response.arrayBuffer())) as unknown[][];
  const group = (seq: number, { signature, previous, payloads, first: number }: Group) =>
    [seq, payloads.length, producer, number, previous, key.hex, hex(signature)].map(String);
  const read = (item: unknown) =>
    Array.isArray(item)
      ? item.map((part, index) => (part instanceof Uint8Array ? hex(part).slice(index === 2 ? 2 : 0) : String(part)))
      : item;
  assert.deepEqual(
    items.map((item) => [item[0], item.length, item[4], read(item[5])]),
    [
      [1, 6, null, group(0, first)],
      [2, 6, null, 0],
      [3, 6, null, group(3, second)],
    ],
  );
  const without = await edge.raw("/v1/streams/groups/messages", { headers: { accept: "application/cbor-seq" } });
  const plain = decodeSequence(new Uint8Array(await without.arrayBuffer())) as unknown[][];
  assert.ok(plain.every((item) => item.length === 4));

  const events = await edge.raw("/v1/streams/groups/events?from=1&signatures=1&life=1");
  const text = await events.text();
  const names = [...text.matchAll(/^id: (\S+)\nevent: (\w+)$/gm)].map(([, at, name]) => `${name} ${at}`);
  assert.deepEqual(names, ["state 0-1", "stored 0-2", "stored 0-3", "signature 0-3", "stored 0-4", "stored 0-5"]);
});

test("where signatures are required nothing else is taken", async () => {
  const { id, short } = await make("strict", { signed: "required" });
  assert.equal((await edge.get("/v1/streams/strict")).json.signed, "required");
  const key = await newKey();
  const as = bearer(await tokenOf(key));
  assertProblem(
    await edge.postJson("/v1/streams/strict/messages", { text: "unsigned" }, as),
    403,
    "signature-required",
  );
  assert.equal((await postGroup("strict", await groupOf({ stream: id, key, texts: ["signed"] }), as)).status, 201);

  await relay.register({ sessions: 0 });
  await edge.sessionOf(short, bytes(key.author));
  await edge.sessionOf(short);
  const grant = (await relay.acquireEpoch(short, { groups: true })).json;
  assert.equal(grant.signed, "required");
  const epoch = grant.epoch as number;
  assertProblem(await relay.batch(short, epoch, 1, messagesOf(PRODUCER, 0, 1)), 409, "unsigned");
  const group = await groupOf({ stream: id, key, texts: ["x", "y"] });
  assert.equal((await relay.batch(short, epoch, 1, group.messages)).json.committed, 3);

  const patch = (body: Json) =>
    edge.send("PATCH", "/v1/streams/strict", {
      headers: { "content-type": "application/json", ...asOperator() },
      body: JSON.stringify(body),
    });
  const changed = await patch({ signed: "optional" });
  assert.deepEqual([changed.status, changed.json.signed], [200, "optional"]);
  const renewed = (await relay.register()).json.notices as Json[];
  assert.ok(
    renewed.some(({ kind, author }) => kind === "withdrawn" && (author ?? null) === null),
    "sessions begin again, and the relay asks for the setting",
  );
  const again = (await relay.acquireEpoch(short, { groups: true })).json;
  assert.deepEqual([again.epoch, again.signed], [epoch, "optional"]);
  assert.equal((await relay.batch(short, epoch, 3, messagesOf(PRODUCER, 0, 1))).json.committed, 4);
  assertProblem(await patch({ signed: "perhaps" }), 400, "bad-request");
});

test("a relay brings whole groups, each behind the one before", async () => {
  const { id, short, epoch } = await edge.streamOn(relay, "brings");
  const key = await newKey();
  await edge.sessionOf(short, bytes(key.author));
  const producer = newProducer();
  const first = await groupOf({ stream: id, key, producer, texts: ["a", "b"] });
  assertProblem(await relay.batch(short, epoch, 0, first.messages.slice(0, 1)), 400, "bad-request");
  assert.equal((await relay.batch(short, epoch, 0, first.messages)).json.committed, 2);
  const unchained = await groupOf({ stream: id, key, producer, first: 2, texts: ["c"] });
  const refused = assertProblem(await relay.batch(short, epoch, 2, unchained.messages), 409, "broken-chain");
  assert.equal(refused.producer, producer);
  const asked = (who: string, which: Key) =>
    relay.producer(short, bytes(producer), epoch, `&author=${who}&key=${which.text}`);
  assert.deepEqual((await asked(key.author, key)).json, { stored: 1, digest: first.digest, key: { ok: true } });
  const stranger = (await asked(key.author, await newKey())).json.key as Json;
  assert.equal(stranger.ok, false);
  assert.match(String(stranger.reason), /not the author's/);
  assert.deepEqual((await relay.producer(short, bytes(producer), epoch, `&author=0x${"09".repeat(20)}`)).json, {
    stored: null,
  });
});

test("groups wait for the relay whole, unless it can't read them", async () => {
  const { id, short, epoch } = await edge.streamOn(relay, "waits");
  const key = await newKey();
  const as = { ...bearer(await tokenOf(key)), prefer: "respond-async" };
  const producer = newProducer();
  const first = await groupOf({ stream: id, key, producer, texts: ["a", "b"] });
  assertProblem(await postGroup("waits", first, as), 503, "overloaded");
  await relay.acquireEpoch(short, { groups: true });
  assert.equal((await postGroup("waits", first, as)).status, 202);
  assert.equal((await edge.postJson("/v1/streams/waits/messages", { text: "plain" }, as)).status, 202);
  const second = await groupOf({ stream: id, key, producer, first: 2, previous: first.digest, texts: ["c"] });
  assert.equal((await postGroup("waits", second, as)).status, 202);
  const inbox = await edge.raw(`/v1/relays/${relay.id}/streams/${short}/inbox?epoch=${epoch}`, {
    headers: { authorization: `Bearer ${relay.bearer}` },
  });
  const records = decodeSequence(new Uint8Array(await inbox.arrayBuffer())) as unknown[][];
  assert.deepEqual(
    records.map((record) => record.length),
    [6, 5, 5, 6],
    "each group with its header at its first message",
  );
  assert.equal((await relay.batch(short, epoch, 0, first.messages)).json.waiting, 2);
  assert.equal((await postGroup("waits", first, as)).json.seq, 0);
  edge = await edge.restart();
  const same = edge.relay("r1");
  same.incarnation = relay.incarnation;
  relay = same;
  await relay.goodbye();
  await until("the edge stores what waits", async () => (await edge.get("/v1/streams/waits")).json.head === 4);
  const { messages, groups } = await history("waits");
  assert.deepEqual(
    messages.map(({ signed }) => signed ?? false),
    [true, true, false, true],
  );
  assert.deepEqual(
    groups.map(({ seq }) => seq),
    [0, 3],
  );
});

interface AuthorPart {
  key: string;
  producer: string;
  producerSeq: number;
  group: { first: number; count: number; previous: string; root: string; proof: string[] };
  signature: string;
  certificate: Json;
}

test("a receipt has the author's part, also of an erased message", async () => {
  const { id } = await make("proven");
  const key = await newKey();
  const as = bearer(await tokenOf(key));
  const group = await groupOf({ stream: id, key, texts: ["a", "b", "c"] });
  await edge.postJson("/v1/streams/proven/messages", { text: "unsigned" });
  assert.equal((await postGroup("proven", group, as)).json.seq, 1);
  await edge.flushed(id, 4);
  const database = await edge.database();
  const rows = await database.prepare("SELECT root FROM segments WHERE stream = ? ORDER BY first").bind(id).all();
  const roots = rows.results.map((row: Record<string, unknown>) => String(row.root));
  const { root } = SimpleMerkleTree.of(roots, { sortLeaves: false });
  await database
    .prepare(
      "INSERT INTO anchors (stream, first, count, root, tx, block, block_hash, log_index, state) VALUES (?, 0, 4, ?, ?, 12, ?, 3, 'final')",
    )
    .bind(id, root, `0x${"aa".repeat(32)}`, `0x${"bb".repeat(32)}`)
    .run();
  const erased = await edge.send("DELETE", "/v1/streams/proven/messages/2", { headers: asOperator() });
  assert.equal(erased.status, 200, erased.text);
  const receipt = async (seq: number) => {
    const answer = await edge.get(`/v1/streams/proven/messages/${seq}/receipt`);
    assert.equal(answer.status, 200, answer.text);
    return answer.json as { author?: AuthorPart };
  };
  assert.equal((await receipt(0)).author, undefined);
  for (const seq of [1, 2, 3]) {
    const { author } = await receipt(seq);
    assert.ok(author, `message ${seq}`);
    const { first, count, previous } = author.group;
    assert.deepEqual([author.key, author.producerSeq, first, count], [key.hex, seq - 1, 0, 3]);
    assert.deepEqual([previous, author.signature], [group.previous, hex(group.signature)]);
    assert.deepEqual(author.certificate, { kind: "self" });
  }
  assert.deepEqual((await edge.get(`/v1/authors/${key.author}/keys/${key.text}`)).json, {
    author: key.author,
    key: key.hex,
    kind: "self",
  });
});
