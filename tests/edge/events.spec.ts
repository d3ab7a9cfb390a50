// Server-sent events: everything behind a cursor, each once, whoever answers.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessToken, asOperator, assertProblem, bearer, type Edge, OPERATOR, startEdge, until } from "./harness.ts";

interface Event {
  id: string;
  event: string;
  data: Record<string, unknown>;
}

const AUTHOR = `0x${"ab".repeat(20)}`;
const TX = `0x${"33".repeat(32)}`;

let edge: Edge;

before(async () => {
  edge = await startEdge();
});
after(() => edge.stop());

/** Reads a response of events until `done`, or to its end. */
const follow = async (
  path: string,
  done: (events: Event[]) => boolean,
  headers: Record<string, string> = {},
): Promise<Event[]> => {
  const aborter = new AbortController();
  const response = await edge.raw(path, { headers, signal: aborter.signal });
  assert.equal(response.status, 200, response.status === 200 ? "" : await response.text());
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  const events: Event[] = [];
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop() as string;
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1] ?? "";
      if (field("event") !== "") {
        events.push({ id: field("id"), event: field("event"), data: JSON.parse(field("data")) });
      }
    }
    if (done(events)) break;
  }
  aborter.abort();
  return events;
};

const post = async (stream: string, text: string): Promise<void> => {
  const headers = bearer(accessToken(AUTHOR));
  const answer = await edge.postJson(`/v1/streams/${stream}/messages`, { text }, headers);
  assert.equal(answer.status, 201, answer.text);
};

const made = async (name: string): Promise<string> =>
  (await edge.postJson("/v1/streams", { name })).json.short as string;

const anchored = (stream: string, state: string) => ({
  stream,
  kind: "anchored",
  first: 0,
  count: 2,
  root: `0x${"22".repeat(32)}`,
  tx: TX,
  block: 7,
  state,
});

const published = (stream: string, state: string, payload: string | null) => ({
  stream,
  kind: "chain",
  block: 8,
  logIndex: 1,
  author: AUTHOR,
  payload,
  tx: TX,
  state,
});

const count = (many: number) => (events: Event[]) => events.length >= many;
const names = (events: Event[]) => events.map(({ event }) => event);

test("events come in order, and behind each id what follows it", async () => {
  const short = await made("order");
  await post("order", "a");
  await post("order", "b");
  await edge.notice(short, anchored(short, "anchored"), published(short, "anchored", "0x6869"));
  await edge.notice(short, anchored(short, "anchored"), published(short, "reverted", null), anchored(short, "final"));
  await post("order", "c");
  const path = "/v1/streams/order/events?after=0-0";
  const all = await follow(path, count(8));
  const expected = ["state", "stored", "stored", "stored", "anchored", "chain", "reorg", "final"];
  assert.deepEqual(names(all), expected);
  assert.deepEqual(
    all.slice(1, 4).map(({ data }) => data.payload),
    ["0x61", "0x62", "0x63"],
  );
  assert.equal(all[5]?.data.payload, "0x6869");
  assert.deepEqual([all[6]?.data.kind, all[6]?.data.tx], ["chain", TX]);
  for (const [index, { id }] of all.entries()) {
    const rest = all.slice(Math.max(1, index + 1));
    const again = await follow(path, count(rest.length + 1), { "last-event-id": id });
    assert.deepEqual(again.slice(1), rest, `behind ${id}`);
  }
});

test("what comes meanwhile is told at once, to all who follow", async () => {
  const short = await made("live");
  const readers = [1, 2, 3].map(() =>
    follow("/v1/streams/live/events?after=0-0", (events) => names(events).includes("reorg")),
  );
  await follow("/v1/streams/live/events", count(1));
  await post("live", "now");
  await edge.notice(short, published(short, "anchored", "0x00"), published(short, "reverted", null));
  for (const events of await Promise.all(readers)) {
    assert.deepEqual(names(events).slice(-3), ["stored", "chain", "reorg"]);
  }
});

test("a cursor outlives a restart, and history is in the database", async () => {
  const short = await made("restart");
  for (const text of ["a", "b", "c"]) await post("restart", text);
  await edge.flushed((await edge.get(`/v1/streams/${short}`)).json.id as string, 3);
  const two = await follow("/v1/streams/restart/events?from=0", count(3));
  await edge.notice(short, anchored(short, "anchored"));
  edge = await edge.restart();
  await post("restart", "d");
  const rest = await follow("/v1/streams/restart/events", count(4), { "last-event-id": two[2]?.id as string });
  assert.deepEqual(names(rest), ["state", "stored", "stored", "anchored"]);
  assert.deepEqual(
    rest.slice(1, 3).map(({ data }) => data.seq),
    [2, 3],
  );
});

test("a response ends by itself, and beats while nothing happens", async () => {
  await made("short");
  const response = await edge.raw("/v1/streams/short/events?life=2");
  const text = await response.text();
  assert.match(text, /^retry: \d+\n/);
  assert.match(text, /\n: \n/);
});

test("a malformed cursor and one ahead of the stream are refused", async () => {
  await made("strict");
  const get = (path: string, headers = {}) => edge.get(`/v1/streams/${path}`, headers);
  assertProblem(await get("strict/events?after=1"), 400, "bad-request");
  assertProblem(await get("strict/events?after=0-1"), 400, "bad-request");
  assertProblem(await get("strict/events?after=1-0"), 400, "bad-request");
  assertProblem(await get("strict/events", { "last-event-id": "x" }), 400, "bad-request");
  assertProblem(await get("strict/events?from=x"), 400, "bad-request");
  assertProblem(await get("nobody-made-this/events"), 404, "no-such-stream");
});

test("a cursor counts by every name that libraries give it", async () => {
  await made("names");
  await post("names", "a");
  await post("names", "b");
  const all = await follow("/v1/streams/names/events?after=0-0", count(3));
  const first = all[1]?.id ?? "";
  for (const query of [
    `after=${first}`,
    `after=0-0&lastEventId=${first}`,
    `lastEventId=&after=${first}`,
    `last-event-id=${first}`,
    `Last-Event-ID=${first}`,
    `evs_last_event_id=${first}&evs_preamble=2056`,
    `lastEventId=0-0&lastEventId=${first}&r=0.5`,
  ]) {
    const rest = await follow(`/v1/streams/names/events?${query}`, count(2));
    assert.deepEqual([rest[1]?.id, rest[1]?.data.payload], [all[2]?.id, "0x62"], query);
  }
  for (const unknown of ["since=1", "cursor=0-0", "After=0-0", "limit=5", "last=0-0"]) {
    const problem = assertProblem(await edge.get(`/v1/streams/names/events?${unknown}`), 400, "bad-request");
    assert.ok(String(problem.detail).startsWith(`${unknown.split("=")[0]}: `), String(problem.detail));
  }
});

test("no proxy may hold an event stream back or change it", async () => {
  await made("unchanged");
  const response = await edge.raw("/v1/streams/unchanged/events?life=1");
  assert.equal(response.headers.get("cache-control"), "no-store, no-transform");
  assert.equal(response.headers.get("x-accel-buffering"), "no");
  await response.text();
});

test("an event stream ends with the token of its request", async () => {
  await made("bounded");
  const token = accessToken(AUTHOR, { life: 1 });
  const path = `/v1/streams/bounded/events?access_token=${token}`;
  await (await edge.raw(path)).text();
  assertProblem(await edge.get(path), 401, "unauthorized");
});

test("a private stream is followed with a token until it expires", async () => {
  await edge.postJson("/v1/streams", { name: "closed", read: "private" }, asOperator());
  const path = "/v1/streams/closed/events";
  assertProblem(await edge.get(path), 404, "no-such-stream");
  assert.deepEqual(names(await follow(path, count(1), asOperator())), ["state"]);
  const token = accessToken(OPERATOR);
  assert.deepEqual(names(await follow(`${path}?access_token=${token}`, count(1))), ["state"]);
  const long = accessToken(OPERATOR, { life: 86_400 });
  assertProblem(await edge.get(`${path}?access_token=${long}`), 401, "unauthorized");
  const expiring = accessToken(OPERATOR, { life: 3 });
  const events = await follow(`${path}?access_token=${expiring}`, () => false);
  assert.deepEqual(names(events), ["state"], "it ended when the token did");
});

test("one network has a share of the readers, and no more", async () => {
  const short = await made("shared");
  const SHARE = 100;
  const at = (address: string) => ({ "cf-connecting-ip": address });
  const aborter = new AbortController();
  const open = (address: string): Promise<Response> =>
    edge.raw(`/v1/streams/${short}/events`, { headers: at(address), signal: aborter.signal });
  /** Reads until the stream's object was asked for what is next, and so has the reader among those who wait. */
  const opened: Response[] = [];
  try {
    for (let i = 0; i < SHARE; i += 1) {
      const response = await open("192.0.2.1");
      assert.equal(response.status, 200);
      response.body
        ?.getReader()
        .read()
        .catch(() => {});
      opened.push(response);
    }
    const refused = await until("the share is taken", async () => {
      const response = await open("192.0.2.1");
      if (response.status === 503) return response;
      await response.body?.cancel();
      return false;
    });
    assert.match(await refused.text(), /100 readers of one network/);
    const other = await open("192.0.2.2");
    assert.equal(other.status, 200, "another network reads");
    await other.body?.cancel();
    const wide = await open("2001:db8::1");
    assert.equal(wide.status, 200);
    await wide.body?.cancel();
  } finally {
    aborter.abort();
  }
});
