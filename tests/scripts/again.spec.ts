import assert from "node:assert/strict";
import { test } from "node:test";
import { lateLines, runAgain } from "../../scripts/lib/test/again.mjs";

type Failed = { test: string; file: string; message: string };

const failed = (file: string): Failed => ({ test: `a test of ${file}`, file, message: "not in time" });

const group = (name: string, ...files: string[]) => ({
  group: name,
  counts: { passed: 5, failed: files.length },
  failures: files.map(failed),
});

/** Runs again what failed; a group named "quick" waits for nothing. What was asked for, and what came of it. */
const again = async (results: ReturnType<typeof group>[], outcome: { passed: number; failed: number }) => {
  const asked: string[] = [];
  const after = await runAgain(results, (name) => {
    if (name === "quick") return undefined;
    return async (only) => {
      asked.push(`${name}: ${only.map(({ file }) => file).join(" ")}`);
      return outcome;
    };
  });
  return { asked, after };
};

const PASSED = { passed: 4, failed: 0 };

test("a failed test that passes alone has passed, and is named", async () => {
  const { asked, after } = await again([group("edge", "a.spec.ts:9:1"), group("quick"), group("chain")], PASSED);
  assert.deepEqual(asked, ["edge: a.spec.ts:9:1"]);
  assert.deepEqual(
    after.map(({ counts }) => counts),
    [
      { passed: 6, failed: 0 },
      { passed: 5, failed: 0 },
      { passed: 5, failed: 0 },
    ],
  );
  const lines = lateLines(after);
  assert.match(lines[0] ?? "", /passed when run again/);
  assert.deepEqual(lines.slice(1), ["✗ edge  a.spec.ts:9:1  a test of a.spec.ts:9:1", "    not in time"]);
});

test("one that fails again, or does not run, has failed", async () => {
  for (const outcome of [
    { passed: 4, failed: 1 },
    { passed: 0, failed: 0 },
  ]) {
    const results = [group("edge", "a.spec.ts:9:1")];
    const { asked, after } = await again(results, outcome);
    assert.equal(asked.length, 1);
    assert.deepEqual(after, results);
    assert.deepEqual(lateLines(after), []);
  }
});

test("nothing is run again where the machine is not what is wrong", async () => {
  for (const results of [
    [group("edge", "a.ts", "b.ts"), group("chain", "a.ts", "b.ts")],
    [group("edge", "a.ts"), group("quick", "b.ts")],
    [group("edge", "a.ts", "")],
    [{ ...group("edge"), counts: { passed: 0, failed: 1 } }],
  ]) {
    const { asked, after } = await again(results, PASSED);
    assert.deepEqual(asked, []);
    assert.deepEqual(after, results);
  }
});

test("failures of one file are one file, wherever in it", async () => {
  const files = ["a.ts:1:1", "a.ts:2:1", "a.ts:3:1", "a.ts:4:1"];
  const { asked } = await again([group("edge", ...files)], PASSED);
  assert.equal(asked.length, 1);
});
