// Streams of one page share a connection to their relay.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { StreamConnection } from "../src/lib/index.ts";
import { Ability } from "../src/lib/wire/frames.ts";
import { problem } from "./support/edge-parts.ts";
import { join, record } from "./support/joining.ts";
import { account, People } from "./support/people.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

const ANN = account(1);
const BOB = account(2);

/** A world whose relay takes 64 streams on a connection. */
function worldOfMany(): World {
  const world = new World();
  world.people = new People(world.clock);
  world.streams = 64;
  return world;
}

const offers = ({ requests }: World): number => requests.filter((one) => one.endsWith("/sessions")).length;
const joins = ({ requests }: World): number => requests.filter((one) => one.startsWith("POST /v1/sessions/")).length;
const states = (all: readonly StreamConnection[]): string[] => [...new Set(all.map(({ state }) => state.state))];

/** Connections of one account, on as many streams. */
function connectAll(world: World, count: number, author = ANN): StreamConnection[] {
  const token = (world.people as People).sign(author);
  return Array.from({ length: count }, (_, at) => join(world, { stream: `s${at}`, token }));
}

describe("many streams on one connection", () => {
  test("twenty streams at once: one offer, nineteen grants", async () => {
    const world = worldOfMany();
    const all = connectAll(world, 20);
    await settle();
    assert.deepEqual(states(all), ["open"]);
    assert.equal(world.peers.length, 1);
    assert.deepEqual([offers(world), joins(world)], [1, 19]);
    const [first, second] = all as [StreamConnection, StreamConnection];
    const seen = record(second.subscribe());
    first.publish("hi");
    await settle();
    assert.deepEqual(seen, ["0:hi"]);
    for (const connection of all) connection.close();
    assert.equal(world.sessions.size, 0);
  });

  test("guests that begin together are one guest on one connection", async () => {
    const world = worldOfMany();
    const all = Array.from({ length: 5 }, (_, at) => join(world, { stream: `s${at}` }));
    await settle();
    assert.deepEqual(states(all), ["open"]);
    assert.equal(world.peers.length, 1);
    assert.equal(new Set(all.map(({ author }) => author)).size, 1);
    for (const connection of all) connection.close();
  });

  test("streams end one by one, and the last closes the connection", async () => {
    const world = worldOfMany();
    const all = connectAll(world, 3);
    await settle();
    const [peer] = world.peers;
    all[0]?.close();
    await settle();
    assert.equal(world.sessions.size, 2);
    assert.equal(peer?.connectionState, "connected");
    assert.equal(world.endedSessions, 0, "the connection's session stays, so that others may still join it");
    const late = join(world, { stream: "late", token: (world.people as People).sign(ANN) });
    await settle();
    assert.deepEqual([late.state.state, offers(world)], ["open", 1]);
    for (const connection of [...all, late]) connection.close();
    await settle();
    assert.equal(peer?.connectionState, "closed");
    assert.equal(world.endedSessions, 4, "the three that joined, and with the last one the connection's own");
  });

  test("another author or configuration has its own connection", async () => {
    const world = worldOfMany();
    const all = [...connectAll(world, 2), ...connectAll(world, 2, BOB)];
    const token = (world.people as People).sign(ANN);
    all.push(join(world, { stream: "other", token, rtc: { iceTransportPolicy: "relay" } }));
    await settle();
    assert.equal(world.peers.length, 3);
    for (const connection of all) connection.close();
  });

  test("a broken connection is replaced by one for all its streams", async () => {
    const world = worldOfMany();
    const all = connectAll(world, 20);
    await settle();
    world.takeOver();
    await settle();
    assert.notDeepEqual(states(all), ["open"]);
    await world.clock.advance(5_000);
    assert.deepEqual(states(all), ["open"]);
    assert.equal(world.peers.length, 2);
    assert.equal(offers(world), 2);
    for (const connection of all) connection.close();
  });

  test("one channel that the relay closes is one stream's matter", async () => {
    const world = worldOfMany();
    const all = connectAll(world, 3);
    await settle();
    const [, second] = [...world.sessions];
    second?.send([23, 5, "the stream moved"]);
    await settle();
    assert.equal(all.filter(({ state }) => state.state === "open").length, 2);
    await world.clock.advance(3_000);
    assert.deepEqual(states(all), ["open"]);
    assert.equal(world.peers.length, 1, "it joined again");
    for (const connection of all) connection.close();
  });

  test("an edge of the version before is asked as before", async () => {
    const world = worldOfMany();
    world.streams = 1;
    const all = connectAll(world, 4);
    await settle();
    assert.deepEqual(states(all), ["open"]);
    assert.deepEqual([world.peers.length, joins(world)], [4, 0]);
    for (const connection of all) connection.close();
  });

  test("a stream that can't join opens a connection of its own", async () => {
    const world = worldOfMany();
    const [first] = connectAll(world, 1) as [StreamConnection];
    await settle();
    for (const [slug, status] of [
      ["relay-cannot-join", 409],
      ["no-such-session", 404],
    ] as const) {
      world.joinAnswers = [problem(status, slug)];
      const before = world.peers.length;
      const second = join(world, { stream: "elsewhere", token: (world.people as People).sign(ANN) });
      await settle();
      assert.deepEqual([second.state.state, world.peers.length], ["open", before + 1], slug);
      second.close();
    }
    first.close();
  });

  test("a stream whose grant is refused opens one of its own", async () => {
    const world = worldOfMany();
    const [first] = connectAll(world, 1) as [StreamConnection];
    await settle();
    world.joinError = { code: 8, text: "no room" };
    const second = join(world, { stream: "other", token: (world.people as People).sign(ANN) });
    await world.clock.advance(5_000);
    assert.deepEqual([first.state.state, second.state.state], ["open", "open"]);
    assert.equal(world.peers.length, 2);
    for (const connection of [first, second]) connection.close();
  });

  test("a right that one stream lacks is that stream's error alone", async () => {
    const world = worldOfMany();
    const [first] = connectAll(world, 1) as [StreamConnection];
    await settle();
    world.joinAnswers = [problem(403, "forbidden")];
    const second = join(world, { stream: "closed", token: (world.people as People).sign(ANN) });
    await settle();
    assert.equal(second.state.state, "closed");
    assert.equal(second.state.error?.problem?.slug, "forbidden");
    assert.equal(first.state.state, "open");
    first.close();
  });

  test("those that wait for a connection fall back with it", async () => {
    const world = worldOfMany();
    world.relayAnswers = false;
    world.byHttp.serves = true;
    const all = connectAll(world, 5);
    await world.clock.advance(20_000);
    assert.deepEqual(states(all), ["http"]);
    assert.ok(world.peers.length <= 4, `${world.peers.length} attempts`);
    for (const connection of all) connection.close();
  });

  test("a stream that is refused, or closed early, holds up no other", async () => {
    const world = worldOfMany();
    world.sessionAnswers = [problem(403, "forbidden")];
    const [refused, ...others] = connectAll(world, 3);
    await settle();
    assert.equal(refused?.state.state, "closed");
    assert.deepEqual(states(others), ["open"]);
    for (const connection of others) connection.close();
    const [first, ...rest] = connectAll(world, 3);
    first?.close();
    await settle();
    assert.deepEqual(states(rest), ["open"]);
    for (const connection of rest) connection.close();
  });

  test("an ICE restart is one for all streams", async () => {
    const world = worldOfMany();
    const all = connectAll(world, 20);
    await settle();
    world.peers[0]?.disconnect();
    await settle();
    assert.equal(world.peers[0]?.restarts, 1);
    assert.deepEqual(states(all), ["open"]);
    for (const connection of all) connection.close();
  });
});

describe("a second welcome", () => {
  test("a stream under another epoch goes on with its channel", async () => {
    const world = worldOfMany();
    const [connection] = connectAll(world, 1) as [StreamConnection];
    const seen = record(connection.subscribe({ from: 0 }));
    await settle();
    assert.equal(world.session.abilities & Ability.secondWelcome, Ability.secondWelcome);
    world.say("kept");
    await settle();
    world.commit();
    world.say("lost");
    const own = connection.publish("mine");
    await settle();
    assert.deepEqual(seen, ["0:kept", "1:lost", "2:mine"]);
    world.open = [];
    world.epoch++;
    world.welcome(world.session, Buffer.from(world.session.id).toString("hex"));
    await settle();
    assert.deepEqual(seen, ["0:kept", "1:lost", "2:mine", "!1", "1:mine"]);
    world.commit();
    await settle();
    assert.equal(own.state, "stored");
    assert.deepEqual([world.peers.length, connection.state.state], [1, "open"]);
    connection.close();
  });
});
