import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { StreamChainError } from "../src/lib/errors.ts";
import { connect } from "../src/lib/index.ts";
import { join, joined, record, text } from "./support/joining.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

describe("from publish to final", () => {
  test("a session is one request, then hello and subscribe", async () => {
    const world = new World();
    const connection = connect({ stream: "demo", edge: "https://edge.test/", platform: world.page() });
    connection.subscribe({ from: 0 });
    await settle();
    assert.equal(connection.state.state, "open");
    assert.deepEqual(world.requests[0], "POST /v1/streams/demo/sessions");
    assert.equal(world.requests.filter((request) => request.startsWith("POST")).length, 1);
    assert.deepEqual(
      world.received.map((frame) => frame.kind),
      ["hello", "subscribe"],
    );
    connection.close();
  });

  test("a message becomes live, stored, anchored, final, in order", async () => {
    const world = new World();
    const connection = await joined(world);
    const reached: string[] = [];
    const publication = connection.publish("hi");
    for (const state of ["live", "stored", "anchored", "final"] as const) {
      void publication[state].then((seq) => reached.push(`${state} ${seq}`));
    }
    assert.equal(publication.state, "queued");
    await settle();
    assert.deepEqual(reached, ["live 0"]);
    world.commit();
    await settle();
    assert.equal(publication.state, "stored");
    world.anchor();
    await settle();
    assert.equal(publication.state, "anchored");
    world.sendAnchor(0, 1, 1);
    await settle();
    assert.deepEqual(reached, ["live 0", "stored 0", "anchored 0", "final 0"]);
    connection.close();
  });

  test("a reverted anchor takes its messages back to stored", async () => {
    const world = new World();
    const connection = await joined(world);
    const publication = connection.publish("hi");
    await settle();
    world.commit();
    world.anchor();
    await settle();
    world.sendAnchor(0, 1, 2);
    await settle();
    assert.equal(publication.state, "stored");
    assert.deepEqual(connection.marks, { committed: 1, anchored: 0, final: 0 });
    connection.close();
  });

  test("a thousand messages arrive at another page once and in order", async () => {
    const world = new World();
    const [publisher, reader] = [await joined(world), await joined(world)];
    const seen = record(reader.subscribe({ from: 0 }));
    for (let i = 0; i < 1_000; i++) publisher.publish(String(i));
    await settle();
    world.commit();
    await settle();
    assert.deepEqual(
      seen,
      Array.from({ length: 1_000 }, (_, i) => `${i}:${i}`),
    );
    assert.equal(publisher.unstored.length, 0);
    publisher.close();
    reader.close();
  });
});

describe("reading over gaps and reconnects", () => {
  test("what the relay no longer has is read from history", async () => {
    const world = new World();
    world.say(...Array.from({ length: 2_500 }, (_, i) => `old ${i}`));
    world.commit();
    world.memory = 10;
    const connection = join(world);
    const seen = record(connection.subscribe({ from: 0 }));
    await world.clock.advance(100);
    world.say("new");
    await world.clock.advance(100);
    assert.equal(seen.length, 2_501);
    assert.ok(seen.every((entry, i) => entry.startsWith(`${i}:`)));
    connection.close();
  });

  test("a gap over unstored messages is filled once they are stored", async () => {
    const world = new World();
    const connection = join(world);
    const seen = record(connection.subscribe({ from: 0 }));
    await settle();
    world.session.subscribed = false; // the relay's send queue of this subscriber is full
    world.say("a", "b");
    world.session.send([22, 0, 2]);
    world.session.subscribed = true;
    world.say("c");
    await settle();
    assert.deepEqual(seen, []);
    world.commit();
    await world.clock.advance(1_000);
    assert.deepEqual(seen, ["0:a", "1:b", "2:c"]);
    connection.close();
  });

  test("a new leader replaces the tentative messages", async () => {
    const world = new World();
    const connection = join(world);
    const live = record(connection.subscribe({ from: 0 }));
    const stored = record(connection.subscribe({ from: 0, guarantee: "stored" }));
    await settle();
    world.say("kept");
    world.commit();
    world.say("lost 1", "lost 2");
    await settle();
    world.takeOver();
    world.say("other");
    world.commit();
    await world.clock.advance(20_000);
    assert.deepEqual(live, ["0:kept", "1:lost 1", "2:lost 2", "!1", "1:other"]);
    assert.deepEqual(stored, ["0:kept", "1:other"]);
    connection.close();
  });

  test("a reconnect to the same relay continues where it was", async () => {
    const world = new World();
    const connection = join(world);
    const seen = record(connection.subscribe({ from: 0 }));
    await settle();
    world.say("a", "b");
    await settle();
    world.session.stop();
    world.say("c");
    await world.clock.advance(20_000);
    world.say("d");
    await settle();
    assert.deepEqual(seen, ["0:a", "1:b", "2:c", "3:d"]);
    connection.close();
  });
});

describe("publishing over reconnects", () => {
  test("messages published without a relay are sent later, in order", async () => {
    const world = new World();
    world.relayAnswers = false;
    const connection = await joined(world);
    const publications = ["a", "b", "c"].map((payload) => connection.publish(payload));
    await world.clock.advance(12_000);
    assert.equal(connection.attempts[0]?.error?.code, "relay-unreachable");
    world.relayAnswers = true;
    await world.clock.advance(30_000);
    world.commit();
    await settle();
    assert.deepEqual(await Promise.all(publications.map((publication) => publication.stored)), [0, 1, 2]);
    assert.deepEqual(
      world.stored.map(({ payload }) => text(payload)),
      ["a", "b", "c"],
    );
    connection.close();
  });

  test("only messages that a lost relay did not store are resent", async () => {
    const world = new World();
    const connection = await joined(world);
    connection.publish("a");
    await settle();
    world.commit();
    const second = connection.publish("b");
    await settle();
    assert.equal(second.seq, 1);
    world.takeOver();
    world.say("in between");
    world.commit();
    await world.clock.advance(20_000);
    world.commit();
    await settle();
    assert.equal(await second.stored, 2);
    assert.deepEqual(
      world.stored.map(({ payload }) => text(payload)),
      ["a", "in between", "b"],
    );
    connection.close();
  });

  test("a message stored without an answer counts as stored, once", async () => {
    const world = new World();
    const connection = await joined(world);
    const publication = connection.publish("a");
    await settle();
    const orphan = world.session;
    world.stored.push(...world.open.splice(0)); // committed, but no client got the mark
    orphan.stop();
    await world.clock.advance(20_000);
    assert.equal(await publication.stored, 0);
    assert.equal(world.head, 1);
    connection.close();
  });
});

describe("limits of publishing", () => {
  test("a message over the limit throws too-large, and is not sent", async () => {
    const world = new World();
    const connection = await joined(world);
    assert.throws(
      () => connection.publish(new Uint8Array(65_537)),
      (error: StreamChainError) => error.code === "too-large",
    );
    connection.publish(new Uint8Array(65_536));
    await settle();
    assert.equal(world.received.filter((frame) => frame.kind === "publish").length, 1);
    connection.close();
  });

  test("a full outbox throws queue-full until there is room", async () => {
    const world = new World();
    const connection = await joined(world);
    const big = new Uint8Array(65_536);
    for (let i = 0; i < 256; i++) connection.publish(big);
    assert.throws(
      () => connection.publish(big),
      (error: StreamChainError) => error.code === "queue-full" && error.retryable,
    );
    await settle();
    world.commit();
    await settle();
    connection.publish(big);
    connection.close();
  });

  test("a slow channel is not filled beyond its bound", async () => {
    const world = new World();
    const connection = await joined(world);
    world.session.channel.stalled = true;
    for (let i = 0; i < 100; i++) connection.publish(new Uint8Array(16_000));
    await settle();
    assert.ok(world.session.channel.bufferedAmount <= 262_144 + 16_384);
    world.session.channel.drain();
    await settle();
    assert.equal(world.head, 100);
    connection.close();
  });

  test("an overloaded relay gets a pause, then all it refused", async () => {
    const world = new World();
    const connection = await joined(world);
    const accept = world.accept.bind(world);
    let refusals = 3;
    world.accept = (session, producerSeq, payload) => {
      if (refusals-- > 0) session.send([23, 8, "slow down"]);
      else accept(session, producerSeq, payload);
    };
    for (const payload of ["a", "b", "c", "d"]) connection.publish(payload);
    await world.clock.advance(10_000);
    world.commit();
    await settle();
    assert.deepEqual(
      world.stored.map(({ payload }) => text(payload)),
      ["a", "b", "c", "d"],
    );
    connection.close();
  });

  test("a rate limit is honoured for as long as the relay says", async () => {
    const world = new World();
    const connection = await joined(world);
    const accept = world.accept.bind(world);
    let refused = false;
    world.accept = (session, producerSeq, payload) => {
      if (!refused) session.send([23, 10, "too fast", 3_000]);
      else accept(session, producerSeq, payload);
      refused = true;
    };
    connection.publish("a");
    await world.clock.advance(2_900);
    connection.publish("b");
    await world.clock.advance(50);
    assert.equal(world.head, 0, "nothing is sent within the wait");
    await world.clock.advance(200);
    assert.equal(world.head, 2, "then everything, in order");
    connection.close();
  });
});

describe("the end of a session", () => {
  test("a session ended by its rate says so, and the next one works", async () => {
    const world = new World();
    const connection = await joined(world);
    const ends: (string | undefined)[] = [];
    connection.on("state", ({ state, error }) => state === "waiting" && ends.push(error?.code));
    world.session.send([23, 10, "far above the rate for too long"]);
    await world.clock.advance(20_000);
    assert.deepEqual(ends, ["rate-limited"]);
    assert.equal(connection.state.state, "open");
    connection.close();
  });

  test("an error of the relay is an event, also by its former name", async () => {
    const world = new World();
    const connection = await joined(world);
    const seen: unknown[] = [];
    connection.on("relay-error", (error) => seen.push(error));
    connection.on("complaint", (error) => seen.push(error));
    world.session.send([23, 9, "unexpected frame"]);
    await settle();
    const expected = { code: 9, text: "unexpected frame" };
    assert.deepEqual(seen, [expected, expected]);
    connection.close();
  });

  test("malformed bytes end the session, and the next one works", async () => {
    const world = new World();
    const connection = await joined(world);
    const ends: (string | undefined)[] = [];
    connection.on("state", ({ state, error }) => state === "waiting" && ends.push(error?.code));
    world.session.sendRaw(Uint8Array.of(0x9f, 0xff));
    await world.clock.advance(20_000);
    assert.deepEqual(ends, ["malformed"]);
    assert.equal(connection.state.state, "open");
    connection.close();
  });

  test("an offline reader polls history with pauses", async () => {
    const world = new World();
    const connection = await joined(world);
    connection.subscribe({ from: 0 }).on("message", () => {});
    world.say("a");
    world.commit();
    await world.clock.advance(1_000);
    world.edgeAnswers = false;
    world.relayAnswers = false;
    world.session.stop();
    const before = world.requests.length;
    await world.clock.advance(30_000);
    const asked = world.requests.slice(before).filter((request) => request.includes("/messages?"));
    assert.ok(asked.length >= 5 && asked.length <= 40, `${asked.length} times in 30 s`);
    connection.close();
  });

  test("a session that the relay forgot is replaced", async () => {
    const world = new World();
    const connection = await joined(world);
    const publication = connection.publish("a");
    await settle();
    world.session.forgotten = true;
    world.sessions.delete(world.session);
    world.open = [];
    world.epoch++;
    await world.clock.advance(15_000);
    assert.equal(connection.attempts.length, 2);
    world.commit();
    await settle();
    assert.equal(await publication.stored, 0);
    connection.close();
  });

  test("a session without traffic stays open", async () => {
    const world = new World();
    const connection = await joined(world);
    await world.clock.advance(300_000);
    assert.equal(connection.attempts.length, 1);
    assert.equal((await connection.getPath())?.rttMs, 2);
    connection.close();
  });

  test("a session without a welcome is ended", async () => {
    const world = new World();
    world.welcomes = false;
    const connection = await joined(world);
    await world.clock.advance(8_500);
    assert.equal(connection.attempts[0]?.error?.code, "no-welcome");
    connection.close();
  });
});

describe("subscriptions and closing", () => {
  test("with no relay at all, history is read and followed by HTTP", async () => {
    const world = new World();
    world.relayAnswers = false;
    world.say("a");
    world.commit();
    const connection = join(world);
    const seen = record(connection.subscribe({ from: 0 }));
    await world.clock.advance(1_000);
    assert.deepEqual(seen, ["0:a"]);
    world.say("b");
    world.commit();
    await world.clock.advance(10_000);
    assert.deepEqual(seen, ["0:a", "1:b"]);
    world.relayAnswers = true;
    await world.clock.advance(30_000);
    world.say("c");
    await settle();
    assert.deepEqual(seen, ["0:a", "1:b", "2:c"]);
    connection.close();
  });

  test("a dead history request does not delay a new session", async () => {
    const world = new World();
    const connection = await joined(world);
    const seen = record(connection.subscribe({ from: 0 }));
    world.say("a");
    world.commit();
    await settle();
    world.openConnectionsDead = true;
    world.session.stop();
    await world.clock.advance(2_000);
    world.say("b");
    await settle();
    assert.deepEqual(seen, ["0:a", "1:b"]);
    connection.close();
  });

  test("a tail subscription begins with the next message", async () => {
    const world = new World();
    world.say("before");
    const connection = join(world);
    const seen = record(connection.subscribe());
    await settle();
    world.say("after");
    await settle();
    assert.deepEqual(seen, ["1:after"]);
    connection.close();
  });

  test("the iterator returns messages and ends with the connection", async () => {
    const world = new World();
    const connection = await joined(world);
    world.say("a", "b");
    const seen: string[] = [];
    const reading = (async () => {
      for await (const message of connection.subscribe({ from: 0 })) seen.push(text(message.payload));
    })();
    await settle();
    connection.close();
    await reading;
    assert.deepEqual(seen, ["a", "b"]);
  });

  test("close ends the session, and rejects what no later page sends", async () => {
    const world = new World();
    const connection = await joined(world, { platform: world.page({ locks: null }) });
    const sent = connection.publish("a");
    await settle();
    const unsent = connection.publish("b");
    connection.close();
    await assert.rejects(unsent.stored, (error: StreamChainError) => error.code === "closed");
    await assert.rejects(sent.stored, (error: StreamChainError) => error.code === "outcome-unknown");
    await settle();
    assert.equal(world.requests.at(-1), "DELETE /v1/sessions/abc");
  });

  test("what is kept at close stays open, and a later page sends it", async () => {
    const world = new World();
    const platform = world.page();
    const connection = await joined(world, { platform });
    world.session.channel.stalled = true;
    const kept = connection.publish("a");
    const drained = connection.drain();
    let settled = false;
    kept.stored.then(
      () => (settled = true),
      () => (settled = true),
    );
    connection.close();
    await assert.rejects(drained, (error: StreamChainError) => error.code === "closed");
    platform.locks.freeAll();
    await settle();
    assert.equal(settled, false);
    const later = await joined(world);
    world.commit();
    assert.deepEqual(
      world.stored.map(({ payload }) => text(payload)),
      ["a"],
    );
    later.close();
  });
});
