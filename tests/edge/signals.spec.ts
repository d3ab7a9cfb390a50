// Mailboxes of sessions, for direct connections between browsers.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import {
  type Answer,
  asOperator,
  assertProblem,
  type Edge,
  type FakeRelay,
  type Json,
  offer,
  startEdge,
} from "./harness.ts";

let edge: Edge;
let relay: FakeRelay;

before(async () => {
  edge = await startEdge();
  relay = edge.relay("r1");
});
beforeEach(() => relay.register());
after(() => edge.stop());

interface Member {
  id: string;
  author: string;
  token: string;
}

/** A session of a new guest. */
const join = async (stream: string): Promise<Member> => {
  const answer = await edge.postOffer(stream, await offer("chromium"));
  assert.equal(answer.status, 201, answer.text);
  const header = (name: string) => answer.headers.get(name) ?? "";
  return {
    id: header("location").slice("/v1/sessions/".length),
    author: header("streamchain-author"),
    token: header("streamchain-access-token"),
  };
};

/** A stream with direct connections, and two sessions on it. */
const pair = async (stream: string): Promise<[Member, Member]> => {
  const made = await edge.postJson("/v1/streams", { name: stream, p2p: true }, asOperator());
  assert.equal(made.status, 201, made.text);
  return [await join(stream), await join(stream)];
};

const look = (who: Member, after = 0): Promise<Answer> =>
  edge.get(`/v1/sessions/${who.id}/signals?after=${after}`, { authorization: `Bearer ${who.token}` });

const leave = (who: Member, to: string, signal: string): Promise<Answer> =>
  edge.send("POST", `/v1/sessions/${who.id}/signals`, {
    headers: { authorization: `Bearer ${who.token}`, "content-type": "application/json" },
    body: JSON.stringify({ to, signal }),
  });

test("two sessions find each other and exchange signals", async () => {
  const [a, b] = await pair("direct-1");
  assert.deepEqual((await look(a)).json, { peers: [], signals: [] });
  assert.deepEqual((await look(b)).json.peers, [{ session: a.id, author: a.author }]);
  assert.equal((await leave(b, a.id, "offer")).status, 202);
  const [signal] = (await look(a)).json.signals as Json[];
  assert.deepEqual({ ...signal, number: 0 }, { number: 0, from: { session: b.id, author: b.author }, signal: "offer" });
  assert.deepEqual((await look(a, signal?.number as number)).json.signals, []);
});

test("only its author uses a session's mailbox", async () => {
  const [a, b] = await pair("direct-2");
  await look(b);
  assertProblem(await look({ ...a, token: b.token }), 403, "forbidden");
  assertProblem(await leave({ ...a, token: b.token }, b.id, "x"), 403, "forbidden");
  assertProblem(await edge.get(`/v1/sessions/${a.id}/signals`), 401, "unauthorized");
});

test("a stream has no mailboxes unless its settings say so", async () => {
  const made = await edge.postJson("/v1/streams", { name: "direct-3" }, asOperator());
  assert.equal(made.status, 201, made.text);
  assertProblem(await look(await join("direct-3")), 403, "forbidden");
});

test("signals reach only sessions that look, on the same stream", async () => {
  const [a, b] = await pair("direct-4");
  const [other] = await pair("direct-5");
  await look(other);
  assertProblem(await leave(a, b.id, "x"), 404, "no-such-session");
  assertProblem(await leave(a, other.id, "x"), 404, "no-such-session");
});

test("a session that has ended is no peer any more", async () => {
  const [a, b] = await pair("direct-6");
  await look(b);
  const ended = await edge.send("DELETE", `/v1/sessions/${b.id}`, { headers: { authorization: `Bearer ${b.token}` } });
  assert.equal(ended.status, 200, ended.text);
  assert.deepEqual((await look(a)).json.peers, []);
  assertProblem(await look(b), 404, "no-such-session");
});

test("signals and mailboxes are bounded", async () => {
  const [a, b] = await pair("direct-7");
  await look(b);
  assertProblem(await leave(a, b.id, ""), 413, "too-large");
  assertProblem(await leave(a, b.id, "x".repeat(8_193)), 413, "too-large");
  for (let sent = 0; sent < 8; sent++) assert.equal((await leave(a, b.id, "x")).status, 202);
  assertProblem(await leave(a, b.id, "x"), 409, "full");
});

test("who asks learns whose rights were withdrawn", async () => {
  const [a, b] = await pair("direct-8");
  await look(b);
  const about = async () =>
    (await edge.get(`/v1/sessions/${a.id}/signals?peers=${b.id}`, { authorization: `Bearer ${a.token}` })).json.gone;
  assert.deepEqual(await about(), []);
  const headers = { ...asOperator(), "content-type": "application/json" };
  const path = `/v1/streams/direct-8/members/${b.author}`;
  const body = JSON.stringify({ rights: ["read"] });
  assert.equal((await edge.send("PUT", path, { headers, body })).status, 200);
  assert.deepEqual(await about(), [b.id]);
  await look(b);
  assert.deepEqual(await about(), [], "it may still read, and looks again");
});
