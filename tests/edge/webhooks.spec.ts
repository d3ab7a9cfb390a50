// Webhooks: a stream's events are posted to a local receiver, in order, signed, each once.

import assert from "node:assert/strict";
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import {
  type Answer,
  accessToken,
  asOperator,
  assertProblem,
  asUser,
  bearer,
  type Edge,
  startEdge,
  until,
} from "./harness.ts";

const OWNER = `0x${"ab".repeat(20)}`;
const MEMBER = `0x${"cd".repeat(20)}`;

interface Event {
  id: string;
  type: string;
  data: { seq?: number; payload?: string };
}

interface Delivery {
  headers: IncomingHttpHeaders;
  body: string;
  events: Event[];
}

/** A receiver on the loopback interface. What it answers can be changed. */
class Receiver {
  readonly deliveries: Delivery[] = [];
  readonly redirected: string[] = [];
  status = 204;
  headers: Record<string, string> = {};
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part) => parts.push(part));
      request.on("end", () => {
        const body = Buffer.concat(parts).toString();
        if (request.url !== "/hook") this.redirected.push(request.url ?? "");
        else this.deliveries.push({ headers: request.headers, body, events: JSON.parse(body).data.events });
        response.writeHead(this.status, this.headers).end("an answer that nobody reads");
      });
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  /** The events of all deliveries, without those of an id that came before. */
  get events(): Event[] {
    const ids = new Set<string>();
    const isNew = ({ headers }: Delivery) =>
      !ids.has(headers["webhook-id"] as string) && ids.add(headers["webhook-id"] as string);
    return this.deliveries.filter(isNew).flatMap(({ events }) => events);
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

let edge: Edge;
const receivers: Receiver[] = [];

/** Passes on what the Worker sends to a receiver; the chain is down. */
const outbound = async (request: Request): Promise<Response> => {
  const { url, method } = request;
  if (!url.startsWith("http://127.0.0.1:")) return new Response("the chain is down", { status: 503 });
  const body = await request.text();
  return fetch(url, { method, headers: Object.fromEntries(request.headers), body, redirect: "manual" });
};

before(async () => {
  edge = await startEdge({ outbound });
});
after(async () => {
  await edge.stop();
  for (const receiver of receivers) receiver.stop();
});

const receiver = async (): Promise<Receiver> => {
  const started = await new Receiver().start();
  receivers.push(started);
  return started;
};

const made = async (name: string, settings: Record<string, unknown> = {}): Promise<string> => {
  const answer = await edge.postJson("/v1/streams", { name, owner: OWNER, ...settings }, asUser(OWNER));
  assert.equal(answer.status, 201, answer.text);
  return answer.json.short as string;
};

const publish = async (stream: string, text: string): Promise<void> => {
  const answer = await edge.postJson(`/v1/streams/${stream}/messages`, { text }, asUser(OWNER));
  assert.equal(answer.status, 201, answer.text);
};

const hook = async (stream: string, body: Record<string, unknown>, headers = asUser(OWNER)): Promise<Answer> =>
  edge.postJson(`/v1/streams/${stream}/webhooks`, body, headers);

const change = (stream: string, id: unknown, body: unknown, headers = asUser(OWNER)): Promise<Answer> =>
  edge.send("PATCH", `/v1/streams/${stream}/webhooks/${id}`, {
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

interface Shown {
  id: string;
  state: string;
  reason?: string;
  cursor: string;
  failures: number;
  lastError?: string;
}

const shown = async (stream: string): Promise<Shown[]> => {
  const answer = await edge.get(`/v1/streams/${stream}/webhooks`, asUser(OWNER));
  assert.equal(answer.status, 200, answer.text);
  return answer.json.webhooks as Shown[];
};

/** Waits until the only webhook of a stream is as it should be. */
const becomes = (stream: string, what: string, is: (webhook: Shown) => boolean): Promise<Shown> =>
  until(`the webhook is ${what}`, async () => {
    const [webhook] = await shown(stream);
    return webhook !== undefined && is(webhook) && webhook;
  });

const texts = ({ events }: Receiver): string[] =>
  events.map(({ type, data }) =>
    type === "stored" ? Buffer.from((data.payload ?? "").slice(2), "hex").toString() : type,
  );

/** Checks a signature as the libraries of Standard Webhooks do. */
const isSigned = (secret: string, { headers, body }: Delivery): boolean => {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key)
    .update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`)
    .digest();
  return String(headers["webhook-signature"])
    .split(" ")
    .map((signature) => Buffer.from(signature.replace(/^v1,/, ""), "base64"))
    .some((signature) => signature.length === expected.length && timingSafeEqual(signature, expected));
};

const anchored = (stream: string, state: string) => ({
  stream,
  kind: "anchored",
  first: 0,
  count: 2,
  root: `0x${"22".repeat(32)}`,
  tx: `0x${"33".repeat(32)}`,
  block: 7,
  state,
});

test("messages and events arrive in order, signed and once", async () => {
  const to = await receiver();
  const stream = await made("order");
  await publish(stream, "a");
  const answer = await hook(stream, { url: to.url, after: "0-0" });
  assert.equal(answer.status, 201, answer.text);
  const secret = answer.json.secret as string;
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  await until("the first message is there", async () => to.events.length === 1);
  await publish(stream, "b");
  await until("the second message is there", async () => to.events.length === 2);
  await edge.notice(stream, anchored(stream, "anchored"));
  await until("the anchor is there", async () => to.events.length === 3);
  await publish(stream, "c");
  await edge.notice(stream, anchored(stream, "final"));
  await until("all is there", async () => to.events.length === 5);
  assert.deepEqual(texts(to).slice(0, 3), ["a", "b", "anchored"]);
  assert.deepEqual(texts(to).slice(3).sort(), ["c", "final"]);
  for (const delivery of to.deliveries) {
    assert.ok(isSigned(secret, delivery), JSON.stringify(delivery.headers));
    assert.equal(delivery.headers["content-type"], "application/json");
    assert.equal(delivery.events.at(-1)?.id, JSON.parse(delivery.body).data.to);
  }
  assert.ok(!JSON.stringify(await shown(stream)).includes(secret), "the secret is shown once");
  const last = await becomes(stream, "caught up", ({ cursor }) => cursor === "2-3");
  assert.deepEqual([last.state, last.failures], ["active", 0]);
});

test("a receiver that fails gets the same delivery again", async () => {
  const to = await receiver();
  const stream = await made("retry");
  to.status = 500;
  assert.equal((await hook(stream, { url: to.url })).status, 201);
  await publish(stream, "a");
  const failing = await becomes(stream, "failing", ({ failures }) => failures > 0);
  assert.equal(failing.lastError, "the receiver answered 500");
  await publish(stream, "b");
  to.status = 200;
  // Whoever manages the stream need not wait for the next try.
  const [webhook] = await shown(stream);
  assert.equal((await change(stream, webhook?.id, { state: "active" })).status, 200);
  await until("both messages are there", async () => texts(to).includes("b"));
  assert.deepEqual(texts(to), ["a", "b"]);
  const [first, again] = to.deliveries;
  assert.equal(again?.headers["webhook-id"], first?.headers["webhook-id"]);
  assert.equal(again?.body, first?.body);
});

test("redirects are not followed, and 410 pauses", async () => {
  const to = await receiver();
  const stream = await made("gone");
  to.status = 307;
  to.headers = { location: to.url.replace("/hook", "/elsewhere") };
  const { id } = (await hook(stream, { url: to.url })).json;
  await publish(stream, "a");
  await becomes(stream, "failing", ({ lastError }) => lastError === "the receiver answered 307");
  assert.deepEqual(to.redirected, []);
  to.status = 410;
  assert.equal((await change(stream, id, { state: "active" })).status, 200);
  await becomes(stream, "paused", ({ state, reason }) => state === "paused" && reason === "gone");
  await publish(stream, "b");
  to.status = 200;
  assert.equal((await change(stream, id, { state: "active" })).status, 200);
  await until("what came meanwhile is there", async () => texts(to).includes("b"));
  assert.deepEqual(texts(to), ["a", "b"]);
});

test("only chosen kinds arrive, signed by old and new secret", async () => {
  const to = await receiver();
  const stream = await made("kinds");
  const first = await hook(stream, { url: to.url, events: ["final"] });
  await publish(stream, "a");
  await publish(stream, "b");
  const rotated = await change(stream, first.json.id, { rotateSecret: true });
  assert.notEqual(rotated.json.secret, first.json.secret);
  await edge.notice(stream, anchored(stream, "anchored"), anchored(stream, "final"));
  await until("the final event is there", async () => to.events.length > 0);
  assert.deepEqual(texts(to), ["final"]);
  for (const secret of [first.json.secret, rotated.json.secret]) {
    assert.ok(isSigned(secret as string, to.deliveries[0] as Delivery));
  }
});

test("who may no longer manage the stream gets nothing more", async () => {
  const to = await receiver();
  const stream = await made("members", { read: "private" });
  const path = `/v1/streams/${stream}/members/${MEMBER}`;
  const put = (rights: string[]) =>
    edge.send("PUT", path, {
      headers: { "content-type": "application/json", ...asUser(OWNER) },
      body: JSON.stringify({ rights }),
    });
  assertProblem(await hook(stream, { url: to.url }, asUser(MEMBER)), 404, "no-such-stream");
  await put(["read"]);
  assertProblem(await hook(stream, { url: to.url }, asUser(MEMBER)), 403, "forbidden");
  await put(["manage"]);
  assertProblem(await hook(stream, { url: to.url }, asUser(MEMBER)), 403, "forbidden");
  await put(["read", "manage"]);
  assert.equal((await hook(stream, { url: to.url }, asUser(MEMBER))).status, 201);
  await publish(stream, "a");
  await until("the first message is there", async () => to.events.length === 1);
  await put(["read"]);
  await publish(stream, "b");
  await becomes(stream, "paused", ({ state, reason }) => state === "paused" && reason === "rights");
  assert.deepEqual(texts(to), ["a"]);
});

test("a webhook ends with the key that it was made with", async () => {
  const to = await receiver();
  const stream = await made("credentials");
  const wanted = { name: "hooks", rights: ["read", "manage"] };
  const key = await edge.postJson("/v1/keys", wanted, asUser(OWNER));
  assert.equal(key.status, 201, key.text);
  assert.equal((await hook(stream, { url: to.url }, bearer(key.json.key as string))).status, 201);
  await publish(stream, "a");
  await until("the first message is there", async () => to.events.length === 1);
  const removed = await edge.send("DELETE", `/v1/keys/${key.json.id}`, { headers: asUser(OWNER) });
  assert.equal(removed.status, 200, removed.text);
  await publish(stream, "b");
  await becomes(stream, "paused", ({ reason }) => reason === "credentials");
  assert.deepEqual(texts(to), ["a"]);
  const guest = await edge.postJson("/v1/auth/guest", {});
  assertProblem(await hook(stream, { url: to.url }, bearer(guest.json.token as string)), 403, "forbidden");
});

test("a removed webhook leaves nothing, and shares are kept", async () => {
  const to = await receiver();
  const stream = await made("shares");
  const ids: unknown[] = [];
  for (let count = 0; count < 8; count++) {
    const answer = await hook(stream, { url: to.url, events: ["chain"] });
    assert.equal(answer.status, 201, answer.text);
    ids.push(answer.json.id);
  }
  assertProblem(await hook(stream, { url: to.url }), 409, "full");
  const database = await edge.database();
  const counted = async (): Promise<number> => {
    const row = await database
      .prepare("SELECT count(*) AS count FROM webhooks WHERE stream = ?")
      .bind(stream.slice(2))
      .first();
    return (row as { count: number }).count;
  };
  assert.equal(await counted(), 8);
  for (const id of ids) {
    const path = `/v1/streams/${stream}/webhooks/${id}`;
    assert.equal((await edge.send("DELETE", path, { headers: asUser(OWNER) })).status, 200);
    assertProblem(await edge.send("DELETE", path, { headers: asUser(OWNER) }), 404, "no-such-webhook");
  }
  assert.equal(await counted(), 0);
  const other = asUser(`0x${"99".repeat(20)}`);
  const fill = Array.from({ length: 64 }, (_, index) =>
    database.prepare("INSERT INTO webhooks VALUES (?, ?, 'x', 1)").bind(index.toString(16).padStart(16, "0"), OWNER),
  );
  await database.batch(fill);
  assertProblem(await hook(stream, { url: to.url }), 409, "full");
  assert.deepEqual(await shown(stream), []);
  await database.exec("DELETE FROM webhooks WHERE stream = 'x'");
  assertProblem(await hook(stream, { url: to.url }, other), 403, "forbidden");
});

test("a delivery is not taken by the API, nor a URL of its own", async () => {
  const stream = await made("loops");
  const own = `${edge.url}/v1/streams/${stream}/messages`;
  assertProblem(await hook(stream, { url: own }), 400, "bad-request");
  const headers = { ...asUser(OWNER), "webhook-signature": "v1,x" };
  assertProblem(await edge.postJson(`/v1/streams/${stream}/messages`, { text: "x" }, headers), 403, "forbidden");
  for (const body of [
    { url: "ftp://example.com" },
    { url: "http://127.0.0.1/", events: [] },
    { url: "http://127.0.0.1/", events: ["else"] },
    { url: "http://127.0.0.1/", after: "0-1" },
    { url: "http://127.0.0.1/", secret: "mine" },
  ]) {
    assertProblem(await hook(stream, body), 400, "bad-request");
  }
});

test("a restart loses nothing; in production hosts are public", async () => {
  const to = await receiver();
  const stream = await made("restarts");
  assert.equal((await hook(stream, { url: to.url })).status, 201);
  to.status = 503;
  await publish(stream, "a");
  await until("the delivery was tried", async () => to.deliveries.length > 0);
  to.status = 200;
  edge = await edge.restart({ outbound });
  await publish(stream, "b");
  await until("all is there", async () => texts(to).includes("b"));
  assert.deepEqual(texts(to), ["a", "b"]);
  const vars = { CHAIN_ID: "1", SIWE_DOMAINS: "streams.example" };
  edge = await edge.restart({ outbound, vars });
  for (const url of [to.url, "https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/", "https://a.internal/"]) {
    assertProblem(await hook(stream, { url }), 400, "bad-request");
  }
  const before = to.deliveries.length;
  await publish(stream, "c");
  await becomes(stream, "paused", ({ reason }) => reason === "url");
  assert.equal(to.deliveries.length, before);
});

test("metrics are for operators and for whoever has the token", async () => {
  const token = "0123456789abcdef0123456789abcdef";
  edge = await edge.restart({ outbound, vars: { METRICS_TOKEN: token } });
  assertProblem(await edge.get("/v1/metrics"), 401, "unauthorized");
  assertProblem(await edge.get("/v1/metrics", bearer(`${token}0`)), 401, "unauthorized");
  assertProblem(await edge.get("/v1/metrics", asUser(OWNER)), 403, "forbidden");
  for (const headers of [bearer(token), asOperator()]) {
    const answer = await edge.get("/v1/metrics", headers);
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    assert.match(answer.text, /^streamchain_edge_streams [1-9]\d*$/m);
    assert.match(answer.text, /^streamchain_edge_webhooks \d+$/m);
    assert.match(answer.text, /^streamchain_edge_http_requests_total\{path="\/v1\/metrics",class="4xx"\} 3$/m);
  }
  assert.equal(accessToken(OWNER).split(".").length, 3);
});
