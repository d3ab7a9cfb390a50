// The test groups of `npm test`, in the order in which a mistake shows soonest; of those that run side by side the long
// ones come first. Each runs with its output shown and resolves to what its runner counted.

import { CONTRACTS, FORGE_ENV } from "../build/contracts.mjs";
import { buildAll } from "../build/index.mjs";
import { buildStreamchain } from "../build/relay.mjs";
import { adviceOf, messageOf, printFailure } from "../console.mjs";
import { NODE, npmBin, ROOT } from "../paths.mjs";
import { show } from "../run.mjs";
import { chromiumPath } from "../setup/chromium.mjs";
import { installHardhat } from "../setup/hardhat.mjs";
import { installNetworkTools } from "../setup/network.mjs";
import { installSchemathesis } from "../setup/schemathesis.mjs";
import { runChecks } from "./checks.mjs";
import { cargoCounts, forgeCounts, nodeCounts } from "./counts.mjs";
import { cargoFailures, forgeFailures, nodeFailures, unnamedFailure } from "./failures.mjs";
import { privateNetwork } from "./private-network.mjs";

/** A single test that takes longer than this hangs. */
const NODE_TEST_TIMEOUT_MS = 600_000;

/**
 * What reads a runner's output.
 * @typedef {object} Reader
 * @property {(output: string) => import("./counts.mjs").Counts} counts
 * @property {(output: string) => import("./failures.mjs").FailedTest[]} failures
 */

/** @type {Record<"cargo" | "forge" | "node", Reader>} */
const READERS = {
  cargo: { counts: cargoCounts, failures: cargoFailures },
  forge: { counts: forgeCounts, failures: forgeFailures },
  node: { counts: nodeCounts, failures: nodeFailures },
};

/**
 * Runs a test runner; one that fails without having counted a failure (it crashed) counts as one.
 * @param {Reader} reader
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} options
 * @returns {Promise<import("./counts.mjs").Outcome>}
 */
const counted = async (reader, command, args, options = {}) => {
  let output = "";
  const code = await show(command, args, {
    ...options,
    onOutput: (text) => {
      output += text;
    },
  });
  const counts = reader.counts(output);
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  if (counts.failed === 0) return counts;
  const failures = reader.failures(output);
  return { ...counts, failures: failures.length > 0 ? failures : [unnamedFailure(output)] };
};

/** What did not come to run its tests. @param {string} what @param {unknown} error @returns {import("./counts.mjs").Outcome} */
const notRun = (what, error) => {
  printFailure(error);
  const message = [messageOf(error), ...adviceOf(error)].join("\n");
  return { passed: 0, failed: 1, failures: [{ test: what, file: "", message }] };
};

/**
 * Runs the files one after the other, since most of them start a system, and two would share the processor; `atOnce` at
 * a time where they start less and wait more.
 * @param {string} pattern which files
 * @param {{ command?: string[], env?: NodeJS.ProcessEnv, atOnce?: number }} how `command` is what the tests are run by
 */
const nodeTests = (pattern, { command = [], env = {}, atOnce = 1 } = {}) => {
  const files = `--test-concurrency=${atOnce}`;
  const args = ["--test", "--test-reporter=spec", files, `--test-timeout=${NODE_TEST_TIMEOUT_MS}`];
  const usual = { NODE_OPTIONS: "--disable-warning=ExperimentalWarning", CHROMIUM_PATH: chromiumPath() ?? "" };
  const [first = NODE, ...rest] = [...command, NODE, ...args, pattern];
  return counted(READERS.node, first, rest, { cwd: ROOT, env: { ...usual, ...env } });
};

/** Runs the network tests in a network of their own. Where that can't be made they fail, with what is missing. */
const networkTests = async () => {
  try {
    await installNetworkTools();
    return await nodeTests("tests/network/*.spec.ts", await privateNetwork());
  } catch (error) {
    return notRun("the network tests", error);
  }
};

/** @param {() => Promise<unknown>} make @returns {Promise<import("./counts.mjs").Outcome>} */
const build = async (make) => {
  try {
    await make();
    return { passed: 1, failed: 0 };
  } catch (error) {
    return notRun("the build", error);
  }
};

const releaseTests = async () => {
  const built = await build(buildStreamchain);
  return built.failed > 0 ? built : nodeTests("tests/release/*.spec.ts");
};

const cliTests = async () => {
  const built = await build(buildStreamchain);
  return built.failed > 0 ? built : nodeTests("tests/cli/*.spec.ts");
};

/**
 * @typedef {object} TestGroup
 * @property {string} name
 * @property {string} title
 * @property {boolean} [besideOthers] whether it may run beside another one: most of its time it waits
 * @property {() => Promise<import("./counts.mjs").Outcome>} run
 */

/** @type {TestGroup[]} */
export const GROUPS = [
  { name: "checks", title: "Formatting, lints, types, and what the tree keeps", run: () => runChecks() },
  {
    name: "contracts",
    title: "Contracts (forge test, gas snapshot)",
    run: () => counted(READERS.forge, npmBin("forge"), ["test"], { cwd: CONTRACTS, env: FORGE_ENV }),
  },
  {
    name: "rust",
    title: "Rust crates (cargo test)",
    run: () => counted(READERS.cargo, "cargo", ["test", "--workspace", "--no-fail-fast"], { cwd: ROOT }),
  },
  { name: "scripts", title: "Scripts (node --test)", run: () => nodeTests("tests/scripts/*.spec.ts") },
  { name: "web", title: "Web library and app (node --test)", run: () => nodeTests("web/test/*.test.ts") },
  { name: "build", title: "Build (npm run build)", run: () => build(buildAll) },
  // Alone, since it compiles.
  {
    name: "release",
    title: "What is released: crates, the relay's image, the demo of compose.yaml",
    run: releaseTests,
  },
  {
    name: "edge",
    title: "Edge specs (Miniflare)",
    besideOthers: true,
    run: () => nodeTests("tests/edge/*.spec.ts", { atOnce: 2 }),
  },
  {
    name: "browser",
    title: "Browser specs (the whole system, Chromium)",
    besideOthers: true,
    run: () => nodeTests("tests/browser/*.spec.ts"),
  },
  {
    name: "chain",
    title: "Real Ethereum nodes (anvil, Hardhat's)",
    besideOthers: true,
    run: async () => {
      await installHardhat();
      return nodeTests("tests/chain/*.spec.ts");
    },
  },
  {
    name: "package",
    title: "The npm package and its examples, installed as a stranger would",
    besideOthers: true,
    run: () => nodeTests("tests/package/*.spec.ts"),
  },
  {
    name: "network",
    title: "Networks (firewalls, TURN, other clients)",
    besideOthers: true,
    run: networkTests,
  },
  {
    name: "hostile",
    title: "Attacks on the whole system (nothing may get through)",
    besideOthers: true,
    run: () => nodeTests("tests/hostile/*.spec.ts"),
  },
  {
    name: "cli",
    title: "The command streamchain (the whole system, two processes)",
    besideOthers: true,
    run: cliTests,
  },
  {
    name: "chaos",
    title: "Chaos, short (kill -9 of relay, workerd and chain under load)",
    besideOthers: true,
    run: () => nodeTests("tests/chaos/*.spec.ts"),
  },
  {
    name: "takeover",
    title: "Several relays (the whole system, Chromium)",
    besideOthers: true,
    run: () => nodeTests("tests/takeover/*.spec.ts"),
  },
  {
    name: "deploy",
    title: "A deployment (wrangler, against a fake of Cloudflare's API)",
    besideOthers: true,
    run: () => nodeTests("tests/deploy/*.spec.ts"),
  },
  {
    name: "api",
    title: "The API against its description (schemathesis)",
    besideOthers: true,
    run: async () => {
      await installSchemathesis();
      return nodeTests("tests/api/*.spec.ts");
    },
  },
];
