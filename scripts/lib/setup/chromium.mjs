// A Chromium for the browser tests and benches: CHROMIUM_PATH, or one that is installed, or Debian's where we may.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Failure, step } from "../console.mjs";
import { STATE, which } from "../paths.mjs";
import { runLogged } from "../run.mjs";

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
  const mayInstall = process.getuid?.() === 0 && which("apt-get");
  if (!mayInstall) throw new Failure("The browser tests need Chromium, and there is none.", ADVICE);
  await step("Chromium (apt-get install chromium; a minute or two)", async () => {
    const log = (name) => ({
      log: join(STATE, "logs", `${name}.log`),
      env: { DEBIAN_FRONTEND: "noninteractive" },
      advice: ADVICE,
    });
    await runLogged("apt-get update", "apt-get", ["update"], log("apt-update"));
    const args = ["install", "-y", "--no-install-recommends", "chromium"];
    await runLogged("apt-get install", "apt-get", args, log("apt-install"));
  });
  if (!chromiumPath()) throw new Failure("apt-get installed chromium, but it is not on the PATH.", ADVICE);
};
