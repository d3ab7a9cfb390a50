// Clients that the edge or the network refuses.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { problem } from "./support/edge-parts.ts";
import { joined } from "./support/joining.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

describe("a stream that does not exist yet", () => {
  test("is asked for nothing before a session request has made it", async () => {
    const world = new World();
    let answer = (): void => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const platform = world.page();
    const fetcher: typeof fetch = async (input, init) => {
      if (String(input).endsWith("/sessions")) await answered;
      return world.fetch(input, init);
    };
    const connection = await joined(world, { platform: { ...platform, fetch: fetcher } });
    const refreshed = connection.refreshMarks();
    connection.subscribe({ from: 0 }).on("message", () => {});
    await world.clock.advance(5_000);
    assert.deepEqual(world.requests, []);
    answer();
    assert.equal((await refreshed)?.stored, 0);
    assert.equal(world.requests[0], "POST /v1/streams/demo/sessions");
    connection.close();
  });
});

describe("a client that is refused", () => {
  test("an edge that does not answer gets fewer and fewer requests", async () => {
    const world = new World();
    world.edgeAnswers = false;
    const connection = await joined(world);
    await world.clock.advance(60_000);
    assert.equal(connection.state.error?.code, "edge-unreachable");
    const tries = world.requests.length;
    assert.ok(tries >= 8 && tries <= 20, `${tries} tries in a minute`);
    world.edgeAnswers = true;
    connection.retryNow();
    await settle();
    assert.equal(connection.state.state, "open");
    connection.close();
  });

  test("the Retry-After of an edge without relay is honoured", async () => {
    const world = new World();
    world.sessionAnswers = [problem(503, "no-relay", { "retry-after": "7" })];
    const connection = await joined(world);
    assert.equal(connection.state.error?.code, "no-relay");
    await world.clock.advance(6_900);
    assert.equal(world.requests.filter((request) => request.endsWith("/sessions")).length, 1);
    await world.clock.advance(200);
    assert.equal(connection.state.state, "open");
    connection.close();
  });

  test("an edge without relay may say so by 202", async () => {
    const world = new World();
    world.sessionAnswers = [problem(202, "no-relay", { "retry-after": "7" })];
    const connection = await joined(world);
    assert.equal(connection.state.error?.code, "no-relay");
    assert.equal(connection.attempts.at(-1)?.advice, "no-relay");
    await world.clock.advance(7_100);
    assert.equal(connection.state.state, "open");
    connection.close();
  });

  test("a final refusal closes the connection with its reason", async () => {
    const world = new World();
    world.sessionAnswers = [problem(400, "bad-stream-name")];
    const connection = await joined(world);
    assert.equal(connection.state.state, "closed");
    assert.equal(connection.state.error?.problem?.slug, "bad-stream-name");
    assert.throws(() => connection.publish("x"));
  });

  test("a guest token is kept, and forgotten when it is refused", async () => {
    const world = new World();
    (await joined(world)).close();
    assert.ok([...world.storage.entries.values()].includes("guest-token"));
    world.sessionAnswers = [problem(401, "bad-token")];
    const connection = await joined(world);
    await world.clock.advance(2_000);
    assert.equal(connection.state.state, "open");
    connection.close();
  });

  test("the log of an unreachable relay says that ICE failed", async () => {
    const world = new World();
    world.relayAnswers = false;
    const connection = await joined(world);
    await world.clock.advance(11_000);
    const [attempt] = connection.attempts;
    assert.equal(attempt?.error?.code, "relay-unreachable");
    assert.deepEqual(
      attempt?.steps.map((step) => step.outcome),
      ["ok", "ok", "ok", "failed", "not-reached", "not-reached", "not-reached"],
    );
    assert.deepEqual(attempt?.relayAddresses, ["udp 192.0.2.7:7100"]);
    connection.close();
  });
});
