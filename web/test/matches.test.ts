// The streams of a pattern: those that are there, those that come, and those that end.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type MatchOptions, type StreamMatches, sub } from "../src/lib/index.ts";
import { problem } from "./support/edge-parts.ts";
import { text } from "./support/joining.ts";
import { People } from "./support/people.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

/** A world whose relay takes 64 streams on a connection, with these streams. */
function worldOf(...names: string[]): World {
  const world = new World();
  world.people = new People(world.clock);
  world.streams = 64;
  world.listing.names.push(...names);
  return world;
}

const follow = (world: World, options: MatchOptions = {}, pattern = "sensors.*"): [StreamMatches, string[]] => {
  const all = sub(pattern, { edge: "https://edge.test", platform: world.page(), ...options });
  const seen: string[] = [];
  all.on("joined", ({ stream }) => seen.push(`+${stream}`));
  all.on("left", ({ stream, error }) => seen.push(`-${stream} ${error?.code}`));
  all.on("message", ({ stream, message }) => seen.push(`${stream} ${message.seq}:${text(message.payload)}`));
  all.on("error", ({ code }) => seen.push(`!${code}`));
  return [all, seen];
};

const lists = ({ requests }: World): string[] => requests.filter((one) => one.startsWith("GET /v1/streams?match"));

describe("the streams of a pattern", () => {
  test("are those that are there, over one connection", async () => {
    const world = worldOf("sensors.a", "sensors.b", "other", "sensors.c");
    const [all, seen] = follow(world);
    await world.clock.advance(3_000);
    assert.deepEqual(seen, ["+sensors.a", "+sensors.b", "+sensors.c"]);
    assert.deepEqual([...all.streams.keys()], ["sensors.a", "sensors.b", "sensors.c"]);
    assert.deepEqual(
      [...all.streams.values()].map(({ state }) => state.state),
      ["open", "open", "open"],
    );
    assert.equal(world.peers.length, 1);
    all.close();
    await settle();
    assert.equal(world.sessions.size, 0);
  });

  test("are also those that come, whose first message counts", async () => {
    const world = worldOf("sensors.a");
    const [all, seen] = follow(world);
    await world.clock.advance(3_000);
    world.say("before");
    world.commit();
    await settle();
    world.listing.names.push("elsewhere", "sensors.new");
    await world.clock.advance(3_000);
    assert.deepEqual(seen, ["+sensors.a", "sensors.a 0:before", "+sensors.new", "sensors.new 0:before"]);
    all.close();
  });

  test("leave when their connection ends, and the others stay", async () => {
    const world = worldOf("sensors.a", "sensors.b");
    const [all, seen] = follow(world);
    await world.clock.advance(3_000);
    const [first] = [...world.sessions];
    world.joinAnswers.push(problem(403, "forbidden"));
    world.sessionAnswers.push(problem(403, "forbidden"));
    first?.send([23, 5, "rights changed"]);
    first?.end();
    await world.clock.advance(10_000);
    assert.deepEqual(seen.slice(2), ["-sensors.a refused"]);
    assert.deepEqual([...all.streams.keys()], ["sensors.b"]);
    await world.clock.advance(310_000);
    assert.deepEqual(seen.slice(3), ["+sensors.a"], "it comes back once the whole list has it again");
    all.close();
  });

  test("are bounded, and opened a few at a time", async () => {
    const world = worldOf(...Array.from({ length: 40 }, (_, at) => `sensors.${at}`));
    const [all] = follow(world, { max: 30 });
    let most = 0;
    for (let step = 0; step < 60; step++) {
      await world.clock.advance(100);
      const opening = [...all.streams.values()].filter(({ state }) => state.state === "connecting").length;
      most = Math.max(most, opening);
    }
    assert.ok(most <= 8, `${most} at a time`);
    assert.deepEqual([all.streams.size, all.isFull], [30, true]);
    all.close();
  });

  test("a list that fails is asked for again; a refusal ends it", async () => {
    const world = worldOf("sensors.a");
    world.listing.answers.push(problem(503, "overloaded"));
    const [all, seen] = follow(world);
    await world.clock.advance(20_000);
    assert.deepEqual(seen, ["!refused", "+sensors.a"]);
    all.close();
    const refused = worldOf("sensors.a");
    refused.listing.answers.push(problem(400, "bad-request"));
    const [none, errors] = follow(refused);
    await refused.clock.advance(60_000);
    assert.deepEqual([errors, lists(refused).length], [["!refused"], 1]);
    none.close();
  });

  test("the edge is not asked without a pause, nor after the end", async () => {
    const world = worldOf("sensors.a");
    const [all] = follow(world);
    await world.clock.advance(60_000);
    const asked = lists(world).length;
    assert.ok(asked >= 6 && asked <= 12, `${asked} questions in a minute`);
    all.close();
    await world.clock.advance(60_000);
    assert.equal(lists(world).length, asked);
  });
});
