// Publish → deliver in Chromium at a steady pace: one page, two sessions, one clock; every message goes to the relay
// and back. Signed and unsigned messages take turns, so that both meet the same machine. The page is isolated from other origins:
// its clock has steps of 5 µs then, and of 100 µs otherwise.

import { launchChromium } from "../tests/harness/browser.ts";
import { bareApiPage, blankPage } from "../tests/harness/pages.ts";
import { runningSystem } from "../tests/harness/system.ts";
import { udpEchoTimes } from "./lib/echo.mjs";
import { median, quantile, ratio, repeated, rounded } from "./lib/statistics.mjs";

/**
 * @typedef {import("playwright-core").Page} Page
 * @typedef {{ perSecond: number, count: number, bytes: number, signed?: boolean, stream?: string }} Pace
 */

const PER_SECOND = 1_000;
const SECONDS = 10;
/** A person's pace: each message is a group of its own. */
const SLOW_PER_SECOND = 20;
/** How often signed and unsigned messages take turns at each pace, and for how long: short turns meet the same machine. */
const ROUNDS = 9;
const ROUND_SECONDS = 4;
/** Long enough for the p99 not to be one message alone. */
const SLOW_ROUND_SECONDS = 10;
const WARM_UP_SECONDS = 2;
const BYTES = 100;

/**
 * Runs in the page: publishes what is due every few ms; resolves to each message's milliseconds.
 * @param {Pace} pace
 */
const paced = async ({ perSecond, count, bytes, signed = true, stream = "bench-latency" }) => {
  const TICK_MS = 4;
  const { connect } = window.tools.lib;
  const [writer, reader] = [connect({ stream, ...(signed ? {} : { key: null }) }), connect({ stream })];
  /** @type {number[]} */
  const times = [];
  /** @type {Promise<void>} */
  const all = new Promise((resolve) => {
    reader.subscribe({ from: "tail" }).on("message", ({ payload }) => {
      times.push(performance.now() - new DataView(payload.buffer, payload.byteOffset).getFloat64(0));
      if (times.length === count) resolve();
    });
  });
  while (reader.state.state !== "open" || reader.head === null)
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  const first = writer.publish(new Uint8Array(bytes));
  await first.stored;
  if (first.signed !== signed) throw new Error(`the messages are ${signed ? "not " : ""}signed`);
  while (times.length < 1) await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  const start = performance.now();
  let sent = 1;
  while (sent < count) {
    const due = Math.min(count, 1 + Math.floor(((performance.now() - start) * perSecond) / 1_000));
    for (; sent < due; sent++) {
      const payload = new Uint8Array(bytes);
      new DataView(payload.buffer).setFloat64(0, performance.now());
      writer.publish(payload);
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await all;
  writer.close();
  reader.close();
  return times;
};

/**
 * Runs in the page: the same pace over a data channel from one peer connection of the page to another.
 * @param {Pace} pace
 */
const pacedBetweenPeers = async ({ perSecond, count, bytes }) => {
  const TICK_MS = 4;
  const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
  a.onicecandidate = ({ candidate }) => candidate && b.addIceCandidate(candidate);
  b.onicecandidate = ({ candidate }) => candidate && a.addIceCandidate(candidate);
  const channel = a.createDataChannel("bench");
  /** @type {number[]} */
  const times = [];
  /** @type {Promise<void>} */
  const all = new Promise((resolve) => {
    b.ondatachannel = ({ channel: other }) => {
      other.binaryType = "arraybuffer";
      other.onmessage = ({ data }) => {
        times.push(performance.now() - new DataView(data).getFloat64(0));
        if (times.length === count) resolve();
      };
    };
  });
  const opened = new Promise((resolve) => {
    channel.onopen = resolve;
  });
  await a.setLocalDescription();
  if (a.localDescription) await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription();
  if (b.localDescription) await a.setRemoteDescription(b.localDescription);
  await opened;
  const start = performance.now();
  let sent = 0;
  while (sent < count) {
    const due = Math.min(count, Math.floor(((performance.now() - start) * perSecond) / 1_000));
    for (; sent < due; sent++) {
      const payload = new Uint8Array(bytes);
      new DataView(payload.buffer).setFloat64(0, performance.now());
      channel.send(payload);
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await all;
  a.close();
  b.close();
  return times;
};

/**
 * A bare page of the edge with a fine clock, and with the app's rules for scripts.
 * @param {import("playwright-core").Browser} browser
 * @param {import("../tests/harness/system.ts").TestSystem} system
 */
const isolatedPage = async (browser, system) => {
  const page = await blankPage(browser);
  await page.route(`${system.edge}/v1/health`, async (route) => {
    const response = await route.fetch();
    const headers = {
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
      "content-security-policy": "script-src 'self' 'wasm-unsafe-eval'", // as on the app's pages
    };
    await route.fulfill({ response, headers: { ...response.headers(), ...headers } });
  });
  await bareApiPage(browser, system, page);
  if (!(await page.evaluate(() => crossOriginIsolated)))
    throw new Error("the page is not isolated: its clock is coarse");
  return page;
};

/** @param {Page} page */
const measure = async (page) => {
  const count = (WARM_UP_SECONDS + SECONDS) * PER_SECOND;
  const warm = WARM_UP_SECONDS * PER_SECOND;
  const pace = { perSecond: PER_SECOND, count, bytes: BYTES };
  const relayed = (await page.evaluate(paced, pace)).slice(warm);
  const direct = (await page.evaluate(pacedBetweenPeers, pace)).slice(warm);
  const echoed = (await udpEchoTimes(pace)).slice(warm);
  return { relayed, direct, echoed };
};

/**
 * Signed beside unsigned messages at a pace, in turns on streams of their own.
 * @param {Page} page @param {number} perSecond @param {number} seconds
 */
const inTurns = async (page, perSecond, seconds) => {
  const warm = perSecond;
  const count = warm + seconds * perSecond;
  const run = async (/** @type {"signed" | "unsigned"} */ kind) => {
    const stream = `bench-latency-${kind}-${perSecond}`;
    const pace = { perSecond, count, bytes: BYTES, signed: kind === "signed", stream };
    return (await page.evaluate(paced, pace)).slice(warm);
  };
  return repeated(ROUNDS, async () => ({ unsigned: await run("unsigned"), signed: await run("signed") }));
};

/** @param {number} perSecond @param {Awaited<ReturnType<typeof inTurns>>} rounds */
const signedRows = (perSecond, rounds) =>
  /** @type {const} */ ([
    ["p50", 0.5],
    ["p99", 0.99],
  ]).map(([name, q]) => {
    const beside = median(rounds.map(({ signed, unsigned }) => quantile(signed, q) / quantile(unsigned, q)));
    const unsigned = median(rounds.map((round) => quantile(round.unsigned, q)));
    return {
      figure: `publish → deliver, signed, ${name}, ${perSecond} messages/s of ${BYTES} B`,
      value: rounded(median(rounds.map(({ signed }) => quantile(signed, q)))),
      unit: "ms",
      note: `${rounded(beside, 3)} × unsigned (${rounded(unsigned)}), median of ${ROUNDS} turns`,
    };
  });

/** @param {string} name @param {number} q @param {Awaited<ReturnType<typeof measure>>} times */
const row = (name, q, { relayed, direct, echoed }) => ({
  figure: `publish → deliver, ${name}, ${PER_SECOND} messages/s of ${BYTES} B`,
  value: rounded(quantile(relayed, q)),
  unit: "ms",
  note: `${ratio(quantile(relayed, q), quantile(direct, q), "two Chromium peers, no relay")}; UDP echo ${rounded(quantile(echoed, q))} ms`,
});

export const benches = [
  {
    name: "latency",
    run: async () => {
      const system = await runningSystem();
      const browser = await launchChromium();
      try {
        const page = await isolatedPage(browser, system);
        const times = await measure(page);
        const busy = await inTurns(page, PER_SECOND, ROUND_SECONDS);
        const slow = await inTurns(page, SLOW_PER_SECOND, SLOW_ROUND_SECONDS);
        return [
          ...signedRows(PER_SECOND, busy),
          ...signedRows(SLOW_PER_SECOND, slow),
          row("p50", 0.5, times),
          row("p99", 0.99, times),
          {
            figure: "publish → deliver, slowest",
            value: rounded(quantile(times.relayed, 1)),
            unit: "ms",
            note: `of ${times.relayed.length}; median of two Chromium peers ${rounded(median(times.direct))} ms`,
          },
        ];
      } finally {
        await browser.close();
        await system.stop();
      }
    },
  },
];
