// How many streams of one message a second the edge takes, and what a commit costs it. More streams, step by step, until
// the median commit takes half a second. `EDGE_BUILD` names another build of the Worker, to compare two in one session.

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
      // As a deployment has it; scenes of tests have streams with anchors of their own.
      NEW_STREAMS_ANCHOR: "shared",
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

/** Dollars a million, as Cloudflare published them in 2026; duration is a million GB-seconds. */
const PRICES = { requests: 0.3, objectRequests: 0.15, rows: 1, duration: 12.5 };
const OBJECT_GB = 0.128;
const MONTH_S = 30 * 24 * 3_600;
/** As `npm run configure` has them: an anchor a minute, segments as old as that, and the blocks of Ethereum. */
const USUAL = { ANCHOR_INTERVAL_MS: "60000", SEGMENT_MAX_AGE_MS: "60000", LISTEN_INTERVAL_MS: "12000" };
/** One anchor, and what follows from it. */
const COST_WINDOW_MS = 62_000;

/** What this instance has done. @param {ChainScene} scene */
const counters = async (scene) => {
  const { requests, objectCalls, objectRowsWritten, d1 } = /** @type {any} */ (
    (await scene.edge.get("/v1/status")).json.edge
  );
  const withBatches = ["/v1/relays/{relay}/streams/{stream}/batches", "/v1/relays/{relay}/batches"];
  const answered = withBatches.map((path) => requests[path]?.["2xx"] ?? 0);
  return { requests: answered.reduce((sum, one) => sum + one), objectCalls, objectRowsWritten, d1Rows: d1.rowsWritten };
};

/** What is done in a window. @param {ChainScene} scene @param {Load[]} loads */
const during = async (scene, loads = []) => {
  const commits = () => loads.reduce((sum, load) => sum + load.commits, 0);
  const [before, committed] = [await counters(scene), commits()];
  await pause(COST_WINDOW_MS);
  const after = await counters(scene);
  return {
    batches: commits() - committed,
    requests: after.requests - before.requests,
    objectCalls: after.objectCalls - before.objectCalls,
    objectRowsWritten: after.objectRowsWritten - before.objectRowsWritten,
    d1Rows: after.d1Rows - before.d1Rows,
  };
};

/**
 * What each of some streams costs that commit one message each `periodMs`, by the counters of a run.
 * @param {ChainScene} scene
 * @param {Uplink} uplink
 * @param {Awaited<ReturnType<typeof during>>} idle what the deployment does in that time without a stream
 * @param {number} periodMs
 */
const cost = async (scene, uplink, idle, periodMs, streams = 1) => {
  /** @type {Load[]} */
  const loads = [];
  for (let i = 0; i < streams; i++) {
    const name = `bench-cost-${periodMs}-${i}`;
    loads.push(new Load(await uplink.acquireEpoch(name), `/v1/streams/${name}`, periodMs));
  }
  await pause(WARM_UP_MS);
  const spent = await during(scene, loads);
  await Promise.all(loads.map((load) => load.stop()));
  const commits = ((1_000 / periodMs) * MONTH_S) / 1e6;
  /**
   * Millions a month that it needs more than a deployment without streams: so many for each commit, and the rest (segments,
   * alarms, anchors) by time, since a busy machine makes fewer commits but no fewer of those.
   * @param {Exclude<keyof typeof idle, "batches" | "requests">} what
   */
  const millions = (what, eachCommit = 0) => {
    const others = Math.max(0, spent[what] - idle[what] - eachCommit * spent.batches);
    return commits * eachCommit + (others / streams / COST_WINDOW_MS) * 1_000 * (MONTH_S / 1e6);
  };
  const rowsAMonth = millions("objectRowsWritten", 1);
  const parts = {
    "requests of the Worker": ((commits * spent.requests) / spent.batches) * PRICES.requests,
    "requests of objects": millions("objectCalls", 1) * PRICES.objectRequests,
    "rows of objects": rowsAMonth * PRICES.rows,
    "rows of D1": millions("d1Rows") * PRICES.rows,
    "duration of the object": (MONTH_S / 1e6) * OBJECT_GB * PRICES.duration,
  };
  const all = Object.values(parts).reduce((sum, part) => sum + part);
  return {
    figure: `a stream that commits each ${periodMs} ms, of ${streams}`,
    value: rounded(all),
    unit: "$ a month",
    note: `${rounded(rowsAMonth / commits)} object rows a commit; ${Object.entries(parts)
      .map(([what, dollars]) => `${what} $${dollars.toFixed(2)}`)
      .join(", ")}; its anchors included, CPU and storage not`,
  };
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
    run: () =>
      onChain(async (scene) => {
        const uplink = await new Uplink(scene.edge.url, MASTER_SECRET).register();
        await pause(WARM_UP_MS);
        const idle = await during(scene);
        const rows = [await cost(scene, uplink, idle, 1_000, 10), await cost(scene, uplink, idle, 50)];
        await uplink.close();
        return rows;
      }, USUAL),
  },
  {
    name: "streams",
    run: async () => rowsOf(await onChain((scene) => raised(scene, { steps: STEPS, settings: {} }))),
  },
];
