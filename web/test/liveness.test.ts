import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LIVENESS_CHECK_MS, LIVENESS_DEAD_MS, LIVENESS_IDLE_MS, LIVENESS_UNANSWERED_MS } from "../src/lib/limits.ts";
import { Liveness } from "../src/lib/session/liveness.ts";
import { settle, testPlatform, VirtualClock } from "./support/surroundings.ts";

/** Bytes of SCTP's acknowledgement for each packet. */
const ACKNOWLEDGEMENT_BYTES = 28;

/** The path of a session. */
class Path {
  readonly clock = new VirtualClock();
  readonly startedAt = this.clock.now;
  /** The calls of `onSilent` and `onDead`, with the ms since the start. */
  readonly calls: string[] = [];
  keepAlives = 0;
  bytes: number | undefined = 1_000;
  rttMs = 10;
  /** The selected candidate pair. */
  pair = "first";
  checksAnswered = 0;
  works = true;
  /** Whether connectivity checks are answered. */
  relayAnswers = true;
  /** Indices of the packets that are lost, from 0 for the first one. */
  lost = new Set<number>();
  readonly liveness = new Liveness({
    platform: testPlatform(this.clock, {}),
    signs: async () => {
      if (this.relayAnswers) this.checksAnswered++;
      const counts = (count: number | undefined) => new Map(count === undefined ? [] : [[this.pair, count]]);
      return { bytesReceived: counts(this.bytes), checksAnswered: counts(this.checksAnswered), rttMs: this.rttMs };
    },
    keepAlive: () => {
      this.keepAlives++;
      this.send();
    },
    onSilent: () => this.calls.push(`silent ${this.elapsed}`),
    onDead: () => this.calls.push(`dead ${this.elapsed}`),
  });
  #sent = 0;

  get elapsed(): number {
    return this.clock.now - this.startedAt;
  }

  /** Sends a packet; the relay acknowledges it a round trip later, unless it is lost. */
  send(): void {
    this.liveness.sent();
    const number = this.#sent++;
    if (!this.works || this.lost.has(number) || this.bytes === undefined) return;
    this.clock.setTimer(() => {
      this.bytes = (this.bytes ?? 0) + ACKNOWLEDGEMENT_BYTES;
    }, this.rttMs);
  }

  /** Sends and receives every 20 ms, for `ms`. */
  async converse(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 20) {
      this.send();
      await this.clock.advance(20);
      if (this.works) this.liveness.received();
    }
  }
}

describe("liveness of a path", () => {
  test("a path that stops with traffic is searched again, once", async () => {
    const path = new Path();
    await path.converse(3_000);
    assert.deepEqual(path.calls, []);
    path.works = false;
    await path.converse(1_250);
    assert.match(path.calls.join(), /^silent \d+$/);
    const after = Number(path.calls.join().split(" ")[1]) - 3_000;
    assert.ok(after >= 500 && after <= 1_000, `${after} ms after the last answer`);
    path.liveness.stop();
  });

  test("a path that stops without traffic shows by keep-alives", async () => {
    const path = new Path();
    await path.clock.advance(10_000);
    assert.deepEqual(path.calls, []);
    path.works = false;
    await path.clock.advance(LIVENESS_IDLE_MS + 4 * LIVENESS_CHECK_MS);
    assert.match(path.calls.join(), /^silent \d+/);
    path.liveness.stop();
  });

  for (const { relayAnswers, patience } of [
    { relayAnswers: true, patience: LIVENESS_DEAD_MS },
    { relayAnswers: false, patience: LIVENESS_UNANSWERED_MS },
  ]) {
    const when = relayAnswers ? "though checks are answered" : "later when no check is answered";
    test(`a path that stays silent ends ${when}`, async () => {
      const path = new Path();
      path.works = false;
      path.relayAnswers = relayAnswers;
      await path.clock.advance(LIVENESS_IDLE_MS + patience);
      assert.match(path.calls.join(), /^silent \d+$/);
      await path.clock.advance(5 * LIVENESS_CHECK_MS);
      assert.match(path.calls.join(), /^silent \d+,dead \d+$/);
      await path.clock.advance(60_000);
      assert.equal(path.calls.length, 2);
    });
  }

  test("a new candidate pair is no sign of life, its bytes are", async () => {
    const path = new Path();
    await path.converse(1_000);
    path.works = false;
    await path.converse(250);
    path.pair = "second";
    path.bytes = 0;
    path.checksAnswered = 0;
    await path.converse(750);
    assert.match(path.calls.join(), /^silent \d+$/);
    path.works = true;
    await path.converse(10_000);
    assert.equal(path.calls.length, 1);
    path.liveness.stop();
  });

  test("a path that answers in time stays, also the next time", async () => {
    const path = new Path();
    await path.converse(1_000);
    for (const _silence of [1, 2]) {
      path.works = false;
      await path.converse(1_250);
      path.works = true;
      await path.converse(2_000);
    }
    await path.clock.advance(60_000);
    assert.match(path.calls.join(), /^silent \d+,silent \d+$/);
    path.liveness.stop();
  });

  test("ten idle minutes cost one small frame in 1.5 s at most", async () => {
    const path = new Path();
    await path.clock.advance(600_000);
    assert.deepEqual(path.calls, []);
    assert.ok(path.keepAlives <= 600_000 / LIVENESS_IDLE_MS, `${path.keepAlives} frames`);
    path.liveness.stop();
  });

  test("one lost packet of four ends nothing", async () => {
    const path = new Path();
    path.lost = new Set(Array.from({ length: 1_000 }, (_, index) => index).filter((index) => index % 4 === 0));
    await path.clock.advance(600_000);
    assert.deepEqual(path.calls, []);
    path.liveness.stop();
  });

  test("a long round trip is no silence", async () => {
    const path = new Path();
    path.rttMs = 1_200;
    await path.clock.advance(600_000);
    assert.deepEqual(path.calls, []);
    path.liveness.stop();
  });

  test("nothing follows when the browser counts no bytes", async () => {
    const path = new Path();
    path.bytes = undefined;
    path.works = false;
    await path.clock.advance(600_000);
    assert.deepEqual(path.calls, []);
    path.liveness.stop();
  });

  test("an hour of sleep is no silence", async () => {
    const path = new Path();
    await path.converse(1_000);
    path.send();
    path.clock.now += 3_600_000;
    await path.clock.advance(LIVENESS_CHECK_MS);
    path.bytes = (path.bytes ?? 0) + ACKNOWLEDGEMENT_BYTES;
    await path.clock.advance(10_000);
    assert.deepEqual(path.calls, []);
    path.liveness.stop();
  });

  test("nothing is checked after the session ended", async () => {
    const path = new Path();
    path.works = false;
    path.send();
    path.liveness.stop();
    await path.clock.advance(60_000);
    await settle();
    assert.deepEqual(path.calls, []);
  });
});
