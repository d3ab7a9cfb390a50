#!/usr/bin/env node
// The four attacks that may stop everybody, each on a system of its own with an honest stream beside it. `--help` explains.

import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { Failure, heading, main, messageOf } from "../../scripts/lib/console.mjs";
import { launchChromium } from "../harness/browser.ts";
import { runningSystem } from "../harness/system.ts";
import { gasDrain } from "./beside/gas-drain.mjs";
import { hostileBlock } from "./beside/hostile-block.mjs";
import { lyingNode } from "./beside/lying-node.mjs";
import { judge, Measure, table } from "./beside/measure.mjs";
import { slots } from "./beside/slots.mjs";
import { Target } from "./lib/target.mjs";

const HELP = `Runs an honest publisher (Chromium, a data channel) on a system of its own, first quiet, then under an attack, and prints
how long its messages take until they are stored and anchored, side by side. It passes when the honest stream goes on.

  node tests/hostile/beside.mjs [--seconds N] [NAME…]

  hostile-block   nine events of 1,000,000 bytes in one block, by a contract without a bound
  lying-node      the edge's RPC node leaves the logs of blocks out of its answers
  slots           1,100 handshakes with the relay from four addresses, left half open
  gas-drain       a stranger's stream that has its messages put on chain at the operator's cost

  --seconds N     how long it is quiet, and how long the attack lasts (default 20)
  --help          this text`;

/**
 * @typedef {object} Beside
 * @property {string} name
 * @property {() => Promise<{ options: Partial<import("../../scripts/lib/system/index.mjs").SystemOptions>,
 *   stop?: () => void, context?: any }>} [before] what the system is started with
 * @property {(scene: Scene) => Promise<any>} [prepare] what the attack makes ready while it is quiet
 * @property {(scene: Scene, signal: AbortSignal) => Promise<string[]>} run attacks until the signal; says what it did
 * @property {(scene: Scene) => Promise<string[]>} [after] what must hold at the end: what does not, a line each
 *
 * @typedef {object} Scene
 * @property {import("../harness/system.ts").TestSystem} system
 * @property {Target} target
 * @property {string} stream the honest stream
 * @property {any} context of `before`
 * @property {any} prepared of `prepare`
 */

/** @type {readonly Beside[]} */
const ATTACKS = [hostileBlock, lyingNode, slots, gasDrain];

const DEFAULT_SECONDS = 20;
/** What was published at the end is anchored within this time. */
const SETTLE_MS = 30_000;

/** @param {Beside} attack @param {import("playwright-core").Browser} browser @param {number} seconds */
const runOne = async (attack, browser, seconds) => {
  heading(attack.name);
  const prepared = (await attack.before?.()) ?? { options: {} };
  const system = await runningSystem(prepared.options);
  try {
    const target = await Target.at({ edge: system.edge, rpc: system.chain, master: system.system.master });
    const measure = await Measure.start(browser, system);
    /** @type {Scene} */
    const scene = { system, target, stream: measure.stream, context: prepared.context, prepared: null };
    const quiet = await measure.phase(seconds * 1_000);
    scene.prepared = await attack.prepare?.(scene);
    const end = new AbortController();
    const attacking = attack.run(scene, end.signal);
    // A failure is seen below; until then it must not end the process.
    attacking.catch(() => {});
    const under = await measure.phase(seconds * 1_000);
    end.abort();
    for (const line of await attacking) console.log(`  ${line}`);
    await measure.settle(SETTLE_MS);
    for (const line of table(quiet, under)) console.log(`  ${line}`);
    const problems = [...judge(quiet, under), ...((await attack.after?.(scene)) ?? [])];
    for (const problem of problems) console.log(`  ✗ ${problem}`);
    console.log(problems.length === 0 ? `✓ ${attack.name}: the honest stream goes on` : `✗ ${attack.name}`);
    return problems.length === 0;
  } finally {
    await system.stop();
    rmSync(system.folder, { recursive: true, force: true });
    prepared.stop?.();
  }
};

const readArguments = () => {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { seconds: { type: "string" }, help: { type: "boolean", short: "h", default: false } },
    });
    const seconds = Number(values.seconds ?? DEFAULT_SECONDS);
    if (!Number.isInteger(seconds) || seconds < 1) throw new Error("--seconds takes a whole number from 1 on");
    return { help: values.help, seconds, names: positionals };
  } catch (error) {
    throw new Failure(messageOf(error), ["`node tests/hostile/beside.mjs --help` lists the options."]);
  }
};

await main(async () => {
  const { help, seconds, names } = readArguments();
  if (help) return console.log(HELP);
  const unknown = names.filter((name) => !ATTACKS.some((attack) => attack.name === name));
  if (unknown.length > 0) throw new Failure(`There is no attack ${unknown.join(", ")}.`, ["--help lists them."]);
  const chosen = ATTACKS.filter(({ name }) => names.length === 0 || names.includes(name));
  const browser = await launchChromium();
  let passed = 0;
  try {
    for (const attack of chosen) if (await runOne(attack, browser, seconds)) passed += 1;
  } finally {
    await browser.close();
  }
  console.log(`\n${passed} of ${chosen.length} passed`);
  process.exit(passed === chosen.length ? 0 : 1);
});
