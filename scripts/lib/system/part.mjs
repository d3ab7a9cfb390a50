// A part: a child process that keeps running (anvil, wrangler, a relay).
//
// Each part leads a process group of its own: Ctrl-C on the terminal reaches only us, and we end the parts in order,
// each with everything it spawned (wrangler runs workerd, for one). Output goes to a log file; its end is shown when
// a part dies.

import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { Failure, messageOf } from "../console.mjs";
import { childEnv, ROOT } from "../paths.mjs";

/** A part that hasn't ended this long after SIGTERM is killed. */
const STOP_GRACE_MS = 10_000;
const POLL_MS = 50;
/** How often a starting part is asked whether it serves: each question is a line in its log. */
const READY_POLL_MS = 200;
const TAIL_LINES = 20;

/** The groups that run: they are killed when this process exits, even by a crash. */
const groups = new Set();
process.on("exit", () => {
  for (const group of groups) signalGroup(group, "SIGKILL");
});

/** @param {number} group @param {NodeJS.Signals | 0} signal */
const signalGroup = (group, signal) => {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
};

/** Resolves after so many milliseconds. @param {number} ms */
export const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Whether a process of this group runs; one that has ended and waits for its parent's notice (a zombie) does not.
 * @param {number} group
 */
const groupRuns = (group) => {
  if (!signalGroup(group, 0)) return false;
  if (process.platform !== "linux") return true;
  return readdirSync("/proc").some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [state, , pgrp] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(pgrp) === group && state !== "Z";
    } catch {
      return false;
    }
  });
};

/** @param {number} group @param {number} deadline */
const groupEnds = async (group, deadline) => {
  while (groupRuns(group)) {
    if (Date.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
};

/** @typedef {(part: Part, how: string) => void} OnDeath */

export class Part {
  /** @type {import("node:child_process").ChildProcess | null} */
  #child = null;
  /** Resolves when the present run's process has ended and we have noticed. */
  #exit = /** @type {Promise<unknown>} */ (Promise.resolve());
  #expected = false;
  #how;
  #onDeath;

  /**
   * @param {string} name what a person calls it
   * @param {{ command: string, args: string[], env?: object, cwd?: string, log: string }} how
   * @param {OnDeath} onDeath called when it ends unexpectedly
   */
  constructor(name, { command, args, env = {}, cwd = ROOT, log }, onDeath) {
    this.name = name;
    /** Its log file, which all its runs append to. */
    this.log = log;
    this.#how = { command, args, env, cwd };
    this.#onDeath = onDeath;
  }

  /** The group's id, which is the process's; null when it does not run. */
  get pid() {
    return this.#child?.pid ?? null;
  }

  get running() {
    return this.#child !== null;
  }

  start() {
    mkdirSync(dirname(this.log), { recursive: true });
    const file = createWriteStream(this.log, { flags: "a" });
    file.write(`--- ${new Date().toISOString()} ${this.name} starts\n`);
    const { command, args, env, cwd } = this.#how;
    const child = spawn(command, args, {
      cwd,
      env: childEnv({ NO_COLOR: "1", FORCE_COLOR: "0", ...env }),
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#child = child;
    this.#exit = new Promise((resolve) => {
      for (const event of ["exit", "error"]) child.once(event, resolve);
    });
    this.#expected = false;
    if (child.pid) groups.add(child.pid);
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (bytes) => file.write(bytes));
    child.on("error", (error) => this.#ended(child, error.message, file));
    child.on("exit", (code, signal) => this.#ended(child, signal ?? `exit code ${code}`, file));
  }

  /**
   * @param {import("node:child_process").ChildProcess} child
   * @param {string} how
   * @param {import("node:fs").WriteStream} file
   */
  #ended(child, how, file) {
    file.end(`--- ${new Date().toISOString()} ${this.name} ended: ${how}\n`);
    if (this.#child !== child) return;
    this.#child = null;
    if (this.#expected) return;
    // The processes that it spawned end with it.
    if (child.pid) {
      signalGroup(child.pid, "SIGKILL");
      groups.delete(child.pid);
    }
    this.#onDeath(this, how);
  }

  /** Asks the part to end, waits until its whole group is gone, kills it when that takes too long. */
  async stop(graceMs = STOP_GRACE_MS) {
    const group = this.pid;
    if (group === null) return;
    this.#expected = true;
    signalGroup(group, "SIGTERM");
    if (!(await groupEnds(group, Date.now() + graceMs))) return this.kill(group);
    await this.#exit;
    groups.delete(group);
  }

  /** Ends the part at once, as a crash would: without a chance to save anything. */
  async kill(group = this.pid) {
    if (group === null) return;
    this.#expected = true;
    signalGroup(group, "SIGKILL");
    if (await groupEnds(group, Date.now() + STOP_GRACE_MS)) await this.#exit;
    groups.delete(group);
  }

  /** Halts the part without ending it, as a machine that hangs or a network that is cut would. */
  pause() {
    if (this.pid !== null) signalGroup(this.pid, "SIGSTOP");
  }

  /** Resumes a part that was halted. */
  resume() {
    if (this.pid !== null) signalGroup(this.pid, "SIGCONT");
  }

  /** The last lines of its log. */
  tail() {
    return readFileSync(this.log, "utf8").trimEnd().split("\n").slice(-TAIL_LINES);
  }

  /**
   * Resolves when `check` returns something true; fails when the part dies first or time runs out.
   * @template T
   * @param {() => Promise<T>} check a failing check counts as "not yet"
   * @param {{ what: string, timeoutMs: number }} limits `what` ends the sentence "it has not …"
   */
  async until(check, { what, timeoutMs }) {
    const deadline = Date.now() + timeoutMs;
    let last = "its answer was no";
    for (;;) {
      if (!this.running) throw this.failure(`The ${this.name} ended before it ${what}.`);
      const result = await check().catch((error) => {
        last = messageOf(error);
        return null;
      });
      if (result) return result;
      if (Date.now() > deadline) {
        throw this.failure(`The ${this.name} runs, but has not ${what} in ${timeoutMs / 1000} s (${last}).`);
      }
      await delay(READY_POLL_MS);
    }
  }

  /** A failure that shows the end of this part's log. @param {string} message */
  failure(message) {
    return new Failure(message, [...this.tail().map((line) => `  ${line}`), `Its log: ${this.log}`]);
  }
}
