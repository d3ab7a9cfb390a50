// The deployment's secrets: in the environment, in a file that only its owner reads, or new ones. They are never printed.

import { hkdfSync, randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { privateKeyToAddress } from "viem/accounts";
import { metricsTokenProblem } from "../configure/settings.mjs";
import { codeOf, Failure } from "../console.mjs";

const PRIVATE_FILE = 0o600;
const NAMES = /** @type {const} */ (["MASTER_SECRET", "ANCHORER_KEY"]);
/** A key that a deployment can do without. */
const METRICS_TOKEN = /** @type {const} */ ("METRICS_TOKEN");

/** @typedef {{ MASTER_SECRET: string, ANCHORER_KEY: string, METRICS_TOKEN: string }} Keys 64 hexadecimal digits each; the token: 32 or more characters */

/** @param {string} file @returns {Promise<Partial<Keys>>} */
const kept = async (file) => {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return {};
    throw new Failure(`${file} can't be read.`, ["Its keys can't be made again: restore the file from a copy."]);
  }
};

/** @param {string} name @param {string} value */
const checked = (name, value) => {
  if (name === METRICS_TOKEN) {
    const problem = metricsTokenProblem(value);
    if (problem === null) return value;
    throw new Failure(problem, ["openssl rand -hex 32"]);
  }
  const digits = value.trim().replace(/^0x/i, "").toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digits)) return digits;
  throw new Failure(`${name} is not 64 hexadecimal digits.`, ["openssl rand -hex 32"]);
};

/**
 * The keys: those of the environment first, then the file's; what neither has is made, unless the deployed Worker has a
 * secret of that name already, which nobody can read back. `metrics`: whether a METRICS_TOKEN is made too.
 * @param {{ file: string, env: NodeJS.ProcessEnv, deployed: Set<string>, dryRun: boolean, metrics?: boolean | undefined }} how
 * @returns {Promise<{ keys: Partial<Keys>, made: string[] }>} `made`: the names of new ones
 */
export const deploymentKeys = async ({ file, env, deployed, dryRun, metrics = false }) => {
  const before = await kept(file);
  /** @type {Partial<Keys>} */
  const keys = {};
  const made = [];
  for (const name of [...NAMES, METRICS_TOKEN]) {
    const known = env[name] ?? before[name];
    const isWanted = name !== METRICS_TOKEN || metrics;
    if (known !== undefined) keys[name] = checked(name, known);
    else if (isWanted && !deployed.has(name)) {
      keys[name] = randomBytes(32).toString("hex");
      made.push(name);
    }
  }
  if (!dryRun) await keep(file, { ...before, ...keys });
  return { keys, made };
};

/** @param {string} file @param {Partial<Keys>} keys */
const keep = async (file, keys) => {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(keys, null, 2)}\n`, { mode: PRIVATE_FILE });
  await chmod(file, PRIVATE_FILE);
};

/** The account that a key signs for. @param {string} key */
export const addressOf = (key) => privateKeyToAddress(`0x${key}`);

/** A relay's key from the master secret, as `relay-node key` derives it (docs/PROTOCOL.md). @param {string} master @param {string} id */
export const relayKey = (master, id) =>
  Buffer.from(hkdfSync("sha256", Buffer.from(master, "hex"), "", `streamchain/relay/v1/${id}`, 32)).toString("hex");
