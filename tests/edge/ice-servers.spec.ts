// STUN and TURN servers: the relay's own and the deployment's, with time-limited credentials.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";
import { assertProblem, type Edge, type FakeRelay, type Json, offer, startEdge } from "./harness.ts";

const SECRET = "north-secret";
const RELAY_TURN = "turn:192.0.2.1:3478?transport=udp";

let edge: Edge;
let relay: FakeRelay;

before(async () => {
  const servers = "stun:stun.example:3478, turn:turn.example:3478";
  edge = await startEdge({ vars: { ICE_SERVERS: servers, TURN_SECRET: SECRET } });
  relay = edge.relay("r1");
});
// A relay renews within its lease, however slow the machine is.
beforeEach(() => relay.register({ turn: [RELAY_TURN] }));
after(() => edge.stop());

/** What TURN servers compute themselves, coturn as well as the relay. */
const password = (secret: string, username: string) => createHmac("sha1", secret).update(username).digest("base64");

const assertCredentials = (username: string, credential: string, secret: string, author: string) => {
  const [expiry, user] = username.split(":");
  assert.equal(`0x${user}`, author);
  const hours = (Number(expiry) - Date.now() / 1_000) / 3_600;
  assert.ok(hours > 11 && hours <= 12, `credentials for ${hours} h`);
  assert.equal(credential, password(secret, username));
};

test("an answer names the relay's TURN server first", async () => {
  const answer = await edge.postOffer("demo", await offer("chromium"));
  const author = answer.headers.get("streamchain-author") ?? "";
  const links = (answer.headers.get("link") ?? "").split(", ");
  assert.equal(links.length, 3, links.join("\n"));
  const read = (link: string | undefined) => {
    const parts = /^<(.*)>; rel="ice-server"; username="(.*)"; credential="(.*)"; credential-type="password"$/;
    const [, url = "", username = "", credential = ""] = parts.exec(link ?? "") ?? [];
    return { url, username, credential };
  };
  const own = read(links[0]);
  assert.equal(own.url, RELAY_TURN);
  assertCredentials(own.username, own.credential, relay.turnSecret, author);
  assert.equal(links[1], '<stun:stun.example:3478>; rel="ice-server"');
  const other = read(links[2]);
  assert.equal(other.url, "turn:turn.example:3478");
  assertCredentials(other.username, other.credential, SECRET, author);
});

test("the deployment's servers can be had before a session", async () => {
  const guest = await edge.send("POST", "/v1/auth/guest");
  const headers = { authorization: `Bearer ${guest.json.token}` };
  const answer = await edge.send("GET", "/v1/ice-servers", { headers });
  assert.equal(answer.status, 200, answer.text);
  const [stun, turn] = answer.json.iceServers as Json[];
  assert.deepEqual(stun, { urls: "stun:stun.example:3478" });
  assert.equal(turn?.urls, "turn:turn.example:3478");
  assertCredentials(turn?.username as string, turn?.credential as string, SECRET, guest.json.author as string);
});

test("nobody gets credentials without an access token", async () => {
  assertProblem(await edge.send("GET", "/v1/ice-servers"), 401, "unauthorized");
});

test("a relay can't put anything but TURN URLs into answers", async () => {
  assertProblem(await relay.register({ turn: ['turn:a>; rel="x'] }), 400, "bad-request");
});
