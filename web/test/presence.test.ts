// Who is on a stream, as a connection reports it.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConnectOptions, Presence, StreamConnection } from "../src/lib/index.ts";
import { encodeCbor } from "../src/lib/wire/cbor.ts";
import { decodeRelayMessage } from "../src/lib/wire/frames.ts";
import { join } from "./support/joining.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

const ANN = new Uint8Array(20).fill(0xa1);
const BOB = new Uint8Array(20).fill(0xb2);
const shown = (address: Uint8Array): string => `0x${Buffer.from(address).toString("hex")}`;

/** A connection, and every report of it. */
const watched = (world: World, options: Partial<ConnectOptions>): [StreamConnection, (Presence | null)[]] => {
  const connection = join(world, options);
  const seen: (Presence | null)[] = [];
  connection.on("presence", (presence) => seen.push(presence));
  return [connection, seen];
};

describe("presence", () => {
  test("is asked for on wish, and nobody is shown unasked", async () => {
    for (const [options, bits] of [
      [{}, 9],
      [{ presence: true }, 11],
      [{ seen: true }, 13],
      [{ presence: true, seen: true }, 15],
    ] as const) {
      const world = new World();
      const connection = join(world, options);
      await settle();
      assert.equal(world.session.abilities, bits, JSON.stringify(options));
      connection.close();
    }
  });

  test("is reported as the relay says it, each change once", async () => {
    const world = new World();
    const [connection, seen] = watched(world, { presence: true });
    await settle();
    world.session.send([26, 2, 1]);
    world.session.send([26, 2, 1]);
    world.session.send([26, 3, 1, [ANN, BOB]]);
    await settle();
    assert.deepEqual(seen, [
      { readers: 2, publishers: 1, authors: [] },
      { readers: 3, publishers: 1, authors: [shown(ANN), shown(BOB)] },
    ]);
    assert.deepEqual(connection.presence, seen.at(-1));
    connection.close();
  });

  test("of a session that is over is known no more", async () => {
    const world = new World();
    const [connection, seen] = watched(world, { presence: true });
    await settle();
    world.session.send([26, 5, 0]);
    await settle();
    world.takeOver();
    await settle();
    assert.equal(seen.at(-1), null);
    assert.equal(connection.presence, null);
    connection.close();
  });

  test("that nobody asked for is passed over", async () => {
    const world = new World();
    const [connection, seen] = watched(world, {});
    await settle();
    world.session.send([26, 5, 0]);
    await settle();
    assert.deepEqual([seen, connection.state.state], [[], "open"]);
    connection.close();
  });

  test("a wish to be seen, or not, reaches the session that is open", async () => {
    const world = new World();
    const connection = join(world, { presence: true });
    await settle();
    connection.showPresence(true);
    await settle();
    assert.equal(world.session.abilities, 15);
    connection.showPresence(false);
    await settle();
    assert.equal(world.session.abilities, 11);
    connection.showPresence(true);
    world.takeOver();
    await world.clock.advance(5_000);
    assert.equal(world.session.abilities, 15, "the next session is asked so from its start");
    connection.close();
  });

  test("comes from the edge while no session opens", async () => {
    const world = new World();
    world.byHttp.serves = true;
    world.relayAnswers = false;
    world.presence = { readers: 4, publishers: 2 };
    const [connection, seen] = watched(world, { presence: true });
    await world.clock.advance(60_000);
    assert.equal(connection.state.state, "http");
    assert.deepEqual(seen.at(-1), { readers: 4, publishers: 2, authors: [] });
    world.presence = { readers: 5, publishers: 2, authors: [shown(BOB)] };
    await world.clock.advance(60_000);
    assert.deepEqual(seen.at(-1), { readers: 5, publishers: 2, authors: [shown(BOB)] });
    connection.close();
  });

  test("frames with too many authors, or no addresses, are malformed", () => {
    const many = Array.from({ length: 101 }, () => ANN);
    for (const authors of [many, [ANN.subarray(1)], ["ann"], 5]) {
      assert.throws(() => decodeRelayMessage(encodeCbor([26, 1, 1, authors])), /presence frame/);
    }
    assert.throws(() => decodeRelayMessage(encodeCbor([26, 1])), /presence frame/);
    const [frame] = decodeRelayMessage(encodeCbor([26, 1, 2, [], "of a later version"]));
    assert.deepEqual(frame, { kind: "presence", readers: 1, publishers: 2, authors: [] });
  });
});
