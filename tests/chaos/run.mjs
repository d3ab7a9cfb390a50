// One run: a whole system under load, parts of it killed by plan, then a rest in which it must recover completely.

import { execFile } from "node:child_process";
import { relayPath } from "../../scripts/lib/build/relay.mjs";
import { Failure, messageOf } from "../../scripts/lib/console.mjs";
import { startSystem } from "../../scripts/lib/system/index.mjs";
import { delay } from "../../scripts/lib/system/part.mjs";
import { lasting } from "../harness/receipts.ts";
import { judge } from "./check.mjs";
import { Clients, streamNames } from "./clients.mjs";
import { groupFaults } from "./groups.mjs";
import { Killer } from "./killer.mjs";
import { MeshWatch } from "./mesh.mjs";
import { planKills } from "./plan.mjs";
import { signedMessages, storedMessages, streamFigures } from "./stored.mjs";

/**
 * @typedef {import("./check.mjs").StoredStream} StoredStream
 * @typedef {import("./killer.mjs").System} System
 * @typedef {(line: string) => void} Log
 */

/** Load before the first kill, so that all clients are connected and publish. */
const WARM_UP_MS = 3_000;
/** Once everything serves again, clients that are not where they should be and stand still for so long are stuck. */
const STANDSTILL_MS = 90_000;
/** The same, of what is to be anchored and final. */
const CHAIN_STANDSTILL_MS = 120_000;
const POLL_MS = 500;
/** How long an audit or a rebuild may take. */
const COMMAND_TIMEOUT_MS = 300_000;
const REPORT_MS = 5_000;

/**
 * A killed chain comes back some blocks younger than it was. Blocks that are final must not be among them: that is
 * what final means, and no listener may follow a chain that breaks it. So finality is far behind the newest block here.
 */
const CHAIN = { epoch: 32, stateIntervalS: 1 };
/** Blocks after which everything that was mined before is final. */
const BLOCKS_TO_FINALITY = 2 * CHAIN.epoch + 2;

/** Relays, and threads of each. Each has room for a part of the clients only, so that they are spread over all. */
const RELAYS = { relays: 3, shards: 2, links: true, metrics: true };

/** Separates a client's progress from the state of its connection. */
const STATE = ", connection ";

/**
 * Resolves when `check` finds nothing; returns its last findings when they stay the same for too long.
 * @param {() => Promise<string[]>} check
 * @param {number} standstillMs
 */
const until = async (check, standstillMs) => {
  let deadline = Date.now() + standstillMs;
  let before = "";
  for (;;) {
    const missing = await check().catch((error) => [messageOf(error)]);
    if (missing.length === 0) return [];
    // A client that only reconnects makes no progress.
    const now = missing.map((line) => line.split(STATE)[0]).join();
    if (now !== before) deadline = Date.now() + standstillMs;
    before = now;
    if (Date.now() > deadline) return missing;
    await delay(POLL_MS);
  }
};

/** @param {Killer} killer @param {MeshWatch} watch @param {import("./plan.mjs").Kill[]} plan */
const killByPlan = async (killer, watch, plan) => {
  const startedAt = Date.now();
  for (const kill of plan) {
    const wait = startedAt + kill.atMs - Date.now();
    if (wait > 0) await delay(wait);
    await watch.end();
    if (kill.part === "leader" || kill.part === "follower") {
      const victim = await killer.victim(kill);
      await watch.begin(victim, kill.goodbye);
      await killer.kill(kill, victim.relay);
    } else {
      await killer.kill(kill);
    }
  }
  await killer.allBack();
  await watch.end();
};

/** @param {Clients} clients @param {Log} log */
const reporter = (clients, log) => {
  const report = async () => {
    const { publishers, subscribers } = await clients.progress();
    /** @param {number[]} figures */
    const sum = (figures) => figures.reduce((total, figure) => total + figure, 0);
    const open = [...publishers, ...subscribers].filter(({ state }) => state === "open").length;
    log(
      `published ${sum(publishers.map(({ published }) => published))}, ` +
        `reported stored ${sum(publishers.map(({ reported }) => reported))}, ` +
        `delivered ${sum(subscribers.map(({ seen }) => seen))}; ${open} of ${publishers.length + subscribers.length} connections open`,
    );
  };
  const timer = setInterval(() => report().catch(() => {}), REPORT_MS);
  return () => clearInterval(timer);
};

/**
 * A line for each publisher that has not finished, and each subscriber that is not at its stream's head.
 * @param {Clients} clients
 * @param {string} edge
 * @param {string[]} streams
 */
const unsettled = async (clients, edge, streams) => {
  const { publishers, subscribers } = await clients.progress();
  const figures = await Promise.all(streams.map((stream) => streamFigures(edge, stream)));
  const heads = new Map(streams.map((stream, i) => [stream, figures[i]?.head ?? 0]));
  /** @param {{ state: string, reason: string | null }} client */
  const why = ({ state, reason }) => `${STATE}${state}${reason ? ` (${reason})` : ""}`;
  return [
    ...publishers
      .filter(({ done, published, reported }) => !done || reported < published)
      .map((one) => `publisher ${one.index}: ${one.reported} of ${one.published} reported stored${why(one)}`),
    ...subscribers
      .filter(({ stream, seen }) => seen < (heads.get(stream) ?? 0))
      .map((one) => `subscriber ${one.index}: ${one.seen} of ${heads.get(one.stream)} of ${one.stream}${why(one)}`),
  ];
};

/** Connections that are not open: a line each. @param {Clients} clients */
const notOpen = async (clients) => {
  const { publishers, subscribers } = await clients.progress();
  return [...publishers, ...subscribers]
    .filter(({ state }) => state !== "open")
    .map(({ index, stream, reason }) => `client ${index} of ${stream} does not connect: ${reason}`);
};

/**
 * Streams that are not anchored, or not final, to their heads: a line each.
 * @param {string} edge
 * @param {string[]} streams
 * @param {"anchored" | "final"} mark
 */
const behindChain = async (edge, streams, mark) => {
  const figures = await Promise.all(streams.map((stream) => streamFigures(edge, stream)));
  return figures
    .filter((stream) => stream[mark] < stream.head)
    .map(({ name, head, [mark]: covered }) => `${name}: ${covered} of ${head} messages are ${mark}`);
};

/** @param {System} system @param {string[]} streams @param {Log} log */
const settleOnChain = async (system, streams, log) => {
  log("waiting for the chain to have all of it");
  const late = await until(() => behindChain(system.urls.edge, streams, "anchored"), CHAIN_STANDSTILL_MS);
  if (late.length > 0) return late;
  await system.rpc("anvil_mine", [`0x${BLOCKS_TO_FINALITY.toString(16)}`]);
  return until(() => behindChain(system.urls.edge, streams, "final"), CHAIN_STANDSTILL_MS);
};

/**
 * Runs relay-node. Not synchronously: the system's parts would block as soon as their pipes to this process are full.
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{ status: unknown, text: string }>}
 */
const relayNode = (args, env = {}) =>
  new Promise((resolve) => {
    const how = { env: { ...process.env, ...env }, timeout: COMMAND_TIMEOUT_MS };
    execFile(relayPath(), args, how, (error, stdout, stderr) => {
      const status = error === null ? 0 : (error.code ?? error.signal);
      resolve({ status, text: (status === 0 ? stdout : `${stdout}${stderr}`).trim() });
    });
  });

/** @param {System} system */
const audit = ({ urls, verifyConfig }) => relayNode(["verify-stream", "--edge", urls.edge, "--config", verifyConfig]);

/**
 * The receipts of the first, a middle and the last message of each stream, as text.
 * @param {string} edge
 * @param {StoredStream[]} stored
 */
const someReceipts = (edge, stored) => {
  const wanted = stored.flatMap(({ stream, head }) =>
    [0, Math.floor(head / 2), head - 1].map((seq) => ({ stream, seq })),
  );
  return Promise.all(
    wanted.map(async ({ stream, seq }) => {
      const response = await fetch(`${edge}/v1/streams/${stream}/messages/${seq}/receipt`);
      const text = await response.text();
      // The way to a peak grows with each later round: all else stays as it is.
      return `${stream} ${seq}: ${response.status} ${response.ok ? lasting(text) : text}`;
    }),
  );
};

/**
 * Anchors that are made anew from the chain give the very same receipts.
 * @param {System} system
 * @param {StoredStream[]} stored
 */
const rebuildFaults = async ({ urls, master }, stored) => {
  const before = await someReceipts(urls.edge, stored);
  const { status, text } = await relayNode(["rebuild", "--edge", urls.edge], { MASTER_SECRET: master });
  if (status !== 0) return [`rebuild: it exited with ${status}: ${text}`];
  const after = await someReceipts(urls.edge, stored);
  return before.filter((receipt, i) => receipt !== after[i]).map((receipt) => `rebuild: it changed ${receipt}`);
};

/** @param {System} system @param {Clients} clients @param {string[]} streams @param {Log} log */
const settle = async (system, clients, streams, log) => {
  const { edge } = system.urls;
  await clients.stopPublishing();
  log("everything serves again, publishing stopped; waiting for the clients");
  const stuck = await until(() => unsettled(clients, edge, streams), STANDSTILL_MS);
  const unanchored = await settleOnChain(system, streams, log);
  const notes = await clients.notes();
  const stored = await Promise.all(streams.map((stream) => storedMessages(edge, stream)));
  const verdict = judge({ streams: stored, ...notes });
  const signed = await Promise.all(streams.map((stream) => signedMessages(edge, stream)));
  const groups = signed.reduce((sum, stream) => sum + stream.groups.length, 0);
  const audited = await audit(system);
  const rebuilt = unanchored.length === 0 ? await rebuildFaults(system, stored) : [];
  const faults = [
    ...stuck.map((line) => `stuck: ${line}`),
    ...unanchored.map((line) => `behind: ${line}`),
    ...clients.errors.map((line) => `error: ${line}`),
    ...verdict.faults,
    ...signed.flatMap(groupFaults),
    ...rebuilt,
    ...(audited.status === 0 ? [] : [`audit: it exited with ${audited.status}: ${audited.text}`]),
  ];
  return { faults, counts: { ...verdict.counts, groups }, audit: audited.text };
};

/**
 * @param {{ dir: string, seed: number, kills: number, minutes: number, publishers: number, subscribers: number,
 *   streams: number, rate: number, log: (line: string) => void }} options `rate`: messages a second of all publishers
 * @returns {Promise<{ faults: string[], counts: Record<string, number>, kills: Record<string, number>, mesh: string, audit: string }>}
 */
export const runChaos = async (options) => {
  const { dir, log } = options;
  const plan = planKills(options);
  const streams = streamNames(options.streams);
  const clientCount = options.publishers + options.subscribers;
  const capacity = Math.ceil(clientCount / RELAYS.relays);
  const relayArgs = ["--no-turn", "--capacity", `${capacity}`];
  const system = await startSystem({ dir, chain: CHAIN, ...RELAYS, relayArgs });
  /** @type {Clients | undefined} */
  let clients;
  let stopReports = () => {};
  try {
    const started = await Clients.start({ ...options, edge: system.urls.edge, streams });
    clients = started;
    stopReports = reporter(started, log);
    const unopened = await until(() => notOpen(started), STANDSTILL_MS);
    if (unopened.length > 0) throw new Failure("The run can't begin.", unopened);
    await delay(WARM_UP_MS);
    const killer = new Killer(system, streams, log);
    const watch = new MeshWatch(system, started, clientCount);
    await killByPlan(killer, watch, plan);
    const result = await settle(system, started, streams, log);
    const faults = [...watch.faults, ...result.faults];
    return { ...result, faults, kills: killer.counts, mesh: watch.summary() };
  } finally {
    stopReports();
    await clients?.close();
    await system.stop();
  }
};
