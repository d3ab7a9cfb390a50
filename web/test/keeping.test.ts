// When the storage is written: once for what a turn publishes, before anything of it is sent, and while it is being signed.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { StreamConnection } from "../src/lib/index.ts";
import { frames, groupsOf, open, signedWorld, texts } from "./support/signed-world.ts";
import type { OriginKeys } from "./support/signing.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

/** The messages that the storage keeps by themselves. */
const kept = (world: World): string[] =>
  [...world.storage.entries]
    .filter(([key]) => /:[0-9a-f]{32}:\d+$/.test(key))
    .map(([, value]) => atob(value))
    .sort();

/** The messages that the storage keeps in records of groups, group by group. */
const keptInRecords = (world: World): string[][] =>
  [...world.storage.entries]
    .filter(([key]) => /:[0-9a-f]{32}:g\d+$/.test(key))
    .map(([, value]) => value.split(" ").slice(4).map(atob));

/** What is written from now on, key by key. */
function writes(world: World): string[] {
  const written: string[] = [];
  const setItem = world.storage.setItem.bind(world.storage);
  world.storage.setItem = (key, value) => {
    setItem(key, value);
    written.push(key);
  };
  return written;
}

/** A page whose first message is stored, so that the storage has its producer's id. */
async function afterStored() {
  const world = signedWorld();
  const page = world.page();
  const before = await open(world, { platform: page });
  before.publish("stored");
  await settle();
  world.commit();
  await settle();
  return { world, page, before };
}

/** The page is gone at once, with its messages unsent; the next one sends what was left. */
async function reopened(world: World, before: StreamConnection, page: ReturnType<World["page"]>): Promise<void> {
  for (const session of world.sessions) world.sessions.delete(session);
  before.close();
  page.locks.freeAll();
  const after = await open(world, { platform: world.page({ tabStorage: page.tabStorage }) });
  await world.clock.advance(1_000);
  world.commit();
  await settle();
  after.close();
}

describe("what a turn publishes", () => {
  test("has its next number written once", async () => {
    const world = new World();
    const connection = await open(world);
    const written = writes(world);
    for (const one of ["a", "b", "c"]) connection.publish(one);
    await settle();
    assert.deepEqual([written.length, kept(world)], [4, ["a", "b", "c"]], "three messages, and the number behind them");
    world.commit();
    await settle();
    assert.deepEqual([texts(world), kept(world)], [["a", "b", "c"], []]);
    connection.close();
  });

  test("is in the storage before any of it is sent", async () => {
    const world = new World();
    const connection = await open(world);
    const { channel } = world.session;
    const atSend: string[][] = [];
    const send = channel.send.bind(channel);
    channel.send = (bytes) => {
      atSend.push(kept(world));
      send(bytes);
    };
    connection.publish("a");
    connection.publish("b");
    assert.deepEqual(kept(world), [], "nothing is written in the turn itself");
    await settle();
    assert.deepEqual(atSend[0], ["a", "b"]);
    connection.close();
  });

  test("is one record, written once, where it is signed at once", async () => {
    const { world, before: connection } = await afterStored();
    const written = writes(world);
    const { channel } = world.session;
    const atSend: string[][][] = [];
    const send = channel.send.bind(channel);
    channel.send = (bytes) => {
      atSend.push(keptInRecords(world));
      send(bytes);
    };
    for (const one of ["a", "", "c"]) connection.publish(one);
    await settle();
    assert.deepEqual([written.length, atSend[0], kept(world)], [1, [["a", "", "c"]], []]);
    world.commit();
    await settle();
    assert.deepEqual([keptInRecords(world), groupsOf(world)], [[], [1, 3]]);
    connection.close();
  });

  test("is sent again as it was signed, from the records alone", async () => {
    const { world, page, before } = await afterStored();
    for (const one of ["a", "", "c"]) before.publish(one);
    await settle();
    before.publish("d");
    await settle();
    world.takeOver(); // nothing of both groups is stored
    assert.deepEqual(keptInRecords(world), [["a", "", "c"], ["d"]]);
    const sent = frames(world, "group");
    await reopened(world, before, page);
    assert.deepEqual(texts(world), ["stored", "a", "", "c", "d"]);
    assert.deepEqual(frames(world, "group").slice(-2), sent.slice(-2));
    assert.deepEqual([kept(world), keptInRecords(world)], [[], []]);
    const later = await open(world, { platform: world.page({ tabStorage: page.tabStorage }) });
    later.publish("e");
    await settle();
    world.commit();
    await settle();
    assert.deepEqual(
      [texts(world).at(-1), world.stored.length],
      ["e", 6],
      "the numbers go on behind what was in records alone",
    );
    later.close();
  });

  test("is kept message by message where signing takes longer", async () => {
    const world = signedWorld();
    const page = world.page();
    const before = await open(world, { platform: page });
    const keys = world.keys as OriginKeys;
    keys.waits = true;
    before.publish("a");
    before.publish("b");
    await settle();
    keys.waits = false;
    keys.release();
    await settle();
    world.takeOver();
    assert.deepEqual([kept(world), keptInRecords(world)], [["a", "b"], [[]]]);
    const [sent] = frames(world, "group");
    await reopened(world, before, page);
    assert.deepEqual([texts(world), frames(world, "group").at(-1)], [["a", "b"], sent]);
    assert.deepEqual([kept(world), keptInRecords(world)], [[], []]);
  });

  test("is followed by the next group also where it has no room", async () => {
    const { world, page, before } = await afterStored();
    const used = [...world.storage.entries].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    world.storage.limit = used + 500; // enough for the end of the chain
    const large = before.publish("x".repeat(1_000));
    await settle();
    assert.deepEqual([large.kept, keptInRecords(world), kept(world)], [false, [], []]);
    world.storage.limit = Number.POSITIVE_INFINITY;
    await reopened(world, before, page);
    const after = await open(world, { platform: world.page({ tabStorage: page.tabStorage }) });
    after.publish("next");
    await settle();
    world.commit();
    await settle();
    assert.deepEqual([groupsOf(world), world.stored.length, texts(world).at(-1)], [[1, 1, 1], 3, "next"]);
    after.close();
  });

  test("is in the storage while the browser signs it", async () => {
    const world = signedWorld();
    const connection = await open(world);
    const keys = world.keys as OriginKeys;
    keys.waits = true;
    connection.publish("a");
    connection.publish("b");
    await settle();
    assert.deepEqual([keys.held, kept(world), frames(world, "group").length], [1, ["a", "b"], 0]);
    connection.close();
  });

  test("is in the storage where there is no session", async () => {
    const world = signedWorld();
    const page = world.page();
    const before = await open(world, { platform: page });
    for (const session of world.sessions) world.sessions.delete(session);
    before.publish("left");
    await settle();
    assert.deepEqual(kept(world), ["left"]);
    await reopened(world, before, page);
    assert.deepEqual(texts(world), ["left"]);
  });

  test("is kept when the page is closed in the same turn", async () => {
    const world = signedWorld();
    const page = world.page();
    const before = await open(world, { platform: page });
    before.publish("left");
    await reopened(world, before, page);
    assert.deepEqual(texts(world), ["left"]);
  });

  test("is kept whole or not at all, where it is one group", async () => {
    const world = signedWorld();
    const page = world.page();
    const before = await open(world, { platform: page });
    const used = [...world.storage.entries].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    world.storage.limit = used + 1_200; // enough for the next number and a message, not for all of the group
    const [payload, written] = ["x".repeat(300), writes(world)];
    const publications = ["a", "b", "c", "d"].map((one) => before.publish(one + payload));
    await settle();
    assert.ok(
      written.some((key) => /:\d+$/.test(key)),
      "the first of them had been written",
    );
    assert.deepEqual([publications.map((one) => one.kept).includes(true), kept(world)], [false, []]);
    world.commit();
    await settle();
    assert.deepEqual([groupsOf(world), world.stored.length], [[4], 4]);
    await reopened(world, before, page);
    assert.equal(world.stored.length, 4, "nothing is sent twice");
  });
});
