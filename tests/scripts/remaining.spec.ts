import assert from "node:assert/strict";
import { test } from "node:test";
import { leftText, Remaining } from "../../scripts/lib/remaining.mjs";

const PARTS = [
  { name: "packages", seconds: 20, isDone: false },
  { name: "contracts", seconds: 5, isDone: true },
  { name: "worker", seconds: 90, isDone: false },
  { name: "relay", seconds: 60, isDone: false },
];

test("what is left follows from the parts that are over", () => {
  const remaining = new Remaining(PARTS, 1_000);
  assert.equal(remaining.secondsFrom("packages", 1_000), 170, "nothing is known of the machine yet");
  assert.equal(remaining.secondsFrom("worker", 41_000), 300, "half as fast as the one that was measured");
  assert.equal(remaining.secondsFrom("relay", 111_000), 60);
  assert.equal(remaining.secondsFrom("contracts", 50_000), null, "it is there already");
  assert.equal(remaining.secondsFrom("packages", 1_000, "relay"), 110, "without what comes behind");
});

test("what is left is said in words that can be kept", () => {
  assert.equal(leftText(null), "");
  assert.equal(leftText(2), "");
  assert.equal(leftText(31), "about 40 s left");
  assert.equal(leftText(170), "about 3 min left");
  assert.equal(leftText(170, "until the page works"), "about 3 min until the page works");
});
