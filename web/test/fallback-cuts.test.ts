// Random failures: the channel and HTTP break and return, relays stop and lose what they had, answers are lost. In every
// case each stored message comes once and in order, and each publication is stored once, in its publisher's order.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, type StreamConnection } from "../src/lib/index.ts";
import { text } from "./support/joining.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

const RUNS = 16;
const STEPS = 60;

/** Pseudo-random numbers in [0, 1), the same for a seed in every run (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What one subscription has in the end, without messages that were taken back. */
class Reader {
  readonly standing: string[] = [];
  readonly mistakes: string[] = [];

  constructor(connection: StreamConnection, guarantee: "live" | "stored") {
    const subscription = connection.subscribe({ from: 0, guarantee });
    subscription.on("retracted", ({ from }) => {
      if (guarantee === "stored") this.mistakes.push(`stored messages taken back from ${from}`);
      this.standing.splice(from);
    });
    subscription.on("message", ({ seq, payload }) => {
      if (seq !== this.standing.length) this.mistakes.push(`${seq} where ${this.standing.length} is due`);
      this.standing.push(text(payload));
    });
  }
}

/** One random event. */
function happen(world: World, random: () => number): void {
  const [first] = world.sessions;
  switch (Math.floor(random() * 9)) {
    case 0:
      world.relayAnswers = !world.relayAnswers;
      break;
    case 1:
      if (random() < 0.5) first?.stop();
      else first?.peer.disconnect();
      break;
    case 2:
      world.relayAnswers = random() < 0.5;
      world.takeOver();
      break;
    case 3:
      world.byHttp.cut();
      break;
    case 4:
      world.byHttp.serves = random() < 0.8;
      world.byHttp.cut();
      break;
    case 5:
      world.byHttp.lostAnswers = 1;
      break;
    case 6:
      world.byHttp.hasLeader = random() < 0.5;
      break;
    default:
      world.commit();
  }
}

/** Makes everything work again, for as long as the longest pause and an attempt. */
async function heal(world: World): Promise<void> {
  Object.assign(world.byHttp, { serves: true, lostAnswers: 0, hasLeader: false });
  world.relayAnswers = true;
  for (let step = 0; step < 20; step++) {
    await world.clock.advance(5_000);
    world.commit();
  }
  await settle();
}

test("stored messages come once and in order over random cuts", async () => {
  const moves = { http: 0, open: 0 };
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = randomOf(seed);
    const world = new World();
    world.byHttp.serves = true;
    world.relayAnswers = random() < 0.5;
    const platform = world.page({ random });
    const connection = connect({ stream: "demo", edge: "https://edge.test", platform });
    let last = "";
    connection.on("state", ({ state }) => {
      if (state !== last && (state === "http" || state === "open")) moves[state]++;
      last = state;
    });
    const readers = [new Reader(connection, "live"), new Reader(connection, "stored")];
    const published: string[] = [];
    const publications = [];
    for (let step = 0; step < STEPS; step++) {
      if (random() < 0.4) {
        published.push(`own ${step}`);
        publications.push(connection.publish(`own ${step}`));
      }
      if (random() < 0.3) world.say(`other ${step}`);
      if (random() < 0.5) happen(world, random);
      await world.clock.advance(Math.floor(random() * 6_000));
    }
    await heal(world);
    const all = world.stored.map(({ payload }) => text(payload));
    const own = all.filter((payload) => payload.startsWith("own"));
    assert.deepEqual(own, published, `seed ${seed}: each publication once, in order`);
    const seqs = await Promise.all(publications.map(({ stored }) => stored));
    seqs.forEach((seq, i) => {
      if (seq !== null) assert.equal(all[seq], published[i], `seed ${seed}: the seq that was reported`);
    });
    for (const { standing, mistakes } of readers) {
      assert.deepEqual(mistakes, [], `seed ${seed}`);
      assert.deepEqual(standing, all, `seed ${seed}: the stream, whole`);
    }
    assert.equal(connection.state.state, "open", `seed ${seed}`);
    connection.close();
  }
  assert.ok(moves.http > RUNS && moves.open > RUNS, `the client was moved: ${JSON.stringify(moves)}`);
});
