// How many messages a second become stored: batches posted straight to the edge, and from a browser through the relay.

import { launchChromium } from "../tests/harness/browser.ts";
import { bareApiPage } from "../tests/harness/pages.ts";
import { runningSystem } from "../tests/harness/system.ts";
import { milliseconds, ratio, repeated, rounded } from "./lib/statistics.mjs";
import { Uplink } from "./lib/uplink.mjs";

/**
 * @typedef {import("../tests/harness/system.ts").TestSystem} TestSystem
 * @typedef {import("playwright-core").Browser} Browser
 * @typedef {import("./lib/uplink.mjs").LedStream} LedStream
 */

const BYTES = 100;
/** What a relay puts into a batch at most. */
const BATCH = 1_000;
const BATCHES = 40;
const STREAMS = 4;
const THROUGH_RELAY = 30_000;

/** @param {number} messages @param {number} ms */
const perSecond = (messages, ms) => (messages * 1_000) / ms;

/** One batch after the other, as a relay posts them. @param {LedStream} stream */
const committing = async (stream) => {
  let spent = 0;
  for (let i = 0; i < BATCHES; i++) {
    const body = stream.batch(BATCH, BYTES);
    spent += await milliseconds(() => stream.commit(body, BATCH));
  }
  return spent;
};

/** The same requests with an epoch that is over: read and refused, nothing stored. @param {LedStream} stream */
const refusing = async (stream) => {
  const body = stream.staleBatch(BATCH, BYTES);
  return milliseconds(() => repeated(BATCHES, () => stream.refused(body)));
};

/** @param {TestSystem} system */
const straightToTheEdge = async (system) => {
  const uplink = await new Uplink(system.edge, system.system.master).register();
  const streams = await Promise.all(
    Array.from({ length: STREAMS }, (_, i) => uplink.acquireEpoch(`bench-storage-${i}`)),
  );
  const [first] = streams;
  if (!first) throw new Error("There is no stream.");
  await committing(first); // warm-up
  const one = perSecond(BATCHES * BATCH, await committing(first));
  const refused = perSecond(BATCHES * BATCH, await refusing(first));
  const together = await milliseconds(() => Promise.all(streams.map(committing)));
  await uplink.close();
  return { one, refused, several: perSecond(STREAMS * BATCHES * BATCH, together) };
};

/**
 * Runs in the page: publishes as fast as the library takes it; resolves to the ms until all is stored.
 * @param {{ count: number, bytes: number }} how
 */
const publishAll = async ({ count, bytes }) => {
  const connection = window.tools.lib.connect({ stream: "bench-relayed" });
  await connection.publish(new Uint8Array(bytes)).stored;
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    await connection.writable();
    connection.publish(new Uint8Array(bytes));
  }
  await connection.drain();
  return performance.now() - start;
};

/** @param {TestSystem} system @param {Browser} browser */
const throughTheRelay = async (system, browser) => {
  const page = await bareApiPage(browser, system);
  return perSecond(THROUGH_RELAY, await page.evaluate(publishAll, { count: THROUGH_RELAY, bytes: BYTES }));
};

/** @param {{ one: number, refused: number, several: number, relayed: number }} figures */
const rows = ({ one, refused, several, relayed }) => [
  {
    figure: `stored, one stream, batches of ${BATCH} × ${BYTES} B`,
    value: rounded(one),
    unit: "messages/s",
    note: ratio(one, refused, "the same requests, read and refused"),
  },
  {
    figure: `stored, ${STREAMS} streams at once`,
    value: rounded(several),
    unit: "messages/s",
    note: ratio(several, one, "one stream"),
  },
  {
    figure: "published in Chromium, stored through the relay",
    value: rounded(relayed),
    unit: "messages/s",
    note: ratio(relayed, one, "straight to the edge"),
  },
];

export const benches = [
  {
    name: "storage",
    run: async () => {
      const system = await runningSystem();
      const browser = await launchChromium();
      try {
        const relayed = await throughTheRelay(system, browser);
        return rows({ ...(await straightToTheEdge(system)), relayed });
      } finally {
        await browser.close();
        await system.stop();
      }
    },
  },
];
