// What a system keeps in its folder: secrets, the contract's address, and which processes belong to a run.

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../console.mjs";
import { ask } from "../run.mjs";

/** What `--fresh` removes; logs and build stamps stay. */
const OF_A_SYSTEM = ["chain", "edge", "relay", "secrets.json", "contract.json", "verify.json"];
const OWNER_ONLY = 0o600;

/** @typedef {{ pid: number, start: string | null }} Process */

/** @param {string} path */
const readJson = (path) => (existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null);

/** Forgets a system: its chain, its streams, its keys. @param {string} dir */
export const clearSystem = (dir) => {
  for (const name of OF_A_SYSTEM) rmSync(join(dir, name), { recursive: true, force: true });
};

/** The edge's master secret (32 bytes in hex), made once. @param {string} dir @returns {string} */
export const masterSecret = (dir) => {
  const path = join(dir, "secrets.json");
  const known = readJson(path);
  if (known) return known.masterSecret;
  const made = randomBytes(32).toString("hex");
  mkdirSync(dir, { recursive: true });
  writeFileSync(path, JSON.stringify({ masterSecret: made }), { mode: OWNER_ONLY });
  return made;
};

/**
 * When a process started, as text that two processes with one id never share; null when there is none.
 * @param {number} pid
 * @returns {string | null}
 */
const startOf = (pid) => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const START_TIME = 19;
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[START_TIME] ?? null;
  } catch {
    return process.platform === "linux" ? null : ask("ps", ["-o", "lstart=", "-p", String(pid)]);
  }
};

/** @param {Process} process */
const isSame = ({ pid, start }) => startOf(pid) === start && start !== null;

/** @param {string} dir */
const runFile = (dir) => join(dir, "run.json");

/**
 * Writes down this run's processes, so that a later start can find what a killed one left behind.
 * @param {string} dir
 * @param {(number | null)[]} pids
 */
export const rememberRun = (dir, pids) => {
  const running = pids.flatMap((pid) => (pid === null ? [] : [pid]));
  const processes = running.map((pid) => ({ pid, start: startOf(pid) }));
  const self = { pid: process.pid, start: startOf(process.pid) };
  writeFileSync(runFile(dir), JSON.stringify({ self, processes }));
};

/** @param {string} dir */
export const forgetRun = (dir) => rmSync(runFile(dir), { force: true });

/**
 * Fails when this folder's system runs already; ends the parts of one whose starter was killed.
 * @param {string} dir
 * @param {(line: string) => void} log
 */
export const claimFolder = (dir, log) => {
  mkdirSync(dir, { recursive: true });
  /** @type {{ self: Process, processes: Process[] } | null} */
  const run = readJson(runFile(dir));
  if (!run) return;
  if (isSame(run.self)) {
    throw new Failure(`StreamChain runs here already (process ${run.self.pid}).`, [
      `End it first: kill ${run.self.pid}`,
    ]);
  }
  for (const orphan of run.processes.filter(isSame)) {
    log(`Ending process ${orphan.pid}, left over from a start that was killed.`);
    try {
      process.kill(-orphan.pid, "SIGKILL");
    } catch {
      // It ended by itself meanwhile.
    }
  }
  forgetRun(dir);
};
