// Debian's packages, where we may install them.

import { join } from "node:path";
import { Failure, step } from "../console.mjs";
import { STATE, which } from "../paths.mjs";
import { runLogged } from "../run.mjs";

const mayInstall = () => process.getuid?.() === 0 && which("apt-get") !== null;

/**
 * Installs packages with apt-get as root on a Debian; fails elsewhere, saying what to do.
 * @param {{ packages: string[], why: string, advice: string[] }} wanted `why`: a sentence for who can't install them
 */
export const installDebian = async ({ packages, why, advice }) => {
  if (!mayInstall()) throw new Failure(why, advice);
  const names = packages.join(" ");
  await step(`${names} (apt-get install; a minute or two)`, async () => {
    /** @param {string} name */
    const log = (name) => ({
      log: join(STATE, "logs", `${name}.log`),
      env: { DEBIAN_FRONTEND: "noninteractive" },
      advice,
    });
    await runLogged("apt-get update", "apt-get", ["update"], log("apt-update"));
    const args = ["install", "-y", "--no-install-recommends", ...packages];
    await runLogged("apt-get install", "apt-get", args, log("apt-install"));
  });
};
