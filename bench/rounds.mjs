// Rounds of a large deployment, simulated: what each object has to do for 100,000 active streams, and what a stream costs.
// The machines are the real ones, on a virtual clock; streams, chain and database are simulated by
// chain/tests/support/scale. What the Stream object and the Worker cost is what `npm run bench -- streams` measures.

import { spawnSync } from "node:child_process";
import { showCargo } from "../scripts/lib/build/cargo.mjs";
import { Failure } from "../scripts/lib/console.mjs";
import { cargoOutput } from "../scripts/lib/paths.mjs";
import { rounded } from "./lib/statistics.mjs";

/**
 * @typedef {{ all: number, worker: number, object: number, duration: number, rounds: number }} Dollars
 * @typedef {{ rounds: number, transactions: number, oldestSeconds: number, busiestBatcher: number, busiestAnchorer: number,
 *   batcherRequestsEachSecond: number, databaseStatementsEachSecond: number, databaseRowsEachSecond: number,
 *   batcherRowsEachSecond: number, anchorerRowsEachSecond: number, noticesEachSecond: number, gasADay: number,
 *   dollarsAtOneSecond: Dollars, dollarsAt50Ms: Dollars }} Simulated
 */

const STREAMS = 100_000;
/** A stream offers twice each interval: it learns where its next run begins from the answer to the first offer. */
const BATCHERS = 32;
const HOUR_S = 3_600;
/** A round each minute; and each five, where one database keeps up with the segments of so many streams. */
const INTERVALS_S = [60, 300];
/** What an object may have. */
const MAX_REQUESTS = 200;
const MAX_BYTES = 64 * 1_024 ** 2;
/** What a stream may cost. */
const MAX_DOLLARS = { dollarsAtOneSecond: 10, dollarsAt50Ms: 90 };
/** The most streams that one batcher has pending runs of. */
const MAX_PENDING = 40_960;

const PROFILE = "relay";
const EXAMPLE = "large_deployment";

/** It builds what it runs. */
export const needsBuild = false;

/** @param {(string | number)[]} args */
const simulate = (...args) => {
  const command = cargoOutput(PROFILE, "examples", EXAMPLE);
  const { status, stdout, stderr } = spawnSync(command, args.map(String), { encoding: "utf8" });
  if (status !== 0) throw new Error(`${EXAMPLE} ${args.join(" ")}: exit code ${status}\n${stderr}`);
  return JSON.parse(stdout);
};

/** @param {boolean} holds @param {string} what */
const expect = (holds, what) => {
  if (!holds) throw new Error(`The simulation is out of its bounds: ${what}`);
};

/** @param {Dollars} dollars */
const parts = ({ worker, object, duration, rounds }) =>
  Object.entries({ Worker: worker, "Stream object": object, "its duration": duration, rounds })
    .map(([what, part]) => `${what} $${part.toFixed(2)}`)
    .join(", ");

/** @param {number} interval @param {"none" | "away" | "reorg"} trouble @param {string} title */
const rowsOf = (interval, trouble, title) => {
  const seconds = trouble === "away" ? 2 * HOUR_S : HOUR_S;
  /** @type {Simulated} */
  const run = simulate("run", STREAMS, BATCHERS, interval, seconds, trouble);
  expect(run.busiestBatcher <= MAX_REQUESTS, `${run.busiestBatcher} requests in a second at a batcher`);
  expect(run.busiestAnchorer <= MAX_REQUESTS, `${run.busiestAnchorer} requests in a second at the Anchorer`);
  for (const [name, most] of Object.entries(MAX_DOLLARS)) {
    const { all } = run[/** @type {keyof typeof MAX_DOLLARS} */ (name)];
    expect(all <= most, `${name}: $${all}`);
  }
  const where = `${STREAMS.toLocaleString("en")} streams, a round each ${interval} s${title}`;
  return [
    {
      figure: `requests at the busiest batcher: ${where}`,
      value: run.busiestBatcher,
      unit: "in a second",
      note: `${rounded(run.batcherRequestsEachSecond)}/s on average; at the Anchorer at most ${run.busiestAnchorer}; ${run.rounds} rounds in ${run.transactions} transactions; the oldest message in no round at the end: ${run.oldestSeconds} s`,
    },
    {
      figure: `rows written: ${where}`,
      value: rounded(run.batcherRowsEachSecond + run.anchorerRowsEachSecond),
      unit: "/s in batchers and Anchorer",
      note: `${rounded(run.databaseRowsEachSecond)}/s and ${rounded(run.databaseStatementsEachSecond)} statements/s in D1 for rounds and the roots of runs; ${rounded(run.noticesEachSecond)} notices/s to streams`,
    },
    { figure: `gas: ${where}`, value: rounded(run.gasADay / 1e6), unit: "Mgas a day" },
    {
      figure: `a stream of one message a second: ${where}`,
      value: rounded(run.dollarsAtOneSecond.all),
      unit: "$ a month",
      note: parts(run.dollarsAtOneSecond),
    },
    {
      figure: `a stream that commits each 50 ms: ${where}`,
      value: rounded(run.dollarsAt50Ms.all),
      unit: "$ a month",
      note: parts(run.dollarsAt50Ms),
    },
  ];
};

/** @param {number} streams @param {number} pending @param {string} what */
const memoryRow = (streams, pending, what) => {
  const { bytes, rows } = simulate("memory", streams, pending);
  expect(bytes <= MAX_BYTES, `${bytes} bytes`);
  return {
    figure: `memory of a batcher, ${what}`,
    value: rounded(bytes / 1_024 ** 2),
    unit: "MiB",
    note: `at its start, with all ${rows} rows`,
  };
};

const run = async () => {
  const build = ["build", "--profile", PROFILE, "-p", "streamchain-chain", "--example", EXAMPLE];
  if ((await showCargo("cargo", build)) !== 0)
    throw new Failure("The simulation does not compile (cargo's output is above).");
  return [
    ...INTERVALS_S.flatMap((interval) => rowsOf(interval, "none", "")),
    ...rowsOf(300, "away", ", the chain away for an hour"),
    ...rowsOf(60, "reorg", ", 20 blocks taken back"),
    memoryRow(STREAMS / BATCHERS, STREAMS / BATCHERS, `${STREAMS / BATCHERS} streams`),
    memoryRow(MAX_PENDING, MAX_PENDING, "all that it takes"),
  ];
};

export const benches = [{ name: "rounds", run }];
