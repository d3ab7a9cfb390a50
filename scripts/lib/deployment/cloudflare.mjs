// Cloudflare, by wrangler: what is there, and what is made. Nothing of what wrangler is given as a secret is printed.

import { spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import { Failure } from "../console.mjs";
import { childEnv, NODE, ROOT } from "../paths.mjs";
import { WRANGLER } from "../system/wrangler.mjs";

/** How much of what a failed command said is shown. */
const SHOWN_LINES = 15;

/** @typedef {(args: string[], input?: string) => Promise<string>} Wrangler resolves to what it printed */

/**
 * Runs wrangler without questions. `CLOUDFLARE_API_TOKEN`, or an earlier `wrangler login`, says who asks.
 * @param {NodeJS.ProcessEnv} env more variables
 * @returns {Wrangler}
 */
export const wranglerWith =
  (env = {}) =>
  (args, input) =>
    new Promise((resolve, reject) => {
      const usual = { CI: "1", NO_COLOR: "1", WRANGLER_SEND_METRICS: "false" };
      const child = spawn(NODE, [WRANGLER, ...args], { cwd: ROOT, env: childEnv({ ...usual, ...env }) });
      let [out, all] = ["", ""];
      child.stdout.setEncoding("utf8").on("data", (text) => {
        out += text;
        all += text;
      });
      child.stderr.setEncoding("utf8").on("data", (text) => {
        all += text;
      });
      child.on("error", reject);
      child.on("close", (code) => {
        if (code === 0) return resolve(out);
        const lines = stripVTControlCharacters(all).trim().split("\n").slice(-SHOWN_LINES);
        reject(new Failure(`wrangler ${args.slice(0, 3).join(" ")} failed (${code}).`, lines));
      });
      child.stdin.end(input ?? "");
    });

/** The account's D1 databases by name. @param {Wrangler} wrangler @returns {Promise<Map<string, string>>} */
export const databases = async (wrangler) => {
  /** @type {{ name: string, uuid: string }[]} */
  const list = JSON.parse(await wrangler(["d1", "list", "--json"]));
  return new Map(list.map(({ name, uuid }) => [name, uuid]));
};

/** Whether the account has this R2 bucket. @param {Wrangler} wrangler @param {string} name */
export const hasBucket = async (wrangler, name) => {
  const list = await wrangler(["r2", "bucket", "list"]);
  return new RegExp(`^name:\\s+${name}\\s*$`, "m").test(list);
};

/**
 * The names of the Worker's secrets; none while there is no Worker.
 * @param {Wrangler} wrangler @param {string} config
 * @returns {Promise<Set<string>>}
 */
export const secretNames = async (wrangler, config) => {
  try {
    /** @type {{ name: string }[]} */
    const list = JSON.parse(await wrangler(["secret", "list", "--format", "json", "-c", config]));
    return new Set(list.map(({ name }) => name));
  } catch (error) {
    // What wrangler says where the Worker was never deployed (API code 10007).
    const isAbsent = error instanceof Failure && /10007|not found|does not exist/i.test(error.advice.join("\n"));
    if (isAbsent) return new Set();
    throw error;
  }
};

/** The address that `wrangler deploy` printed, or null. @param {string} output */
export const addressIn = (output) => /https:\/\/[a-z0-9.-]+\.workers\.dev/.exec(output)?.[0] ?? null;
