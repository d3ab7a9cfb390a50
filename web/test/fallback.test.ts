// A client without a session is served by HTTP, and changes to a session by itself: nothing is left out, doubled or
// reordered between the two channels.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StreamChainError } from "../src/lib/index.ts";
import { EVENT_TURN_MS, MAX_EVENT_RESPONSES } from "../src/lib/limits.ts";
import { problem } from "./support/edge-parts.ts";
import { join, record, text } from "./support/joining.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

/** Long enough for an attempt to fail (10 s), and for one after the longest pause between attempts (60 s). */
const ATTEMPT_MS = 11_000;
const LONGEST_PAUSE_MS = 75_000;

/** A world whose edge serves by HTTP, and whose relay cannot be reached. */
function shutWorld(): World {
  const world = new World();
  world.byHttp.serves = true;
  world.relayAnswers = false;
  return world;
}

const storedIn = (world: World): string[] => world.stored.map(({ payload }, seq) => `${seq}:${text(payload)}`);

describe("serving by HTTP while no session opens", () => {
  test("stored messages come, and publications are stored, in order", async () => {
    const world = shutWorld();
    world.say("before");
    world.commit();
    const connection = join(world);
    const seen = record(connection.subscribe({ from: 0 }));
    const tail = record(connection.subscribe());
    const first = connection.publish("a");
    assert.equal(connection.state.state, "connecting");
    await world.clock.advance(ATTEMPT_MS);
    assert.equal(connection.state.state, "http");
    assert.equal(connection.state.error?.code, "relay-unreachable");
    assert.equal(connection.attempts.at(-1)?.advice, "all-blocked");
    assert.equal(await first.stored, 1);
    world.say("theirs");
    world.commit();
    assert.equal(await connection.publish("b").stored, 3);
    await settle();
    assert.deepEqual(seen, ["0:before", "1:a", "2:theirs", "3:b"]);
    assert.ok(tail.length >= 2 && seen.join().endsWith(tail.join()), tail.join());
    assert.equal(connection.author, `0x${"a1".repeat(20)}`);
    assert.equal(connection.unstored.length, 0);
    connection.close();
    assert.equal(world.byHttp.responses.size, 0, "nothing is left open");
  });

  test("anchored and final follow from the edge's events", async () => {
    const world = shutWorld();
    const connection = join(world);
    const publication = connection.publish("a");
    await world.clock.advance(ATTEMPT_MS);
    await publication.stored;
    world.anchor();
    assert.equal(await publication.anchored, 0);
    world.sendAnchor(0, 1, 2);
    await settle();
    assert.equal(publication.state, "stored");
    world.sendAnchor(0, 1, 1);
    assert.equal(await publication.final, 0);
    connection.close();
  });
});

describe("the change back to a session", () => {
  test("a session replaces HTTP by itself once a path opens", async () => {
    const world = shutWorld();
    const connection = join(world);
    const seen = record(connection.subscribe({ from: 0 }));
    await world.clock.advance(ATTEMPT_MS);
    await connection.publish("by http").stored;
    world.relayAnswers = true;
    await world.clock.advance(LONGEST_PAUSE_MS);
    assert.equal(connection.state.state, "open");
    assert.equal(world.byHttp.responses.size, 0, "the edge is not followed any longer");
    const publication = connection.publish("by channel");
    assert.equal(await publication.live, 1);
    await settle();
    assert.deepEqual(seen, ["0:by http", "1:by channel"], "tentative, and here already");
    assert.deepEqual(world.byHttp.posted, ["0:by http"]);
    connection.close();
  });

  test("pauses grow to a minute; a network change ends them", async () => {
    const world = shutWorld();
    const changed: (() => void)[] = [];
    const onNetworkChange = (callback: () => void): (() => void) => {
      changed.push(callback);
      return () => {};
    };
    const connection = join(world, { platform: world.page({ onNetworkChange }) });
    await world.clock.advance(600_000);
    const attempts = (): number => world.requests.filter((request) => request.endsWith("/sessions")).length;
    const before = attempts();
    assert.ok(before >= 9 && before <= 20, `${before} attempts in ten minutes`);
    while (connection.state.retryAt === undefined) await world.clock.advance(1_000);
    const responses = world.requests.filter((request) => request.includes("/events")).length;
    const started = attempts();
    world.relayAnswers = true;
    changed[0]?.();
    await settle();
    assert.equal(attempts(), started + 1);
    assert.equal(connection.state.state, "open");
    assert.ok(world.requests.filter((request) => request.includes("/events")).length <= responses + 1);
    connection.close();
  });

  test("a network change in an attempt makes the next one immediate", async () => {
    const world = shutWorld();
    let changed = (): void => {};
    const onNetworkChange = (callback: () => void): (() => void) => {
      changed = callback;
      return () => {};
    };
    const connection = join(world, { platform: world.page({ onNetworkChange }) });
    await world.clock.advance(200_000);
    while (connection.state.retryAt !== undefined) await world.clock.advance(1_000);
    changed();
    assert.equal(connection.state.state, "http");
    await world.clock.advance(ATTEMPT_MS);
    assert.equal(connection.state.retryAt, undefined, "the next attempt is under way");
    connection.close();
  });
});

describe("a relay whose welcome comes late", () => {
  /** The relay that is there now sends these before its welcome. */
  const greet = async (world: World, words: readonly string[]): Promise<void> => {
    Object.assign(world, { relayAnswers: true, welcomes: false });
    while (world.received.length === 0) await world.clock.advance(500);
    world.say(...words);
    await settle();
    world.welcomes = true;
    world.welcome(world.session, world.session.producer ?? "");
    await world.clock.advance(500);
  };

  test("loses no message to the HTTP that it replaces", async () => {
    const world = shutWorld();
    world.sessionAnswers.push(problem(503, "no-relay"));
    Object.assign(world, { relayAnswers: true, welcomes: false });
    const connection = join(world);
    const seen = record(connection.subscribe({ from: 0 }));
    await settle();
    assert.equal(connection.state.state, "http");
    await greet(world, ["a", "b"]);
    assert.equal(connection.state.state, "open");
    assert.deepEqual(seen, ["0:a", "1:b"]);
    connection.close();
  });

  test("loses none where HTTP has no answer yet either", async () => {
    const world = shutWorld();
    world.byHttp.serves = false;
    const connection = join(world);
    const seen = record(connection.subscribe({ from: 0 }));
    await world.clock.advance(ATTEMPT_MS);
    await greet(world, ["a", "b"]);
    assert.equal(connection.state.state, "open");
    assert.deepEqual(seen, ["0:a", "1:b"]);
    connection.close();
  });
});

describe("clients that have only HTTP", () => {
  test("a browser without WebRTC is served by HTTP, as a guest", async () => {
    const world = shutWorld();
    const none = (): never => {
      throw new StreamChainError("no-webrtc", "this browser has no WebRTC");
    };
    const connection = join(world, { platform: world.page({ createPeerConnection: none }) });
    const seen = record(connection.subscribe({ from: 0 }));
    assert.equal(await connection.publish("a").stored, 0);
    await world.clock.advance(300_000);
    assert.equal(connection.state.state, "http");
    assert.equal(connection.attempts.length, 1, "WebRTC does not appear by itself");
    assert.equal(connection.attempts[0]?.advice, "no-webrtc");
    assert.deepEqual(seen, ["0:a"]);
    connection.close();
  });

  test("without the fallback a browser without WebRTC gets an error", async () => {
    const world = shutWorld();
    const connection = join(world, { httpFallback: false });
    const publication = connection.publish("a");
    await world.clock.advance(60_000);
    assert.notEqual(connection.state.state, "http");
    assert.equal(publication.state, "queued");
    assert.ok(!world.requests.some((request) => request.includes("/events")));
    connection.close();
    const none = (): never => {
      throw new StreamChainError("no-webrtc", "this browser has no WebRTC");
    };
    const alone = join(world, { httpFallback: false, platform: world.page({ createPeerConnection: none }) });
    await settle();
    assert.equal(alone.state.state, "closed");
    assert.equal(alone.state.error?.code, "no-webrtc");
  });
});

describe("messages on both channels", () => {
  test("a message accepted before the path broke is stored once", async () => {
    const world = new World();
    world.byHttp.serves = true;
    const connection = join(world);
    const seen = record(connection.subscribe({ from: 0 }));
    await settle();
    const publications = ["a", "b"].map((payload) => connection.publish(payload));
    await world.clock.advance(500);
    assert.deepEqual(seen, ["0:a", "1:b"]);
    world.relayAnswers = false;
    world.session.stop();
    world.byHttp.hasLeader = true; // it works, but cannot be reached
    await world.clock.advance(2 * ATTEMPT_MS);
    assert.equal(connection.state.state, "http");
    assert.equal(publications[0]?.state, "live");
    world.say("theirs");
    world.commit();
    await world.clock.advance(2_000);
    assert.deepEqual(await Promise.all(publications.map(({ stored }) => stored)), [0, 1]);
    assert.deepEqual(storedIn(world), ["0:a", "1:b", "2:theirs"]);
    assert.deepEqual(seen, storedIn(world), "what was tentative stands, and nothing comes twice");
    connection.close();
  });

  test("stored messages replace tentative ones of a lost relay", async () => {
    const world = new World();
    world.byHttp.serves = true;
    const connection = join(world);
    const live = record(connection.subscribe({ from: 0 }));
    const stored = record(connection.subscribe({ from: 0, guarantee: "stored" }));
    await settle();
    world.say("kept");
    world.commit();
    world.say("lost");
    const own = connection.publish("mine");
    await settle();
    world.relayAnswers = false;
    world.takeOver();
    await world.clock.advance(2 * ATTEMPT_MS);
    assert.equal(connection.state.state, "http");
    await own.stored;
    world.say("other");
    world.commit();
    await settle();
    assert.deepEqual(live, ["0:kept", "1:lost", "2:mine", "!1", "1:mine", "2:other"]);
    assert.deepEqual(stored, ["0:kept", "1:mine", "2:other"]);
    connection.close();
  });
});

describe("publishing by HTTP", () => {
  test("a message whose answer was lost is stored once", async () => {
    const world = shutWorld();
    world.byHttp.lostAnswers = 2;
    const connection = join(world);
    const publication = connection.publish("a");
    await world.clock.advance(ATTEMPT_MS + 5_000);
    assert.equal(await publication.stored, 0);
    assert.deepEqual(world.byHttp.posted, ["0:a", "0:a", "0:a"]);
    assert.deepEqual(storedIn(world), ["0:a"]);
    connection.close();
  });

  test("messages do not wait for each other's seq", async () => {
    const world = shutWorld();
    world.byHttp.hasLeader = true;
    const connection = join(world);
    const publications = ["a", "b", "c"].map((payload) => connection.publish(payload));
    await world.clock.advance(ATTEMPT_MS);
    assert.deepEqual(
      world.byHttp.posted.slice(0, 3),
      ["0:a", "1:b", "2:c"],
      "all are at the edge before any is stored",
    );
    world.commit();
    await world.clock.advance(2_000);
    assert.deepEqual(await Promise.all(publications.map(({ stored }) => stored)), [0, 1, 2]);
    connection.close();
  });

  test("no more are posted ahead than the edge remembers", async () => {
    const world = shutWorld();
    world.byHttp.hasLeader = true;
    const connection = join(world);
    const publications = Array.from({ length: 40 }, (_, i) => connection.publish(String(i)));
    await world.clock.advance(ATTEMPT_MS);
    assert.equal(new Set(world.byHttp.posted).size, 16);
    for (let i = 0; i < 6; i++) {
      world.commit();
      await world.clock.advance(2_000);
    }
    const seqs = await Promise.all(publications.map(({ stored }) => stored));
    assert.deepEqual(
      seqs,
      seqs.map((_, i) => i),
    );
    connection.close();
  });

  test("a message that a relay stored before keeps its seq", async () => {
    const world = new World();
    world.byHttp.serves = true;
    world.byHttp.forgetsSeqs = true;
    const connection = join(world);
    await settle();
    const publication = connection.publish("a");
    await settle();
    const orphan = world.session;
    world.stored.push(...world.open.splice(0)); // committed, but no client got the mark
    world.relayAnswers = false;
    world.epoch++;
    orphan.stop();
    await world.clock.advance(2 * ATTEMPT_MS);
    assert.equal(connection.state.state, "http");
    assert.equal(await publication.stored, 0);
    connection.close();
  });

  test("conflicting producer numbers lose no message", async () => {
    const world = shutWorld();
    const platform = world.page();
    const earlier = join(world, { platform });
    const first = earlier.publish("a");
    await world.clock.advance(ATTEMPT_MS);
    assert.equal(await first.stored, 0);
    earlier.close();
    platform.locks.freeAll();
    for (const [key] of [...world.storage.entries]) {
      if (/:[0-9a-f]{32}$/.test(key)) world.storage.setItem(key, "0"); // an older copy of the browser's storage
    }
    const restored = join(world, { platform });
    const second = restored.publish("b");
    await world.clock.advance(ATTEMPT_MS);
    assert.equal(await second.stored, 1, "another message, not a repetition of the first");
    world.stored = [];
    world.epoch = 1;
    world.byHttp.cut();
    const publication = restored.publish("c");
    await world.clock.advance(30_000);
    assert.equal(await publication.stored, 0, "of a stream that was made again");
    restored.close();
  });

  test("a client that may not publish is told, and goes on reading", async () => {
    const world = shutWorld();
    const platform = world.page();
    const fetcher: typeof fetch = async (input, init) => {
      const isPost = init?.method === "POST" && String(input).endsWith("/messages");
      return isPost ? problem(403, "forbidden")() : world.fetch(input, init);
    };
    const connection = join(world, { platform: { ...platform, fetch: fetcher } });
    const publication = connection.publish("a");
    await world.clock.advance(ATTEMPT_MS);
    await assert.rejects(publication.stored, (error: StreamChainError) => error.code === "not-allowed");
    assert.equal(connection.state.state, "http", "reading goes on");
    connection.close();
  });

  test("a missing stream is followed from its first message on", async () => {
    const world = shutWorld();
    let made = false;
    const fetcher: typeof fetch = async (input, init) => {
      if (!made && String(input).includes("/events")) return problem(404, "no-such-stream")();
      return world.fetch(input, init);
    };
    const connection = join(world, { platform: { ...world.page(), fetch: fetcher } });
    const seen = record(connection.subscribe());
    await world.clock.advance(ATTEMPT_MS);
    assert.equal(connection.state.state, "http");
    made = true;
    await connection.publish("first").stored;
    await world.clock.advance(1_000);
    assert.deepEqual(seen, ["0:first"]);
    connection.close();
  });
});

describe("many streams of a page by HTTP", () => {
  /** So many connections that the edge serves by HTTP, and what each has read. */
  const shutOut = async (world: World, count: number, queuesRequests = true) => {
    const platform = () => world.page({ queuesRequests: () => queuesRequests });
    const connections = Array.from({ length: count }, () => join(world, { platform: platform() }));
    const read = connections.map((connection) => record(connection.subscribe({ from: 0 })));
    await world.clock.advance(ATTEMPT_MS);
    return { connections, read };
  };

  test("take turns at few responses, and miss nothing", async () => {
    const world = shutWorld();
    world.say("before");
    world.commit();
    const { connections, read } = await shutOut(world, 7);
    const texts = ["0:before"];
    for (const word of ["first", "second", "third"]) {
      world.say(word);
      world.commit();
      texts.push(`${texts.length}:${word}`);
      for (let at = 0; at < 2 * connections.length; at++) {
        assert.ok(world.byHttp.responses.size <= MAX_EVENT_RESPONSES, `${world.byHttp.responses.size} responses`);
        await world.clock.advance(EVENT_TURN_MS);
      }
      for (const one of read) assert.deepEqual(one, texts);
    }
    for (const connection of connections) connection.close();
    await settle();
    assert.equal(world.byHttp.responses.size, 0, "nothing is left open");
  });

  test("have a response each where requests wait for no connection", async () => {
    const world = shutWorld();
    const { connections } = await shutOut(world, 7, false);
    const responses = [...world.byHttp.responses];
    assert.equal(responses.length, 7);
    await world.clock.advance(10 * EVENT_TURN_MS);
    assert.deepEqual([...world.byHttp.responses], responses);
    for (const connection of connections) connection.close();
  });

  test("who waits for a turn and closes, takes none", async () => {
    const world = shutWorld();
    const { connections, read } = await shutOut(world, 5);
    for (const connection of connections.slice(0, 4)) connection.close();
    world.say("on");
    world.commit();
    await world.clock.advance(2 * EVENT_TURN_MS);
    assert.deepEqual(read[4], ["0:on"]);
    const [response] = world.byHttp.responses;
    await world.clock.advance(10 * EVENT_TURN_MS);
    assert.deepEqual([...world.byHttp.responses], [response], "nobody waits: it goes on");
    connections[4]?.close();
  });
});
