// The event stream of a client: bytes cut anywhere, responses that break, cursors.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ChainEvents, chainEventOf, readChainEvent } from "../src/lib/chain/chain-events.ts";
import type { StreamChainError } from "../src/lib/errors.ts";
import { EventFollower, type FollowedEvent, followEvents } from "../src/lib/http/event-follower.ts";
import { EventTurns } from "../src/lib/http/event-turns.ts";
import { EVENT_TURN_MS, MAX_SERVER_EVENT_CHARS } from "../src/lib/limits.ts";
import type { Hex } from "../src/lib/wire/bytes.ts";
import { encodeCbor } from "../src/lib/wire/cbor.ts";
import { decodeRelayMessage } from "../src/lib/wire/frames.ts";
import { JsonObject } from "../src/lib/wire/json.ts";
import type { ChainEvent } from "../src/lib/wire/records.ts";
import { type ServerEvent, ServerEventReader } from "../src/lib/wire/server-events.ts";
import { VirtualClock } from "./support/surroundings.ts";

const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

const AUTHOR: Hex = `0x${"0a".repeat(20)}`;
const TX: Hex = `0x${"33".repeat(32)}`;

describe("the parser of event streams", () => {
  test("events are the same wherever bytes and lines are cut", () => {
    const text = ": hello\r\n\r\nid: 1-0\nevent: chain\ndata: {\ndata: }\n\nretry: 50\rdata:ă\r\rid\ndata: x\n\n";
    const whole = new ServerEventReader().read(utf8(text));
    assert.deepEqual(whole, [
      { id: "1-0", event: "chain", data: "{\n}" },
      { id: "1-0", event: "message", data: "ă" },
      { id: "", event: "message", data: "x" },
    ]);
    for (let size = 1; size < 12; size++) {
      const reader = new ServerEventReader();
      const bytes = utf8(text);
      const events = [];
      for (let at = 0; at < bytes.length; at += size) events.push(...reader.read(bytes.subarray(at, at + size)));
      assert.deepEqual(events, whole, `in pieces of ${size}`);
      assert.equal(reader.retryMs, 50);
    }
  });

  /** Counts the characters that `split` and `join` handle while `run` runs. */
  function countingWork(run: () => void): number {
    const { split } = String.prototype;
    const { join } = Array.prototype;
    let work = 0;
    String.prototype.split = function (this: string, ...args: unknown[]) {
      work += this.length;
      return split.apply(this, args as never);
    };
    Array.prototype.join = function (...args) {
      const joined = join.apply(this, args);
      work += joined.length;
      return joined;
    };
    try {
      run();
    } finally {
      Object.assign(String.prototype, { split });
      Object.assign(Array.prototype, { join });
    }
    return work;
  }

  test("work is linear in the bytes, however they are cut", () => {
    const data = "x".repeat(200_000);
    const bytes = utf8(`id: 1-0\nevent: stored\ndata: ${data}\n\n`);
    const events: ServerEvent[] = [];
    const work = countingWork(() => {
      const reader = new ServerEventReader();
      for (let at = 0; at < bytes.length; at++) events.push(...reader.read(bytes.subarray(at, at + 1)));
    });
    assert.deepEqual(events, [{ id: "1-0", event: "stored", data }]);
    assert.ok(work <= 4 * bytes.length, `${work} characters of work for ${bytes.length} bytes`);
  });

  test("an event over the limit is refused, in one line or many", () => {
    const chunk = utf8("x".repeat(1_048_576));
    const feed = (first: string, between: string) => {
      const reader = new ServerEventReader();
      reader.read(utf8(first));
      for (let read = 0; read <= MAX_SERVER_EVENT_CHARS; read += chunk.length) {
        reader.read(chunk);
        reader.read(utf8(between));
      }
    };
    assert.throws(() => feed("data:", ""), RangeError);
    assert.throws(() => feed("data:", "\ndata:"), RangeError);
  });

  test("many events together may exceed the limit of one", () => {
    const reader = new ServerEventReader();
    const event = utf8(`data: ${"x".repeat(1_048_576)}\n\n`);
    for (let i = 0; i < 20; i++) assert.equal(reader.read(event).length, 1);
  });
});

describe("followers that take turns", () => {
  test("an edge that is slow to answer is heard", async () => {
    const clock = new VirtualClock();
    const slow: typeof fetch = async (_, init) => {
      await new Promise<void>((resolve) => clock.setTimer(resolve, 5 * EVENT_TURN_MS));
      const body = new ReadableStream({
        start(controller) {
          init?.signal?.addEventListener("abort", () => controller.error(init.signal?.reason));
          controller.enqueue(utf8('id: 0-0\nevent: state\ndata: {"epoch":1,"stored":2,"anchored":0,"final":0}\n\n'));
        },
      });
      return new Response(body);
    };
    const turns = new EventTurns(1);
    const timers = { ...clock, random: () => 0.5 };
    const heard = [0, 0, 0];
    const followers = heard.map((_, at) => {
      const follower = new EventFollower({ edge: "https://edge.test", stream: `${at}`, fetch: slow, timers, turns });
      void (async () => {
        for await (const { type } of follower) if (type === "state") heard[at] = (heard[at] ?? 0) + 1;
      })();
      return follower;
    });
    await clock.advance(40 * EVENT_TURN_MS);
    assert.ok(
      heard.every((times) => times >= 2),
      heard.join(),
    );
    for (const follower of followers) follower.close();
  });
});

describe("a follower of an event stream", () => {
  const stored = (seq: number, event = 0): string =>
    `id: ${event}-${seq + 1}\nevent: stored\ndata: ${JSON.stringify({ seq, time: 1, author: AUTHOR, payload: "0x61" })}\n\n`;

  const STATE = 'id: 0-0\nevent: state\ndata: {"epoch":1,"stored":2,"anchored":0,"final":0}\n\n';

  /** An edge that answers each request with the next of these, and records the cursors of the requests. */
  const edgeOf = (...answers: (string | Response | Error)[]) => {
    const asked: (string | null)[] = [];
    const fetcher: typeof fetch = async (_, init) => {
      asked.push(new Headers(init?.headers).get("last-event-id"));
      const answer = answers.shift() ?? new Error("no more answers");
      if (answer instanceof Error) throw answer;
      return answer instanceof Response ? answer : new Response(`retry: 1\n${answer}`);
    };
    return { asked, fetcher };
  };

  const collect = async (fetcher: typeof fetch, count: number): Promise<FollowedEvent[]> => {
    const follower = followEvents({ edge: "https://edge.test/", stream: "demo", fetch: fetcher });
    const events: FollowedEvent[] = [];
    for await (const event of follower) {
      events.push(event);
      if (events.length === count) follower.close();
    }
    return events;
  };

  test("continues behind its last event when a response breaks", async () => {
    const half = stored(1).slice(0, 30);
    const refused = new Response("{}", { status: 503 });
    const edge = edgeOf(STATE + stored(0) + half, new TypeError("network"), refused, stored(1));
    const events = await collect(edge.fetcher, 3);
    assert.deepEqual(
      events.map((event) => (event.type === "stored" ? event.message.seq : event.type)),
      ["state", 0, 1],
    );
    assert.deepEqual(edge.asked, [null, "0-1", "0-1", "0-1"]);
  });

  test("throws the reason when it is refused for good", async () => {
    const problem = JSON.stringify({ type: "https://x/problems/no-such-stream", status: 404, detail: "none" });
    const edge = edgeOf(new Response(problem, { status: 404 }));
    await assert.rejects(
      collect(edge.fetcher, 1),
      (error: StreamChainError) => error.problem?.slug === "no-such-stream",
    );
  });

  test("skips an unknown event, and continues behind its id", async () => {
    const edge = edgeOf(`id: 1-0\nevent: later\ndata: {}\n\n`, stored(0, 1));
    assert.equal((await collect(edge.fetcher, 1))[0]?.type, "stored");
    assert.deepEqual(edge.asked, [null, "1-0"]);
  });
});

describe("events of the chain", () => {
  const event = (block: number, state: ChainEvent["state"], payload: string | undefined): ChainEvent => ({
    block,
    logIndex: 0,
    tx: TX,
    state,
    author: AUTHOR,
    payload: payload === undefined ? undefined : utf8(payload),
  });

  test("keep their payload, are in order, and are bounded", () => {
    const events = new ChainEvents(2);
    assert.ok(events.take(event(5, "anchored", "five")));
    assert.ok(!events.take(event(5, "anchored", "five")), "the same twice");
    assert.ok(events.take(event(4, "anchored", "four")));
    assert.ok(events.take(event(5, "reverted", undefined)));
    assert.deepEqual(
      events.toArray().map(({ block, state, payload }) => [block, state, payload?.length]),
      [
        [4, "anchored", 4],
        [5, "reverted", 4],
      ],
    );
    assert.ok(!events.take(event(9, "final", undefined)), "a change of an unknown event is none");
    events.take(event(6, "anchored", "six"));
    assert.deepEqual(
      events.toArray().map(({ block }) => block),
      [5, 6],
    );
  });

  test("are read from frames with transaction and state", () => {
    const tx = new Uint8Array(32).fill(3);
    const seen = decodeRelayMessage(encodeCbor([21, 99, 2, new Uint8Array(20), utf8("hi"), tx, 0]));
    assert.deepEqual(seen[0], {
      kind: "chain",
      block: 99,
      logIndex: 2,
      author: new Uint8Array(20),
      payload: utf8("hi"),
      tx,
      state: "anchored",
    });
    const gone = decodeRelayMessage(encodeCbor([24, 99, 2, tx, 2]));
    assert.deepEqual(gone[0], { kind: "chain-state", block: 99, logIndex: 2, tx, state: "reverted" });
  });

  test("say what is left out, until the payload comes another way", () => {
    const tx = new Uint8Array(32).fill(3);
    const digest = new Uint8Array(32).fill(7);
    const [frame] = decodeRelayMessage(
      encodeCbor([21, 99, 2, new Uint8Array(20), new Uint8Array(0), tx, 0, 70_000, digest]),
    );
    assert.ok(frame?.kind === "chain");
    const brief = chainEventOf(frame);
    const omitted = { size: 70_000, digest: `0x${"07".repeat(32)}` as const };
    assert.deepEqual([brief.omitted, brief.payload?.length], [omitted, 0]);
    const json = { block: 99, logIndex: 2, tx: brief.tx, state: "anchored", author: AUTHOR, payload: "0x", omitted };
    assert.deepEqual(readChainEvent(new JsonObject(json, "event")).omitted, omitted);

    const events = new ChainEvents(2);
    assert.ok(events.take(brief));
    assert.ok(!events.take(brief), "the same twice");
    assert.ok(events.take({ ...brief, payload: utf8("whole"), omitted: undefined }));
    assert.ok(events.take({ ...brief, state: "final" }));
    const [kept] = events.toArray();
    assert.deepEqual([kept?.state, kept?.payload?.length, kept?.omitted], ["final", 5, undefined]);
  });
});
