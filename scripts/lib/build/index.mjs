// Everything that is built, in the order in which a mistake shows soonest.

import { elapsed, heading } from "../console.mjs";
import { buildContracts } from "./contracts.mjs";
import { buildEdge } from "./edge.mjs";
import { buildRelay } from "./relay.mjs";
import { buildWeb } from "./web.mjs";

const PARTS = [
  ["contracts", buildContracts],
  ["web app", buildWeb],
  ["edge Worker", buildEdge],
  ["relay", buildRelay],
];

export const buildAll = async () => {
  for (const [name, build] of PARTS) {
    const start = Date.now();
    heading(`Building the ${name}`);
    await build();
    console.log(`  done in ${elapsed(start)}`);
  }
};
