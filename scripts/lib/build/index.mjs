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

/** These come first, in this order: they are quick, and the second one reads what the first one makes. @type {BuildPart[]} */
const QUICK = [PARTS.contracts, PARTS.web];

/** These two don't depend on each other, and large parts of each (optimized linking, wasm-opt) use one processor only. */
const LONG = [PARTS.edge, PARTS.relay];

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

/** Builds these parts of what is shipped, deployed and tested. @param {readonly string[]} names */
export const buildParts = async (names) => {
  const chosen = Object.entries(PARTS).flatMap(([name, part]) => (names.includes(name) ? [part] : []));
  const long = LONG.filter((part) => chosen.includes(part));
  await oneByOne(QUICK.filter((part) => chosen.includes(part)));
  // On a terminal the two progress lines would overwrite each other.
  await (process.stdout.isTTY ? oneByOne(long) : sideBySide(long));
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
