// Private streams: what a connection reads by HTTP, it reads as who it is.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConnectOptions, StreamChainError, StreamConnection, StreamMessage } from "../src/lib/index.ts";
import { join, record } from "./support/joining.ts";
import { account, People } from "./support/people.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

const MEMBER = account(1);

/** A world whose stream one account alone may read, with stored messages that the relay does not remember. */
function privateWorld(): World & { people: People } {
  const world = new World();
  world.people = new People(world.clock);
  world.readers = new Set([MEMBER]);
  world.say("a", "b");
  world.commit();
  world.memory = 0;
  return world as World & { people: People };
}

const reads = (world: World): string[] => world.requests.filter((request) => /^GET .*(messages|demo$)/.test(request));

describe("a member of a private stream", () => {
  const enter = async (world: World, options: Partial<ConnectOptions>): Promise<StreamConnection> => {
    const connection = join(world, options);
    await settle();
    return connection;
  };

  test("reads what the relay leaves out", async () => {
    const world = privateWorld();
    const connection = await enter(world, { token: world.people.sign(MEMBER) });
    const seen = record(connection.subscribe({ from: 0 }));
    await world.clock.advance(500);
    world.memory = 1;
    world.say("c");
    await world.clock.advance(500);
    assert.deepEqual(seen, ["0:a", "1:b", "2:c"]);
    connection.close();
  });

  test("sees how far the stream is on the chain", async () => {
    const world = privateWorld();
    Object.assign(world, { anchored: 2, final: 1 });
    const connection = await enter(world, { token: world.people.sign(MEMBER) });
    assert.equal((await connection.refreshMarks())?.name, "demo");
    assert.deepEqual(connection.marks, { committed: 2, anchored: 2, final: 1 });
    const before = reads(world).length;
    await connection.refreshMarks();
    assert.equal(reads(world).length, before + 1, "what needs the token is asked for with it at once");
    connection.close();
  });

  test("checks who wrote a message", async () => {
    const world = privateWorld();
    const connection = await enter(world, { token: world.people.sign(MEMBER) });
    const messages: StreamMessage[] = [];
    connection.subscribe({ from: 0 }).on("message", (message) => messages.push(message));
    await world.clock.advance(500);
    assert.deepEqual(await connection.verifyAuthor(messages[0] as StreamMessage), { state: "unsigned" });
    connection.close();
  });

  test("reads on with the token that replaces a refused one", async () => {
    const world = privateWorld();
    let token = world.people.sign(MEMBER);
    const connection = await enter(world, { token: () => token });
    await connection.refreshMarks();
    world.people.revoke(token);
    token = world.people.sign(MEMBER);
    assert.equal((await connection.refreshMarks())?.name, "demo");
    connection.close();
  });

  test("learns that its token does not count any more", async () => {
    const world = privateWorld();
    const token = world.people.sign(MEMBER);
    const connection = await enter(world, { token });
    await connection.refreshMarks();
    world.people.revoke(token);
    const { edge } = connection;
    await assert.rejects(edge.messages("demo", 0), ({ problem }: StreamChainError) => problem?.status === 401);
    world.readers = null;
    assert.equal((await edge.messages("demo", 0)).length, 2, "the stream is public now");
    connection.close();
  });
});

test("a public stream is read without a token", async () => {
  const world = privateWorld();
  world.readers = null;
  const carried: boolean[] = [];
  const fetcher: typeof fetch = (input, init) => {
    if (String(input).includes("/messages?")) carried.push(new Headers(init?.headers).has("authorization"));
    return world.fetch(input, init);
  };
  const platform = { ...world.page(), fetch: fetcher };
  const connection = join(world, { platform, token: world.people.sign(MEMBER) });
  const seen = record(connection.subscribe({ from: 0 }));
  await world.clock.advance(500);
  assert.deepEqual(seen, ["0:a", "1:b"]);
  assert.deepEqual(carried, [false]);
  connection.close();
});

test("who is no member reads nothing of a private stream", async () => {
  const world = privateWorld();
  const connection = join(world);
  const seen = record(connection.subscribe({ from: 0 }));
  await world.clock.advance(2_000);
  assert.deepEqual([seen, await connection.refreshMarks()], [[], undefined]);
  connection.close();
});
