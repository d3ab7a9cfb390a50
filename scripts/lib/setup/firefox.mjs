// A Firefox for the tests of other browsers than Chromium: FIREFOX_PATH, or one that is installed, or Debian's ESR.

import { existsSync } from "node:fs";
import { Failure } from "../console.mjs";
import { which } from "../paths.mjs";
import { installDebian } from "./debian.mjs";

const NAMES = ["firefox-esr", "firefox"];

/** The browser's path, or null. */
export const firefoxPath = () => {
  const named = process.env.FIREFOX_PATH;
  if (named) {
    if (existsSync(named)) return named;
    throw new Failure(`FIREFOX_PATH names a file that is not there: ${named}`);
  }
  return NAMES.map(which).find(Boolean) ?? null;
};

const ADVICE = [
  "Install Firefox (Debian: apt-get install firefox-esr), or",
  "say where one is: FIREFOX_PATH=/path/to/firefox",
];

export const installFirefox = async () => {
  if (firefoxPath()) return;
  const why = "The network tests need Firefox, and there is none.";
  await installDebian({ packages: ["firefox-esr"], why, advice: ADVICE });
  if (!firefoxPath()) throw new Failure("apt-get installed firefox-esr, but it is not on the PATH.", ADVICE);
};
