// Messages that their authors sign, from the key of a page to what a reader can check.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StreamChainError, type StreamConnection } from "../src/lib/index.ts";
import { keyOfText } from "../src/lib/signed/point.ts";
import { signerOf } from "../src/lib/signed/signer.ts";
import { toHex } from "../src/lib/wire/bytes.ts";
import { join } from "./support/joining.ts";
import { account, type People } from "./support/people.ts";
import { frames, groupsOf, guestOf, open, signedWorld, texts } from "./support/signed-world.ts";
import { OriginKeys, selfOf } from "./support/signing.ts";
import { settle } from "./support/surroundings.ts";
import type { World } from "./support/world.ts";

describe("a guest is its key", () => {
  test("the first request makes it, and its author is the key", async () => {
    const world = signedWorld();
    const connection = await open(world);
    assert.equal(connection.author, await guestOf(world));
    assert.equal(world.requests[0], "POST /v1/streams/demo/sessions", "one request, as without a key");
    connection.close();
  });

  test("two pages that start at once are one guest", async () => {
    const world = signedWorld();
    const pages = [join(world), join(world)];
    await settle();
    assert.equal(pages[0]?.author, pages[1]?.author);
    for (const page of pages) page.close();
  });

  test("an expired or revoked token is replaced for its author", async () => {
    const world = signedWorld();
    const connection = await open(world);
    const author = connection.author;
    const changes: unknown[] = [];
    connection.on("author", (change) => changes.push(change));
    (world.people as People).revokeAll();
    world.session.stop();
    await world.clock.advance(20_000);
    assert.equal(connection.state.state, "open");
    await world.clock.advance(16 * 60_000);
    world.session.stop();
    await world.clock.advance(20_000);
    assert.equal(connection.state.state, "open");
    assert.deepEqual([connection.author, changes], [author, []]);
    connection.close();
  });

  test("a page whose clock is wrong takes the edge's time", async () => {
    const world = signedWorld();
    world.edgeAheadS = 7_200;
    const connection = join(world);
    await world.clock.advance(5_000);
    assert.equal(connection.state.state, "open");
    assert.equal(connection.author, await guestOf(world));
    connection.close();
  });

  test("an old guest goes on unsigned until its token is refused", async () => {
    const world = signedWorld();
    const old = (world.people as People).guest();
    world.storage.setItem("streamchain:1:token:https://edge.test", old.token);
    const connection = await open(world);
    const first = connection.publish("by the old guest");
    await settle();
    world.commit();
    await settle();
    assert.deepEqual([connection.author, first.signed], [old.author, false]);
    (world.people as People).revokeAll();
    world.session.stop();
    await world.clock.advance(20_000);
    const second = connection.publish("by its key");
    await settle();
    world.commit();
    await settle();
    assert.deepEqual([connection.author, second.signed], [await guestOf(world), true]);
    connection.close();
  });

  test("a guest whose key is lost is given up for a new one", async () => {
    const world = signedWorld();
    (await open(world)).close();
    world.keys = new OriginKeys();
    const connection = join(world);
    const publication = connection.publish("at once");
    await settle();
    world.commit();
    assert.equal(await publication.stored, 0, "what is published before that is known is the new guest's");
    assert.equal(connection.author, await guestOf(world));
    connection.close();
  });

  test("who signs nothing is a guest apart from those who do", async () => {
    const world = signedWorld();
    const unsigned = await open(world, { key: null });
    const signed = await open(world);
    assert.equal(signed.author, await guestOf(world));
    assert.notEqual(unsigned.author, signed.author);
    for (const connection of [unsigned, signed]) connection.close();
  });

  test("without keys everything goes on unsigned", async () => {
    const world = signedWorld();
    world.keys = null;
    const connection = await open(world);
    const publication = connection.publish("a");
    await settle();
    world.commit();
    assert.deepEqual([publication.signed, groupsOf(world), texts(world)], [false, [], ["a"]]);
    connection.close();
  });
});

describe("signed publications", () => {
  test("what is published together is one group", async () => {
    const world = signedWorld();
    const connection = await open(world);
    const publications = ["a", "b", "c"].map((one) => connection.publish(one));
    await settle();
    world.commit();
    await settle();
    assert.deepEqual(await Promise.all(publications.map(({ stored }) => stored)), [0, 1, 2]);
    assert.deepEqual([groupsOf(world), texts(world)], [[3], ["a", "b", "c"]]);
    assert.ok(publications.every(({ signed }) => signed));
    assert.equal(world.keys?.signatures, 2, "the proof and one group");
    connection.close();
  });

  test("a thousand keep their order, and each group follows the last", async () => {
    const world = signedWorld();
    const connection = await open(world);
    for (let i = 0; i < 1_000; i++) connection.publish(String(i));
    await settle();
    world.commit();
    await settle();
    assert.deepEqual(
      texts(world),
      Array.from({ length: 1_000 }, (_, i) => String(i)),
    );
    assert.ok(groupsOf(world).every((count) => count <= 256));
    assert.ok(groupsOf(world).length < 10, `${groupsOf(world)}`);
    assert.equal(connection.unstored.length, 0);
    connection.close();
  });

  test("large messages make small groups", async () => {
    const world = signedWorld();
    const connection = await open(world);
    for (let i = 0; i < 4; i++) connection.publish(new Uint8Array(65_408));
    await settle();
    world.commit();
    assert.deepEqual(groupsOf(world), [1, 1, 1, 1]);
    connection.close();
  });

  test("a group that was lost is sent again as it was signed", async () => {
    const world = signedWorld();
    const connection = await open(world);
    connection.publish("a");
    connection.publish("b");
    await settle();
    world.takeOver();
    connection.publish("c");
    await world.clock.advance(20_000);
    world.commit();
    await settle();
    const [first, again] = frames(world, "group");
    assert.deepEqual(again, first);
    assert.deepEqual(
      [groupsOf(world), texts(world)],
      [
        [2, 1],
        ["a", "b", "c"],
      ],
    );
    connection.close();
  });

  test("a reload sends what was signed again, and then the rest", async () => {
    const world = signedWorld();
    const page = world.page();
    const before = await open(world, { platform: page });
    before.publish("a");
    before.publish("b");
    await settle();
    world.takeOver();
    before.publish("not signed yet");
    for (const session of world.sessions) world.sessions.delete(session);
    before.close();
    page.locks.freeAll();
    const after = await open(world, { platform: world.page({ tabStorage: page.tabStorage }) });
    after.publish("new");
    await world.clock.advance(1_000);
    world.commit();
    await settle();
    const [first, again] = frames(world, "group");
    assert.deepEqual(again, first);
    assert.deepEqual(texts(world), ["a", "b", "not signed yet", "new"]);
    assert.deepEqual(
      [...world.storage.entries.keys()].filter((key) => /:g?\d+$/.test(key)),
      [],
    );
    after.close();
  });

  test("what an earlier version kept is sent unsigned, as it was", async () => {
    const world = signedWorld();
    const keys = world.keys;
    world.keys = null;
    const page = world.page();
    const old = await open(world, { platform: page });
    world.session.channel.stalled = true;
    const { author } = old;
    old.publish("left behind");
    await settle();
    for (const session of world.sessions) world.sessions.delete(session);
    old.close();
    page.locks.freeAll();
    world.keys = keys;
    const later = await open(world, { platform: world.page({ tabStorage: page.tabStorage }) });
    await settle();
    world.commit();
    assert.deepEqual([texts(world), groupsOf(world), later.author], [["left behind"], [], author]);
    later.close();
  });

  test("a relay of the version before gets what is not signed", async () => {
    const world = signedWorld();
    world.signatures.taken = false;
    const connection = await open(world);
    const publication = connection.publish("a");
    await settle();
    world.commit();
    await settle();
    assert.deepEqual([texts(world), publication.signed, connection.attempts.length], [["a"], false, 1]);
    connection.close();
  });

  test("a full storage loses no message while the page lives", async () => {
    const world = signedWorld();
    const connection = await open(world);
    world.storage.limit = 0;
    const publications = ["a", "b"].map((one) => connection.publish(one));
    await settle();
    assert.ok(publications.every(({ kept }) => !kept));
    world.commit();
    await settle();
    assert.deepEqual([texts(world), groupsOf(world)], [["a", "b"], [2]]);
    connection.close();
  });

  test("a browser that fails to sign is asked again", async () => {
    const world = signedWorld();
    const connection = await open(world);
    (world.keys as OriginKeys).fails = true;
    connection.publish("a");
    await world.clock.advance(5_000);
    assert.equal(world.head, 0);
    (world.keys as OriginKeys).fails = false;
    await world.clock.advance(2_000);
    world.commit();
    assert.deepEqual(texts(world), ["a"]);
    connection.close();
  });
});

describe("refusals of what is signed", () => {
  const refuse = (world: World, code: number, times = 1): void => {
    const accept = world.acceptGroup.bind(world);
    let left = times;
    world.acceptGroup = (session, frame) => {
      if (left-- > 0) session.send([23, code, "refused"]);
      else accept(session, frame);
    };
  };

  for (const [code, expected] of [
    [11, "bad-signature"],
    [12, "signature-required"],
    [13, "bad-signature"],
  ] as const) {
    test(`code ${code} fails what waits, and the next message works`, async () => {
      const world = signedWorld();
      const connection = await open(world);
      refuse(world, code);
      const refused = connection.publish("a");
      await assert.rejects(refused.stored, (error: StreamChainError) => error.code === expected);
      await world.clock.advance(20_000);
      connection.publish("b");
      await settle();
      world.commit();
      await settle();
      assert.deepEqual([texts(world), groupsOf(world), connection.unstored.length], [["b"], [1], 0]);
      connection.close();
    });
  }

  test("an overloaded relay gets the group again, after a pause", async () => {
    const world = signedWorld();
    const connection = await open(world);
    refuse(world, 8, 3);
    for (const one of ["a", "b", "c"]) connection.publish(one);
    await world.clock.advance(10_000);
    world.commit();
    assert.deepEqual([texts(world), groupsOf(world)], [["a", "b", "c"], [3]]);
    connection.close();
  });

  test("a stream for signed messages refuses who can't sign", async () => {
    const world = signedWorld();
    world.signatures.required = true;
    const connection = await open(world, { key: null });
    const publication = connection.publish("a");
    await assert.rejects(publication.stored, (error: StreamChainError) => error.code === "signature-required");
    assert.equal(frames(world, "publish").length, 0, "nothing unsigned is sent");
    connection.close();
  });

  test("a right that is missing fails each message with its reason", async () => {
    const world = signedWorld();
    const connection = await open(world);
    refuse(world, 3, Number.POSITIVE_INFINITY);
    for (let i = 0; i < 3; i++) {
      await assert.rejects(connection.publish("a").stored, (error: StreamChainError) => error.code === "not-allowed");
    }
    connection.close();
  });
});

describe("accounts sign with the key of their sign-in", () => {
  const WALLET = account(7);

  const certify = async (world: World): Promise<string> => {
    const { text: key } = signerOf(await (world.keys as OriginKeys).of(`https://edge.test:${WALLET}`));
    world.storage.setItem(`streamchain:1:certified:https://edge.test:${WALLET}`, key);
    return key;
  };

  test("once the edge has the certificate", async () => {
    const world = signedWorld();
    const key = await certify(world);
    world.signatures.certified.set(WALLET, key);
    const connection = await open(world, { token: (world.people as People).sign(WALLET) });
    connection.publish("a");
    await settle();
    world.commit();
    assert.equal(toHex(world.stored[0]?.signed?.key as Uint8Array), toHex(keyOfText(key)));
    assert.notEqual(
      selfOf(keyOfText(key)),
      await guestOf(world),
      "a key of its own, which nobody can link to the guest",
    );
    connection.close();
  });

  test("and not without one", async () => {
    const world = signedWorld();
    const connection = await open(world, { token: (world.people as People).sign(WALLET) });
    const publication = connection.publish("a");
    await settle();
    world.commit();
    assert.deepEqual([texts(world), publication.signed], [["a"], false]);
    connection.close();
  });

  test("and no longer when the edge does not know the key", async () => {
    const world = signedWorld();
    await certify(world);
    const connection = await open(world, { token: (world.people as People).sign(WALLET) });
    await assert.rejects(connection.publish("a").stored, (error: StreamChainError) => error.code === "bad-signature");
    await world.clock.advance(20_000);
    const next = connection.publish("b");
    await settle();
    world.commit();
    assert.deepEqual([texts(world), next.signed], [["b"], false]);
    connection.close();
  });
});

describe("signed messages by HTTP", () => {
  const byHttp = async (world: World): Promise<StreamConnection> => {
    world.byHttp.serves = true;
    world.relayAnswers = false;
    const connection = join(world);
    await world.clock.advance(15_000);
    return connection;
  };

  test("are groups, whatever answers get lost", async () => {
    const world = signedWorld();
    const connection = await byHttp(world);
    world.byHttp.lostAnswers = 2;
    const publications = ["a", "b", "c"].map((one) => connection.publish(one));
    await world.clock.advance(30_000);
    assert.deepEqual(await Promise.all(publications.map(({ stored }) => stored)), [0, 1, 2]);
    assert.deepEqual(texts(world), ["a", "b", "c"]);
    assert.ok(world.stored.every(({ signed }) => signed !== undefined));
    connection.close();
  });

  test("begin as a new guest in a browser without WebRTC", async () => {
    const world = signedWorld();
    world.byHttp.serves = true;
    const none = (): never => {
      throw new StreamChainError("no-webrtc", "this browser has no WebRTC");
    };
    const connection = join(world, { platform: world.page({ createPeerConnection: none }) });
    assert.equal(await connection.publish("a").stored, 0);
    assert.equal(connection.author, await guestOf(world));
    assert.ok(world.stored.every(({ signed }) => signed !== undefined));
    connection.close();
  });

  test("wait for the leader, and keep their place in a session", async () => {
    const world = signedWorld();
    const connection = await byHttp(world);
    world.byHttp.hasLeader = true;
    connection.publish("a");
    connection.publish("b");
    await world.clock.advance(3_000);
    assert.equal(world.stored.length, 0);
    world.relayAnswers = true;
    await world.clock.advance(120_000);
    connection.publish("c");
    await settle();
    world.commit();
    await settle();
    assert.deepEqual(texts(world), ["a", "b", "c"]);
    assert.equal(connection.unstored.length, 0);
    connection.close();
  });

  test("that are refused say why", async () => {
    const world = signedWorld();
    world.signatures.required = true;
    world.byHttp.serves = true;
    world.relayAnswers = false;
    const connection = join(world, { key: null });
    await world.clock.advance(15_000);
    const refused = connection.publish("a");
    const seen = assert.rejects(refused.stored, (error: StreamChainError) => error.code === "signature-required");
    await world.clock.advance(5_000);
    await seen;
    connection.close();
  });
});
