// The master secret is changed under a running system: nobody is shut out on the way, and in the end the old one opens nothing.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import {
  assertProblem,
  bearer,
  type Edge,
  type FakeRelay,
  MASTER_SECRET,
  messagesOf,
  offer,
  startEdge,
} from "./harness.ts";

const NEW_SECRET = "22".repeat(32);
const CHANGING = { MASTER_SECRET: NEW_SECRET, MASTER_SECRET_PREVIOUS: MASTER_SECRET };
const TURN = ["turn:192.0.2.1:3478?transport=udp"];
const LETS_IN = { token: true, password: true, turn: true };

let edge: Edge;
let relay: FakeRelay;
let short: string;
let epoch: number;
let stored = 0;
const producer = randomBytes(16);

const restart = async (vars: Record<string, string>): Promise<void> => {
  edge = await edge.restart({ vars });
  const { secret, incarnation, cursor } = relay;
  relay = Object.assign(edge.relay("r1"), { secret, incarnation, cursor });
};

const store = async (): Promise<void> => {
  const answer = await relay.batch(short, epoch, stored, messagesOf(producer, stored, 2));
  assert.equal(answer.status, 200, answer.text);
  stored += 2;
};

const session = async (headers: Record<string, string> = {}) => {
  const answer = await edge.postOffer("demo", await offer("chromium"), headers);
  assert.equal(answer.status, 201, answer.text);
  return answer;
};

const hasOldKey = async (): Promise<boolean> => {
  const { relays } = (await edge.get("/v1/status")).json as { relays: { id: string; oldKey?: boolean }[] };
  return relays.find(({ id }) => id === "r1")?.oldKey ?? false;
};

let guest: Record<string, string>;

before(async () => {
  edge = await startEdge();
  relay = edge.relay("r1");
  await relay.register({ turn: TURN });
  guest = bearer((await session()).headers.get("streamchain-access-token") ?? "");
  short = (await edge.get("/v1/streams/demo")).json.short as string;
  await edge.sessionOf(short);
  epoch = (await relay.acquireEpoch(short)).json.epoch as number;
  await store();
  // Secrets are put one by one, the previous one first: on the way both are the same.
  await restart({ MASTER_SECRET_PREVIOUS: MASTER_SECRET });
  assert.equal(await hasOldKey(), false);
  await restart(CHANGING);
});
after(() => edge.stop());

test("after the deployment sessions are signed with the old key", async () => {
  const answer = await session(guest);
  assert.deepEqual(relay.accepts(answer), LETS_IN);
  assert.equal(await hasOldKey(), true);
});

test("a relay with its old key keeps its stream and stores", async () => {
  assert.equal((await relay.register({ turn: TURN })).status, 200);
  await store();
  assert.deepEqual(relay.accepts(await session()), LETS_IN);
  assert.equal(await hasOldKey(), true, "the operator sees which relays are still to be given their new key");
});

test("old tokens still count, new ones are by the new secret", async () => {
  assert.equal((await edge.get("/v1/ice-servers", guest)).status, 200);
  const token = (await edge.send("POST", "/v1/auth/guest")).json.token as string;
  await restart({ MASTER_SECRET: NEW_SECRET });
  assert.equal((await edge.get("/v1/ice-servers", bearer(token))).status, 200);
  await restart(CHANGING);
});

test("a relay with its new key gets sessions signed with it", async () => {
  Object.assign(relay, { secret: NEW_SECRET, incarnation: randomBytes(8).toString("hex") });
  assert.equal((await relay.register({ turn: TURN })).status, 200);
  epoch = (await relay.acquireEpoch(short)).json.epoch as number;
  await store();
  assert.deepEqual(relay.accepts(await session(guest)), LETS_IN);
  assert.equal(await hasOldKey(), false);
});

test("a previous secret that is gone opens nothing", async () => {
  await restart({ MASTER_SECRET: NEW_SECRET });
  await store();
  assert.deepEqual(relay.accepts(await session()), LETS_IN);
  assertProblem(await edge.get("/v1/ice-servers", guest), 401, "unauthorized");
  relay.secret = MASTER_SECRET;
  assertProblem(await relay.register({ turn: TURN }), 401, "unauthorized");
  assertProblem(await relay.acquireEpoch(short), 401, "unauthorized");
  assert.equal((await edge.get("/v1/streams/demo")).json.head, stored);
});

test("the key that a relay claims to have does not count", async () => {
  relay.secret = NEW_SECRET;
  assert.equal((await relay.register({ turn: TURN, key: "0000000000000000" })).status, 200);
  assert.equal(await hasOldKey(), false);
});
