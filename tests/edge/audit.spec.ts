// The audit log: every change and every refusal that matters, in a stream of its own, for the operator alone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  type Answer,
  asOperator,
  assertProblem,
  asUser,
  type Edge,
  type Json,
  OPERATOR,
  offer,
  rightsOf,
  startEdge,
  until,
} from "./harness.ts";

let edge: Edge;
before(async () => {
  edge = await startEdge({ vars: { RATE_LIMITS: "streams-address=40/3600" } });
});
after(() => edge.stop());

const USER = `0x${"ab".repeat(20)}`;

const audit = (query = ""): Promise<Answer> => edge.get(`/v1/audit${query}`, asOperator());

const entries = async (query = ""): Promise<Json[]> => {
  const answer = await audit(query);
  assert.equal(answer.status, 200, answer.text);
  return answer.json.entries as Json[];
};

/** Waits for entries. */
const recorded = (query: string, count = 1): Promise<Json[]> =>
  until(`the log has ${count} of ${query}`, async () => {
    const found = await entries(query);
    return found.length >= count && found;
  });

test("a new stream is recorded with who, when and from where, once", async () => {
  const before = Date.now() - 1_000;
  await edge.postJson("/v1/streams", { name: "recorded" }, asUser(USER));
  await edge.postJson("/v1/streams", { name: "recorded" }, asUser(USER));
  const [entry, ...more] = await recorded(`?action=stream.create&actor=${USER}`);
  assert.deepEqual(more, []);
  const id = (await edge.get("/v1/streams/recorded")).json.id;
  assert.equal(entry?.target, `/v1/streams/${id}`);
  assert.equal(entry?.outcome, "done");
  assert.ok((entry?.time as number) >= before && (entry?.time as number) <= Date.now() + 1_000);
  assert.match(entry?.from as string, /^[0-9a-f]{16}$/, "an address is not written down");
});

test("changes of settings and members are recorded", async () => {
  await edge.postJson("/v1/streams", { name: "managed" }, asOperator());
  const headers = { ...asOperator(), "content-type": "application/json" };
  await edge.send("PATCH", "/v1/streams/managed", { headers, body: JSON.stringify({ write: "closed" }) });
  await edge.send("PUT", `/v1/streams/managed/members/${USER}`, {
    headers,
    body: JSON.stringify({ rights: ["write"] }),
  });
  await edge.send("DELETE", `/v1/streams/managed/members/${USER}`, { headers });
  for (const action of ["stream.change", "member.put", "member.remove"]) {
    const [entry] = await recorded(`?action=${action}`);
    assert.equal(entry?.actor, OPERATOR, action);
    assert.equal(entry?.outcome, "done", JSON.stringify(entry));
  }
});

test("refusals are recorded with their reason", async () => {
  await edge.send("PATCH", "/v1/streams/managed", {
    headers: { ...asUser(USER), "content-type": "application/json" },
    body: JSON.stringify({ write: "open" }),
  });
  await edge.get("/v1/audit");
  const [forbidden] = await recorded(`?outcome=refused&actor=${USER}`);
  assert.deepEqual([forbidden?.action, forbidden?.reason], ["stream.change", "forbidden"]);
  const [stranger] = await recorded("?outcome=refused&actor=nobody&action=read");
  assert.deepEqual([stranger?.target, stranger?.reason], ["/v1/audit", "unauthorized"]);
});

test("relays are recorded when they come and go", async () => {
  const relay = edge.relay("r9");
  for (let renewal = 0; renewal < 5; renewal++) await relay.register();
  await relay.goodbye();
  await recorded("?actor=relay:r9&action=relay.goodbye");
  assert.equal((await entries("?actor=relay:r9&action=relay.register")).length, 1);
});

test("a flood of refusals becomes a few entries", async () => {
  const stranger = { authorization: "Bearer nothing" };
  for (let request = 0; request < 100; request++)
    await edge.send("DELETE", `/v1/sessions/${"0".repeat(56)}`, { headers: stranger });
  await recorded("?action=session.end");
  const found = await entries("?action=session.end");
  assert.ok(found.length <= 4, `${found.length} entries`);
});

test("only the operator reads it, and the stream behind it", async () => {
  assertProblem(await edge.get("/v1/audit"), 401, "unauthorized");
  assertProblem(await edge.get("/v1/audit", asUser(USER)), 403, "forbidden");
  await recorded("");
  assertProblem(await edge.get("/v1/streams/_audit/messages"), 401, "unauthorized");
  assertProblem(await edge.get("/v1/streams/_audit/messages", asUser(USER)), 403, "forbidden");
  const listed = (await edge.get("/v1/streams")).json.streams as Json[];
  assert.ok(!listed.some(({ name }) => name === "_audit"));
});

test("nobody publishes to it, not even the operator", async () => {
  await edge.relay("r9").register();
  const session = await edge.postOffer("_audit", await offer("chromium"), asOperator());
  assert.equal(session.status, 201, session.text);
  assert.equal(rightsOf(session), 1, "the session's token lets it subscribe and no more");
  await edge.relay("r9").goodbye();
  const headers = { ...asOperator(), "content-type": "application/octet-stream" };
  const posted = await edge.send("POST", "/v1/streams/_audit/messages", { headers, body: "forged" });
  assertProblem(posted, 403, "forbidden");
});

test("the log is a stream whose messages are the entries", async () => {
  const [newest] = await recorded("");
  const stored = await until("the entry is in the stream", async () => {
    const answer = await edge.get("/v1/streams/_audit/messages?limit=1000", asOperator());
    const messages = (answer.json.messages ?? []) as Json[];
    return messages.length > Number(newest?.seq) && messages;
  });
  const { id, seq, ...entry } = newest as Json;
  const payload = Buffer.from(String(stored[Number(seq)]?.payload).slice(2), "hex").toString();
  assert.deepEqual(JSON.parse(payload), entry);
  const sorted = Object.fromEntries(Object.entries(JSON.parse(payload)).sort(([a], [b]) => (a < b ? -1 : 1)));
  assert.equal(payload, JSON.stringify(sorted), "canonical JSON");
  assert.equal(Number(id), Number(seq) + 1, "each entry once, none left out");
  assert.equal(stored[0]?.author, OPERATOR);
});

test("pages go back in time, filtered", async () => {
  for (const name of ["page-1", "page-2", "page-3", "page-4"])
    await edge.postJson("/v1/streams", { name }, asOperator());
  const mine = `action=stream.create&actor=${OPERATOR}`;
  const all = await recorded(`?${mine}&limit=500`, 5);
  const page = (await audit(`?${mine}&limit=2`)).json;
  assert.deepEqual(page.entries, all.slice(0, 2));
  assert.deepEqual(await entries(`?${mine}&limit=2&cursor=${page.cursor}`), all.slice(2, 4));
  const since = all[2]?.time as number;
  assert.deepEqual(
    await entries(`?${mine}&from=${since}`),
    all.filter((entry) => (entry.time as number) >= since),
  );
  assert.deepEqual(
    await entries(`?${mine}&to=${since}`),
    all.filter((entry) => (entry.time as number) < since),
  );
  assertProblem(await audit("?outcome=perhaps"), 400, "bad-request");
  assertProblem(await audit("?limit=x"), 400, "bad-request");
});

test("what was left out is summed up once a minute", async () => {
  const stranger = { authorization: "Bearer nothing" };
  for (let request = 0; request < 60; request++)
    await edge.send("DELETE", `/v1/sessions/${"0".repeat(56)}`, { headers: stranger });
  const MINUTE_AND_MORE_MS = 90_000;
  const [entry] = await until(
    "the summary is written",
    async () => {
      const found = await entries("?action=audit.summary");
      return found.length > 0 && found;
    },
    MINUTE_AND_MORE_MS,
  );
  assert.deepEqual([entry?.actor, entry?.outcome, entry?.reason], ["system", "refused", "left-out"]);
  const leftOut = entry?.leftOut as Json[];
  const ended = leftOut.find(({ action }) => action === "session.end");
  assert.equal(ended?.class, "nobody", JSON.stringify(entry));
  assert.ok((ended?.count as number) >= 50, JSON.stringify(entry));
  const sum = leftOut.reduce((total, { count }) => total + (count as number), 0);
  assert.equal(entry?.count, sum);
});

test("an edge that starts again goes on where the log was", async () => {
  const count = (await recorded("?limit=500")).length;
  edge = await edge.restart({ vars: { RATE_LIMITS: "off" } });
  await edge.postJson("/v1/streams", { name: "after-restart" }, asUser(USER));
  const found = await recorded("?limit=500", count + 1);
  const numbers = found.map(({ id }) => Number(id)).reverse();
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
    "no number twice, none left out",
  );
});
