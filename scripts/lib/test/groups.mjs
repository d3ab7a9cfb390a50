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
import { fileOf } from "./again.mjs";
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

/** @typedef {readonly import("./failures.mjs").FailedTest[]} Only the tests that are run, where a group is not run whole */

/**
 * Runs the files one after the other, since most of them start a system, and two would share the processor; `atOnce` at
 * a time where they start less and wait more.
 * @param {string} pattern which files
 * @param {{ command?: string[], env?: NodeJS.ProcessEnv, atOnce?: number, only?: Only | undefined }} how `command` is what the tests are run by; with `only`
 *   the files of these tests are run
 */
const nodeTests = (pattern, { command = [], env = {}, atOnce = 1, only } = {}) => {
  const paths = only ? [...new Set(only.map(fileOf))] : [pattern];
  const files = `--test-concurrency=${atOnce}`;
  const args = ["--test", "--test-reporter=spec", files, `--test-timeout=${NODE_TEST_TIMEOUT_MS}`];
  const usual = { NODE_OPTIONS: "--disable-warning=ExperimentalWarning", CHROMIUM_PATH: chromiumPath() ?? "" };
  const [first = NODE, ...rest] = [...command, NODE, ...args, ...paths];
  return counted(READERS.node, first, rest, { cwd: ROOT, env: { ...usual, ...env } });
};

/** Runs the network tests in a network of their own. Where that can't be made they fail, with what is missing. @param {Only} [only] */
const networkTests = async (only) => {
  try {
    await installNetworkTools();
    return await nodeTests("tests/network/*.spec.ts", { ...(await privateNetwork()), only });
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

/** @param {Only} [only] */
const cliTests = async (only) => {
  const built = await build(buildStreamchain);
  return built.failed > 0 ? built : nodeTests("tests/cli/*.spec.ts", { only });
};

/** @param {string[]} which @param {NodeJS.ProcessEnv} [env] */
const cargo = (which, env = {}) =>
  counted(READERS.cargo, "cargo", ["test", "--workspace", "--no-fail-fast", ...which], { cwd: ROOT, env });

/** Runs the Rust tests: with `only` those of these names. @param {Only} [only] */
const cargoTests = (only) => cargo(only ? ["--", "--exact", ...only.map(({ test }) => test)] : []);

/** Tests of the relay that hold as well where clients are at a shard that follows the stream's. */
const AT_A_FOLLOWER = ["messages", "presence", "signed", "stalls"];

const followerTests = () =>
  cargo(
    AT_A_FOLLOWER.flatMap((name) => ["--test", name]),
    { RELAY_TESTS_AT_A_FOLLOWER: "1" },
  );

/**
 * @typedef {object} TestGroup
 * @property {string} name
 * @property {string} title
 * @property {boolean} [besideOthers] whether it may run beside another one: most of its time it waits
 * @property {boolean} [waits] whether its tests wait for real time, so that a busy machine can fail them; those that run beside others do
 * @property {(only?: Only) => Promise<import("./counts.mjs").Outcome>} run runs the group, or `only` these tests with the others of their files
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
    waits: true,
    run: cargoTests,
  },
  { name: "followers", title: "The relay's tests at a shard that follows (cargo test)", run: followerTests },
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
    run: (only) => nodeTests("tests/edge/*.spec.ts", { atOnce: 2, only }),
  },
  {
    name: "browser",
    title: "Browser specs (the whole system, Chromium)",
    besideOthers: true,
    run: (only) => nodeTests("tests/browser/*.spec.ts", { only }),
  },
  {
    name: "chain",
    title: "Real Ethereum nodes (anvil, Hardhat's)",
    besideOthers: true,
    run: async (only) => {
      await installHardhat();
      return nodeTests("tests/chain/*.spec.ts", { only });
    },
  },
  {
    name: "package",
    title: "The npm package and its examples, installed as a stranger would",
    besideOthers: true,
    run: (only) => nodeTests("tests/package/*.spec.ts", { only }),
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
    run: (only) => nodeTests("tests/hostile/*.spec.ts", { only }),
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
    run: (only) => nodeTests("tests/chaos/*.spec.ts", { only }),
  },
  {
    name: "takeover",
    title: "Several relays (the whole system, Chromium)",
    besideOthers: true,
    run: (only) => nodeTests("tests/takeover/*.spec.ts", { only }),
  },
  {
    name: "deploy",
    title: "A deployment (wrangler, against a fake of Cloudflare's API)",
    besideOthers: true,
    run: (only) => nodeTests("tests/deploy/*.spec.ts", { only }),
  },
  {
    name: "api",
    title: "The API against its description (schemathesis)",
    besideOthers: true,
    run: async (only) => {
      await installSchemathesis();
      return nodeTests("tests/api/*.spec.ts", { only });
    },
  },
];
