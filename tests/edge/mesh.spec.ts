// A stream at several relays: which one a session is sent to, who leads, who follows, and what becomes of a lost leader.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  asOperator,
  assertProblem,
  type Answer,
  type Edge,
  type FakeRelay,
  type Json,
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

/** Opens a session of a client in a place: the runtime takes it from this header, as Cloudflare from where a request comes. */
const openFrom = async (place: Json, stream: string, more: Record<string, string> = {}): Promise<Answer> => {
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

/** A stream that eu leads and au follows, and the guest who has a session at au. */
const shared = async (name: string): Promise<{ short: string; epoch: number; guest: Buffer }> => {
  await renewEu();
  await renewAu();
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
  await renewEu();
  await renewAu();
  const london = await openFrom(LONDON, "near");
  assert.match(relayOf(london), /^"eu";reason=nearest;km=6\d\d$/);
  const sydney = await openFrom(SYDNEY, "near");
  assert.match(relayOf(sydney), /^"au";reason=nearest;km=0$/, "the stream grows to a second relay");
  const liar = await openFrom(LONDON, "near", { "cf-iplatitude": "-33.87", "x-forwarded-for": "1.1.1.1" });
  assert.match(relayOf(liar), /^"eu";reason=has-stream;km=6\d\d$/, "no header of the client counts");
});

test("sessions are spread over the shards of their relay", async () => {
  await renewEu();
  await renewAu();
  const ports = new Set<number>();
  await until("both shards got a session", async () => {
    ports.add(portOf(await openFrom(LONDON, "spread")));
    return ports.size === 2;
  });
  assert.deepEqual([...ports].sort(), [7200, 7201]);
});

test("a relay that is full sends the next ones to another", async () => {
  await renewEu({ sessions: 1_000 });
  await renewAu();
  assert.match(relayOf(await openFrom(LONDON, "full")), /^"au";/);
});

test("the second relay of a stream follows the first", async () => {
  const { short, epoch, guest } = await shared("followed");
  const answer = await au.acquireEpoch(short, { follows: true });
  const follow = answer.json.follow as Json;
  assert.deepEqual([follow.leader, follow.epoch, follow.name], ["eu", epoch, "followed"]);
  assert.deepEqual(follow.link, LINK);
  const ticket = eu.readTicket(follow.ticket as string);
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
  const soon = await eu.acquireEpoch(short, { follows: true, lost: epoch + 1 });
  assert.equal(assertProblem(soon, 409, "leader-unreachable").relay, "au");
});

test("a leader that gives a sign of life keeps its stream", async () => {
  const { short, epoch, guest } = await shared("alive");
  const report = au.acquireEpoch(short, { follows: true, lost: epoch });
  const author = { author: guest };
  let first = 0;
  const live = until("the report is answered", async () => {
    const messages = messagesOf(Buffer.alloc(16, 1), first, 1).map((one) => ({ ...one, ...author }));
    assert.equal((await eu.batch(short, epoch, first, messages)).status, 200);
    first += 1;
    return Promise.race([report, undefined]);
  });
  assert.equal(((await live).json.follow as Json).leader, "eu");
  assert.equal((await edge.get(`/v1/streams/${short}`)).json.epoch, epoch);
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
