import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type LoopSession, SessionLoop, type SessionLoopOptions } from "../src/lib/connection/session-loop.ts";
import { StreamChainError } from "../src/lib/errors.ts";
import { FALLBACK_BACKOFF, RECONNECT_BACKOFF, WELCOME_TIMEOUT_MS } from "../src/lib/limits.ts";
import { settle, testPlatform, VirtualClock } from "./support/surroundings.ts";

class FakeSession implements LoopSession {
  closed = 0;
  searches = 0;

  close(): void {
    this.closed++;
  }

  seekPath(): void {
    this.searches++;
  }
}

const noPath = new StreamChainError("relay-unreachable", "no path", { retryable: true });

/** A loop on a virtual clock; sessions open at once unless the test replaces `open`. */
function newLoop(replaced: Partial<SessionLoopOptions<FakeSession>> = {}) {
  const clock = new VirtualClock();
  const sessions: FakeSession[] = [];
  const seen: string[] = [];
  const loop: SessionLoop<FakeSession> = new SessionLoop({
    platform: testPlatform(clock, {}),
    open: async () => {
      const session = new FakeSession();
      sessions.push(session);
      return session;
    },
    greet: () => loop.welcomed(),
    onEnd: () => seen.push("end"),
    forgetToken: () => false,
    fallBack: async () => false,
    isFollowed: () => false,
    onFailed: (error) => loop.close(error),
    onAttempt: ({ error }) => seen.push(`attempt ${error?.code ?? "ok"}`),
    onState: () => seen.push(loop.state.at),
    ...replaced,
  });
  void loop.run();
  return { loop, clock, sessions, seen };
}

/** Milliseconds until the next attempt, as the state says. */
const waitOf = (loop: SessionLoop<FakeSession>, clock: VirtualClock): number =>
  loop.state.at === "waiting" ? (loop.state.retryAt ?? Number.POSITIVE_INFINITY) - clock.now : Number.NaN;

describe("the session loop", () => {
  test("opens a session, and another after a pause when it ends", async () => {
    const { loop, clock, sessions, seen } = newLoop();
    await settle();
    assert.deepEqual(seen, ["connecting", "attempt ok", "open"]);
    loop.end(noPath);
    await settle();
    assert.equal(sessions[0]?.closed, 1);
    assert.equal(loop.state.at, "waiting");
    await clock.advance(RECONNECT_BACKOFF.maxMs);
    assert.deepEqual(seen.slice(3), ["end", "waiting", "connecting", "attempt ok", "open"]);
    assert.equal(sessions.length, 2);
  });

  test("records why an attempt failed, and tries again", async () => {
    const { loop, clock, seen } = newLoop({ open: () => Promise.reject(noPath) });
    await settle();
    assert.deepEqual(seen, ["connecting", "attempt relay-unreachable", "end", "waiting"]);
    assert.equal(loop.attempts[0]?.error?.code, "relay-unreachable");
    await clock.advance(60_000);
    assert.ok(loop.attempts.length > 4);
  });

  test("ends a session whose welcome does not come", async () => {
    const { loop, clock, sessions } = newLoop({ greet: () => {} });
    await settle();
    assert.equal(loop.state.at, "greeting");
    await clock.advance(WELCOME_TIMEOUT_MS);
    assert.equal(loop.attempts[0]?.error?.code, "no-welcome");
    assert.equal(sessions[0]?.closed, 1);
  });

  test("closes on an error that no other attempt can mend", async () => {
    const refused = new StreamChainError("refused", "no");
    const { loop, seen } = newLoop({ open: () => Promise.reject(refused) });
    await settle();
    assert.deepEqual(loop.state, { at: "closed", error: refused });
    assert.equal(seen.at(-1), "closed");
  });

  test("tries again without a token that was refused", async () => {
    const refused = new StreamChainError("refused", "no");
    const { loop } = newLoop({ open: () => Promise.reject(refused), forgetToken: () => true });
    await settle();
    assert.equal(loop.state.at, "waiting");
  });

  test("waits for ever where HTTP replaces a missing WebRTC", async () => {
    const missing = new StreamChainError("no-webrtc", "none");
    const { loop, clock } = newLoop({ open: () => Promise.reject(missing), fallBack: async () => true });
    await clock.advance(3_600_000);
    assert.equal(loop.attempts.length, 1);
    assert.deepEqual(loop.state, { at: "waiting", error: missing, retryAt: undefined });
  });

  test("asks for HTTP only when no session opened", async () => {
    const asked: string[] = [];
    const fallBack = async ({ code }: StreamChainError): Promise<boolean> => {
      asked.push(code);
      return true;
    };
    const { loop, clock } = newLoop({ fallBack });
    await clock.advance(1_000);
    loop.end(noPath);
    await settle();
    assert.deepEqual(asked, []);
    const failing = newLoop({ fallBack, open: () => Promise.reject(noPath) });
    await settle();
    assert.deepEqual(asked, ["relay-unreachable"]);
    failing.loop.close(undefined);
  });

  test("pauses longer between attempts while HTTP serves", async () => {
    const { loop, clock } = newLoop({ open: () => Promise.reject(noPath), isFollowed: () => true });
    await settle();
    assert.ok(waitOf(loop, clock) >= FALLBACK_BACKOFF.firstMs);
    const noRelay = new StreamChainError("no-relay", "none", { retryable: true });
    const short = newLoop({ open: () => Promise.reject(noRelay), isFollowed: () => true });
    await settle();
    assert.ok(waitOf(short.loop, short.clock) < FALLBACK_BACKOFF.firstMs);
  });

  test("tries at once when the network changed in an attempt", async () => {
    let fail: (error: Error) => void = () => {};
    const { loop, clock } = newLoop({
      open: () =>
        new Promise((_, reject) => {
          fail = reject;
        }),
    });
    await settle();
    loop.networkChanged(false);
    fail(noPath);
    await settle();
    assert.equal(waitOf(loop, clock), 0);
  });

  test("has a session search a path when the network changed", async () => {
    const { loop, sessions } = newLoop();
    await settle();
    loop.networkChanged(false);
    assert.equal(sessions[0]?.searches, 1);
    assert.equal(loop.state.at, "open");
  });

  test("closes a session that opens after its attempt ended", async () => {
    let opened: (session: FakeSession) => void = () => {};
    const { loop } = newLoop({
      open: () =>
        new Promise((resolve) => {
          opened = resolve;
        }),
    });
    await settle();
    loop.end(noPath);
    const late = new FakeSession();
    opened(late);
    await settle();
    assert.equal(late.closed, 1);
    assert.equal(loop.session, null);
  });

  test("makes no attempt after it is closed", async () => {
    const { loop, clock, sessions } = newLoop();
    await settle();
    loop.close(undefined);
    await clock.advance(60_000);
    assert.equal(sessions.length, 1);
    assert.equal(sessions[0]?.closed, 1);
    assert.equal(loop.state.at, "closed");
  });
});
