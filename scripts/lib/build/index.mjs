// Builds everything: the quick parts first, since they show a mistake soonest.

import { elapsed, heading } from "../console.mjs";
import { leftText } from "../remaining.mjs";
import { buildContracts } from "./contracts.mjs";
import { buildEdge } from "./edge.mjs";
import { buildRelay } from "./relay.mjs";
import { buildWeb } from "./web.mjs";

/** @typedef {[name: string, build: () => Promise<unknown>]} BuildPart */

/** @type {Record<"contracts" | "web" | "edge" | "relay", BuildPart>} */
const PARTS = {
  contracts: ["contracts", buildContracts],
  web: ["web app", buildWeb],
  edge: ["edge Worker", buildEdge],
  relay: ["relay", buildRelay],
};

/** The same parts, compiled quickly rather than small and fast. @type {typeof PARTS} */
const QUICK_PARTS = {
  ...PARTS,
  edge: ["edge Worker", () => buildEdge({ profile: "start" })],
  relay: ["relay", () => buildRelay({ profile: "start" })],
};

/** These come first, in this order: they take seconds, and the second one reads what the first one makes. */
const FIRST = /** @type {const} */ (["contracts", "web"]);

/** These two don't depend on each other, and large parts of each (optimized linking, wasm-opt) use one processor only. */
const LONG = /** @type {const} */ (["edge", "relay"]);

/** What the page needs. @type {BuildPart[]} */
const FOR_THE_PAGE = [...FIRST.map((name) => QUICK_PARTS[name]), QUICK_PARTS.edge];

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

/**
 * Builds these parts of what is shipped, deployed and tested, or, quickly, of what is tried out.
 * @param {readonly string[]} names @param {boolean} isQuick
 */
export const buildParts = async (names, isQuick = false) => {
  const parts = isQuick ? QUICK_PARTS : PARTS;
  /** @param {readonly (keyof typeof PARTS)[]} some */
  const chosen = (some) => some.filter((name) => names.includes(name)).map((name) => parts[name]);
  await oneByOne(chosen(FIRST));
  // On a terminal the two progress lines would overwrite each other.
  await (process.stdout.isTTY ? oneByOne(chosen(LONG)) : sideBySide(chosen(LONG)));
};

/** Builds all of it. */
export const buildAll = () => buildParts(Object.keys(PARTS));

/**
 * Builds what `npm start` needs for the page: all but the relay, which `buildRelayBehind` compiles while the page is used.
 * @param {import("../remaining.mjs").Remaining} remaining
 */
export const buildForPage = async (remaining) => {
  for (const part of FOR_THE_PAGE) {
    await built(part, leftText(remaining.secondsFrom(part[0], Date.now(), "relay"), "until the page works"));
  }
};
