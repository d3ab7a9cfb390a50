// Tests that wait for real time fail at times on a machine that is too busy. A few failed ones are run once more, when nothing else runs. What passes
// then has passed, and is named in the summary with its first failure: a fault that shows seldom looks the same, and somebody has to look.

import { failedLines } from "./failures.mjs";

/** Failures in more files than these are no matter of a busy machine, so none of them is run again. */
const MAX_FILES = 3;

/** @typedef {import("./failures.mjs").FailedTest} FailedTest */
/** @typedef {import("./counts.mjs").Outcome} Outcome */
/** @typedef {{ group: string, counts: Outcome, failures: readonly FailedTest[] }} Result what came of a group */

/** A failed test's file, without line and column. @param {FailedTest} failure */
export const fileOf = ({ file }) => file.replace(/(:\d+)+$/, "");

/** Whether these failures may be a matter of the machine: in few files, and each with the file that can be run. @param {readonly Result[]} failed */
const mayBeBusy = (failed) => {
  const files = failed.flatMap(({ group, failures }) => failures.map((failure) => `${group} ${fileOf(failure)}`));
  const isKnown = failed.every(({ failures }) => failures.length > 0 && failures.every(({ file }) => file !== ""));
  return isKnown && new Set(files).size <= MAX_FILES;
};

/**
 * Runs the failed tests once more: all of them, or none, since what fails anyhow is to be seen soon.
 * @template {Result} R
 * @param {readonly R[]} results
 * @param {(group: string) => ((only: readonly FailedTest[]) => Promise<Outcome>) | undefined} runOf how a group's tests are run again, where they wait for real time
 * @returns {Promise<(R & { late?: readonly FailedTest[] })[]>} `late`: tests that passed only now
 */
export const runAgain = async (results, runOf) => {
  const failed = results.filter(({ counts }) => counts.failed > 0);
  if (!mayBeBusy(failed) || failed.some(({ group }) => runOf(group) === undefined)) return [...results];
  /** @type {(R & { late?: readonly FailedTest[] })[]} */
  const after = [];
  for (const result of results) {
    const { passed, failed } = result.counts;
    const again = failed > 0 ? await runOf(result.group)?.(result.failures) : undefined;
    const isLate = again !== undefined && again.failed === 0 && again.passed >= failed;
    after.push(
      isLate
        ? { ...result, counts: { passed: passed + failed, failed: 0 }, failures: [], late: result.failures }
        : result,
    );
  }
  return after;
};

/**
 * What the summary prints of tests that passed only when they ran alone.
 * @param {readonly { group: string, late?: readonly FailedTest[] }[]} groups
 */
export const lateLines = (groups) => {
  const lines = failedLines(groups.map(({ group, late }) => ({ group, failures: late ?? [] })));
  return lines.length === 0 ? [] : ["Failed at first, and passed when run again with nothing beside them:", ...lines];
};
