// How `wrangler` is called for a system: its data in the system's folder, without sending metrics.

import { join } from "node:path";
import { ROOT } from "../paths.mjs";

export const WRANGLER = join(ROOT, "node_modules", "wrangler", "bin", "wrangler.js");

/** @param {string} dir */
export const wranglerEnv = (dir) => ({
  CI: "1",
  WRANGLER_SEND_METRICS: "false",
  // Systems side by side (tests) must not find each other's Workers.
  WRANGLER_REGISTRY_PATH: join(dir, "edge", "registry"),
  STREAMCHAIN_EDGE_BUILT: "1",
});

/** @param {string} dir */
export const persistence = (dir) => ["--persist-to", join(dir, "edge")];
