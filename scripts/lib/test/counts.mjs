// How many tests a runner says it ran: read from its own summary, so that a run without one can't pass for a success.

/** @typedef {{ passed: number, failed: number }} Counts */
/** @typedef {Counts & { failures?: import("./failures.mjs").FailedTest[] }} Outcome counts, with the failed tests where they are known */

/** @param {readonly Counts[]} counts @returns {Counts} */
const sum = (counts) =>
  counts.reduce((a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed }), { passed: 0, failed: 0 });

const ESCAPE = String.fromCharCode(27);
const COLOURS = new RegExp(`${ESCAPE}\\[[0-9;]*m`, "g");

/** @param {string} output */
export const withoutColours = (output) => output.replace(COLOURS, "");

/** @param {string} output @param {RegExp} pattern */
const matches = (output, pattern) => [...withoutColours(output).matchAll(pattern)];

/**
 * `cargo test`: one "test result:" line for each test binary and doc-test run. Ignored tests count as failed.
 * @param {string} output
 */
export const cargoCounts = (output) =>
  sum(
    matches(output, /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm).map(
      ([, passed, failed, ignored]) => ({
        passed: Number(passed),
        failed: Number(failed) + Number(ignored),
      }),
    ),
  );

/** `forge test`: one closing line. Skipped tests count as failed. @param {string} output */
export const forgeCounts = (output) =>
  sum(
    matches(output, /(\d+) tests? passed, (\d+) failed, (\d+) skipped \(\d+ total/g).map(
      ([, passed, failed, skipped]) => ({
        passed: Number(passed),
        failed: Number(failed) + Number(skipped),
      }),
    ),
  );

/**
 * `node --test` with the spec reporter: closing "ℹ name number" lines. What didn't run to its end counts as failed.
 * @param {string} output
 */
export const nodeCounts = (output) => {
  /** @param {string} name */
  const figure = (name) => Number(matches(output, new RegExp(`^ℹ ${name} (\\d+)$`, "gm")).at(-1)?.[1] ?? 0);
  const notPassed = ["fail", "cancelled", "skipped", "todo"].map(figure).reduce((a, b) => a + b, 0);
  return { passed: figure("pass"), failed: notPassed };
};

/** Together: all runners' tests. @param {readonly Counts[]} counts */
export const totalCounts = sum;
