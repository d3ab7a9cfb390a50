// The edge: the built Worker under `wrangler dev`, with its objects' and D1's data in a folder.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../console.mjs";
import { NODE, ROOT } from "../paths.mjs";
import { Part } from "./part.mjs";
import { LOCALHOST } from "./ports.mjs";
import { persistence, WRANGLER, wranglerEnv } from "./wrangler.mjs";

const START_TIMEOUT_MS = 60_000;

/** How often Cloudflare would run the cron trigger of wrangler.toml; `wrangler dev` itself never does. */
const CRON_INTERVAL_MS = 60_000;

/** Whether the folder has an edge's data from an earlier run. @param {string} dir */
export const hasEdgeState = (dir) => existsSync(join(dir, "edge"));

/**
 * Variables and secrets in the form that wrangler reads (.dev.vars).
 * @param {string} path
 * @param {Record<string, string>} vars
 */
export const writeVars = (path, vars) => {
  const lines = Object.entries(vars).map(([name, value]) => `${name}="${value}"`);
  writeFileSync(path, `${lines.join("\n")}\n`, { mode: 0o600 });
};

/**
 * @param {{ dir: string, port: number, inspectorPort: number, vars: string, tunnel: boolean, log: string, host?: string }} how
 *   `host`: the address it listens on, the loopback interface's unless given
 * @param {import("./part.mjs").OnDeath} onDeath
 */
export const edgePart = ({ dir, port, inspectorPort, vars, tunnel, log, host = LOCALHOST }, onDeath) => {
  if (!existsSync(join(ROOT, "build", "index.js"))) throw new Failure("The Worker is not built.", ["npm run build"]);
  const args = [WRANGLER, "dev", "--ip", host, "--port", `${port}`, "--inspector-port", `${inspectorPort}`];
  args.push(...persistence(dir), "--env-file", vars, "--show-interactive-dev-session=false");
  if (tunnel) args.push("--tunnel");
  return new Part("edge", { command: NODE, args, env: wranglerEnv(dir), log }, onDeath);
};

/** @param {import("./part.mjs").Part} part @param {string} url */
export const edgeReady = (part, url) =>
  part.until(async () => (await fetch(`${url}/v1/health`)).ok, {
    what: "answered /v1/health",
    timeoutMs: START_TIMEOUT_MS,
  });

/** Runs the cron trigger once. @param {string} url */
export const runCron = async (url) => {
  const response = await fetch(`${url}/cdn-cgi/handler/scheduled?cron=${encodeURIComponent("* * * * *")}`);
  await response.body?.cancel();
};

/**
 * Runs the cron trigger now and each minute, as Cloudflare does; returns a function that ends it.
 * @param {string} url
 */
export const startCron = (url) => {
  // The edge may be restarting: the next minute's run makes up for a missed one.
  const run = () => runCron(url).catch(() => {});
  run();
  const timer = setInterval(run, CRON_INTERVAL_MS);
  return () => clearInterval(timer);
};

/** The address of the tunnel, once wrangler has printed it. @param {import("./part.mjs").Part} part */
export const tunnelUrl = (part) =>
  part.until(
    async () => {
      const found = readFileSync(part.log, "utf8").match(/https:\/\/[a-z0-9.-]+\.trycloudflare\.com/g);
      return found?.at(-1);
    },
    { what: "opened its tunnel", timeoutMs: START_TIMEOUT_MS },
  );
