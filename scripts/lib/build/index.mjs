// Builds everything: the quick parts first, since they show a mistake soonest.

import { elapsed, heading } from "../console.mjs";
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

/** @param {BuildPart} part */
const built = async ([name, build]) => {
  const start = Date.now();
  heading(`Building the ${name}`);
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
  const results = await Promise.allSettled(parts.map(built));
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
};

export const buildAll = async () => {
  await oneByOne(QUICK);
  // On a terminal the two progress lines would overwrite each other.
  await (process.stdout.isTTY ? oneByOne(LONG) : sideBySide(LONG));
};
