// `streamchain pub | streamchain sub` between two processes, beside two pages of Chromium, in turns on one system: messages a
// second from the first that is delivered to the last, and until all are stored.

import { spawn } from "node:child_process";
import { buildStreamchainForBenches, streamchainPath } from "../scripts/lib/build/relay.mjs";
import { launchChromium } from "../tests/harness/browser.ts";
import { bareApiPage } from "../tests/harness/pages.ts";
import { runningSystem } from "../tests/harness/system.ts";
import { median, ratio, rounded } from "./lib/statistics.mjs";

/**
 * @typedef {import("../tests/harness/system.ts").TestSystem} TestSystem
 * @typedef {import("playwright-core").Page} Page
 * @typedef {{ delivered: number, stored: number }} Rates messages a second
 */

const MESSAGES = 30_000;
const BYTES = 100;
const ROUNDS = 3;
const LINE_FEED = 10;

/** @param {number} messages @param {number} ms */
const perSecond = (messages, ms) => (messages * 1_000) / ms;

/** Resolves when the program has ended well. @param {import("node:child_process").ChildProcess} child @param {string} name */
const ended = (child, name) =>
  new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) =>
      code === 0 ? resolve(undefined) : reject(new Error(`streamchain ${name} ended with exit code ${code}.`)),
    );
  });

/** @param {TestSystem} system @param {string} stream @returns {Promise<Rates>} */
const betweenProcesses = async (system, stream) => {
  const env = { ...process.env, STREAMCHAIN_EDGE: system.edge };
  /** @param {string[]} args */
  const run = (...args) => spawn(streamchainPath("relay"), args, { env, stdio: ["pipe", "pipe", "inherit"] });
  const sub = run("sub", stream, "--from", "0", "--count", `${MESSAGES}`);
  let [lines, first, last] = [0, 0, 0];
  sub.stdout.on("data", (/** @type {Buffer} */ bytes) => {
    for (const byte of bytes) if (byte === LINE_FEED) lines += 1;
    last = performance.now();
    first ||= last;
  });
  const pub = run("pub", stream, "--quiet");
  const done = [ended(sub, "sub"), ended(pub, "pub").then(() => performance.now())];
  pub.stdin.end(`${"x".repeat(BYTES)}\n`.repeat(MESSAGES));
  const [, stored = 0] = await Promise.all(done);
  if (lines !== MESSAGES) throw new Error(`streamchain sub wrote ${lines} lines of ${MESSAGES}.`);
  return { delivered: perSecond(MESSAGES, last - first), stored: perSecond(MESSAGES, Number(stored) - first) };
};

/**
 * Runs in the reading page: resolves, when all are there, to the times of the first and the last.
 * @param {{ stream: string, count: number }} how
 */
const read = ({ stream, count }) => {
  const connection = window.tools.lib.connect({ stream });
  let [seen, first] = [0, 0];
  return new Promise((resolve) => {
    connection.subscribe({ from: 0 }).on("message", () => {
      seen += 1;
      first ||= performance.timeOrigin + performance.now();
      if (seen < count) return;
      const last = performance.timeOrigin + performance.now();
      connection.close();
      resolve({ first, last });
    });
  });
};

/**
 * Runs in the writing page: publishes as fast as the library takes it; resolves to the time at which all is stored.
 * @param {{ stream: string, count: number, bytes: number }} how
 */
const publish = async ({ stream, count, bytes }) => {
  const connection = window.tools.lib.connect({ stream });
  for (let i = 0; i < count; i++) {
    await connection.writable();
    connection.publish(new Uint8Array(bytes));
  }
  await connection.drain();
  connection.close();
  return performance.timeOrigin + performance.now();
};

/** @param {Page} writer @param {Page} reader @param {string} stream @returns {Promise<Rates>} */
const betweenPages = async (writer, reader, stream) => {
  const how = { stream, count: MESSAGES, bytes: BYTES };
  const [{ first, last }, stored] = await Promise.all([
    /** @type {Promise<{ first: number, last: number }>} */ (reader.evaluate(read, how)),
    writer.evaluate(publish, how),
  ]);
  return { delivered: perSecond(MESSAGES, last - first), stored: perSecond(MESSAGES, stored - first) };
};

/** @param {Rates[]} processes @param {Rates[]} pages */
const rows = (processes, pages) =>
  /** @type {const} */ (["delivered", "stored"]).flatMap((what) => {
    const [here, there] = [processes, pages].map((rates) => median(rates.map((rate) => rate[what])));
    return [
      {
        figure: `${what}: streamchain pub | streamchain sub, ${BYTES} B`,
        value: rounded(here ?? 0),
        unit: "messages/s",
        note: ratio(here ?? 0, there ?? 1, "two pages of Chromium, in turns with it"),
      },
      { figure: `${what}: from page to page in Chromium, ${BYTES} B`, value: rounded(there ?? 0), unit: "messages/s" },
    ];
  });

export const benches = [
  {
    name: "pipe",
    run: async () => {
      await buildStreamchainForBenches();
      const system = await runningSystem();
      const browser = await launchChromium();
      try {
        const [writer, reader] = [await bareApiPage(browser, system), await bareApiPage(browser, system)];
        /** @type {[Rates[], Rates[]]} */
        const [processes, pages] = [[], []];
        for (let round = 0; round < ROUNDS; round++) {
          processes.push(await betweenProcesses(system, `bench-pipe-${round}`));
          pages.push(await betweenPages(writer, reader, `bench-pages-${round}`));
        }
        return rows(processes, pages);
      } finally {
        await browser.close();
        await system.stop();
      }
    },
  },
];
