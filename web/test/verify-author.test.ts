// Who wrote a message, as a subscriber checks it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { StreamConnection, StreamMessage } from "../src/lib/index.ts";
import { MAX_GROUP_MESSAGES } from "../src/lib/limits.ts";
import { Feed } from "../src/lib/read/feed.ts";
import type { Hex } from "../src/lib/wire/bytes.ts";
import { join } from "./support/joining.ts";
import { People } from "./support/people.ts";
import { OriginKeys } from "./support/signing.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

/** A world with a writer that signs, and a reader that asks for signatures; its relay sends groups whole, or in parts. */
async function pair(wholeGroups = true): Promise<{
  world: World;
  writer: StreamConnection;
  reader: StreamConnection;
  seen: StreamMessage[];
}> {
  const world = new World();
  world.people = new People(world.clock);
  world.keys = new OriginKeys();
  world.signatures.taken = true;
  world.wholeGroups = wholeGroups;
  const [writer, reader] = [join(world), join(world, { signatures: true })];
  const seen: StreamMessage[] = [];
  reader.subscribe({ from: 0 }).on("message", (message) => seen.push(message));
  await settle();
  return { world, writer, reader, seen };
}

const publish = async (writer: StreamConnection, ...texts: string[]): Promise<void> => {
  for (const text of texts) writer.publish(text);
  await settle();
};

/** Waits until this many messages have come. */
const arrived = async (world: World, seen: readonly StreamMessage[], count: number): Promise<void> => {
  for (let turn = 0; turn < 50 && seen.length < count; turn++) await world.clock.advance(50);
  assert.equal(seen.length, count);
};

describe("a subscriber", () => {
  for (const wholeGroups of [true, false]) {
    test(`sees who signed at once, groups ${wholeGroups ? "whole" : "in parts"}`, async () => {
      const { world, writer, reader, seen } = await pair(wholeGroups);
      await publish(writer, "a", "b", "c");
      await arrived(world, seen, 3);
      assert.deepEqual(
        seen.map(({ seq, payload, signed }) => [seq, new TextDecoder().decode(payload), signed]),
        [..."abc"].map((letter, seq) => [seq, letter, true]),
      );
      assert.equal(world.stored.length, 0, "nothing is stored yet");
      const checks = await Promise.all(seen.map((message) => reader.verifyAuthor(message)));
      assert.ok(checks.every((check) => check.state === "signed" && check.voucher === "self"));
      writer.close();
      reader.close();
    });
  }

  test("tells what nobody signed", async () => {
    const { world, writer, reader, seen } = await pair();
    world.say("by somebody");
    await publish(writer, "signed");
    await arrived(world, seen, 2);
    assert.deepEqual(
      seen.map(({ signed }) => signed),
      [false, true],
    );
    assert.deepEqual(await reader.verifyAuthor(seen[0] as StreamMessage), { state: "unsigned" });
    writer.close();
    reader.close();
  });

  test("finds each change of the relay's", async () => {
    const { world, writer, reader, seen } = await pair();
    await publish(writer, "a", "b");
    await publish(writer, "c");
    await arrived(world, seen, 3);
    const [a, b, c] = seen as [StreamMessage, StreamMessage, StreamMessage];
    assert.equal((await reader.verifyAuthor(a)).state, "signed");
    const other = new TextEncoder().encode("x");
    const forged: StreamMessage[] = [
      { ...a, payload: other },
      { ...a, payload: b.payload },
      { ...a, author: `0x${"07".repeat(20)}` },
      { ...a, signature: c.signature as NonNullable<typeof c.signature> },
      { ...c, signature: { ...(c.signature as NonNullable<typeof c.signature>), producerSeq: 3 } },
      { ...c, signature: { ...(c.signature as NonNullable<typeof c.signature>), previous: `0x${"01".repeat(32)}` } },
      {
        ...c,
        signature: { ...(c.signature as NonNullable<typeof c.signature>), key: a.signature?.key ?? "0x", seq: 1 },
      },
    ];
    for (const message of forged) {
      const { state } = await reader.verifyAuthor(message);
      assert.equal(state, "invalid", JSON.stringify(message.signature));
    }
    writer.close();
    reader.close();
  });

  test("reads the signatures of history as well", async () => {
    const { world, writer, reader } = await pair();
    await publish(writer, "a", "b", "c");
    world.commit();
    world.say("unsigned");
    world.commit();
    await settle();
    const page = await reader.edge.messages("demo", 1, 10, undefined, true);
    assert.deepEqual(
      page.map(({ signed }) => signed),
      [true, true, false],
    );
    const checks = await Promise.all(page.map((message) => reader.verifyAuthor(message)));
    assert.deepEqual(
      checks.map(({ state }) => state),
      ["signed", "signed", "unsigned"],
    );
    const plain = join(world);
    await settle();
    const [first] = await plain.edge.messages("demo", 0);
    assert.equal(first?.signature, undefined);
    assert.equal((await plain.verifyAuthor(first as StreamMessage)).state, "signed", "its signature is fetched");
    for (const connection of [writer, reader, plain]) connection.close();
  });

  test("that begins inside a group asks history about it", async () => {
    const { world, writer, reader, seen } = await pair();
    await publish(writer, "a", "b", "c");
    await arrived(world, seen, 3);
    world.commit();
    const late = join(world, { signatures: true });
    const found: StreamMessage[] = [];
    late.subscribe({ from: 1 }).on("message", (message) => found.push(message));
    await arrived(world, found, 2);
    await publish(writer, "d");
    await arrived(world, found, 3);
    assert.deepEqual(
      found.map(({ signed }) => signed),
      [undefined, undefined, true],
      "it is not called unsigned",
    );
    const checks = await Promise.all(found.map((message) => late.verifyAuthor(message)));
    assert.deepEqual(
      checks.map(({ state }) => state),
      ["signed", "signed", "signed"],
    );
    const forged = { ...(found[0] as StreamMessage), payload: new TextEncoder().encode("x") };
    assert.equal((await late.verifyAuthor(forged)).state, "invalid", "what history has says nothing about other bytes");
    for (const connection of [writer, reader, late]) connection.close();
  });

  test("waits for the rest of a group, and gives up in time", async () => {
    const { world, writer, reader, seen } = await pair();
    const session = [...world.sessions].find(({ subscribed }) => subscribed);
    if (session === undefined) throw new Error("the reader is subscribed");
    session.subscribed = false;
    await publish(writer, "a", "b");
    const { signed } = world.open[0] ?? {};
    if (signed === undefined) throw new Error("the group is signed");
    const { count, id, first, previous, key, signature } = signed;
    session.send([25, world.epoch, 0, count, id, first, previous, key, signature], world.frame(0));
    await arrived(world, seen, 1);
    const check = reader.verifyAuthor(seen[0] as StreamMessage);
    await world.clock.advance(11_000);
    assert.equal((await check).state, "unknown");
    const again = reader.verifyAuthor(seen[0] as StreamMessage);
    session.send(world.frame(1));
    await world.clock.advance(1_000);
    assert.equal((await again).state, "signed");
    writer.close();
    reader.close();
  });

  test("follows signatures by HTTP too", async () => {
    const { world, writer, reader, seen } = await pair();
    world.byHttp.serves = true;
    world.relayAnswers = false;
    for (const session of [...world.sessions]) session.stop();
    await world.clock.advance(15_000);
    await publish(writer, "a");
    await world.clock.advance(5_000);
    assert.equal(seen[0]?.signed, true);
    assert.equal((await reader.verifyAuthor(seen[0] as StreamMessage)).state, "signed");
    writer.close();
    reader.close();
  });

  test("that a session finds inside a group asks history", async () => {
    const { world, writer, reader } = await pair();
    reader.close();
    Object.assign(world.byHttp, { serves: true, hasLeader: true, brings: 1 });
    world.relayAnswers = false;
    const late = join(world, { signatures: true });
    const found: StreamMessage[] = [];
    late.subscribe().on("message", (message) => found.push(message));
    await world.clock.advance(11_000);
    await publish(writer, "a", "b", "c");
    world.commit();
    await arrived(world, found, 1);
    world.relayAnswers = true;
    await world.clock.advance(75_000);
    assert.equal(late.state.state, "open");
    await publish(writer, "d");
    await arrived(world, found, 4);
    assert.deepEqual(
      found.map(({ signed }) => signed),
      [true, undefined, undefined, true],
      "it is not called unsigned",
    );
    const checks = await Promise.all(found.map((message) => late.verifyAuthor(message)));
    assert.ok(checks.every(({ state }) => state === "signed"));
    for (const connection of [writer, late]) connection.close();
  });
});

test("a feed is sure of signatures behind a group in parts alone", () => {
  const feed = new Feed({ signatures: true });
  feed.begin(1, 5, 5, true);
  const author: Hex = `0x${"a1".repeat(20)}`;
  feed.stored({ seq: 5, time: 1, author, payload: new Uint8Array(), signed: true });
  const frame = { kind: "message", epoch: 1, time: 1, author: new Uint8Array(20), payload: new Uint8Array() } as const;
  const end = 5 + MAX_GROUP_MESSAGES;
  for (let seq = 6; seq <= end; seq++) feed.message({ ...frame, seq });
  assert.deepEqual([feed.at(6)?.signed, feed.at(end - 1)?.signed, feed.at(end)?.signed], [undefined, undefined, false]);
});
