// The checks that need no test: formatting, lints, types. Each is one line: a name, a command, how to mend it.

import { join } from "node:path";
import { CONTRACTS, FORGE_ENV } from "../build/contracts.mjs";
import { bold, dim, elapsed, green, red } from "../console.mjs";
import { NODE, npmBin, ROOT } from "../paths.mjs";
import { show } from "../run.mjs";

const WASM = ["--target", "wasm32-unknown-unknown"];
const DENY = ["--", "-D", "warnings"];

const CHECKS = [
  { name: "Cargo.lock", run: ["cargo", "update", "--workspace", "--locked"], mend: "cargo update --workspace" },
  { name: "rustfmt", run: ["cargo", "fmt", "--all", "--check"], mend: "npm run format" },
  { name: "forge fmt", run: [npmBin("forge"), "fmt", "--check"], cwd: CONTRACTS, mend: "npm run format" },
  { name: "biome", run: [npmBin("biome"), "ci", "."], mend: "npm run format" },
  { name: "tsc, the web library and app", run: [NODE, npmBin("tsc"), "--project", join(ROOT, "web")] },
  { name: "tsc, the tests", run: [NODE, npmBin("tsc"), "--project", ROOT] },
  { name: "clippy, this machine", run: ["cargo", "clippy", "--workspace", "--all-targets", ...DENY] },
  { name: "clippy, the Worker", run: ["cargo", "clippy", "-p", "streamchain-edge", ...WASM, ...DENY] },
];

const FORMATTERS = [
  { name: "rustfmt", run: ["cargo", "fmt", "--all"] },
  { name: "forge fmt", run: [npmBin("forge"), "fmt"], cwd: CONTRACTS },
  { name: "biome", run: [npmBin("biome"), "check", "--write", "."] },
];

const runOne = async ({ name, run: [command, ...args], cwd = ROOT, mend }) => {
  const start = Date.now();
  console.log(`  ${bold(name)}`);
  const code = await show(command, args, { cwd, env: FORGE_ENV });
  const hint = code !== 0 && mend ? ` (mend it: ${mend})` : "";
  console.log(`  ${code === 0 ? green("✓") : red("✗")} ${name} ${dim(elapsed(start))}${hint}`);
  return code === 0;
};

/** Runs all of them, whatever fails. @returns {Promise<import("./counts.mjs").Counts>} */
const runEach = async (list) => {
  const counts = { passed: 0, failed: 0 };
  for (const one of list) counts[(await runOne(one)) ? "passed" : "failed"] += 1;
  return counts;
};

export const runChecks = () => runEach(CHECKS);
export const runFormatters = () => runEach(FORMATTERS);
