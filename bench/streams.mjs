// How many streams of one message a second the edge takes, and what a commit costs it. More streams, step by step, until
// the median commit takes half a second. `EDGE_BUILD` names another build of the Worker, to compare two in one session.

import { dollarsOf, keepRun, MAX_DOLLARS, objectRowsEachCommit, partsOf } from "../scripts/lib/docs/costs.mjs";
import { ChainNode } from "../tests/chain/nodes.ts";
import { ChainScene } from "../tests/chain/scene.ts";
import { MASTER_SECRET } from "../tests/edge/harness.ts";
import { cpuMilliseconds } from "./lib/processes.mjs";
import { median, quantile, rounded } from "./lib/statistics.mjs";
import { Uplink } from "./lib/uplink.mjs";

/** @typedef {import("./lib/uplink.mjs").LedStream} LedStream */

/** How many streams, step by step; `BENCH_STREAMS` has other numbers, with commas between. */
const STEPS = (process.env.BENCH_STREAMS ?? "15,30,60,120,180,240,320,420,560,750").split(",").map(Number);
const BYTES = 100;
const PERIOD_MS = 1_000;
/** Two segments of each stream, so that what follows a commit is counted with it. */
const WINDOW_MS = 20_000;
/** Until the streams that were added have their first segment. */
const WARM_UP_MS = 10_000;
const TOO_SLOW_MS = 500;
/** A block, and a round for what was sealed meanwhile. */
const BLOCK_MS = 1_000;
const ANCHOR_INTERVAL_MS = 10_000;
const CPU = "workerd";

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One stream: a message each second, or as often as the edge answers. */
class Load {
  /** When the message of each seq was committed. @type {number[]} */
  #committed = [];
  /** @type {number[]} */
  latencies = [];
  #stream;
  #periodMs;
  #ends = false;
  #done;

  /** @param {LedStream} stream @param {string} path */
  constructor(stream, path, periodMs = PERIOD_MS) {
    this.#stream = stream;
    this.#periodMs = periodMs;
    this.path = path;
    this.#done = this.#run();
  }

  async #run() {
    await pause(Math.random() * this.#periodMs);
    for (let due = performance.now(); !this.#ends; due = Math.max(due + this.#periodMs, performance.now())) {
      await pause(due - performance.now());
      const begun = performance.now();
      await this.#stream.commitBundled(this.#stream.batch(1, BYTES), 1);
      const now = performance.now();
      this.#committed.push(now);
      this.latencies.push(now - begun);
    }
  }

  /** How many messages it has stored. */
  get commits() {
    return this.#committed.length;
  }

  /** How old the newest of the first `count` messages is, ms; since its beginning when there is none. @param {number} count */
  age(count) {
    const [first = performance.now()] = this.#committed;
    return performance.now() - (this.#committed[Math.min(count, this.#committed.length) - 1] ?? first);
  }

  async stop() {
    this.#ends = true;
    await this.#done;
  }
}

/** @param {ChainScene} scene @returns {Promise<number>} rows that objects wrote */
const objectRows = async (scene) => {
  const { json } = await scene.edge.get("/v1/status");
  return /** @type {{ objectRowsWritten: number }} */ (json.edge).objectRowsWritten;
};

/** @param {ChainScene} scene @param {Load[]} loads */
const ages = async (scene, loads) => {
  const found = [];
  for (const load of loads) {
    const { json } = await scene.edge.get(load.path);
    found.push(load.age(Number(json.final)));
  }
  return found;
};

/** @param {ChainScene} scene @param {Load[]} loads */
const measured = async (scene, loads) => {
  for (const load of loads) load.latencies = [];
  const [cpu, rows, begun] = [cpuMilliseconds(CPU), await objectRows(scene), performance.now()];
  await pause(WINDOW_MS);
  const ms = performance.now() - begun;
  const latencies = loads.flatMap((load) => load.latencies);
  const commits = latencies.length;
  return {
    streams: loads.length,
    median: latencies.length === 0 ? Number.POSITIVE_INFINITY : median(latencies),
    perSecond: (commits * 1_000) / ms,
    cpuMs: (cpuMilliseconds(CPU) - cpu) / commits,
    rows: ((await objectRows(scene)) - rows) / commits,
    ages: await ages(scene, loads),
  };
};

/** @typedef {Awaited<ReturnType<typeof measured>>} Step */

/** @param {Step} step */
const text = ({ streams, median: ms, perSecond, cpuMs, rows, ages: all }) =>
  `${streams} streams: a commit takes ${rounded(ms)} ms, ${rounded(perSecond)} commits/s, ${rounded(cpuMs)} ms of CPU and ` +
  `${rounded(rows)} rows each; newest final message ${rounded(median(all) / 1_000)} s old, at most ${rounded(Math.max(...all) / 1_000)} s`;

/**
 * Adds streams until the edge is too slow; what was measured at each step.
 * @param {ChainScene} scene
 * @param {{ steps: number[], settings: object }} how
 */
const raised = async (scene, { steps, settings }) => {
  const uplink = await new Uplink(scene.edge.url, MASTER_SECRET).register();
  /** @type {Load[]} */
  const loads = [];
  /** @type {Step[]} */
  const found = [];
  try {
    for (const count of steps) {
      while (loads.length < count) {
        const name = `bench-streams-${loads.length}`;
        loads.push(new Load(await uplink.acquireEpoch(name, settings), `/v1/streams/${name}`));
      }
      await pause(WARM_UP_MS);
      const step = await measured(scene, loads);
      found.push(step);
      console.log(text(step));
      if (step.median > TOO_SLOW_MS) break;
    }
    return found;
  } finally {
    await Promise.allSettled(loads.map((load) => load.stop()));
    await uplink.close();
  }
};

/**
 * Runs `work` on an edge with a chain of its own that mines all the time.
 * @template T
 * @param {(scene: ChainScene) => Promise<T>} work
 * @param {Record<string, string>} intervals
 */
const onChain = async (work, intervals = {}) => {
  const node = await ChainNode.start("anvil");
  const mining = setInterval(() => node.mine().catch(() => {}), BLOCK_MS);
  /** @type {ChainScene | undefined} */
  let scene;
  try {
    const vars = {
      // As a deployment has it; scenes of tests have streams with anchors of their own. As many batchers as wrangler.toml has: what
      // each does for a round is done whatever the number of its streams.
      NEW_STREAMS_ANCHOR: "shared",
      BATCHERS: "2",
      SEGMENT_MAX_AGE_MS: "10000",
      ANCHOR_INTERVAL_MS: `${ANCHOR_INTERVAL_MS}`,
      LISTEN_INTERVAL_MS: `${BLOCK_MS}`,
      ...intervals,
    };
    scene = await ChainScene.on(node, { vars, direct: true });
    return await work(scene);
  } finally {
    clearInterval(mining);
    await scene?.stop();
    await node.stop();
  }
};

/** As `npm run configure` has them: a round a minute, segments as old as that, and the blocks of Ethereum. */
const USUAL = { ANCHOR_INTERVAL_MS: "60000", SEGMENT_MAX_AGE_MS: "60000", LISTEN_INTERVAL_MS: "12000" };
/** How long a deployment without streams is watched. */
const IDLE_MS = 122_000;
/** For how many seconds of commits a stream is watched: two rounds, and what follows from them. A busy machine takes longer for them. */
const COMMITS_S = 122;
/** Until the streams are in a round, so that the window has whole rounds. */
const COST_WARM_UP_MS = 70_000;

/**
 * What this instance has done.
 * @param {ChainScene} scene @param {Load[]} loads
 * @returns {Promise<import("../scripts/lib/docs/costs.mjs").Counts>}
 */
const counters = async (scene, loads) => {
  const { edge, rounds } = /** @type {any} */ ((await scene.edge.get("/v1/status")).json);
  return {
    commits: loads.reduce((sum, load) => sum + load.commits, 0),
    objectCalls: edge.objectCalls,
    objectRows: edge.objectRowsWritten,
    d1Rows: edge.d1.rowsWritten,
    rounds: rounds.anchored,
  };
};

/**
 * What is done until `over` resolves.
 * @param {ChainScene} scene @param {Load[]} loads @param {() => Promise<unknown>} over
 */
const during = async (scene, loads, over) => {
  const [before, begun] = [await counters(scene, loads), performance.now()];
  await over();
  const seconds = (performance.now() - begun) / 1_000;
  const after = await counters(scene, loads);
  const names = /** @type {(keyof typeof after)[]} */ (Object.keys(after));
  const spent = names.map((name) => [name, after[name] - before[name]]);
  return { seconds, counts: /** @type {typeof after} */ (Object.fromEntries(spent)) };
};

/**
 * What some streams do that commit one message each `periodMs`, all of them in rounds.
 * @param {ChainScene} scene
 * @param {Uplink} uplink
 * @param {import("../scripts/lib/docs/costs.mjs").Spent} idle
 * @param {number} periodMs
 * @returns {Promise<import("../scripts/lib/docs/costs.mjs").Measured>}
 */
const spending = async (scene, uplink, idle, periodMs, streams = 1) => {
  /** @type {Load[]} */
  const loads = [];
  for (let i = 0; i < streams; i++) {
    const name = `bench-cost-${periodMs}-${i}`;
    loads.push(new Load(await uplink.acquireEpoch(name), `/v1/streams/${name}`, periodMs));
  }
  await pause(COST_WARM_UP_MS);
  const commits = () => loads.reduce((sum, load) => sum + load.commits, 0);
  const enough = commits() + (streams * COMMITS_S * 1_000) / periodMs;
  const spent = await during(scene, loads, async () => {
    while (commits() < enough) await pause(PERIOD_MS);
  });
  for (const { path } of loads) {
    const { json } = await scene.edge.get(path);
    if (json.anchor !== "shared" || Number(json.final) === 0) throw new Error(`${path} is in no final round`);
  }
  await Promise.all(loads.map((load) => load.stop()));
  if (spent.counts.rounds === 0) throw new Error("There was no round meanwhile.");
  return { periodMs, streams, spent, idle };
};

/** @param {import("../scripts/lib/docs/costs.mjs").Measured} measured */
const costRow = (measured) => {
  const parts = partsOf(measured);
  const all = dollarsOf(parts);
  const most = MAX_DOLLARS[measured.periodMs];
  if (most !== undefined && all > most) throw new Error(`$${all} a month, at most $${most} is wanted`);
  return {
    figure: `a stream that commits each ${measured.periodMs} ms, of ${measured.streams}`,
    value: rounded(all),
    unit: "$ a month",
    note: `${rounded(objectRowsEachCommit(measured))} object rows a commit; ${parts
      .map(({ what, dollars }) => `${what} $${dollars.toFixed(2)}`)
      .join(", ")}; its rounds included, CPU not`,
  };
};

/** @param {ChainScene} scene */
const costs = async (scene) => {
  const uplink = await new Uplink(scene.edge.url, MASTER_SECRET).register();
  await pause(WARM_UP_MS);
  const idle = await during(scene, [], () => pause(IDLE_MS));
  const measured = [await spending(scene, uplink, idle, 1_000, 10), await spending(scene, uplink, idle, 50)];
  await uplink.close();
  const rows = measured.map(costRow);
  keepRun({ date: new Date().toISOString(), measured });
  return rows;
};

/** @param {Step[]} steps */
const rowsOf = (steps) => {
  const sustained = steps.findLast((step) => step.median <= TOO_SLOW_MS);
  if (!sustained) throw new Error("No step was fast enough.");
  const { streams, perSecond, cpuMs, rows, ages: all } = sustained;
  return [
    { figure: "streams sustained", value: streams, unit: "streams", note: `median commit at most ${TOO_SLOW_MS} ms` },
    { figure: "commits", value: rounded(perSecond), unit: "commits/s", note: "one message each" },
    {
      figure: "CPU of the edge",
      value: rounded(cpuMs),
      unit: "ms a commit",
      note: `${rounded(1_000 / cpuMs)} commits a CPU-second, with all that follows from one`,
    },
    { figure: "rows written by objects", value: rounded(rows), unit: "rows a commit" },
    {
      figure: "age of the newest final message",
      value: rounded(median(all) / 1_000),
      unit: "s",
      note: `99 % at most ${rounded(quantile(all, 0.99) / 1_000)} s, during the load; final after two blocks of ${BLOCK_MS} ms`,
    },
  ];
};

export const benches = [
  {
    name: "stream costs",
    run: () => onChain(costs, USUAL),
  },
  {
    name: "streams",
    run: async () => rowsOf(await onChain((scene) => raised(scene, { steps: STEPS, settings: {} }))),
  },
];
