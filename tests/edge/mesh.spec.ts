// A stream at several relays: which one a session is sent to, who leads, who follows, and what becomes of a lost leader.

import assert from "node:assert/strict";
import { createHmac, hkdfSync } from "node:crypto";
import { after, before, test } from "node:test";
import {
  type Answer,
  asOperator,
  assertProblem,
  type Edge,
  type FakeRelay,
  type Json,
  MASTER_SECRET,
  messagesOf,
  offer,
  startEdge,
  until,
} from "./harness.ts";

const FRANKFURT = { latitude: 50.11, longitude: 8.68 };
const LONDON = { latitude: 51.51, longitude: -0.13 };
const SYDNEY = { latitude: -33.87, longitude: 151.21 };
const LINK = { addresses: ["192.0.2.1:7443"], fingerprint: Array(32).fill("CD").join(":") };

let edge: Edge;
let eu: FakeRelay;
let au: FakeRelay;

before(async () => {
  edge = await startEdge();
  [eu, au] = [edge.relay("eu"), edge.relay("au")];
});
after(() => edge.stop());

/** What a relay registers that shares streams: two shards of its own ports. */
const sharing = (location: Json, port: number, more: Json = {}): Json => ({
  shards: [port, port + 1].map((one) => ({
    candidates: [{ transport: "udp", address: "127.0.0.1", port: one }],
  })),
  spreads: true,
  mesh: LINK,
  location,
  capacity: 1_000,
  ...more,
});

const renewEu = (more: Json = {}): Promise<Answer> => eu.register(sharing(FRANKFURT, 7200, more));
const renewAu = (more: Json = {}): Promise<Answer> => au.register(sharing(SYDNEY, 7300, more));

/**
 * Opens a session of a client in a place: the runtime takes it from this header, as Cloudflare from where a request comes. The relays
 * renew first, so that none is taken for dead on a slow machine.
 */
const openFrom = async (
  place: Json,
  stream: string,
  { more = {}, sessions = 1 }: { more?: Record<string, string>; sessions?: number } = {},
): Promise<Answer> => {
  await renewEu({ sessions });
  await renewAu();
  const text = { latitude: String(place.latitude), longitude: String(place.longitude) };
  const headers = { "mf-cf-blob": JSON.stringify(text), ...more };
  const opened = await edge.postOffer(stream, await offer("chromium"), headers);
  assert.equal(opened.status, 201, opened.text);
  return opened;
};

const relayOf = ({ headers }: Answer): string => headers.get("streamchain-relay") ?? "";
const portOf = ({ text }: Answer): number => Number(/^a=candidate:.* (\d+) typ host/m.exec(text)?.[1]);
const authorOf = ({ headers }: Answer): Buffer =>
  Buffer.from((headers.get("streamchain-author") ?? "").slice(2), "hex");

/** An HKDF of the deployment's keys (`protocol/src/auth/keys.rs`). */
const derive = (key: Uint8Array, info: string): Buffer =>
  Buffer.from(hkdfSync("sha256", key, new Uint8Array(), info, 32));

/** What a link ticket says, once its signature by the leader's key was checked. */
const readTicket = (leader: string, ticket: string): Json => {
  const bytes = Buffer.from(ticket, "base64url");
  const body = bytes.subarray(0, -32);
  const key = derive(Buffer.from(MASTER_SECRET, "hex"), `streamchain/relay/v1/${leader}`);
  const mac = createHmac("sha256", derive(key, "streamchain/link/v1")).update(body).digest();
  assert.ok(bytes.subarray(-32).equals(mac), "the ticket is signed with the leader's key");
  return {
    expires: body.readUInt32BE(1),
    epoch: Number(body.readBigUInt64BE(5)),
    stream: `0x${body.toString("hex", 13, 33)}`,
    fingerprint: body.toString("hex", 33, 65),
    follower: body.toString("latin1", 65),
  };
};

/** A stream that eu leads and au follows, and the guest who has a session at au. */
const shared = async (name: string): Promise<{ short: string; epoch: number; guest: Buffer }> => {
  await openFrom(LONDON, name);
  const short = (await edge.get(`/v1/streams/${name}`)).json.short as string;
  const led = await eu.acquireEpoch(short, { follows: true });
  assert.equal(led.status, 200, led.text);
  const guest = authorOf(await openFrom(SYDNEY, name));
  const followed = await au.acquireEpoch(short, { follows: true });
  assert.ok(followed.json.follow, followed.text);
  return { short, epoch: led.json.epoch as number, guest };
};

test("a session goes to the relay near its client", async () => {
  const london = await openFrom(LONDON, "near");
  assert.match(relayOf(london), /^"eu";reason=nearest;km=6\d\d$/);
  const sydney = await openFrom(SYDNEY, "near");
  assert.match(relayOf(sydney), /^"au";reason=nearest;km=0$/, "the stream grows to a second relay");
  const more = { "cf-iplatitude": "-33.87", "x-forwarded-for": "1.1.1.1" };
  const liar = await openFrom(LONDON, "near", { more });
  assert.match(relayOf(liar), /^"eu";reason=[a-z-]+;km=6\d\d$/, "no header of the client counts");
});

test("sessions are spread over the shards of their relay", async () => {
  const ports = new Set<number>();
  await until("both shards got a session", async () => {
    ports.add(portOf(await openFrom(LONDON, "spread")));
    return ports.size === 2;
  });
  assert.deepEqual([...ports].sort(), [7200, 7201]);
});

test("a relay that is full sends the next ones to another", async () => {
  assert.match(relayOf(await openFrom(LONDON, "full", { sessions: 1_000 })), /^"au";/);
});

test("the second relay of a stream follows the first", async () => {
  const { short, epoch, guest } = await shared("followed");
  const answer = await au.acquireEpoch(short, { follows: true });
  const follow = answer.json.follow as Json;
  assert.deepEqual([follow.leader, follow.epoch, follow.name], ["eu", epoch, "followed"]);
  assert.deepEqual(follow.link, LINK);
  const ticket = readTicket("eu", follow.ticket as string);
  assert.deepEqual(ticket, {
    stream: short,
    epoch,
    fingerprint: "cd".repeat(32),
    follower: "au",
    expires: follow.expires,
  });
  const { json } = await edge.get(`/v1/streams/${short}`);
  assert.deepEqual([json.relay, json.leader, json.followers], ["eu", "eu", ["au"]]);
  // A relay of the version before does not follow, and one that was sent no session gets nothing.
  assertProblem(await au.acquireEpoch(short), 409, "not-owner");
  const stranger = edge.relay("stranger");
  await stranger.register(sharing(FRANKFURT, 7400, { sessions: 999 }));
  assertProblem(await stranger.acquireEpoch(short, { follows: true, lost: epoch }), 409, "not-owner");
  assert.equal((await stranger.goodbye()).status, 200);
  // The leader brings the messages of an author who has a session at the follower.
  const messages = messagesOf(Buffer.alloc(16, 1), 0, 1).map((one) => ({ ...one, author: guest }));
  assert.equal((await eu.batch(short, epoch, 0, messages)).status, 200);
});

test("a follower takes over from a leader that fell silent", async () => {
  const { short, epoch } = await shared("lost");
  const taken = await au.acquireEpoch(short, { follows: true, lost: epoch });
  assert.equal(taken.json.epoch, epoch + 1, taken.text);
  assertProblem(await eu.batch(short, epoch, 0, messagesOf(Buffer.alloc(16, 1), 0, 1)), 409, "stale-epoch");
  const back = await eu.acquireEpoch(short, { follows: true });
  assert.equal((back.json.follow as Json).leader, "au", "the old leader follows");
  const { json } = await edge.get(`/v1/streams/${short}`);
  assert.deepEqual([json.leader, json.followers], ["au", ["eu"]]);
  let [leader, follower, lost] = [au, eu, epoch + 1];
  // On a slow machine the ten seconds may be over: then the other one got it, and the next report comes sooner after that.
  const refused = await until("a takeover soon after another one is refused", async () => {
    await renewEu();
    await renewAu();
    const answer = await follower.acquireEpoch(short, { follows: true, lost });
    if (answer.status === 409) return answer;
    [leader, follower, lost] = [follower, leader, lost + 1];
    return undefined;
  });
  assert.equal(assertProblem(refused, 409, "leader-unreachable").relay, leader.id);
});

test("a leader that gives a sign of life keeps its stream", async () => {
  let attempt = 0;
  // A machine that stands still for 400 ms shows none: then with another stream.
  await until("a report is answered with the leader that lives", async () => {
    attempt += 1;
    const { short, epoch, guest } = await shared(`alive-${attempt}`);
    const report = au.acquireEpoch(short, { follows: true, lost: epoch });
    let answer: Answer | undefined;
    for (let first = 0; answer === undefined; first += 1) {
      const messages = messagesOf(Buffer.alloc(16, 1), first, 1).map((one) => ({ ...one, author: guest }));
      const { status } = await eu.batch(short, epoch, first, messages);
      answer = await Promise.race([report, status === 200 ? undefined : report]);
    }
    const follow = answer.json.follow as Json | undefined;
    if (follow === undefined) return false;
    assert.deepEqual([follow.leader, follow.epoch], ["eu", epoch]);
    return (await edge.get(`/v1/streams/${short}`)).json.epoch === epoch;
  });
});

test("a stream shows who is there, as its leader says", async () => {
  const { short, epoch } = await shared("present");
  const there = { readers: 3, publishers: 1, authors: [`0x${"11".repeat(20)}`] };
  const shown = async (headers?: Record<string, string>): Promise<unknown> =>
    (await edge.get(`/v1/streams/${short}`, headers)).json.presence;
  assertProblem(await au.presence(short, epoch, there), 409, "not-owner");
  assertProblem(await eu.presence(short, epoch + 1, there), 409, "stale-epoch");
  assertProblem(await eu.presence(short, epoch, { ...there, readers: -1 }), 400, "bad-request");
  const crowd = Array.from({ length: 101 }, () => there.authors[0]);
  assertProblem(await eu.presence(short, epoch, { ...there, authors: crowd }), 400, "bad-request");
  assert.equal(await shown(), undefined, "what was refused is not shown");
  const report = await eu.presence(short, epoch, there);
  assert.equal(report.status, 200, report.text);
  assert.deepEqual(await shown(), there);
  const { text } = await edge.get(`/v1/streams/${short}/events?presence=1&life=1`);
  const event = /event: presence\ndata: (.*)\n/.exec(text)?.[1];
  assert.deepEqual(JSON.parse(event ?? "null"), there, text);
  const without = await edge.get(`/v1/streams/${short}/events?life=1`);
  assert.doesNotMatch(without.text, /presence/);
  assertProblem(await edge.get(`/v1/streams/${short}/events?presence=yes`), 400, "bad-request");
  const headers = { "content-type": "application/json", ...asOperator() };
  await edge.send("PATCH", `/v1/streams/${short}`, { headers, body: `{"read":"private"}` });
  assert.equal(await shown(), undefined, "not to those who may not read");
  assert.deepEqual(await shown(asOperator()), there);
  assert.equal((await eu.release(short, epoch)).status, 200);
  assert.equal(await shown(asOperator()), undefined, "nobody leads it");
});

test("a relay that reports everybody changes few leaders", async () => {
  const others = ["us", "sa", "in", "za"].map((id, index) => ({ id, relay: edge.relay(id), port: 7500 + 10 * index }));
  const streams: { short: string; epoch: number }[] = [];
  for (const { id, relay, port } of others) {
    // Each leads a stream that au follows.
    const place = { latitude: 10 * streams.length, longitude: -60 };
    await relay.register(sharing(place, port));
    await openFrom(place, `doubted-${id}`);
    const its = (await edge.get(`/v1/streams/doubted-${id}`)).json.short as string;
    const led = await relay.acquireEpoch(its, { follows: true });
    assert.equal(led.status, 200, led.text);
    await openFrom(SYDNEY, its);
    streams.push({ short: its, epoch: led.json.epoch as number });
  }
  const reports = streams.map(({ short, epoch }) => au.acquireEpoch(short, { follows: true, lost: epoch }));
  const answers = await Promise.all(reports);
  const refused = answers.findIndex(({ status }) => status !== 200);
  assert.notEqual(refused, -1, "one of them at least is refused");
  assertProblem(answers[refused] as Answer, 503, "overloaded");
  const kept = streams[refused] as (typeof streams)[number];
  assert.equal((await edge.get(`/v1/streams/${kept.short}`)).json.epoch, kept.epoch);
  for (const { relay } of others) await relay.goodbye();
});

test("after a goodbye the first follower that asks leads", async () => {
  const { short, epoch } = await shared("leaving");
  assert.equal((await eu.release(short, epoch)).status, 200);
  assert.equal((await eu.goodbye()).status, 200);
  const led = await au.acquireEpoch(short, { follows: true, lost: epoch });
  assert.equal(led.json.epoch, epoch + 1, led.text);
});

test("withdrawn rights reach every relay of the stream", async () => {
  const { short } = await shared("withdrawn");
  const headers = { "content-type": "application/json", ...asOperator() };
  const closed = await edge.send("PATCH", `/v1/streams/${short}`, { headers, body: `{"write":"closed"}` });
  assert.equal(closed.status, 200, closed.text);
  for (const renewed of [await renewEu(), await renewAu()]) {
    const notices = renewed.json.notices as Json[];
    assert.ok(notices.some(({ kind, stream }) => kind === "withdrawn" && stream === short));
  }
});
