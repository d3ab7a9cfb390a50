// How long a client waits for a session: the one HTTP request, and then ICE, DTLS and SCTP with the relay.

import { launchChromium } from "../tests/harness/browser.ts";
import { bareApiPage } from "../tests/harness/pages.ts";
import { runningSystem } from "../tests/harness/system.ts";
import { median, quantile, ratio, repeated, rounded } from "./lib/statistics.mjs";

/**
 * @typedef {import("playwright-core").Page} Page
 */

const SESSIONS = 20;
/** The first sessions fill caches and are not measured. */
const WARM_UP = 3;

/** Milliseconds of one GET that the edge answers without a call to an object or the database. */
const bareRequest = () => {
  const start = performance.now();
  return fetch("/v1/health", { cache: "no-store" })
    .then((response) => response.text())
    .then(() => performance.now() - start);
};

/** @param {string} stream */
const oneSession = async (stream) => {
  const session = new window.tools.RawSession();
  const times = await session.open(stream);
  session.close();
  return times;
};

/** setRemoteDescription → open between two peer connections of one page: nothing but the browser on both ends. */
const betweenTwoPeers = async () => {
  const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
  a.onicecandidate = ({ candidate }) => candidate && b.addIceCandidate(candidate);
  b.onicecandidate = ({ candidate }) => candidate && a.addIceCandidate(candidate);
  const channel = a.createDataChannel("bench");
  const opened = new Promise((resolve) => {
    channel.onopen = resolve;
  });
  await a.setLocalDescription();
  if (a.localDescription) await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription();
  const start = performance.now();
  if (b.localDescription) await a.setRemoteDescription(b.localDescription);
  await opened;
  const time = performance.now() - start;
  a.close();
  b.close();
  return time;
};

/** @param {Page} page */
const measure = async (page) => {
  /** @template T @param {() => Promise<T>} once */
  const warm = async (once) => (await repeated(WARM_UP + SESSIONS, once)).slice(WARM_UP);
  const sessions = await warm(() => page.evaluate(oneSession, "bench-sessions"));
  const bare = await warm(() => page.evaluate(bareRequest));
  return { sessions, bare, peers: await warm(() => page.evaluate(betweenTwoPeers)) };
};

/** @param {Awaited<ReturnType<typeof measure>>} seen */
const rows = ({ sessions, bare, peers }) => {
  const answers = sessions.map(({ answerMs }) => answerMs);
  const opens = sessions.map(({ openMs }) => openMs);
  return [
    {
      figure: `HTTP answer to an offer, median of ${SESSIONS}`,
      value: rounded(median(answers)),
      unit: "ms",
      note: `p90 ${rounded(quantile(answers, 0.9))}; ${ratio(median(answers), median(bare), "GET /v1/health")}`,
    },
    {
      figure: `setRemoteDescription → open, median of ${SESSIONS}`,
      value: rounded(median(opens)),
      unit: "ms",
      note: `p90 ${rounded(quantile(opens, 0.9))}; ${ratio(median(opens), median(peers), "two Chromium peers in one page")}`,
    },
  ];
};

export const benches = [
  {
    name: "sessions",
    run: async () => {
      const system = await runningSystem();
      const browser = await launchChromium();
      try {
        return rows(await measure(await bareApiPage(browser, system)));
      } finally {
        await browser.close();
        await system.stop();
      }
    },
  },
];
