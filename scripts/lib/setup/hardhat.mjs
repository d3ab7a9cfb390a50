// Hardhat's node for the tests of `tests/chain`: a second node, not related to anvil. It stays out of the project's
// own packages (it takes 100 MB and only these tests need it): package and lock file are in tests/chain/hardhat.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure, step } from "../console.mjs";
import { ROOT, STATE } from "../paths.mjs";
import { runLogged } from "../run.mjs";

/** Where its package.json, its configuration and its packages are. */
export const hardhatFolder = () => join(ROOT, "tests", "chain", "hardhat");

/** In node_modules, so that it is deleted together with them. */
const stamp = () => join(hardhatFolder(), "node_modules", ".streamchain-lock");

const lockHash = () =>
  createHash("sha256")
    .update(readFileSync(join(hardhatFolder(), "package-lock.json")))
    .digest("hex");

/**
 * Installs what its lock file names, unless that is installed. Must run under Node 22: npm leaves out the binary of
 * Hardhat's engine, which is an optional package, when the Node that it runs on is too old for it.
 */
export const installHardhat = async () => {
  if (existsSync(stamp()) && readFileSync(stamp(), "utf8") === lockHash()) return;
  const advice = ["No network? npm test -- rust edge … runs groups without it."];
  // Not `npm ci`: that refuses a lock file without the engine's binaries for other machines, which are not all published.
  const args = ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"];
  await step("Hardhat's node for the chain tests (npm install; half a minute)", () =>
    runLogged("npm install", "npm", args, {
      cwd: hardhatFolder(),
      log: join(STATE, "logs", "npm-hardhat.log"),
      advice,
    }),
  );
  const engine = join(hardhatFolder(), "node_modules", "@nomicfoundation");
  const platform = `edr-${process.platform}-${process.arch}`;
  if (!["", "-gnu", "-musl", "-msvc"].some((libc) => existsSync(join(engine, `${platform}${libc}`)))) {
    throw new Failure(`Hardhat's engine has no binary for this machine (${platform}).`, advice);
  }
  writeFileSync(stamp(), lockHash());
};
