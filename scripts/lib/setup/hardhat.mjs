// Hardhat's node for the tests of `tests/chain`: a second node, not related to anvil. It stays out of the project's
// own packages (it takes 100 MB and only these tests need it): package and lock file are in tests/chain/hardhat.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../console.mjs";
import { ROOT } from "../paths.mjs";
import { installFolder, OFFLINE_ADVICE } from "./npm-folder.mjs";

/** Where its package.json, its configuration and its packages are. */
export const hardhatFolder = () => join(ROOT, "tests", "chain", "hardhat");

/** Fails where npm left out the binary of Hardhat's engine, which is an optional package. */
const requireEngine = () => {
  const engine = join(hardhatFolder(), "node_modules", "@nomicfoundation");
  const platform = `edr-${process.platform}-${process.arch}`;
  if (!["", "-gnu", "-musl", "-msvc"].some((libc) => existsSync(join(engine, `${platform}${libc}`)))) {
    throw new Failure(`Hardhat's engine has no binary for this machine (${platform}).`, OFFLINE_ADVICE);
  }
};

/** Installs what its lock file names, unless that is installed. Must run under Node 22. */
export const installHardhat = () =>
  installFolder({
    folder: hardhatFolder(),
    what: "Hardhat's node for the chain tests",
    log: "npm-hardhat",
    isComplete: requireEngine,
  });
