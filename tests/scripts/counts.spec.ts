import assert from "node:assert/strict";
import { test } from "node:test";
import { cargoCounts, forgeCounts, nodeCounts, totalCounts } from "../../scripts/lib/test/counts.mjs";

test("cargo's summaries add up; an ignored test is no success", () => {
  const output = [
    "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
    "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
  ].join("\n");
  assert.deepEqual(cargoCounts(output), { passed: 15, failed: 3 });
});

test("forge's closing line is read, not its lines for suites", () => {
  const output = [
    "Suite result: ok. 5 passed; 0 failed; 0 skipped; finished in 6.44s (10.75s CPU time)",
    "Ran 6 test suites in 6.45s (8.14s CPU time): \x1b[32m47\x1b[0m tests passed, 1 failed, 2 skipped (50 total tests)",
  ].join("\n");
  assert.deepEqual(forgeCounts(output), { passed: 47, failed: 3 });
});

test("node's closing figures are read; a skipped test failed", () => {
  const output = "ℹ tests 7\nℹ suites 0\nℹ pass 4\nℹ fail 1\nℹ cancelled 1\nℹ skipped 1\nℹ todo 0\nℹ duration_ms 80";
  assert.deepEqual(nodeCounts(output), { passed: 4, failed: 3 });
});

test("a runner that printed no summary has counted nothing", () => {
  for (const read of [cargoCounts, forgeCounts, nodeCounts]) {
    assert.deepEqual(read("error: could not compile"), { passed: 0, failed: 0 });
  }
});

test("the total is the sum of the groups", () => {
  const groups = [
    { passed: 3, failed: 0 },
    { passed: 4, failed: 2 },
  ];
  assert.deepEqual(totalCounts(groups), { passed: 7, failed: 2 });
});
