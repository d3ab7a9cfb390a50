// A client's author does not change by itself, whatever happens to its token, its storage and its network.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type AuthorChange, StreamChainError, type StreamConnection } from "../src/lib/index.ts";
import { toHex } from "../src/lib/wire/bytes.ts";
import { join, joined, text } from "./support/joining.ts";
import { account, People } from "./support/people.ts";
import { MemoryStorage, settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

const [A, B] = [account(1), account(2)];
const MINUTE_MS = 60_000;

function peopled(): World & { people: People } {
  const world = new World();
  world.people = new People(world.clock);
  world.byHttp.serves = true;
  return world as World & { people: People };
}

const authorsOf = (connection: StreamConnection): AuthorChange[] => {
  const seen: AuthorChange[] = [];
  connection.on("author", (change) => seen.push(change));
  return seen;
};

const storedIn = (world: World): string[] =>
  world.stored.map(({ author, payload }) => `${toHex(author).slice(2, 4)}:${text(payload)}`);

const rejectsWith = (promise: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(promise, (error: StreamChainError) => error.code === code);

/** Loses the session and the relay, so that HTTP serves. */
async function toHttp(world: World): Promise<void> {
  world.relayAnswers = false;
  for (const session of [...world.sessions]) session.stop();
  await world.clock.advance(30_000);
}

/** Loses the session; the next attempt opens another. */
async function reconnect(world: World): Promise<void> {
  for (const session of [...world.sessions]) session.stop();
  await world.clock.advance(20_000);
}

describe("a client without storage", () => {
  const without = { storage: null, tabStorage: null, locks: null };

  test("is one guest over reconnects, HTTP, and at its end", async () => {
    const world = peopled();
    const connection = join(world, { platform: world.page(without) });
    const authors = authorsOf(connection);
    await settle();
    const first = connection.author;
    for (let i = 0; i < 3; i++) await reconnect(world);
    await toHttp(world);
    for (const word of ["a", "b", "c"]) {
      connection.publish(word);
      await world.clock.advance(2_000);
    }
    assert.deepEqual(storedIn(world), ["e0:a", "e0:b", "e0:c"]);
    world.relayAnswers = true;
    await world.clock.advance(75_000);
    assert.equal(connection.state.state, "open");
    connection.close();
    await settle();
    assert.equal(world.endedSessions, 1, "the session is ended by its author");
    assert.deepEqual([connection.author, world.people.guests], [first, 1]);
    assert.deepEqual(authors, [{ author: first, former: undefined }]);
  });

  test("is the same guest in the next connection of the library", async () => {
    const world = peopled();
    const first = await joined(world, { platform: world.page(without) });
    first.close();
    const second = await joined(world, { platform: world.page(without) });
    assert.deepEqual([second.author, world.people.guests], [first.author, 1]);
    second.close();
  });

  test("is one guest when HTTP makes it and a session follows", async () => {
    const world = peopled();
    world.relayAnswers = false;
    const connection = join(world, { platform: world.page(without) });
    await world.clock.advance(11_000);
    await connection.publish("a").stored;
    const { author } = connection;
    world.relayAnswers = true;
    await world.clock.advance(75_000);
    assert.deepEqual([connection.state.state, connection.author], ["open", author]);
    connection.close();
  });

  test("storage that fails in the middle changes no author", async () => {
    const world = peopled();
    const storage = new MemoryStorage();
    const connection = await joined(world, { platform: world.page({ storage }) });
    const { author } = connection;
    storage.getItem =
      storage.setItem =
      storage.removeItem =
        () => {
          throw new Error("SecurityError");
        };
    await reconnect(world);
    assert.equal(connection.author, author);
    assert.equal(world.people.guests, 1);
    connection.close();
  });
});

describe("a token that expires", () => {
  test("is asked for again where it comes from a function", async () => {
    const world = peopled();
    let calls = 0;
    const token = async (): Promise<string> => {
      calls++;
      return world.people.sign(A);
    };
    const connection = await joined(world, { token });
    assert.equal(calls, 1);
    await reconnect(world);
    assert.equal(calls, 1, "not while the last one is good");
    await world.clock.advance(20 * MINUTE_MS);
    await reconnect(world);
    assert.deepEqual([connection.state.state, calls], ["open", 2]);
    await world.clock.advance(20 * MINUTE_MS);
    const publication = connection.publish("a");
    await toHttp(world);
    await publication.stored;
    assert.deepEqual(storedIn(world), ["01:a"]);
    connection.close();
  });

  test("of a function that fails for a while loses nothing", async () => {
    const world = peopled();
    let fails = false;
    const token = (): string => {
      if (fails) throw new Error("the identity provider is down");
      return world.people.sign(A);
    };
    const connection = await joined(world, { token });
    fails = true;
    await world.clock.advance(20 * MINUTE_MS);
    for (const session of [...world.sessions]) session.stop();
    const publication = connection.publish("a");
    await world.clock.advance(5 * MINUTE_MS);
    assert.deepEqual([connection.state.state, connection.state.error?.code], ["waiting", "refused"]);
    assert.equal(publication.state, "queued");
    fails = false;
    await world.clock.advance(MINUTE_MS);
    world.commit();
    await publication.stored;
    assert.deepEqual(storedIn(world), ["01:a"]);
    connection.close();
  });

  test("of a function that repeats a refused one is asked seldom", async () => {
    const world = peopled();
    const token = world.people.sign(A);
    let calls = 0;
    const connection = join(world, {
      token: () => {
        calls++;
        return token;
      },
    });
    world.people.revoke(token);
    await world.clock.advance(10 * MINUTE_MS);
    assert.equal(connection.state.state, "waiting");
    assert.ok(calls > 2 && calls < 200, `${calls} calls in ten minutes`);
    connection.close();
  });

  test("of a function that ends it closes the connection", async () => {
    for (const serves of ["session", "http"]) {
      const world = peopled();
      let isOver = false;
      const token = (): string => {
        if (isOver) throw new StreamChainError("refused", "signed out");
        return world.people.sign(A);
      };
      const connection = await joined(world, { token });
      if (serves === "http") await toHttp(world);
      isOver = true;
      world.people.revokeAll();
      const publication = connection.publish("a");
      if (serves === "session") await reconnect(world);
      await world.clock.advance(10_000);
      assert.deepEqual([connection.state.state, connection.state.error?.message], ["closed", "signed out"], serves);
      await rejectsWith(publication.stored, "refused");
    }
  });

  test("of a wallet is renewed by the connection", async () => {
    for (const source of ["given", "kept"]) {
      const world = peopled();
      const token = world.people.sign(A);
      if (source === "kept") world.storage.setItem("streamchain:1:token:https://edge.test", token);
      const connection = await joined(world, source === "given" ? { token } : {});
      await world.clock.advance(60 * MINUTE_MS); // four lives of a token
      await reconnect(world);
      assert.deepEqual([connection.state.state, connection.author], ["open", A], source);
      connection.close();
      const left = world.requests.length;
      await world.clock.advance(20 * MINUTE_MS);
      assert.equal(world.requests.length, left, "a closed connection renews nothing");
    }
  });

  test("of a signed-in account never makes a guest of it", async () => {
    for (const kept of [false, true]) {
      const world = peopled();
      const token = world.people.sign(A);
      if (kept) world.storage.setItem("streamchain:1:token:https://edge.test", token);
      const connection = await joined(world, kept ? {} : { token });
      world.people.revokeAll();
      await toHttp(world);
      assert.deepEqual([connection.state.state, connection.state.error?.problem?.status], ["closed", 401]);
      assert.deepEqual([connection.author, world.people.guests], [A, 0]);
    }
  });
});

describe("a publication that was rejected", () => {
  test("is out of the storage too, and no later page sends it", async () => {
    const world = peopled();
    const platform = world.page();
    const token = world.people.sign(A);
    const connection = await joined(world, { platform, token });
    world.session.channel.stalled = true;
    const sent = connection.publish("sent");
    await settle();
    for (const session of [...world.sessions]) session.stop();
    world.people.revokeAll();
    const unsent = connection.publish("unsent");
    await world.clock.advance(20_000);
    assert.equal(connection.state.state, "closed");
    await rejectsWith(unsent.stored, "refused");
    await rejectsWith(sent.stored, "outcome-unknown");
    assert.deepEqual(connection.unstored, []);
    platform.locks.freeAll();
    const later = await joined(world, { token: world.people.sign(A), platform: world.page() });
    await later.publish("again").live;
    world.commit();
    assert.deepEqual(storedIn(world), ["01:again"]);
    later.close();
  });

  test("is not one of an earlier page: that waits for its author", async () => {
    const world = peopled();
    const [page, later] = [world.page(), world.page()];
    const before = await joined(world, { platform: page, token: world.people.sign(A) });
    world.session.channel.stalled = true;
    before.publish("left");
    await settle();
    before.close();
    page.locks.freeAll();
    const refused = world.people.sign(A);
    world.people.revoke(refused);
    const failed = await joined(world, { platform: later, token: refused });
    await world.clock.advance(5_000);
    assert.equal(failed.state.state, "closed");
    later.locks.freeAll();
    const again = await joined(world, { token: world.people.sign(A) });
    world.commit();
    assert.deepEqual(storedIn(world), ["01:left"]);
    again.close();
  });

  test("by HTTP is not sent by the channel that opens later", async () => {
    const world = peopled();
    const connection = await joined(world, { token: world.people.sign(A) });
    await toHttp(world);
    world.people.revokeAll();
    const publication = connection.publish("a");
    await world.clock.advance(5_000);
    await rejectsWith(publication.stored, "refused");
    world.relayAnswers = true;
    await world.clock.advance(2 * MINUTE_MS);
    assert.deepEqual([storedIn(world), world.open.length], [[], 0]);
    assert.equal(connection.state.state, "closed");
  });
});

describe("another author", () => {
  test("is announced, and carries nothing of the former one", async () => {
    const world = peopled();
    const connection = await joined(world);
    const authors = authorsOf(connection);
    const former = connection.author;
    await toHttp(world);
    world.people.revokeAll();
    const early = connection.publish("early");
    await world.clock.advance(5_000);
    await rejectsWith(early.stored, "author-changed");
    assert.deepEqual(authors, [{ author: account(0xe1), former }]);
    await connection.publish("late").stored;
    assert.deepEqual(storedIn(world), ["e1:late"]);
    connection.close();
  });

  test("of a function's token ends the session of the one before", async () => {
    const world = peopled();
    let author = A;
    const connection = await joined(world, { token: () => world.people.sign(author, 6 * MINUTE_MS) });
    const authors = authorsOf(connection);
    author = B;
    await world.clock.advance(10 * MINUTE_MS);
    const publication = connection.publish("a"); // on the session that is open, as A
    await settle();
    world.commit();
    await publication.stored;
    await reconnect(world);
    await connection.publish("b").live;
    world.commit();
    assert.deepEqual(storedIn(world), ["01:a", "02:b"]);
    assert.deepEqual(authors, [{ author: B, former: A }]);
    connection.close();
  });

  test("in the storage, by another page, is not taken over", async () => {
    const world = peopled();
    const connection = await joined(world);
    const { author } = connection;
    world.storage.setItem("streamchain:1:token:https://edge.test", world.people.sign(B));
    await reconnect(world);
    assert.deepEqual([connection.state.state, connection.author], ["open", author]);
    connection.close();
  });

  test("does not send what a page of the former one kept", async () => {
    const world = peopled();
    const platform = world.page();
    const a = await joined(world, { platform, token: world.people.sign(A) });
    world.session.channel.stalled = true;
    a.publish("of A");
    await settle();
    a.close();
    platform.locks.freeAll();
    const b = await joined(world, { token: world.people.sign(B), platform: world.page() });
    await b.publish("of B").live;
    world.commit();
    assert.deepEqual(storedIn(world), ["02:of B"]);
    b.close();
    const again = await joined(world, { token: world.people.sign(A), platform: world.page() });
    world.commit();
    assert.deepEqual(storedIn(world), ["02:of B", "01:of A"]);
    again.close();
  });
});
