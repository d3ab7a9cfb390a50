// `npm test`: set-up, then every test. `npm test -- edge browser` runs these groups only.
//
// All groups run whatever fails; the last line is the sum of what the runners counted, "N passed, N failed" (each
// check and the build count as one). A group in which nothing ran has failed.

import { bold, elapsed, Failure, green, heading, main, red } from "./lib/console.mjs";
import { setUp } from "./lib/setup/index.mjs";

const chosen = (groups) => {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !groups.some((group) => group.name === name));
  if (unknown.length > 0) {
    throw new Failure(`No such test group: ${unknown.join(", ")}`, [
      `There are: ${groups.map((group) => group.name).join(", ")}`,
    ]);
  }
  return names.length > 0 ? groups.filter((group) => names.includes(group.name)) : groups;
};

const runGroup = async ({ name, title, run }) => {
  const start = Date.now();
  heading(`▶ ${title}`);
  const counts = await run();
  if (counts.passed + counts.failed === 0) {
    console.log(`  ${red("✗")} Nothing ran in this group.`);
    counts.failed = 1;
  }
  const mark = counts.failed === 0 ? green("✓") : red("✗");
  const line = `${mark} ${name.padEnd(10)} ${`${counts.passed} passed`.padStart(12)}, ${counts.failed} failed  ${elapsed(start)}`;
  console.log(line);
  return { counts, line };
};

await main(async () => {
  const start = Date.now();
  heading("▶ Set-up");
  await setUp({ checks: true, browser: true });
  console.log(`  done in ${elapsed(start)}`);

  const { GROUPS } = await import("./lib/test/groups.mjs");
  const { totalCounts } = await import("./lib/test/counts.mjs");
  const results = [];
  for (const group of chosen(GROUPS)) results.push(await runGroup(group));

  heading(`Summary (${elapsed(start)})`);
  for (const { line } of results) console.log(line);
  const total = totalCounts(results.map(({ counts }) => counts));
  console.log(bold(total.failed === 0 ? "All tests passed." : "Some tests failed."));
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
});
