// `npm run check`: formatting, lints and types. `npm run format` (--fix) mends what can be mended.

import { main } from "./lib/console.mjs";
import { setUp } from "./lib/setup/index.mjs";

await main(async () => {
  await setUp({ checks: true });
  const { runChecks, runFormatters } = await import("./lib/test/checks.mjs");
  const { failed } = await (process.argv.includes("--fix") ? runFormatters() : runChecks());
  return failed === 0 ? 0 : 1;
});
