// `npm run check`: formatting, lints, types, and what the tree keeps (import circles, layers, dead items, words).
// `npm run check -- circles words` runs these only; `npm run check -- --list` says which there are. `npm run format`
// (--fix) mends what can be mended.

import { choose } from "./lib/choice.mjs";
import { main } from "./lib/console.mjs";
import { setUp } from "./lib/setup/index.mjs";

const ABOUT = {
  command: "npm run check",
  does: "Checks the tree without running a test. A failure does not stop the other checks. `npm run format` corrects formatting.",
  kind: "check",
};

await main(async () => {
  const words = process.argv.slice(2);
  const { CHECKS, runChecks, runFormatters } = await import("./lib/test/checks.mjs");
  if (words.includes("--fix")) {
    await setUp({ checks: true });
    return (await runFormatters()).failed === 0 ? 0 : 1;
  }
  const chosen = choose(words, CHECKS, ABOUT);
  if (chosen === null) return 0;
  await setUp({ checks: true });
  return (await runChecks(chosen)).failed === 0 ? 0 : 1;
});
