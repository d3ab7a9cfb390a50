// Everything that is built: first what shows a mistake soonest, then what takes long.

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
 * Neither needs the other, and much of each (linking with optimization, wasm-opt) keeps one processor busy alone.
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
 * Ends when all have ended, so that nothing of a failed build goes on behind what comes next.
 * @param {BuildPart[]} parts
 */
const sideBySide = async (parts) => {
  const results = await Promise.allSettled(parts.map(built));
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
};

export const buildAll = async () => {
  await oneByOne(QUICK);
  // On a terminal two progress lines would write over each other.
  await (process.stdout.isTTY ? oneByOne(LONG) : sideBySide(LONG));
};
