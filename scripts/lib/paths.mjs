// Paths of files, folders and commands. Uses Node's built-ins only, so that it works before anything is installed.

import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout, without a slash at its end. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/[\\/]$/, "");

/** Everything local that is not source: chain, edge and relay state, secrets, logs, stamps. Ignored by git. */
export const STATE = join(ROOT, ".streamchain");

const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "streamchain");
const CARGO_BIN = join(process.env.CARGO_HOME || join(homedir(), ".cargo"), "bin");

/**
 * The folder `cargo install --root` puts a tool of this exact version in: shared by all checkouts of this user.
 * @param {string} name
 * @param {string} version
 */
export const toolFolder = (name, version) => join(CACHE, "tools", `${name}-${version}`);

/** A command that an npm package brings. @param {string} name */
export const npmBin = (name) => join(ROOT, "node_modules", ".bin", name);

/** The Node that npm scripts run with (the npm package `node`), whatever Node the machine has. */
export const NODE = join(ROOT, "node_modules", "node", "bin", "node");

/** A file in the folder that cargo builds into. @param {string[]} path */
export const cargoOutput = (...path) => join(process.env.CARGO_TARGET_DIR || join(ROOT, "target"), ...path);

/**
 * The environment for every child: npm's commands first (so Node 22), rustup's folder last, in case PATH lacks it.
 * @param {NodeJS.ProcessEnv} extra
 * @returns {NodeJS.ProcessEnv & { PATH: string }}
 */
export const childEnv = (extra = {}) => {
  const PATH = [join(ROOT, "node_modules", ".bin"), process.env.PATH, CARGO_BIN].join(delimiter);
  return { ...process.env, ...extra, PATH: extra.PATH ?? PATH };
};

/** The path of a command, or null: `PATH` as children see it. @param {string} name */
export const which = (name) => {
  const suffix = process.platform === "win32" ? ".exe" : "";
  for (const folder of childEnv().PATH.split(delimiter)) {
    if (!folder) continue;
    const path = join(folder, name + suffix);
    if (existsSync(path)) return path;
  }
  return null;
};
