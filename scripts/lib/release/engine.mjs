// The container engine of this machine, if one works: podman or docker, by the same commands.

import { spawnSync } from "node:child_process";
import { childEnv, which } from "../paths.mjs";

/** Their programs. A client of docker without its server is passed over. */
const ENGINES = ["docker", "podman"];

/** How long the engine may take to say what it is: a client without its server answers at once. */
const PROBE_TIMEOUT_MS = 20_000;

/**
 * @typedef {object} Engine
 * @property {string} name
 * @property {string[]} build what comes after `build`
 * @property {string[]} run what comes after `run`
 * @property {string[]} global what comes before the command
 */

/** podman on a machine without systemd, or that may not raise limits, needs to be told so. @param {string} name @returns {Engine} */
const withOptions = (name) => {
  if (name !== "podman") return { name, global: [], build: [], run: [] };
  const global = which("runc") ? ["--runtime", "runc"] : [];
  const limits = ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=1024:1024"];
  return { name, global, build: ["--network", "none", "--format", "docker"], run: limits };
};

/**
 * The first engine that answers, or null. The variable STREAMCHAIN_ENGINE chooses one, or `none`.
 * @returns {Engine | null}
 */
export const findEngine = () => {
  const chosen = process.env.STREAMCHAIN_ENGINE;
  for (const name of ENGINES) {
    if (which(name) === null || (chosen && chosen !== name)) continue;
    const engine = withOptions(name);
    const options = { env: childEnv(), timeout: PROBE_TIMEOUT_MS };
    const { status } = spawnSync(name, [...engine.global, "info"], options);
    if (status === 0) return engine;
  }
  return null;
};

/** The commands that run a compose file by each engine. @type {Record<string, string[][]>} */
const COMPOSE = { docker: [["docker", "compose"]], podman: [["podman-compose"], ["podman", "compose"]] };

/**
 * The command that runs compose files by this engine, or null. The variable STREAMCHAIN_COMPOSE has another one, with its options.
 * @param {Engine} engine
 */
export const findCompose = (engine) => {
  const chosen = process.env.STREAMCHAIN_COMPOSE?.split(" ").filter((word) => word !== "");
  const candidates = chosen ? [chosen] : (COMPOSE[engine.name] ?? []);
  /** @param {string[]} command */
  const works = ([program = "", ...args]) => {
    if (which(program) === null) return false;
    const options = { env: childEnv(), timeout: PROBE_TIMEOUT_MS };
    return spawnSync(program, [...args, "version"], options).status === 0;
  };
  return candidates.find(works) ?? null;
};

/** Whether this machine has an image, so that nothing is pulled. @param {Engine} engine @param {string} name */
export const hasImage = (engine, name) => {
  const args = [...engine.global, "image", "inspect", name];
  return spawnSync(engine.name, args, { env: childEnv(), stdio: "ignore" }).status === 0;
};
