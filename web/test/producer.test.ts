import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, type StreamConnection } from "../src/lib/index.ts";
import type { Platform } from "../src/lib/platform.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

type Page = ReturnType<World["page"]>;

async function open(platform: Platform): Promise<StreamConnection> {
  const connection = connect({ stream: "demo", edge: "https://edge.test", platform });
  await settle();
  return connection;
}

/** Ends a page at once: nothing of it runs any more, and the browser frees its locks. */
async function kill(world: World, connection: StreamConnection, page: Page): Promise<void> {
  for (const session of world.sessions) world.sessions.delete(session);
  connection.close();
  page.locks.freeAll();
  await settle();
}

const producers = (world: World): string[] =>
  world.received.flatMap((frame) => (frame.kind === "hello" ? [Buffer.from(frame.producer).toString("hex")] : []));

const texts = (world: World): string[] => world.stored.map(({ payload }) => new TextDecoder().decode(payload));

describe("producer ids", () => {
  test("a reloaded page keeps its id and sends what is not stored", async () => {
    const world = new World();
    const page = world.page();
    const before = await open(page);
    before.publish("stored");
    await settle();
    world.commit();
    await settle();
    world.session.channel.stalled = true;
    before.publish("unsent 1");
    before.publish("unsent 2");
    await settle();
    await kill(world, before, page);
    const after = await open(world.page({ tabStorage: page.tabStorage }));
    after.publish("new");
    await settle();
    world.commit();
    await settle();
    assert.equal(new Set(producers(world)).size, 1);
    assert.deepEqual(texts(world), ["stored", "unsent 1", "unsent 2", "new"]);
    after.close();
  });

  test("a message stored during a reload is not sent again", async () => {
    const world = new World();
    const page = world.page();
    const before = await open(page);
    before.publish("a");
    await settle();
    world.stored.push(...world.open.splice(0));
    await kill(world, before, page);
    const after = await open(world.page({ tabStorage: page.tabStorage }));
    await settle();
    assert.deepEqual(texts(world), ["a"]);
    assert.equal(after.unstored.length, 0);
    assert.equal([...world.storage.entries.keys()].filter((key) => /:\d+$/.test(key)).length, 0);
    after.close();
  });

  test("two tabs of one stream have two producer ids", async () => {
    const world = new World();
    const tabs = [await open(world.page()), await open(world.page())];
    assert.equal(new Set(producers(world)).size, 2);
    for (const tab of tabs) tab.publish("x");
    await settle();
    world.commit();
    assert.equal(world.stored.length, 2);
    for (const tab of tabs) tab.close();
  });

  test("a duplicated tab uses another id than the copied one", async () => {
    const world = new World();
    const page = world.page();
    const original = await open(page);
    const copy = await open(world.page({ tabStorage: page.tabStorage.copy() }));
    assert.equal(new Set(producers(world)).size, 2);
    original.close();
    copy.close();
  });

  test("a new tab sends what a closed tab left", async () => {
    const world = new World();
    const page = world.page();
    const closed = await open(page);
    world.session.channel.stalled = true;
    closed.publish("left behind");
    await settle();
    await kill(world, closed, page);
    const other = await open(world.page());
    await settle();
    world.commit();
    assert.deepEqual(texts(world), ["left behind"]);
    other.close();
  });

  test("without locks each page has a new id and keeps nothing", async () => {
    const world = new World();
    const first = await open(world.page({ locks: null }));
    const second = await open(world.page({ locks: null }));
    first.publish("a");
    assert.equal(first.unstored[0]?.kept, false);
    assert.equal(new Set(producers(world)).size, 2);
    first.close();
    second.close();
  });

  test("a page works without storage", async () => {
    const world = new World();
    world.storage.entries.get = () => {
      throw new Error("SecurityError");
    };
    world.locks.page = () => ({ acquire: () => Promise.reject(new Error("SecurityError")), freeAll: () => {} });
    const connection = await open(world.page());
    const publication = connection.publish("a");
    await settle();
    world.commit();
    await settle();
    assert.equal(publication.state, "stored");
    connection.close();
  });

  test("full storage loses no message while the page lives", async () => {
    const world = new World();
    world.storage.limit = 0;
    const connection = await open(world.page());
    const publication = connection.publish("a");
    assert.equal(publication.kept, false);
    await settle();
    world.commit();
    await settle();
    assert.equal(publication.state, "stored");
    connection.close();
  });

  test("a number that could not be kept names no other message", async () => {
    const world = new World();
    const page = world.page();
    const before = await open(page);
    const first = before.publish("kept");
    assert.ok(first.kept);
    await settle();
    world.storage.limit = 0;
    before.publish("sent and not kept");
    assert.equal(first.kept, false, "the first one is not left to a later page either");
    await settle();
    await kill(world, before, page);
    world.storage.limit = Number.POSITIVE_INFINITY;
    const after = await open(world.page({ tabStorage: page.tabStorage }));
    after.publish("another");
    await settle();
    world.commit();
    await settle();
    assert.deepEqual(texts(world), ["kept", "sent and not kept", "another"]);
    after.close();
  });

  test("numbers that were not kept leave no message waiting", async () => {
    const world = new World();
    const page = world.page();
    const before = await open(page);
    before.publish("kept");
    await settle();
    const size = [...world.storage.entries].reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    world.storage.limit = size + 500; // enough for the next number, and not for the message
    const large = "not kept ".repeat(100);
    assert.equal(before.publish(large).kept, false);
    await settle();
    await kill(world, before, page);
    const after = await open(world.page({ tabStorage: page.tabStorage }));
    const next = after.publish("next");
    await settle();
    world.commit();
    await settle();
    assert.deepEqual(texts(world), ["kept", large, "next"]);
    assert.deepEqual([next.state, after.unstored.length], ["stored", 0]);
    after.close();
  });

  test("a stream made again gets a new id, with all messages", async () => {
    const world = new World();
    const page = world.page();
    const before = await open(page);
    before.publish("old");
    await settle();
    world.commit();
    await settle();
    await kill(world, before, page);
    world.stored = [];
    world.epoch = 1;
    const after = await open(world.page({ tabStorage: page.tabStorage }));
    after.publish("new");
    await world.clock.advance(5_000);
    world.commit();
    await settle();
    assert.deepEqual(texts(world), ["new"]);
    assert.equal(after.unstored.length, 0);
    after.close();
  });
});
