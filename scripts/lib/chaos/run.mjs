// One run: a whole system under load, parts of it killed by plan, then a rest in which everything must come right.

import { spawnSync } from "node:child_process";
import { relayPath } from "../build/relay.mjs";
import { startSystem } from "../system/index.mjs";
import { delay } from "../system/part.mjs";
import { judge } from "./check.mjs";
import { Clients, streamNames } from "./clients.mjs";
import { Killer } from "./killer.mjs";
import { planKills } from "./plan.mjs";
import { storedMessages, streamFigures } from "./stored.mjs";

/** Load before the first kill, so that it finds everything at work. */
const WARM_UP_MS = 3_000;
/** How long clients may take to be where they should, once everything serves again. */
const SETTLE_TIMEOUT_MS = 120_000;
/** How long the edge may take to have all of it anchored and final. */
const CHAIN_TIMEOUT_MS = 180_000;
const POLL_MS = 500;
const REPORT_MS = 5_000;

/**
 * A killed chain comes back some blocks younger than it was. Blocks that are final must not be among them: that is
 * what final means, and no listener may follow a chain that breaks it. So finality is far behind the newest block here.
 */
const CHAIN = { epoch: 32, stateIntervalS: 1 };
/** Blocks after which everything that was mined before is final. */
const BLOCKS_TO_FINALITY = 2 * CHAIN.epoch + 2;

/** Resolves when `check` says nothing; gives what it said last when time runs out. */
const until = async (check, timeoutMs) => {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const missing = await check().catch((error) => [error.message]);
    if (missing.length === 0) return [];
    if (Date.now() > deadline) return missing;
    await delay(POLL_MS);
  }
};

const killByPlan = async (killer, plan) => {
  const startedAt = Date.now();
  for (const kill of plan) {
    const wait = startedAt + kill.atMs - Date.now();
    if (wait > 0) await delay(wait);
    await killer.kill(kill);
  }
  await killer.allBack();
};

const reporter = (clients, log) => {
  const report = async () => {
    const { publishers, subscribers } = await clients.progress();
    const sum = (list, field) => list.reduce((total, item) => total + item[field], 0);
    const open = [...publishers, ...subscribers].filter(({ state }) => state === "open").length;
    log(
      `published ${sum(publishers, "published")}, reported stored ${sum(publishers, "reported")}, delivered ` +
        `${sum(subscribers, "seen")}; ${open} of ${publishers.length + subscribers.length} connections open`,
    );
  };
  const timer = setInterval(() => report().catch(() => {}), REPORT_MS);
  return () => clearInterval(timer);
};

/** Publishers that are not through, subscribers that are not at their stream's head: a line each. */
const unsettled = async (clients, edge, streams) => {
  const { publishers, subscribers } = await clients.progress();
  const figures = await Promise.all(streams.map((stream) => streamFigures(edge, stream)));
  const heads = new Map(streams.map((stream, i) => [stream, figures[i].head]));
  const why = ({ state, reason }) => `connection ${state}${reason ? ` (${reason})` : ""}`;
  return [
    ...publishers
      .filter(({ done, published, reported }) => !done || reported < published)
      .map((one) => `publisher ${one.index}: ${one.reported} of ${one.published} reported stored, ${why(one)}`),
    ...subscribers
      .filter(({ stream, seen }) => seen < heads.get(stream))
      .map((one) => `subscriber ${one.index}: ${one.seen} of ${heads.get(one.stream)} of ${one.stream}, ${why(one)}`),
  ];
};

/** Streams that are not anchored, or not final, to their heads: a line each. */
const behindChain = async (edge, streams, mark) => {
  const figures = await Promise.all(streams.map((stream) => streamFigures(edge, stream)));
  return figures
    .filter((stream) => stream[mark] < stream.head)
    .map(({ name, head, [mark]: covered }) => `${name}: ${covered} of ${head} messages are ${mark}`);
};

const settleOnChain = async (system, streams, log) => {
  log("waiting for the chain to have all of it");
  const late = await until(() => behindChain(system.urls.edge, streams, "anchored"), CHAIN_TIMEOUT_MS);
  if (late.length > 0) return late;
  await system.rpc("anvil_mine", [`0x${BLOCKS_TO_FINALITY.toString(16)}`]);
  return until(() => behindChain(system.urls.edge, streams, "final"), CHAIN_TIMEOUT_MS);
};

const audit = (system) => {
  const args = ["audit", "--edge", system.urls.edge, "--rpc", system.urls.rpc];
  const { status, stdout, stderr } = spawnSync(relayPath(), args, { encoding: "utf8" });
  return { status, text: (status === 0 ? stdout : `${stdout}${stderr}`).trim() };
};

const settle = async (system, clients, streams, log) => {
  const { edge } = system.urls;
  await clients.stopPublishing();
  log("everything serves again, publishing stopped; waiting for the clients");
  const stuck = await until(() => unsettled(clients, edge, streams), SETTLE_TIMEOUT_MS);
  const unanchored = await settleOnChain(system, streams, log);
  const notes = await clients.notes();
  const stored = await Promise.all(streams.map((stream) => storedMessages(edge, stream)));
  const verdict = judge({ streams: stored, ...notes });
  const audited = audit(system);
  const faults = [
    ...stuck.map((line) => `stuck: ${line}`),
    ...unanchored.map((line) => `behind: ${line}`),
    ...clients.errors.map((line) => `error: ${line}`),
    ...verdict.faults,
    ...(audited.status === 0 ? [] : [`audit: it exited with ${audited.status}: ${audited.text}`]),
  ];
  return { faults, counts: verdict.counts, audit: audited.text };
};

/**
 * @param {{ dir: string, seed: number, kills: number, minutes: number, publishers: number, subscribers: number,
 *   streams: number, rate: number, log: (line: string) => void }} options `rate`: messages a second of all publishers
 * @returns {Promise<{ faults: string[], counts: Record<string, number>, kills: Record<string, number>, audit: string }>}
 */
export const runChaos = async (options) => {
  const { dir, log } = options;
  const plan = planKills(options);
  const streams = streamNames(options.streams);
  const system = await startSystem({ dir, chain: CHAIN, relayArgs: ["--no-turn"] });
  let clients = null;
  let stopReports = () => {};
  try {
    clients = await Clients.start({ ...options, edge: system.urls.edge, streams });
    stopReports = reporter(clients, log);
    await delay(WARM_UP_MS);
    const killer = new Killer(system, log);
    await killByPlan(killer, plan);
    const result = await settle(system, clients, streams, log);
    return { ...result, kills: killer.counts };
  } finally {
    stopReports();
    await clients?.close();
    await system.stop();
  }
};
