import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PACER_BURST_MS } from "../src/lib/limits.ts";
import { Pacer } from "../src/lib/publish/pacer.ts";

/** Sends messages of `bytes` whenever the pacer allows it, for `ms`; returns their number. */
const sentIn = (pacer: Pacer, ms: number, bytes: number): number => {
  let sent = 0;
  for (let now = 0; now < ms; now++) {
    while (pacer.wait(now) === 0 && sent < 100_000) {
      pacer.spend(1, bytes, now);
      sent++;
    }
  }
  return sent;
};

describe("the pacer", () => {
  test("sends a burst and then at the relay's rate", () => {
    const pacer = new Pacer();
    pacer.begin({ messagesPerS: 100, bytesPerS: undefined });
    const sent = sentIn(pacer, 10_000, 10);
    const burst = PACER_BURST_MS / 10;
    assert.ok(sent >= 1_000 && sent <= 1_000 + burst + 1, `${sent} messages in ten seconds at 100 a second`);
  });

  test("counts bytes too", () => {
    const pacer = new Pacer();
    pacer.begin({ messagesPerS: undefined, bytesPerS: 100_000 });
    const sent = sentIn(pacer, 10_000, 10_000);
    assert.ok(sent >= 100 && sent <= 112, `${sent} messages of 10,000 bytes in ten seconds at 100,000 bytes a second`);
  });

  test("has no effect without a rate limit", () => {
    const pacer = new Pacer();
    pacer.begin({ messagesPerS: 0, bytesPerS: undefined });
    assert.equal(sentIn(pacer, 1, 10), 100_000);
    assert.equal(pacer.maxTogether, Number.POSITIVE_INFINITY);
  });

  test("lets a part of the burst share a message", () => {
    const pacer = new Pacer();
    pacer.begin({ messagesPerS: 100, bytesPerS: undefined });
    assert.equal(pacer.maxTogether, 25);
  });
});
