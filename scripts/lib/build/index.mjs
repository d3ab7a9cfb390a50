// Builds everything: the quick parts first, since they show a mistake soonest.

import { elapsed, heading } from "../console.mjs";
import { leftText } from "../remaining.mjs";
import { buildContracts } from "./contracts.mjs";
import { buildEdge } from "./edge.mjs";
import { buildRelay } from "./relay.mjs";
import { buildWeb } from "./web.mjs";

/** @typedef {[name: string, build: () => Promise<unknown>]} BuildPart */

/** @type {BuildPart[]} */
const QUICK = [
  ["contracts", buildContracts],
  ["web app", buildWeb],
];

/**
 * These two don't depend on each other, and large parts of each (optimized linking, wasm-opt) use one processor only.
 * @type {BuildPart[]}
 */
const LONG = [
  ["edge Worker", buildEdge],
  ["relay", buildRelay],
];

/** What the page needs, compiled quickly. @type {BuildPart[]} */
const FOR_THE_PAGE = [...QUICK, ["edge Worker", () => buildEdge({ profile: "start" })]];

/** @param {BuildPart} part @param {string} left how long it still takes, and what */
const built = async ([name, build], left = "") => {
  const start = Date.now();
  heading(`Building the ${name}${left && ` (${left})`}`);
  await build();
  console.log(`  the ${name}: done in ${elapsed(start)}`);
};

/** @param {BuildPart[]} parts */
const oneByOne = async (parts) => {
  for (const part of parts) await built(part);
};

/**
 * Ends when all have ended, so that no build still runs in the background after another one failed.
 * @param {BuildPart[]} parts
 */
const sideBySide = async (parts) => {
  const results = await Promise.allSettled(parts.map((part) => built(part)));
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
};

/** Builds what is shipped, deployed and tested. */
export const buildAll = async () => {
  await oneByOne(QUICK);
  // On a terminal the two progress lines would overwrite each other.
  await (process.stdout.isTTY ? oneByOne(LONG) : sideBySide(LONG));
};

/**
 * Builds what `npm start` needs for the page: all but the relay, which `buildRelayBehind` compiles while the page is used.
 * @param {import("../remaining.mjs").Remaining} remaining
 */
export const buildForPage = async (remaining) => {
  for (const part of FOR_THE_PAGE) {
    await built(part, leftText(remaining.secondsFrom(part[0], Date.now(), "relay"), "until the page works"));
  }
};
