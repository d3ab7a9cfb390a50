// Many streams on one connection: a grant for each further one, under the same rules as a session of its own.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { readGrant } from "./grants.ts";
import {
  type Answer,
  accessToken,
  asOperator,
  assertProblem,
  bearer,
  type Edge,
  type FakeRelay,
  messagesOf,
  offer,
  startEdge,
  until,
} from "./harness.ts";
import { newWallet, signIn } from "./siwe.ts";

let edge: Edge;
let relay: FakeRelay;
/** What the relay says of itself. */
let registration: Record<string, unknown> = { joins: true };
/** Every notice that the relay was given, as its kind and what it is about. */
const told = new Set<string>();
let renewing: NodeJS.Timeout;

/** A relay renews within its lease, however slow the machine is. */
const renew = async (changes: Record<string, unknown> = registration): Promise<void> => {
  registration = changes;
  const { notices = [] } = (await relay.register(changes)).json as { notices?: Record<string, string>[] };
  for (const { kind, session, author } of notices) told.add(`${kind} ${session ?? author}`);
};

before(async () => {
  edge = await startEdge({ vars: { RATE_LIMITS: "sessions-author=8/3600" } });
  relay = edge.relay("r1");
  renewing = setInterval(() => void renew().catch(() => {}), 2_000);
});
beforeEach(() => renew({ joins: true }));
after(async () => {
  clearInterval(renewing);
  await edge.stop();
});

interface Opened {
  readonly location: string;
  readonly headers: Record<string, string>;
  readonly author: string;
}

/** A guest's session on a stream, or that of somebody with credentials. */
const open = async (stream: string, credentials: Record<string, string> = {}): Promise<Opened> => {
  const answer = await edge.postOffer(stream, await offer("chromium"), credentials);
  assert.equal(answer.status, 201, answer.text);
  const token = answer.headers.get("streamchain-access-token");
  return {
    location: answer.headers.get("location") as string,
    headers: token === null ? credentials : bearer(token),
    author: answer.headers.get("streamchain-author") as string,
  };
};

const join = (
  { location, headers }: Pick<Opened, "location" | "headers">,
  stream: string,
  as: Record<string, string> = headers,
): Promise<Answer> => edge.send("POST", `${location}/streams/${stream}`, { headers: as });

const grantIn = (answer: Answer) => {
  assert.equal(answer.status, 201, answer.text);
  const grant = readGrant(relay, answer.json.grant as string);
  assert.ok(grant, "it is by the relay's own key");
  return grant;
};

test("a grant is for the connection, the author and the stream", async () => {
  const opened = await edge.postOffer("first", await offer("chromium"));
  assert.equal(opened.headers.get("streamchain-streams"), "64");
  const exposed = opened.headers.get("access-control-expose-headers") ?? "";
  assert.match(exposed, /StreamChain-Streams/);
  const session = await open("first");
  const answer = await join(session, "second");
  const grant = grantIn(answer);
  const { short } = (await edge.get("/v1/streams/second")).json;
  assert.equal(grant.connection, session.location.slice(-16));
  assert.deepEqual([grant.stream, grant.author, grant.rights, grant.end], [short, session.author, 3, 0]);
  assert.ok(Math.abs(grant.expires - Date.now() / 1_000 - 60) < 30, "for a minute");
  const own = `${(short as string).slice(2)}${grant.session}`;
  assert.equal(answer.headers.get("location"), `/v1/sessions/${own}`);
  const { grant: _, ...said } = answer.json;
  const owner = opened.headers.get("streamchain-owner");
  assert.deepEqual(said, { session: own, stream: short, author: session.author, read: true, write: true, owner });
  const again = grantIn(await join(session, short as string));
  assert.notEqual(again.session, grant.session, "each grant has a session of its own");
});

test("only the session's author gets one", async () => {
  const session = await open("first");
  const stranger = bearer((await edge.send("POST", "/v1/auth/guest")).json.token as string);
  assertProblem(await join(session, "second", {}), 401, "unauthorized");
  assertProblem(await join(session, "second", stranger), 403, "forbidden");
  const unknown = { ...session, location: session.location.replace(/.{16}$/, "00".repeat(8)) };
  assertProblem(await join(unknown, "second"), 404, "no-such-session");
  const elsewhere = { ...session, location: `/v1/sessions/${"00".repeat(28)}` };
  assertProblem(await join(elsewhere, "second"), 404, "no-such-session");
  await edge.send("DELETE", session.location, { headers: session.headers });
  assertProblem(await join(session, "second"), 404, "no-such-session");
});

test("rights are those that a session of its own would have", async () => {
  const [owner, member] = [newWallet(), newWallet()];
  const ownerHeaders = bearer(await signIn(edge, owner));
  const settings = { owner: owner.address, read: "private", write: "closed" };
  assert.equal((await edge.postJson("/v1/streams", { name: "vault", ...settings }, ownerHeaders)).status, 201);
  const board = { name: "board", owner: owner.address, read: "public", write: "closed" };
  assert.equal((await edge.postJson("/v1/streams", board, ownerHeaders)).status, 201);
  const idOf = async (name: string): Promise<string> => {
    await edge.listed(name);
    const { streams } = (await edge.get("/v1/streams?limit=100", ownerHeaders)).json as {
      streams: { name: string; id: string }[];
    };
    return streams.find((row) => row.name === name)?.id ?? name;
  };
  const [vault, boards] = await Promise.all([idOf("vault"), idOf("board")]);
  const memberHeaders = bearer(await signIn(edge, member));
  const session = await open("first", memberHeaders);
  const hidden = await join(session, vault);
  const absent = await join(session, `0x${"5a".repeat(32)}`);
  assertProblem(hidden, 404, "no-such-stream");
  assert.equal(hidden.json.detail, absent.json.detail, "a private stream looks absent");
  assert.equal(grantIn(await join(session, boards)).rights, 1, "everybody may read, and nobody write");
  await edge.send("PUT", `/v1/streams/${vault}/members/${member.address}`, {
    headers: { ...ownerHeaders, "content-type": "application/json" },
    body: JSON.stringify({ rights: ["read", "write"] }),
  });
  assert.equal(grantIn(await join(session, vault)).rights, 3);
  const narrowed = await edge.postJson("/v1/auth/token", { rights: ["read"] }, memberHeaders);
  const reading = bearer(narrowed.json.token as string);
  assert.equal(grantIn(await join(session, vault, reading)).rights, 1, "the credentials of the request limit it");
  const end = Math.floor(Date.now() / 1_000) + 1_000;
  const ending = bearer(accessToken(member.address, { end }));
  assert.equal(grantIn(await join(session, boards, ending)).end, end);
  await edge.send("DELETE", `/v1/streams/${vault}/members/${member.address}`, { headers: ownerHeaders });
  assertProblem(await join(session, vault), 404, "no-such-stream");
  await until("its relay is notified, which ends the channel", async () => {
    await renew();
    return told.has(`withdrawn ${member.address.toLowerCase()}`);
  });
});

test("a joined stream's session ends alone", async () => {
  const session = await open("first");
  const joined = await join(session, "ending");
  const { location } = Object.fromEntries(joined.headers) as { location: string };
  assert.equal((await edge.send("DELETE", location, { headers: session.headers })).status, 200);
  await until("its relay is notified", async () => {
    await renew();
    return told.has(`sessionEnded ${location.slice(-16)}`);
  });
  assert.ok(!told.has(`sessionEnded ${session.location.slice(-16)}`), "the connection's session is another one");
  grantIn(await join(session, "ending"));
});

test("who joined may publish there, and nobody else", async () => {
  const session = await open("first");
  const { short } = (await edge.postJson("/v1/streams", { name: "joined" })).json as { short: string };
  const other = await open(short);
  const { epoch } = (await relay.acquireEpoch(short)).json as { epoch: number };
  const author = Buffer.from(session.author.slice(2), "hex");
  const messages = messagesOf(Buffer.alloc(16, 7), 0, 1).map((message) => ({ ...message, author }));
  assertProblem(await relay.batch(short, epoch, 0, messages), 409, "unknown-author");
  assert.notEqual(other.author, session.author);
  grantIn(await join(session, short));
  const stored = await relay.batch(short, epoch, 0, messages);
  assert.equal(stored.status, 200, stored.text);
});

test("a relay of the version before is not asked for more", async () => {
  const session = await open("first");
  await renew({ joins: false });
  await until("the edge knows", async () => {
    const answer = await edge.postOffer("first", await offer("chromium"));
    return answer.headers.get("streamchain-streams") === null;
  });
  assertProblem(await join(session, "another"), 409, "relay-cannot-join");
});

test("a stream of another relay does not join", async () => {
  const session = await open("first");
  const other = edge.relay("r2");
  await renew({ joins: true, sessions: 100 });
  const refused = await until("the stream is at the other relay, which lives", async () => {
    await other.register({ joins: true, sessions: 0 });
    await open("far");
    const answer = await join(session, "far");
    return answer.status === 409 && answer;
  });
  assertProblem(refused, 409, "relay-cannot-join");
  const quiet = grantIn(await join(session, "quiet"));
  assert.equal(quiet.connection, session.location.slice(-16), "one that no relay serves goes to the connection's");
  await other.goodbye();
});

test("joins count as sessions do", async () => {
  const session = await open("first", asOperator());
  let refused: Answer | undefined;
  for (let count = 0; count < 9 && refused === undefined; count++) {
    const answer = await join(session, "counted");
    if (answer.status !== 201) refused = answer;
  }
  assert.ok(refused);
  assertProblem(refused, 429, "rate-limited");
  assert.equal(refused.json.policy, "sessions-author");
  grantIn(await join(session, "another"));
});
