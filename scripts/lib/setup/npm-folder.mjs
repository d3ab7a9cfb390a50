// npm packages that only some tests or checks need: each set has a manifest and a lock file in a folder of its own, so
// that the first start of the project does not wait for them.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { step } from "../console.mjs";
import { STATE } from "../paths.mjs";
import { runLogged } from "../run.mjs";

/** What a person can do when an installation fails. */
export const OFFLINE_ADVICE = ["No network? npm test -- rust edge … runs groups without it."];

/**
 * Installs what a folder's lock file names, unless that is installed; `isComplete` is asked after an installation. Must
 * run under Node 22: npm leaves out optional packages when the Node that it runs on is too old for them.
 * @param {{ folder: string, what: string, log: string, isComplete?: () => void }} packages
 *   `what` is shown while it runs, `log` is the name of its log, and `isComplete` throws when something is missing
 */
export const installFolder = async ({ folder, what, log, isComplete }) => {
  // In node_modules, so that it is deleted together with them.
  const stamp = join(folder, "node_modules", ".streamchain-lock");
  const lock = createHash("sha256")
    .update(readFileSync(join(folder, "package-lock.json")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  // Not `npm ci`: that refuses a lock file without the binaries for other machines, which are not all published.
  const args = ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"];
  await step(`${what} (npm install; half a minute)`, () =>
    runLogged("npm install", "npm", args, {
      cwd: folder,
      log: join(STATE, "logs", `${log}.log`),
      advice: OFFLINE_ADVICE,
    }),
  );
  isComplete?.();
  writeFileSync(stamp, lock);
};
