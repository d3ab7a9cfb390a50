import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Backoff, backoffMs } from "../src/lib/backoff.ts";
import { StreamChainError } from "../src/lib/errors.ts";
import { MAX_RETRY_AFTER_MS, RECONNECT_BACKOFF, STABLE_SESSION_MS } from "../src/lib/limits.ts";
import { settle, testPlatform, VirtualClock } from "./support/surroundings.ts";

const bounds = { firstMs: 100, maxMs: 1_000, least: 0.5 };
const error = new StreamChainError("relay-unreachable", "no path", { retryable: true });

describe("the length of a pause", () => {
  test("is between a share of the bound and the bound", () => {
    assert.equal(backoffMs(bounds, 0, 0), 50);
    assert.equal(backoffMs(bounds, 0, 0.5), 75);
    assert.equal(backoffMs(bounds, 0, 1), 100);
  });

  test("doubles with each failure up to its maximum", () => {
    const lengths = [0, 1, 2, 3, 4, 60].map((failures) => backoffMs(bounds, failures, 1));
    assert.deepEqual(lengths, [100, 200, 400, 800, 1_000, 1_000]);
  });

  test("is not drawn when the whole bound is the least", () => {
    assert.equal(backoffMs({ ...bounds, least: 1 }, 2, 0), backoffMs({ ...bounds, least: 1 }, 2, 0.9));
  });
});

describe("a back-off", () => {
  const newBackoff = (clock = new VirtualClock()) => new Backoff(testPlatform(clock, { random: () => 1 }));

  test("grows with failures in a row, and forgets them", () => {
    const backoff = newBackoff();
    const { firstMs } = RECONNECT_BACKOFF;
    assert.deepEqual([backoff.next(error), backoff.next(error)], [2 * firstMs, 4 * firstMs]);
    backoff.reset();
    assert.equal(backoff.next(error), 2 * firstMs);
  });

  test("begins again after a session that was stable", () => {
    const backoff = newBackoff();
    for (let failure = 0; failure < 5; failure++) backoff.next(error);
    assert.equal(backoff.next(error, STABLE_SESSION_MS), RECONNECT_BACKOFF.firstMs);
  });

  test("honours Retry-After, up to a limit", () => {
    const after = (retryAfterMs: number) => new StreamChainError("no-relay", "none", { retryable: true, retryAfterMs });
    assert.equal(newBackoff().next(after(7_000)), 7_000);
    assert.equal(newBackoff().next(after(3_600_000)), MAX_RETRY_AFTER_MS);
  });

  test("ends a pause when it is skipped, or after its time", async () => {
    const clock = new VirtualClock();
    const backoff = newBackoff(clock);
    let ended = 0;
    const pause = (ms: number): void => void backoff.pause(ms).then(() => ended++);
    pause(1_000);
    await clock.advance(999);
    assert.equal(ended, 0);
    await clock.advance(1);
    assert.equal(ended, 1);
    pause(Number.POSITIVE_INFINITY);
    await clock.advance(3_600_000);
    assert.equal(ended, 1);
    backoff.skip();
    await settle();
    assert.equal(ended, 2);
  });
});
