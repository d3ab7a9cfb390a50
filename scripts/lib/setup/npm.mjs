// The npm packages: `npm ci` whenever the lock file is not the one that was last installed.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure, step } from "../console.mjs";
import { NODE, ROOT, STATE, which } from "../paths.mjs";
import { ask, runLogged } from "../run.mjs";

/** In node_modules, so that it is deleted together with them. */
const STAMP = join(ROOT, "node_modules", ".streamchain-lock");

const lockHash = () =>
  createHash("sha256")
    .update(readFileSync(join(ROOT, "package-lock.json")))
    .digest("hex");

const installed = () =>
  existsSync(STAMP) && readFileSync(STAMP, "utf8") === lockHash() && ask(NODE, ["--version"]) !== null;

/** Installs what package-lock.json names, unless that is installed. */
export const installNpmPackages = async () => {
  if (installed()) return;
  if (!which("npm")) throw new Failure("npm is not on the PATH.", ["It comes with Node.js: https://nodejs.org"]);
  await step("npm packages (npm ci; about a minute)", () =>
    runLogged("npm ci", "npm", ["ci", "--no-audit", "--no-fund"], {
      log: join(STATE, "logs", "npm.log"),
      advice: ["No network? The packages of package-lock.json must come from a registry once; then set-up needs none."],
    }),
  );
  if (ask(NODE, ["--version"]) === null) {
    throw new Failure("npm ci ran, but the Node that the package `node` brings is not there.", [
      "Its install script must be allowed to run: is `ignore-scripts` set in your npm configuration?",
    ]);
  }
  mkdirSync(join(ROOT, "node_modules"), { recursive: true });
  writeFileSync(STAMP, lockHash());
};
