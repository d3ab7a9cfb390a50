import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Attempt, connect, type StreamConnection } from "../src/lib/index.ts";
import { MAX_SESSION_REQUESTS, NEXT_REQUEST_MS } from "../src/lib/limits.ts";
import type { Platform } from "../src/lib/platform.ts";
import { problem, TURN_URL } from "./support/edge-parts.ts";
import { joined } from "./support/joining.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

/** The same for a page with another environment. */
const joinedBy = (world: World, parts: Partial<Platform>): Promise<StreamConnection> =>
  joined(world, { platform: world.page(parts) });

const posts = (world: World): number => world.requests.filter((request) => request.startsWith("POST")).length;

const lastAttempt = (connection: StreamConnection): Attempt => connection.attempts.at(-1) as Attempt;

const outcomesOf = (attempt: Attempt): string[] =>
  attempt.ways.map(({ id, outcome, detail }) => [id, outcome, detail].filter(Boolean).join(" "));

/** Joins with a page whose network changes by a call of `change`. */
const joinWithChanges = async (world: World): Promise<{ connection: StreamConnection; change: () => void }> => {
  let change = (): void => {};
  const connection = await joinedBy(world, {
    onNetworkChange: (callback) => {
      change = callback;
      return () => {};
    },
  });
  return { connection, change: () => change() };
};

/** A world whose network allows only TURN. */
const behindFirewall = (): World => Object.assign(new World(), { directWorks: false });

describe("TURN", () => {
  test("is not used when a direct path opens at once", async () => {
    const world = new World();
    const connection = await joined(world);
    assert.equal(connection.state.state, "open");
    await world.clock.advance(1_000);
    const [peer] = world.peers;
    assert.equal(peer?.restarts, 0);
    assert.equal(peer?.configuration.iceServers, undefined);
    assert.deepEqual(outcomesOf(lastAttempt(connection)), ["udp used", "turn-tcp not-tried"]);
    connection.close();
  });

  test("is added after the head start, in the same session", async () => {
    const world = behindFirewall();
    const connection = await joined(world);
    await world.clock.advance(499);
    assert.equal(connection.state.state, "connecting");
    await world.clock.advance(1);
    assert.equal(connection.state.state, "open");
    assert.equal(posts(world), 1);
    assert.equal(world.peers.length, 1);
    assert.deepEqual(
      world.peers[0]?.configuration.iceServers?.map(({ urls }) => urls),
      [TURN_URL],
    );
    assert.deepEqual(outcomesOf(lastAttempt(connection)), ["udp silent", "turn-tcp used"]);
    connection.close();
  });

  test("is added at once when the browser has no candidates", async () => {
    const world = Object.assign(behindFirewall(), { hasHostCandidates: false });
    const connection = await joined(world);
    await world.clock.advance(99);
    assert.equal(connection.state.state, "connecting");
    await world.clock.advance(1);
    assert.equal(connection.state.state, "open");
    assert.equal(posts(world), 1);
    connection.close();
  });

  test("is tried from the start where only TURN worked", async () => {
    const world = behindFirewall();
    const first = await joined(world);
    await world.clock.advance(500);
    first.close();
    const second = await joined(world);
    assert.equal(second.state.state, "open", "no head start");
    assert.equal(world.peers[1]?.restarts, 0);
    second.close();
  });

  test("is forgotten after a day, or once a direct path works", async () => {
    const world = behindFirewall();
    const first = await joined(world);
    await world.clock.advance(500);
    first.close();
    world.directWorks = true;
    const second = await joined(world);
    second.close();
    world.directWorks = false;
    const third = await joined(world);
    assert.equal(third.state.state, "connecting");
    await world.clock.advance(500);
    third.close();
    await world.clock.advance(24 * 3_600_000);
    const fourth = await joined(world);
    assert.equal(fourth.state.state, "connecting");
    fourth.close();
  });

  test("is remembered for each kind of network", async () => {
    const world = behindFirewall();
    const first = await joinedBy(world, { networkKind: () => "cellular" });
    await world.clock.advance(500);
    first.close();
    const second = await joinedBy(world, { networkKind: () => "wifi" });
    assert.equal(second.state.state, "connecting");
    second.close();
  });

  test("is replaced by the caller's own ICE servers", async () => {
    const world = behindFirewall();
    const iceServers = [{ urls: "turn:own.test" }];
    const platform = world.page();
    const connection = connect({ stream: "demo", edge: "https://edge.test", platform, rtc: { iceServers } });
    await settle();
    assert.equal(connection.state.state, "open");
    assert.deepEqual(world.peers[0]?.configuration, { iceServers });
    connection.close();
  });
});

describe("a path that is lost", () => {
  test("a network change restarts ICE and keeps the session", async () => {
    const world = new World();
    const { connection, change } = await joinWithChanges(world);
    connection.publish("before");
    change();
    connection.publish("after");
    await settle();
    assert.equal(world.peers[0]?.restarts, 1);
    assert.equal(posts(world), 1);
    assert.equal(world.head, 2);
    assert.equal(connection.state.state, "open");
    connection.close();
  });

  test("a lost path is searched again, and the session goes on", async () => {
    const world = new World();
    const connection = await joined(world);
    world.peers[0]?.disconnect();
    await settle();
    assert.equal(world.peers[0]?.restarts, 1);
    await world.clock.advance(10_000);
    assert.equal(connection.state.state, "open");
    assert.equal(posts(world), 1);
    connection.close();
  });

  test("a path that is not found again ends the session", async () => {
    const world = new World();
    const connection = await joined(world);
    world.directWorks = false;
    world.turnError = { errorCode: 701, errorText: "no answer" };
    world.peers[0]?.disconnect();
    await world.clock.advance(3_000);
    assert.notEqual(connection.state.state, "open");
    world.directWorks = true;
    await world.clock.advance(10_000);
    assert.equal(connection.state.state, "open");
    connection.close();
  });

  test("a restart that the browser refuses changes nothing", async () => {
    const world = new World();
    const { connection, change } = await joinWithChanges(world);
    const peer = world.peers[0];
    if (peer !== undefined)
      peer.setRemoteDescription = () => Promise.reject(new Error("other credentials are expected"));
    change();
    await settle();
    connection.publish("still here");
    await settle();
    assert.equal(world.head, 1);
    connection.close();
  });

  test("a dead HTTP connection is replaced after a lost path", async () => {
    const world = new World();
    const connection = await joined(world);
    world.openConnectionsDead = true;
    world.session.stop();
    await world.clock.advance(NEXT_REQUEST_MS);
    assert.equal(posts(world), 2);
    await world.clock.advance(500);
    assert.equal(connection.state.state, "open");
    assert.equal(posts(world), 3);
    world.session.stop();
    await world.clock.advance(500);
    assert.equal(connection.state.state, "open", "the next session is requested as the one that worked");
    assert.equal(posts(world), 4);
    connection.close();
  });

  test("an edge that answers gets one request, after a loss too", async () => {
    const world = new World();
    const connection = await joined(world);
    world.session.stop();
    await world.clock.advance(10_000);
    assert.equal(connection.state.state, "open");
    assert.equal(posts(world), 2);
    connection.close();
  });

  test("an edge that never answers gets four requests, then a pause", async () => {
    const world = new World();
    const connection = await joined(world);
    world.edgeHangs = true;
    world.session.stop();
    await world.clock.advance(9_000);
    assert.equal(posts(world), 1 + MAX_SESSION_REQUESTS);
    connection.close();
  });

  test("without an address the next attempt is apart from the page", async () => {
    const world = new World();
    const connection = await joined(world);
    world.pageHasAddress = false;
    world.session.stop();
    await world.clock.advance(5_000);
    assert.equal(connection.state.state, "open");
    assert.deepEqual(
      world.peers.map(({ apart }) => apart),
      [false, false, true],
    );
    connection.close();
  });
});

describe("the log of a failed attempt", () => {
  for (const [name, turnError, outcome, advice] of [
    ["nothing gets through", { errorCode: 701, errorText: "no answer" }, "turn-tcp silent", "all-blocked"],
    [
      "TURN refuses the credentials",
      { errorCode: 401, errorText: "Unauthorized" },
      "turn-tcp refused 401 Unauthorized",
      "turn-refused",
    ],
    ["the relay does not answer through TURN", null, "turn-tcp allocated", "turn-to-relay"],
  ] as const) {
    test(`says when ${name}`, async () => {
      const world = Object.assign(behindFirewall(), { turnError, relayAnswers: turnError !== null });
      const connection = await joined(world);
      await world.clock.advance(10_000);
      const attempt = connection.attempts[0] as Attempt;
      assert.equal(attempt.error?.code, "relay-unreachable");
      assert.equal(attempt.advice, advice);
      assert.ok(outcomesOf(attempt).includes(outcome));
      assert.equal(attempt.steps.find(({ outcome }) => outcome === "failed")?.id, "ice");
      connection.close();
    });
  }

  test("distinguishes an edge that is down from no network", async () => {
    for (const [online, advice] of [
      [true, "edge"],
      [false, "offline"],
    ] as const) {
      const world = Object.assign(new World(), { edgeAnswers: false });
      const connection = await joinedBy(world, { online: () => online });
      assert.equal(lastAttempt(connection).advice, advice);
      connection.close();
    }
  });

  test("says when the edge refuses or has no relay", async () => {
    for (const [status, slug, advice] of [
      [503, "no-relay", "no-relay"],
      [403, "forbidden", "refused"],
    ] as const) {
      const world = new World();
      world.sessionAnswers = [problem(status, slug)];
      const connection = await joined(world);
      assert.equal(lastAttempt(connection).advice, advice);
      connection.close();
    }
  });
});

describe("the offer", () => {
  test("the offer says who begins the DTLS handshake", async () => {
    for (const [beginsHandshake, setup] of [
      [false, "a=setup:actpass"],
      [true, "a=setup:active"],
    ] as const) {
      const world = new World();
      const offers: string[] = [];
      const platform = world.page({ beginsHandshake });
      const { fetch } = platform;
      const connection = connect({
        stream: "demo",
        edge: "https://edge.test",
        platform: {
          ...platform,
          fetch: (input, init) => {
            if (typeof init?.body === "string") offers.push(init.body);
            return fetch(input, init);
          },
        },
      });
      await settle();
      assert.equal(connection.state.state, "open");
      assert.deepEqual(
        offers.map((offer) => offer.split("\r\n").find((line) => line.startsWith("a=setup:"))),
        [setup],
      );
      connection.close();
    }
  });
});
