// The checks that need no test. Each is a name, a title and either a command or a look at the tree (lib/check), with
// how to mend what it finds.

import { join } from "node:path";
import { CONTRACTS, FORGE_ENV } from "../build/contracts.mjs";
import { TREE_CHECKS } from "../check/index.mjs";
import { workingTree } from "../check/tree.mjs";
import { adviceOf, bold, COLOUR_ENV, dim, elapsed, green, messageOf, printFailure, red } from "../console.mjs";
import { NODE, npmBin, ROOT } from "../paths.mjs";
import { show } from "../run.mjs";
import { cargoDenyPath, cargoShearPath } from "../setup/dependency-tools.mjs";
import { findings } from "./failures.mjs";

/**
 * @typedef {import("./counts.mjs").Outcome} Outcome
 *
 * @typedef {object} Check
 * @property {string} name as on the command line
 * @property {string} title
 * @property {() => string[]} [run] a command; found out when it is run, for set-up may have to install it first
 * @property {(tree: import("../check/tree.mjs").Tree) => string[]} [find] what is wrong with the tree
 * @property {string} [cwd]
 * @property {string} [mend] the command that mends it
 */

const WASM = ["--target", "wasm32-unknown-unknown"];
const DENY = ["--", "-D", "warnings"];
/** deny.toml says what is asked, and why advisories are not. */
const DENY_OPTIONS = ["--workspace", "--log-level", "error", "check", "--hide-inclusion-graph"];

/** @param {string} project a folder or a file @returns {() => string[]} */
const types = (project) => () => [NODE, npmBin("tsc"), "--project", join(ROOT, project)];

/** @type {Check[]} */
const COMMANDS = [
  {
    name: "lock-file",
    title: "Cargo.lock is up to date",
    run: () => ["cargo", "update", "--workspace", "--locked"],
    mend: "cargo update --workspace",
  },
  {
    name: "rustfmt",
    title: "Formatting of Rust",
    run: () => ["cargo", "fmt", "--all", "--check"],
    mend: "npm run format",
  },
  {
    name: "forge-fmt",
    title: "Formatting of Solidity",
    run: () => [npmBin("forge"), "fmt", "--check"],
    cwd: CONTRACTS,
    mend: "npm run format",
  },
  {
    name: "biome",
    title: "Formatting and lints of TypeScript, JavaScript, CSS and JSON",
    run: () => [npmBin("biome"), "ci", "."],
    mend: "npm run format",
  },
  { name: "tsc-web", title: "Types of the web library and app", run: types("web") },
  { name: "tsc-tests", title: "Types of the tests", run: types("tsconfig.json") },
  { name: "tsc-scripts", title: "Types of the scripts and benches", run: types("tsconfig.scripts.json") },
  {
    name: "package",
    title: "The npm package: files, sizes, publint, are-the-types-wrong",
    run: () => [NODE, join(ROOT, "scripts", "check-package.mjs")],
  },
  {
    name: "deny",
    title: "Licences, sources and versions of the crates (cargo-deny)",
    run: () => [cargoDenyPath(), ...DENY_OPTIONS, "bans", "licenses", "sources"],
  },
  {
    name: "shear",
    title: "No unused crate, no file outside of the module tree (cargo-shear)",
    run: () => [cargoShearPath(), "--deny-warnings"],
  },
  {
    name: "clippy",
    title: "Lints of Rust on this machine",
    run: () => ["cargo", "clippy", "--workspace", "--all-targets", ...DENY],
  },
  {
    name: "clippy-worker",
    title: "Lints of Rust in the Worker",
    run: () => ["cargo", "clippy", "-p", "streamchain-edge", ...WASM, ...DENY],
  },
];

/** The quick ones first. @type {Check[]} */
export const CHECKS = [...TREE_CHECKS, ...COMMANDS];

/** @type {Check[]} */
const FORMATTERS = [
  { name: "rustfmt", title: "Rust", run: () => ["cargo", "fmt", "--all"] },
  { name: "forge-fmt", title: "Solidity", run: () => [npmBin("forge"), "fmt"], cwd: CONTRACTS },
  { name: "biome", title: "Everything else", run: () => [npmBin("biome"), "check", "--write", "."] },
];

/** Looks at the tree; prints what it finds and gives it back. @param {NonNullable<Check["find"]>} find */
const look = (find) => {
  const problems = find(workingTree(ROOT));
  for (const problem of problems) console.log(`    ${problem.replaceAll("\n", "\n    ")}`);
  if (problems.length > 0) console.log(`    ${problems.length} found.`);
  return problems.length === 0 ? null : problems.join("\n");
};

/** What is wrong, or null when the check passes. @param {Check} check @returns {Promise<string | null>} */
const problemOf = async ({ find, run, cwd = ROOT }) => {
  if (find) return look(find);
  try {
    const [command = "", ...args] = run?.() ?? [];
    let output = "";
    /** @param {string} text */
    const onOutput = (text) => {
      output += text;
    };
    const code = await show(command, args, { cwd, env: { ...FORGE_ENV, ...COLOUR_ENV }, onOutput });
    return code === 0 ? null : findings(output) || `${command} ended with exit code ${code}.`;
  } catch (error) {
    printFailure(error);
    return [messageOf(error), ...adviceOf(error)].join("\n");
  }
};

/** @param {Check} check */
const runOne = async (check) => {
  const start = Date.now();
  console.log(`  ${bold(check.name)}  ${check.title}`);
  const problem = await problemOf(check);
  const hint = problem !== null && check.mend ? ` (mend it: ${check.mend})` : "";
  console.log(`  ${problem === null ? green("✓") : red("✗")} ${check.name} ${dim(elapsed(start))}${hint}`);
  return problem;
};

/**
 * Runs all of them, whatever fails.
 * @param {readonly Check[]} list
 * @returns {Promise<Outcome>}
 */
const runEach = async (list) => {
  let passed = 0;
  const failures = [];
  for (const one of list) {
    const message = await runOne(one);
    if (message === null) passed += 1;
    else failures.push({ test: one.name, file: "", message });
  }
  return { passed, failed: failures.length, failures };
};

/** @param {readonly Check[]} chosen */
export const runChecks = (chosen = CHECKS) => runEach(chosen);
export const runFormatters = () => runEach(FORMATTERS);
