// `npm test`: set-up, then every test. `npm test -- edge browser` runs these groups only.
//
// All groups run whatever fails, those that start systems two at a time. A few failed tests that wait for real time are run once more, alone. The summary in
// the end names each failed test with its file and its message; the last line is the sum of what the runners counted, "N passed, N failed" (each check and
// the build count as one). A group in which nothing ran has failed.

import { choose } from "./lib/choice.mjs";
import { bold, elapsed, green, heading, main, red } from "./lib/console.mjs";
import { setUp } from "./lib/setup/index.mjs";
import { lateLines, runAgain } from "./lib/test/again.mjs";
import { totalCounts } from "./lib/test/counts.mjs";
import { failureLines, unnamedFailure } from "./lib/test/failures.mjs";
import { inProcess } from "./lib/test/group-process.mjs";
import { GROUPS } from "./lib/test/groups.mjs";
import { inLanes } from "./lib/test/lanes.mjs";

const ABOUT = {
  command: "npm test",
  does: "Installs missing tools and runs these groups of tests. A failure does not stop the others; the last line has the sums.",
  kind: "test group",
};

/** What says how a group ended. @param {string} name @param {import("./lib/test/counts.mjs").Counts} counts @param {string} time */
const lineOf = (name, { passed, failed }, time) =>
  `${failed === 0 ? green("✓") : red("✗")} ${name.padEnd(10)} ${`${passed} passed`.padStart(12)}, ${failed} failed  ${time}`;

/**
 * Runs a group alone with its output as it comes, or beside another one with its output whole in the end.
 * @param {import("./lib/test/groups.mjs").TestGroup} group
 * @param {boolean} isAlone
 */
const runGroup = async ({ name, title, run }, isAlone) => {
  const start = Date.now();
  heading(`▶ ${title}`);
  const { counts, output } = isAlone ? { counts: await run(), output: "" } : await inProcess(name);
  if (!isAlone) {
    heading(`▶ ${title}: what it printed`);
    console.log(output.trimEnd());
  }
  if (counts.passed + counts.failed === 0) {
    console.log(`  ${red("✗")} Nothing ran in this group.`);
    counts.failed = 1;
    counts.failures = [{ test: "nothing ran in this group", file: "", message: "" }];
  }
  const time = elapsed(start);
  console.log(lineOf(name, counts, time));
  const named = counts.failed === 0 ? [] : (counts.failures ?? [unnamedFailure(output)]);
  return { group: name, counts, time, failures: named };
};

/** How failed tests of a group are run once more; nothing for one whose tests do not wait for real time. @param {string} group */
const againOf = (group) => {
  const { title, run, waits, besideOthers } = GROUPS.find(({ name }) => name === group) ?? {};
  if (!run || !(waits || besideOthers)) return undefined;
  return (/** @type {readonly import("./lib/test/failures.mjs").FailedTest[]} */ only) => {
    heading(`▶ ${title}: what failed, once more`);
    return run(only);
  };
};

await main(async () => {
  const groups = choose(process.argv.slice(2), GROUPS, ABOUT);
  if (groups === null) return 0;
  const start = Date.now();
  heading("▶ Set-up");
  await setUp({ checks: true, browser: true });
  console.log(`  done in ${elapsed(start)}`);

  const results = await runAgain(await inLanes(groups, runGroup), againOf);

  heading(`Summary (${elapsed(start)})`);
  for (const { group, counts, time } of results) console.log(lineOf(group, counts, time));
  for (const line of lateLines(results)) console.log(line);
  for (const line of failureLines(results)) console.log(line);
  const total = totalCounts(results.map(({ counts }) => counts));
  console.log(bold(total.failed === 0 ? "All tests passed." : "Some tests failed."));
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
});
