import assert from "node:assert/strict";
import { test } from "node:test";
import { LIVENESS_CHECK_MS, LIVENESS_DEAD_MS, LIVENESS_IDLE_MS, LIVENESS_UNANSWERED_MS } from "../src/lib/limits.ts";
import { Liveness } from "../src/lib/session/liveness.ts";
import { settle, testPlatform, VirtualClock } from "./support/surroundings.ts";

/** What SCTP brings for each packet of ours. */
const ACKNOWLEDGEMENT_BYTES = 28;

/** A session's path, as liveness sees it. */
class Path {
  readonly clock = new VirtualClock();
  readonly startedAt = this.clock.now;
  /** What was told, with the ms since the start. */
  readonly told: string[] = [];
  keepAlives = 0;
  bytes: number | undefined = 1_000;
  rttMs = 10;
  /** The pair in use. */
  pair = "first";
  checksAnswered = 0;
  works = true;
  /** Checks, over whatever way. */
  relayAnswers = true;
  /** Of the next packets, these are lost: 0 is the next one. */
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
    onSilent: () => this.told.push(`silent ${this.elapsed}`),
    onDead: () => this.told.push(`dead ${this.elapsed}`),
  });
  #sent = 0;

  get elapsed(): number {
    return this.clock.now - this.startedAt;
  }

  /** The relay acknowledges it a round trip later, if it gets it. */
  send(): void {
    this.liveness.sent();
    const number = this.#sent++;
    if (!this.works || this.lost.has(number) || this.bytes === undefined) return;
    this.clock.setTimer(() => {
      this.bytes = (this.bytes ?? 0) + ACKNOWLEDGEMENT_BYTES;
    }, this.rttMs);
  }

  /** Sends each 20 ms and hears each back, for so long. */
  async converse(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 20) {
      this.send();
      await this.clock.advance(20);
      if (this.works) this.liveness.received();
    }
  }
}

test("a path that stops answering in a conversation is searched anew within a second, once", async () => {
  const path = new Path();
  await path.converse(3_000);
  assert.deepEqual(path.told, []);
  path.works = false;
  await path.converse(1_250);
  assert.match(path.told.join(), /^silent \d+$/);
  const after = Number(path.told.join().split(" ")[1]) - 3_000;
  assert.ok(after >= 500 && after <= 1_000, `${after} ms after the last answer`);
  path.liveness.stop();
});

test("a path that stops answering while nobody speaks is noticed by what the page says itself", async () => {
  const path = new Path();
  await path.clock.advance(10_000);
  assert.deepEqual(path.told, []);
  path.works = false;
  await path.clock.advance(LIVENESS_IDLE_MS + 4 * LIVENESS_CHECK_MS);
  assert.match(path.told.join(), /^silent \d+/);
  path.liveness.stop();
});

for (const { relayAnswers, patience } of [
  { relayAnswers: true, patience: LIVENESS_DEAD_MS },
  { relayAnswers: false, patience: LIVENESS_UNANSWERED_MS },
]) {
  const checks = relayAnswers ? "although the relay answers checks" : "like the relay, is given more time, then";
  test(`a path that stays silent, ${checks}, is given up, and nothing is told any more`, async () => {
    const path = new Path();
    path.works = false;
    path.relayAnswers = relayAnswers;
    await path.clock.advance(LIVENESS_IDLE_MS + patience);
    assert.match(path.told.join(), /^silent \d+$/);
    await path.clock.advance(5 * LIVENESS_CHECK_MS);
    assert.match(path.told.join(), /^silent \d+,dead \d+$/);
    await path.clock.advance(60_000);
    assert.equal(path.told.length, 2);
  });
}

test("a pair that takes the place of another is no sign of life; what it brings is", async () => {
  const path = new Path();
  await path.converse(1_000);
  path.works = false;
  await path.converse(250);
  path.pair = "second";
  path.bytes = 0;
  path.checksAnswered = 0;
  await path.converse(750);
  assert.match(path.told.join(), /^silent \d+$/);
  path.works = true;
  await path.converse(10_000);
  assert.equal(path.told.length, 1);
  path.liveness.stop();
});

test("a path that answers again before that stays, and its next silence is searched for too", async () => {
  const path = new Path();
  await path.converse(1_000);
  for (const _silence of [1, 2]) {
    path.works = false;
    await path.converse(1_250);
    path.works = true;
    await path.converse(2_000);
  }
  await path.clock.advance(60_000);
  assert.match(path.told.join(), /^silent \d+,silent \d+$/);
  path.liveness.stop();
});

test("ten minutes in which nobody speaks raise no alarm, and cost at most one small frame each second and a half", async () => {
  const path = new Path();
  await path.clock.advance(600_000);
  assert.deepEqual(path.told, []);
  assert.ok(path.keepAlives <= 600_000 / LIVENESS_IDLE_MS, `${path.keepAlives} frames`);
  path.liveness.stop();
});

test("one lost packet of four raises no alarm: what is sent into a silence is acknowledged", async () => {
  const path = new Path();
  path.lost = new Set(Array.from({ length: 1_000 }, (_, index) => index).filter((index) => index % 4 === 0));
  await path.clock.advance(600_000);
  assert.deepEqual(path.told, []);
  path.liveness.stop();
});

test("a long way there and back is no silence", async () => {
  const path = new Path();
  path.rttMs = 1_200;
  await path.clock.advance(600_000);
  assert.deepEqual(path.told, []);
  path.liveness.stop();
});

test("where the browser does not count bytes, nothing is concluded", async () => {
  const path = new Path();
  path.bytes = undefined;
  path.works = false;
  await path.clock.advance(600_000);
  assert.deepEqual(path.told, []);
  path.liveness.stop();
});

test("a page that slept for an hour does not take that for a silence", async () => {
  const path = new Path();
  await path.converse(1_000);
  path.send();
  path.clock.now += 3_600_000;
  await path.clock.advance(LIVENESS_CHECK_MS);
  path.bytes = (path.bytes ?? 0) + ACKNOWLEDGEMENT_BYTES;
  await path.clock.advance(10_000);
  assert.deepEqual(path.told, []);
  path.liveness.stop();
});

test("a session that is over looks no more", async () => {
  const path = new Path();
  path.works = false;
  path.send();
  path.liveness.stop();
  await path.clock.advance(60_000);
  await settle();
  assert.deepEqual(path.told, []);
});
