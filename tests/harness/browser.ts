// A headless Chromium for tests and benches.

import { type Browser, chromium } from "playwright-core";
import { chromiumPath } from "../../scripts/lib/setup/chromium.mjs";

/** No calls home, and none of the sandboxes that root and containers lack. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/** Launches the Chromium that set-up found; close it when done. @param executablePath another, or what wraps it */
export const launchChromium = (
  extraArguments: readonly string[] = [],
  executablePath = chromiumPath(),
): Promise<Browser> => {
  if (executablePath === null) throw new Error("there is no Chromium: npm run setup");
  return chromium.launch({ executablePath, headless: true, args: [...ARGUMENTS, ...extraArguments] });
};
