// Frames of a relay before its welcome.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../src/lib/index.ts";
import { record } from "./support/joining.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

test("messages without a welcome do not count as stored later", async () => {
  const world = new World();
  world.welcomes = false;
  const connection = connect({ stream: "demo", edge: "https://edge.test", platform: world.page() });
  const live = record(connection.subscribe({ from: 0 }));
  const stored = record(connection.subscribe({ from: 0, guarantee: "stored" }));
  await settle();
  world.say("a", "b");
  await settle(); // history was empty, and the pause before it is requested again goes on
  assert.deepEqual(live, ["0:a", "1:b"]);
  world.takeOver();
  world.say("c", "d");
  await world.clock.advance(1_000);
  world.commit(); // the new session gets the mark, before its welcome
  await settle();
  world.welcomes = true;
  world.welcome(world.session, world.session.producer ?? "");
  await world.clock.advance(500);
  assert.equal(connection.state.state, "open");
  assert.deepEqual(live, ["0:a", "1:b", "!0", "0:c", "1:d"]);
  assert.deepEqual(stored, ["0:c", "1:d"]);
  connection.close();
});
