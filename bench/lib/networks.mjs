// Measures sessions on each kind of network, inside a private network that bench/network.mjs made; writes what it saw
// to the file that its argument names.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { blankPage } from "../../tests/harness/pages.ts";
import {
  IPV6_CASES,
  NETWORK_CASES,
  OPEN,
  PATH_COSTS,
  stepsOf,
  tripsOf,
  visit,
} from "../../tests/network/harness/cases.ts";
import { plugIn, renumber, wireUp } from "../../tests/network/harness/hosts.ts";
import {
  CABLE,
  EDGE_URL,
  FAR,
  IPV6_CABLE,
  IPV6_FAR,
  lineOf,
  RELAY,
  RELAY_PORT,
  startInternet,
  WIRE,
} from "../../tests/network/harness/network.ts";
import { readPackets, roundTrips } from "../../tests/network/harness/packets.ts";
import { FIREWALLS, pathOf } from "../../tests/network/harness/paths.ts";
import { median, repeated } from "./statistics.mjs";

/**
 * @typedef {import("playwright-core").Page} Page
 * @typedef {import("../../tests/network/harness/cases.ts").NetworkCase} NetworkCase
 * @typedef {import("../../tests/network/harness/hosts.ts").Host} Host
 * @typedef {import("../../tests/network/harness/hosts.ts").Line} Line
 * @typedef {import("../../tests/network/harness/hosts.ts").WireQuality} WireQuality
 *
 * @typedef {object} Place a host with a browser at the end of a line
 * @property {string} name
 * @property {Host} host
 * @property {Page} page
 * @property {WireQuality | null} quality null on a cable
 * @property {string} record the file that the packets of the line are recorded in
 * @property {number} rttMs
 *
 * @typedef {Awaited<ReturnType<typeof measure>>} SessionFigures
 * @typedef {{ paths: string, storedMs: number, sameSession: boolean }} MoveFigures
 * @typedef {{ near: SessionFigures[], far: SessionFigures[], lossy: SessionFigures[],
 *   moving: { near: MoveFigures, far: MoveFigures } }} Seen
 */

const BOTH = { v4: true, v6: true };
const TIMES = 3;
/** Other packets are lost in each session, so more sessions are measured. */
const TIMES_WITH_LOSS = 9;
/** In each direction. */
const DELAY_MS = 50;
const LOSS_PERCENT = 5;
const PINGS = 9;

const LOSSY_CASE = { ...OPEN, title: `${LOSS_PERCENT} % of all packets lost` };
/** The client's address on each line, and the one that takes its place. */
const MOVES = {
  near: { line: lineOf(83, BOTH), address: "10.83.0.11/24", gateway: "10.83.0.1" },
  far: { line: lineOf(84, BOTH), address: "10.84.0.11/24", gateway: "10.84.0.1" },
};

const scene = await startInternet();

/** Prints the ms that opening each of some TCP connections takes: one round trip, answered by the relay's kernel. */
const PINGS_PROGRAM = `const { connect } = require("node:net");
  const [, host, port, count] = process.argv;
  const ping = (left) => {
    const start = performance.now();
    const socket = connect(Number(port), host, () => {
      console.log(performance.now() - start);
      socket.destroy();
      if (left > 1) ping(left - 1);
    });
  };
  ping(Number(count));`;

/** @param {Host} host @param {string} address */
const roundTripOf = (host, address) => {
  const times = host.run(process.execPath, "-e", PINGS_PROGRAM, address, `${RELAY_PORT}`, `${PINGS}`);
  return median(times.trim().split("\n").map(Number));
};

/**
 * A host with a browser at the end of a line, for as long as `work` takes. Without a quality the line is a cable.
 * @template T
 * @param {string} name
 * @param {Line} line
 * @param {WireQuality | null} quality
 * @param {(place: Place) => Promise<T>} work
 */
const atTheEndOf = async (name, line, quality, work) => {
  const host = await scene.newHost();
  const record = join(scene.folder, `${name}.pcap`);
  if (quality === null) await plugIn(host, name, line);
  else await wireUp(host, name, line, quality, record);
  const browser = await scene.chromiumOn(host);
  try {
    const page = await blankPage(browser);
    await page.goto(`${EDGE_URL}/v1/health`);
    await visit(page, `${name}-warm-up`, OPEN);
    const relay = line.client.some((address) => address.includes(".")) ? RELAY.v4 : RELAY.v6;
    return await work({ name, host, page, quality, record, rttMs: roundTripOf(host, relay) });
  } finally {
    await browser.close();
  }
};

/**
 * Opens one session: its path and how long it took, or why no message came back.
 * @param {Place} place
 * @param {string} stream
 * @param {NetworkCase} network
 */
const oneSession = async ({ page, quality, record }, stream, network) => {
  try {
    const { path, openMs, span } = await visit(page, stream, network);
    const { door } = PATH_COSTS[network.path];
    const trips = quality === null ? null : roundTrips(readPackets(record), door, span, quality.delayMs);
    return { path: pathOf(path), openMs, trips };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  }
};

/** @param {Place} place @param {NetworkCase} network @param {number} times */
const measure = async (place, network, times) => {
  place.host.firewall(FIREWALLS[network.firewall]);
  const slug = network.title.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  const sessions = await repeated(times, (i) => oneSession(place, `${place.name}-${slug}-${i}`.slice(0, 64), network));
  const works = sessions.flatMap((session) => ("failure" in session ? [] : [session]));
  for (const session of sessions) if ("failure" in session) console.error(`  ${network.title}: ${session.failure}`);
  if (works.length === 0) throw new Error(`${network.title}: no session of ${times} carried a message there and back`);
  const opens = works.map(({ openMs }) => openMs);
  const paths = [...new Set(works.map(({ path }) => path))].join(", ");
  console.log(`  ${place.name}: ${network.title}: ${paths}, ${opens.map((ms) => ms.toFixed(0)).join(" ")} ms`);
  return {
    title: network.title,
    waitMs: network.waitMs,
    steps: stepsOf(network),
    needed: tripsOf(network),
    paths,
    worked: works.length,
    tried: times,
    openMs: median(opens),
    slowestMs: Math.max(...opens),
    trips: Math.min(...works.map(({ trips }) => trips ?? Number.POSITIVE_INFINITY)),
    rttMs: place.rttMs,
  };
};

/** @param {readonly NetworkCase[]} networks @param {number} times */
const measureAll = (networks, times) => async (/** @type {Place} */ place) => {
  /** @type {SessionFigures[]} */
  const results = [];
  for (const network of networks) results.push(await measure(place, network, times));
  return results;
};

/**
 * Changes the address of an open session's host: how long until the next message is stored.
 * @param {{ address: string, gateway: string }} next
 */
const moving =
  ({ address, gateway }) =>
  /** @param {Place} place @returns {Promise<MoveFigures>} */
  async ({ name, host, page, quality }) => {
    const device = quality === null ? name : `${name}-client`;
    await page.evaluate(async (stream) => {
      const connection = window.tools.lib.connect({ stream });
      window.kept.connection = connection;
      await connection.publish("before").stored;
    }, `${name}-stream`);
    const pathNow = () => page.evaluate(() => window.kept.connection.getPath());
    const before = await pathNow();
    renumber(host, device, address, gateway);
    const storedMs = await page.evaluate(async () => {
      const start = performance.now();
      await window.kept.connection.publish("after").stored;
      return performance.now() - start;
    });
    const after = await pathNow();
    const { attempts } = await page.evaluate(() => ({ attempts: window.kept.connection.attempts.length }));
    const paths = [...new Set([pathOf(before), pathOf(after)])].join(", then ");
    console.log(`  ${name}: ${paths}, ${storedMs.toFixed(0)} ms, ${attempts} sessions`);
    return { paths, storedMs, sameSession: attempts === 1 };
  };

const wire = { delayMs: DELAY_MS, lossPercent: 0, seed: 1 };
const lossyWire = { ...wire, lossPercent: LOSS_PERCENT };

try {
  const near = await atTheEndOf("near", CABLE, null, measureAll(NETWORK_CASES, TIMES));
  const far = await atTheEndOf("far", FAR, wire, measureAll(NETWORK_CASES, TIMES));
  const near6 = await atTheEndOf("near6", IPV6_CABLE, null, measureAll(IPV6_CASES, TIMES));
  const far6 = await atTheEndOf("far6", IPV6_FAR, wire, measureAll(IPV6_CASES, TIMES));
  const lossy = await atTheEndOf("lossy", WIRE, lossyWire, measureAll([LOSSY_CASE], TIMES_WITH_LOSS));
  const nearMoving = await atTheEndOf("move", MOVES.near.line, null, moving(MOVES.near));
  const farMoving = await atTheEndOf("movefar", MOVES.far.line, wire, moving(MOVES.far));
  const result = {
    near: [...near, ...near6],
    far: [...far, ...far6],
    lossy,
    moving: { near: nearMoving, far: farMoving },
  };
  writeFileSync(process.argv[2] ?? "/dev/stdout", JSON.stringify(result));
} finally {
  await scene.close();
}
