// A Chromium for the browser tests and benches: CHROMIUM_PATH, or one that is installed, or Debian's where we may.

import { existsSync } from "node:fs";
import { Failure } from "../console.mjs";
import { which } from "../paths.mjs";
import { installDebian } from "./debian.mjs";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const MAC_APPS = [
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** The browser's path, or null. */
export const chromiumPath = () => {
  const named = process.env.CHROMIUM_PATH;
  if (named) {
    if (existsSync(named)) return named;
    throw new Failure(`CHROMIUM_PATH names a file that is not there: ${named}`);
  }
  const found = NAMES.map(which).find(Boolean);
  return found ?? MAC_APPS.find((path) => existsSync(path)) ?? null;
};

const ADVICE = [
  "Install Chromium or Google Chrome (Debian, Ubuntu: apt-get install chromium), or",
  "say where one is: CHROMIUM_PATH=/path/to/chrome",
];

export const installChromium = async () => {
  if (chromiumPath()) return;
  const why = "The browser tests need Chromium, and there is none.";
  await installDebian({ packages: ["chromium"], why, advice: ADVICE });
  if (!chromiumPath()) throw new Failure("apt-get installed chromium, but it is not on the PATH.", ADVICE);
};
