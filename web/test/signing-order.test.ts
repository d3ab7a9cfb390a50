// The order of signatures: groups are signed side by side, and each follows the one before.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { frames, groupsOf, open, signedWorld, texts } from "./support/signed-world.ts";
import type { OriginKeys } from "./support/signing.ts";
import { settle } from "./support/surroundings.ts";

describe("groups that are signed side by side", () => {
  test("a group does not wait for the signature of the one before", async () => {
    const world = signedWorld();
    const connection = await open(world);
    const keys = world.keys as OriginKeys;
    keys.waits = true;
    for (const one of ["a", "b", "c", "d"]) {
      connection.publish(one);
      await settle();
    }
    assert.equal(keys.held, 2, "a and b; c and d are to be the next group");
    keys.release();
    await settle();
    assert.deepEqual(frames(world, "group").length, 0, "the first signature is to come yet");
    keys.waits = false;
    keys.release();
    await settle();
    world.commit();
    await settle();
    assert.deepEqual(
      [groupsOf(world), texts(world)],
      [
        [1, 1, 2],
        ["a", "b", "c", "d"],
      ],
    );
    connection.close();
  });

  test("a group behind one that could not be signed is signed anew", async () => {
    const world = signedWorld();
    const connection = await open(world);
    const keys = world.keys as OriginKeys;
    keys.waits = true;
    for (const one of ["a", "b"]) {
      connection.publish(one);
      await settle();
    }
    keys.release(); // b has its signature, and a gets none
    await settle();
    keys.fails = true;
    keys.release();
    await settle();
    Object.assign(keys, { fails: false, waits: false });
    await world.clock.advance(2_000);
    world.commit();
    await settle();
    assert.deepEqual([groupsOf(world), texts(world)], [[2], ["a", "b"]]);
    connection.close();
  });

  test("a group that goes out unsigned meanwhile is unsigned", async () => {
    const world = signedWorld();
    const connection = await open(world);
    const keys = world.keys as OriginKeys;
    keys.waits = true;
    const publication = connection.publish("a");
    await settle();
    assert.equal(keys.held, 1);
    world.signatures.taken = false;
    world.takeOver();
    await world.clock.advance(1_000);
    keys.release();
    await settle();
    world.commit();
    await publication.stored;
    assert.deepEqual([publication.signed, groupsOf(world), texts(world)], [false, [], ["a"]]);
    connection.close();
  });

  test("a reload goes on behind the last group that is stored", async () => {
    const world = signedWorld();
    for (const one of ["a", "b", "c"]) {
      const page = await open(world);
      page.publish(one);
      await settle();
      world.commit();
      await settle();
      page.close();
      await settle();
    }
    assert.deepEqual(texts(world), ["a", "b", "c"]);
    const numbers = frames(world, "group").map((frame) => (frame as { producerSeq: number }).producerSeq);
    assert.deepEqual(numbers, [0, 1, 2], "one chain of one producer");
  });
});
