// What a relay tells before its welcome, and what may be made of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, type Subscription } from "../src/lib/index.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

/** Everything that a subscription hands out, as `seq:text`; `!seq` where messages were taken back. */
function record(subscription: Subscription): string[] {
  const seen: string[] = [];
  subscription.on("retracted", ({ from }) => seen.push(`!${from}`));
  subscription.on("message", ({ seq, payload }) => seen.push(`${seq}:${new TextDecoder().decode(payload)}`));
  return seen;
}

test("what a relay told without ever greeting is not taken for what the next relay stored", async () => {
  const world = new World();
  world.greets = false;
  const connection = connect({ stream: "demo", edge: "https://edge.test", platform: world.page() });
  const live = record(connection.subscribe({ from: 0 }));
  const stored = record(connection.subscribe({ from: 0, guarantee: "stored" }));
  await settle();
  world.say("a", "b");
  await world.clock.advance(500); // history has nothing yet, and is asked again after a pause
  assert.deepEqual(live, ["0:a", "1:b"]);
  world.takeOver();
  world.say("c", "d");
  await world.clock.advance(1_000);
  world.commit(); // tells the new session, before its greeting
  await settle();
  world.greets = true;
  world.greet(world.session, world.session.producer ?? "");
  await world.clock.advance(500);
  assert.equal(connection.state.state, "open");
  assert.deepEqual(live, ["0:a", "1:b", "!0", "0:c", "1:d"]);
  assert.deepEqual(stored, ["0:c", "1:d"]);
  connection.close();
});
