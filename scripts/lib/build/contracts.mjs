// The contracts: `forge build`, which compiles only what changed. Their tests are compiled by those who run them.

import { join } from "node:path";
import { Failure } from "../console.mjs";
import { npmBin, ROOT } from "../paths.mjs";
import { show } from "../run.mjs";

export const CONTRACTS = join(ROOT, "contracts");

/** The compiled contract that deployment reads. */
export const CONTRACT_ARTIFACT = join(CONTRACTS, "out", "StreamChain.sol", "StreamChain.json");

/** forge must not look for a compiler or signatures on the network. */
export const FORGE_ENV = { FOUNDRY_OFFLINE: "true", FOUNDRY_DISABLE_NIGHTLY_WARNING: "1" };

export const buildContracts = async () => {
  if ((await show(npmBin("forge"), ["build", "src"], { cwd: CONTRACTS, env: FORGE_ENV })) !== 0) {
    throw new Failure("The contracts do not compile (forge's output is above).");
  }
};
