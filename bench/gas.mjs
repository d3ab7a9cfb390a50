// What a message costs on chain: the gas of the Anchorer's real transactions, divided by the messages each one covers, and
// that of rounds.

import { eventually, runningSystem } from "../tests/harness/system.ts";
import { roundRows } from "./lib/round-gas.mjs";
import { rounded } from "./lib/statistics.mjs";
import { Uplink } from "./lib/uplink.mjs";

/**
 * @typedef {import("../tests/harness/system.ts").TestSystem} TestSystem
 * @typedef {import("./lib/uplink.mjs").LedStream} LedStream
 * @typedef {{ first: number, count: number, tx: string }} Anchor
 */

/** A stream in rounds has no anchors of its own: what a round costs is measured apart. */
const OWN = { anchor: "own" };
const SIZES = [1, 100, 1_000];
const BYTES = 100;

/** What goes on chain beside the root, and how many messages share a transaction in the table. */
const MODES = [
  { settings: { mode: "hash" }, what: "a digest of each message" },
  { settings: { mode: "payload" }, what: `the message itself, ${BYTES} bytes` },
  { settings: { prove: true }, what: "a root that contracts can check (anchorStored)" },
];
const MODE_SIZES = [1, 100];

/**
 * The anchor that begins at this seq, once the edge has seen it.
 * @param {TestSystem} system
 * @param {string} name
 * @param {number} first
 */
const anchorAt = (system, name, first) =>
  eventually(`the anchor at ${first} is on chain`, async () => {
    /** @type {{ anchors: Anchor[] }} */
    const { anchors } = await system.get(`/v1/streams/${name}/anchors?from=${first}`);
    return anchors.find((anchor) => anchor.first === first);
  });

/** @param {TestSystem} system @param {string} tx */
const gasOf = async (system, tx) => {
  const receipt = await system.system.rpc("eth_getTransactionReceipt", [tx]);
  return Number(receipt.gasUsed);
};

/**
 * Stores so many messages at once, and waits for their one anchor.
 * @param {TestSystem} system
 * @param {LedStream} stream
 * @param {number} count
 */
const anchored = async (system, stream, count) => {
  const first = stream.head;
  await stream.commit(stream.batch(count, BYTES), count);
  const anchor = await anchorAt(system, stream.name, first);
  if (anchor.count !== count) throw new Error(`the anchor covers ${anchor.count} messages, expected ${count}`);
  return gasOf(system, anchor.tx);
};

/**
 * Rows of one mode; every transaction found must be as large as its anchor says.
 * @param {TestSystem} system
 * @param {Uplink} uplink
 * @param {import("./lib/uplink.mjs").Settings} settings
 * @param {string} what
 */
const gasOfMode = async (system, uplink, settings, what) => {
  const word = settings.mode ?? "prove";
  const stream = await uplink.acquireEpoch(`bench-gas-${word}`, { ...OWN, ...settings });
  await anchored(system, stream, 1);
  const rows = [];
  for (const count of MODE_SIZES) {
    const gas = await anchored(system, stream, count);
    rows.push({
      figure: `gas per message, ${word}, ${count} per anchor`,
      value: rounded(gas / count, 4),
      unit: "gas",
      note: `${what}; ${gas} for the whole transaction`,
    });
  }
  return rows;
};

/** What `GET /v1/costs` says beside it. @param {TestSystem} system */
const estimates = async (system) => {
  const costs = await system.get("/v1/costs");
  return ["root", "hash", "payload"].map((mode) => ({
    figure: `estimated gas per message, ${mode}, ${costs.messagesPerAnchor} per anchor`,
    value: costs[mode].gas,
    unit: "gas",
    note: `from GET /v1/costs, ${costs.payloadBytes} bytes`,
  }));
};

const run = async () => {
  const system = await runningSystem();
  try {
    const uplink = await new Uplink(system.edge, system.system.master).register();
    const stream = await uplink.acquireEpoch("bench-gas", OWN);
    const opening = await anchored(system, stream, 1);
    const rows = [];
    for (const count of SIZES) {
      const gas = await anchored(system, stream, count);
      rows.push({
        figure: `gas per message, ${count} per anchor`,
        value: rounded(gas / count, 4),
        unit: "gas",
        note: `${gas} for the whole transaction, of which 21000 is the least there can be`,
      });
    }
    rows.push({
      figure: "first anchor of a stream (opens it too)",
      value: opening,
      unit: "gas",
      note: "once per stream",
    });
    for (const { settings, what } of MODES) rows.push(...(await gasOfMode(system, uplink, settings, what)));
    rows.push(...(await estimates(system)));
    await uplink.close();
    return [...rows, ...(await roundRows())];
  } finally {
    await system.stop();
  }
};

export const benches = [{ name: "gas", run }];
