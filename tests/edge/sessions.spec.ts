// Sessions: a real client's offer becomes an answer in one request.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";
import {
  type Answer,
  accessToken,
  asOperator,
  assertProblem,
  bearer,
  type Edge,
  type FakeRelay,
  FINGERPRINT,
  offer,
  startEdge,
  until,
} from "./harness.ts";

let edge: Edge;
let relay: FakeRelay;

before(async () => {
  edge = await startEdge({ vars: { ICE_SERVERS: "stun:stun.example:3478, turn:turn.example:3478" } });
  relay = edge.relay("r1");
});
// A relay renews within its lease, however slow the machine is.
beforeEach(() => relay.register());
after(() => edge.stop());

/** What the session token of an answer says; the relay must accept it, as it does itself. */
const readToken = (answer: Answer) => {
  const { token, password } = relay.accepts(answer);
  assert.ok(token && password, "token and password are by the relay's own key");
  const bytes = Buffer.from(/^a=ice-ufrag:(\S+)/m.exec(answer.text)?.[1] ?? "", "base64");
  return {
    rights: bytes.readUInt8(1) & 3,
    relayBegins: (bytes.readUInt8(1) & 4) !== 0,
    expires: bytes.readUInt32BE(2),
    session: bytes.subarray(6, 14).toString("hex"),
    stream: bytes.subarray(14, 34).toString("hex"),
    author: `0x${bytes.subarray(34, 54).toString("hex")}`,
    fingerprint: bytes.subarray(54, 70).toString("hex"),
  };
};

const fingerprintHash = (sdp: string) => {
  const hex = /fingerprint:sha-256 ([0-9A-F:]+)/i.exec(sdp)?.[1]?.replaceAll(":", "") ?? "";
  return createHash("sha256").update(Buffer.from(hex, "hex")).digest().subarray(0, 16).toString("hex");
};

for (const client of ["chromium", "firefox", "aiortc"]) {
  test(`an offer of ${client} gets an answer that its relay accepts`, async () => {
    const text = await offer(client);
    const answer = await edge.postOffer("demo", text);
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.headers.get("content-type"), "application/sdp");
    const token = readToken(answer);
    assert.equal(answer.headers.get("location"), `/v1/sessions/${token.stream}${token.session}`);
    assert.equal(answer.headers.get("streamchain-author"), token.author);
    assert.equal(token.fingerprint, fingerprintHash(text), "bound to the client's certificate");
    assert.equal(token.rights, 3, "publish and subscribe");
    assert.ok(Math.abs(token.expires - Date.now() / 1_000 - 60) < 30, "for a minute");
    assert.ok(token.relayBegins, "the relay begins the DTLS handshake");
    for (const line of [
      "a=ice-lite",
      "a=setup:active",
      "a=mid:0",
      `a=fingerprint:sha-256 ${FINGERPRINT}`,
      "a=candidate:1 1 udp 2130706431 127.0.0.1 7100 typ host",
    ]) {
      assert.ok(answer.text.split("\r\n").includes(line), `${line} is missing in\n${answer.text}`);
    }
  });
}

test("a client that wants to begin the DTLS handshake does", async () => {
  const given = await offer("chromium");
  const rolesOf = async (setup: string) => {
    const answer = await edge.postOffer("demo", given.replace("a=setup:actpass", setup));
    assert.equal(answer.status, 201, answer.text);
    return { said: /^a=setup:(\w+)/m.exec(answer.text)?.[1], relayBegins: readToken(answer).relayBegins };
  };
  assert.deepEqual(await rolesOf("a=setup:active"), { said: "passive", relayBegins: false });
  assert.deepEqual(await rolesOf("a=setup:passive"), { said: "active", relayBegins: true });
});

test("answer and token are written from the offer", async () => {
  const given = await offer("chromium");
  const answerTo = async (text: string): Promise<string> => {
    const { status, text: answer } = await edge.postOffer("demo", text);
    assert.equal(status, 201, answer);
    return answer;
  };
  const sizeIn = (answer: string): number => {
    const ufrag = /^a=ice-ufrag:(\S+)/m.exec(answer)?.[1] ?? "";
    return (Buffer.from(ufrag, "base64")[1] ?? 0) >> 3;
  };
  const usual = await answerTo(given);
  assert.match(usual, /^a=group:BUNDLE 0\r$/m);
  assert.equal(sizeIn(usual), 19, "2^18 bytes");
  const plain = await answerTo(given.replace(/^a=group:BUNDLE.*\r\n/m, "").replace(/^a=max-message-size.*\r\n/m, ""));
  assert.doesNotMatch(plain, /a=group/);
  assert.equal(sizeIn(plain), 17, "65,536 bytes, as RFC 8841 has it");
  const unlimited = await answerTo(given.replace(/^a=max-message-size.*$/m, "a=max-message-size:0"));
  assert.equal(sizeIn(unlimited), 31);
  const silent = await answerTo(given.replace(/^a=setup:actpass\r\n/m, ""));
  assert.match(silent, /^a=setup:passive\r$/m);
});

test("ICE servers come as Link headers", async () => {
  const answer = await edge.postOffer("demo", await offer("chromium"));
  const link = answer.headers.get("link");
  assert.equal(link, '<stun:stun.example:3478>; rel="ice-server", <turn:turn.example:3478>; rel="ice-server"');
});

test("a guest keeps its author by the token of the first answer", async () => {
  const first = await edge.postOffer("demo", await offer("chromium"));
  const token = first.headers.get("streamchain-access-token");
  assert.ok(token);
  const second = await edge.postOffer("other", await offer("chromium"), { authorization: `Bearer ${token}` });
  assert.equal(second.headers.get("streamchain-author"), first.headers.get("streamchain-author"));
  assert.equal(second.headers.get("streamchain-access-token"), null, "no second token");
});

test("a guest's token can be had without a session", async () => {
  const guest = await edge.send("POST", "/v1/auth/guest");
  assert.equal(guest.status, 201);
  assert.match(guest.json.author as string, /^0x[0-9a-f]{40}$/);
  assert.ok((guest.json.expires as number) > Date.now());
  const answer = await edge.postOffer("demo", await offer("firefox"), { authorization: `Bearer ${guest.json.token}` });
  assert.equal(answer.headers.get("streamchain-author"), guest.json.author);
});

test("a changed, a foreign and a malformed token are refused", async () => {
  const guest = (await edge.send("POST", "/v1/auth/guest")).json.token as string;
  const [header, claims] = guest.split(".");
  const forged = createHmac("sha256", "another key").update(`${header}.${claims}`).digest("base64url");
  for (const token of [`${guest}x`, `${header}.${claims}.${forged}`, "rubbish", "a.b.c"]) {
    const answer = await edge.postOffer("demo", await offer("chromium"), { authorization: `Bearer ${token}` });
    assertProblem(answer, 401, "unauthorized");
    assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer/);
  }
  assertProblem(
    await edge.postOffer("demo", await offer("chromium"), { authorization: "Basic abc" }),
    401,
    "unauthorized",
  );
});

test("a body that is no offer is refused with the reason", async () => {
  const good = await offer("chromium");
  const bad: [body: string, status: number, slug: string, reason: RegExp][] = [
    ["hello", 400, "bad-offer", /not SDP/],
    ["v".repeat(100_000), 413, "too-large", /above 32768 bytes/],
  ];
  for (const [body, status, slug, reason] of bad) {
    const problem = assertProblem(await edge.postOffer("demo", body), status, slug);
    assert.match(problem.detail as string, reason);
  }
  assert.equal((await edge.postOffer("demo", good)).status, 201);
});

test("a body without a stated length is read up to its limit", async () => {
  const chunk = new Uint8Array(1_024).fill(97);
  let sent = 0;
  // It never ends: one chunk above 32 KiB, then nothing more, so that only an edge that has stopped reading answers.
  const body = new ReadableStream({
    pull: (controller) => {
      sent += chunk.length;
      controller.enqueue(chunk);
      if (sent > 32_768) return new Promise<void>(() => {});
    },
  });
  const headers = { "content-type": "application/sdp" };
  const answer = await edge.send("POST", "/v1/streams/demo/sessions", { headers, body, duplex: "half" } as RequestInit);
  assertProblem(answer, 413, "too-large");
});

test("a body of another type is refused", async () => {
  const answer = await edge.postOffer("demo", await offer("chromium"), { "content-type": "application/json" });
  assertProblem(answer, 415, "unsupported-type");
  assert.equal(answer.headers.get("accept-post"), "application/sdp");
});

test("names out of shape and the system's own names are refused", async () => {
  const text = await offer("chromium");
  assertProblem(await edge.postOffer("a%20b", text), 400, "bad-stream-name");
  assertProblem(await edge.postOffer("_system", text), 404, "no-such-stream");
});

test("a stream that is called by its id must be there", async () => {
  assertProblem(await edge.postOffer(`0x${"00".repeat(32)}`, await offer("chromium")), 404, "no-such-stream");
  const stream = await edge.get("/v1/streams/demo");
  for (const reference of [stream.json.id, stream.json.short]) {
    assert.equal((await edge.postOffer(reference as string, await offer("chromium"))).status, 201);
  }
});

test("streams are made by sessions only where that is switched on", async () => {
  const strict = await startEdge({ vars: { AUTO_CREATE_STREAMS: "false" } });
  try {
    await strict.relay("r1").register();
    assertProblem(await strict.postOffer("demo", await offer("chromium")), 404, "no-such-stream");
    assertProblem(await strict.postJson("/v1/streams", { name: "demo" }), 401, "unauthorized");
    await strict.postJson("/v1/streams", { name: "demo" }, asOperator());
    assert.equal((await strict.postOffer("demo", await offer("chromium"))).status, 201);
  } finally {
    await strict.stop();
  }
});

const end = (location: string, token?: string): Promise<Answer> =>
  edge.send("DELETE", location, token ? { headers: { authorization: `Bearer ${token}` } } : {});

test("only its author ends a session, and its relay is notified", async () => {
  const answer = await edge.postOffer("ending", await offer("chromium"));
  const location = answer.headers.get("location") as string;
  const stranger = (await edge.send("POST", "/v1/auth/guest")).json.token as string;
  assertProblem(await end(location), 401, "unauthorized");
  assertProblem(await end(location, stranger), 403, "forbidden");
  const token = answer.headers.get("streamchain-access-token") as string;
  assert.equal((await end(location, token)).status, 200);
  assertProblem(await end(location, token), 404, "no-such-session");
  const { notices } = (await relay.register()).json as { notices: { kind: string; session: string }[] };
  const told = notices.map((notice) => `${notice.kind} ${notice.session}`);
  assert.deepEqual(told, [`sessionEnded ${location.slice(-16)}`]);
  assert.deepEqual((await relay.register()).json.notices, [], "once the relay has it, it does not come again");
});

test("a session token says when its credentials end", async () => {
  const now = Math.floor(Date.now() / 1_000);
  const ending = bearer(accessToken(`0x${"5e".repeat(20)}`, { end: now + 1_000 }));
  const bytesOf = (answer: Answer) => Buffer.from(/^a=ice-ufrag:(\S+)/m.exec(answer.text)?.[1] ?? "", "base64");
  const old = bytesOf(await edge.postOffer("demo", await offer("chromium"), ending));
  assert.deepEqual([old.length, old.readUInt8(0)], [86, 1], "a relay of before gets what it knows");
  try {
    await relay.register({ sessionEnds: true });
    const told = bytesOf(
      await until("the edge knows", async () => {
        const answer = await edge.postOffer("demo", await offer("chromium"), ending);
        return bytesOf(answer).length === 88 && answer;
      }),
    );
    assert.equal(told.readUInt8(0), 2);
    const end = told.readUInt32BE(2) - 60 + 10 * told.readUInt16BE(70);
    assert.ok(end <= now + 1_000 && end > now + 985, `${end - now} s from now`);
    assert.equal(bytesOf(await edge.postOffer("demo", await offer("chromium"))).length, 86, "others have no end");
  } finally {
    await relay.register({ sessionEnds: false });
  }
});

test("without a relay a client that comes again gets no error", async () => {
  const alone = await startEdge();
  try {
    const text = await offer("chromium");
    const refused = await alone.postOffer("demo", text);
    assertProblem(refused, 503, "no-relay");
    const later = await alone.postOffer("demo", text, { prefer: "respond-async" });
    assert.deepEqual([later.status, later.headers.get("retry-after")], [202, refused.headers.get("retry-after")]);
    assert.equal(later.json.type, "https://streamchain.dev/problems/no-relay");
    await alone.relay("r1").register();
    assert.equal((await alone.postOffer("demo", text, { prefer: "respond-async" })).status, 201);
    const absent = await alone.postOffer(`0x${"00".repeat(32)}`, text, { prefer: "respond-async" });
    assertProblem(absent, 404, "no-such-stream");
  } finally {
    await alone.stop();
  }
});
