// The sizing table of docs/OPERATIONS.md is what scripts/lib/sizing.mjs computes from the figures of bench/results.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { ROOT } from "../../scripts/lib/paths.mjs";
import { DOCUMENT, MAX_SESSIONS, PLACE, sizingText } from "../../scripts/lib/sizing.mjs";

const MACHINE = {
  cpu: "CPU",
  cores: 2,
  memoryGiB: 24,
  system: "Linux",
  node: "v22",
  browser: "Chromium",
  load: 0.1,
};

const row = (bench: string, figure: string, value: number, note = "") => ({ bench, figure, value, unit: "", note });

/** Results in which a delivery costs so many microseconds. */
const results = (delivery: number) => ({
  name: "2026-01-01-cpu.md",
  results: {
    machine: MACHINE,
    rows: [
      row("mesh", "followers' CPU a delivery", delivery),
      row("mesh", "bytes sent a delivery", 200),
      row("mesh", "leading relay's CPU a message, 0 relays follow, 50 messages/s", 100),
      row("mesh", "leading relay's CPU a message, 8 relays follow, 50 messages/s", 260),
      row("mesh", "memory of a relay for each subscriber", 50),
    ],
  },
});

describe("the sizing table", () => {
  test("stands in the document as the newest figures make it", () => {
    const [, , written] = PLACE.exec(readFileSync(DOCUMENT, "utf8")) ?? [];
    assert.equal(written, sizingText(), "node scripts/sizing.mjs --write");
  });

  test("reckons with the relay's own limit of sessions", () => {
    const limits = readFileSync(join(ROOT, "relay-node/src/core/limits.rs"), "utf8");
    const [, limit = ""] = /MAX_SESSIONS: usize = ([\d_]+);/.exec(limits) ?? [];
    assert.equal(Number(limit.replaceAll("_", "")), MAX_SESSIONS);
  });

  test("says that nothing is measured while nothing is", () => {
    assert.match(sizingText([]), /^Not measured yet/);
    assert.match(
      sizingText([{ ...results(4), results: { machine: MACHINE, rows: [row("relay", "x", 1)] } }]),
      /^Not m/,
    );
  });

  test("has as many relays as sessions and CPU need", () => {
    const lines = (delivery: number) => sizingText([results(delivery)]).split("\n");
    const relays = (delivery: number) => lines(delivery).find((line) => line.startsWith("| relays of 4 threads"));
    // 1/s: 20,000 sessions a thread by the limit. 10/s and 50/s: 0.6 s of CPU are 15,000 and 3,000 deliveries of 4 µs.
    assert.equal(relays(4), "| relays of 4 threads | 13 | 17 | 84 |");
    assert.equal(relays(40), "| relays of 4 threads | 17 | 167 | 834 |");
    const leader = lines(4).find((line) => line.startsWith("| the leader's part"));
    // 100 µs alone and 20 µs for each of 12, 16 and 83 other relays.
    assert.match(leader ?? "", /\| 0\.034 % of a core \| 0\.42 % of a core \| 8\.8 % of a core \|$/);
  });

  test("has the largest run beside it, of whichever day", () => {
    const other = {
      machine: MACHINE,
      rows: [row("many readers", "readers of one stream on relays", 18_000, "all there")],
    };
    const text = sizingText([results(4), { name: "2025-12-31-cpu.md", results: other }]);
    assert.match(text, /2025-12-31-cpu\.md.*\n18,000 readers of one stream on relays\. all there\.\n$/);
    assert.doesNotMatch(sizingText([results(4)]), /largest run/);
  });
});
