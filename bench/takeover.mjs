// How long readers at other relays have no message when the relay that leads their stream is killed, or says goodbye.

import { launchChromium } from "../tests/harness/browser.ts";
import { bareApiPage } from "../tests/harness/pages.ts";
import { edgeCounts, oneSessionEach, sessionsBegan } from "../tests/harness/streams.ts";
import { eventually, runningSystem } from "../tests/harness/system.ts";
import { median, quantile, rounded } from "./lib/statistics.mjs";

/**
 * @typedef {import("playwright-core").Page} Page
 * @typedef {import("../tests/harness/system.ts").TestSystem} TestSystem
 * @typedef {{ relay: string, epoch: number }} Leader
 */

const STREAM = "bench-takeover";
const PAGES = 6;
/** Ends of each kind. */
const ENDS = 7;
/** How long each page waits between two messages, in ms: what is between two of all pages is no pause. */
const PUBLISH_EVERY_MS = 20;
const MOVE_TIMEOUT_MS = 90_000;
/** Messages that a reader has taken before an end is over. */
const MESSAGES_AFTER = 20;

/** Has the page publish and read the stream. @param {{ stream: string, everyMs: number }} how */
const begin = async ({ stream, everyMs }) => {
  const connection = window.tools.lib.connect({ stream });
  window.kept.connection = connection;
  window.kept.collector = window.tools.collect(connection, 0);
  await connection.publish("begun").stored;
  setInterval(() => connection.publish("on"), everyMs);
};

/** A page begins to wait for the next end. */
const beginToWait = () => {
  window.kept.collector.longestPauseMs = 0;
};

/** @param {{ seen: number, more: number }} how */
const hasRead = ({ seen, more }) => window.kept.collector.seen.length >= seen + more;

const standing = () => ({
  seen: window.kept.collector.seen.length,
  pauseMs: window.kept.collector.longestPauseMs,
});

/** @param {Page[]} pages */
const standings = (pages) => Promise.all(pages.map((page) => page.evaluate(standing)));

/** @param {TestSystem} system @returns {Promise<Leader>} */
const leaderOf = (system) => system.get(`/v1/streams/${STREAM}`);

/**
 * Ends the leader, and starts it again afterwards; the longest pause of each page that kept its session.
 * @param {TestSystem} system
 * @param {Page[]} pages
 * @param {"kill" | "stop"} how
 */
const pausesOf = async (system, pages, how) => {
  await oneSessionEach(system, pages, MOVE_TIMEOUT_MS);
  const was = await leaderOf(system);
  const before = await sessionsBegan(pages);
  await Promise.all(pages.map((page) => page.evaluate(beginToWait)));
  await system.system.relayPart(was.relay)[how]();
  await eventually("another relay leads", async () => (await leaderOf(system)).epoch > was.epoch, MOVE_TIMEOUT_MS);
  const then = await standings(pages);
  await Promise.all(
    pages.map((page, index) =>
      page.waitForFunction(
        hasRead,
        { seen: then[index]?.seen ?? 0, more: MESSAGES_AFTER },
        { timeout: MOVE_TIMEOUT_MS },
      ),
    ),
  );
  const after = await standings(pages);
  // A session that was asked for is known once it is open.
  await oneSessionEach(system, pages, MOVE_TIMEOUT_MS);
  const began = await sessionsBegan(pages);
  await system.system.restart(system.system.relayPartName(was.relay));
  return after.filter((_, index) => began[index] === before[index]).map(({ pauseMs }) => pauseMs);
};

/** @param {TestSystem} system @param {Page[]} pages @param {"kill" | "stop"} how @param {(line: string) => void} log */
const endings = async (system, pages, how, log) => {
  /** @type {number[]} */
  const medians = [];
  while (medians.length < ENDS) {
    const pauses = await pausesOf(system, pages, how);
    log(`  ${how}: ${pauses.map((pause) => Math.round(pause)).join(", ")} ms`);
    // Now and then all pages are at the leader.
    if (pauses.length > 0) medians.push(median(pauses));
  }
  const about = how === "kill" ? "the leader is killed" : "the leader says goodbye";
  return {
    figure: `${about}: to the next live message at the other relays, median of ${ENDS}`,
    value: rounded(median(medians)),
    unit: "ms",
    note: `p90 ${rounded(quantile(medians, 0.9))}; a message each ${rounded(PUBLISH_EVERY_MS / PAGES)} ms without it`,
  };
};

export const benches = [
  {
    name: "takeover",
    /** @param {{ log: (line: string) => void }} context */
    run: async ({ log }) => {
      const relayArgs = ["--capacity", `${PAGES / 3}`];
      const system = await runningSystem({ relays: 3, shards: 2, links: true, metrics: true, relayArgs });
      const browser = await launchChromium();
      try {
        /** @type {Page[]} */
        const pages = [];
        for (let count = 1; count <= PAGES; count++) {
          const page = await bareApiPage(browser, system);
          await page.evaluate(begin, { stream: STREAM, everyMs: PUBLISH_EVERY_MS });
          pages.push(page);
          await edgeCounts(system, count);
        }
        return [await endings(system, pages, "kill", log), await endings(system, pages, "stop", log)];
      } finally {
        await browser.close();
        await system.stop();
      }
    },
  },
];
