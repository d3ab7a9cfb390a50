// Kills parts of a running system, as a crash would, and starts them again.
//
// What always holds: a part that was killed is started again, whatever state the others are in meanwhile; two kills
// of one part never overlap.

import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { delay } from "../../scripts/lib/system/part.mjs";
import { listensOn } from "../../scripts/lib/system/ports.mjs";

/**
 * @typedef {import("./plan.mjs").KilledPart} KilledPart
 * @typedef {Awaited<ReturnType<typeof import("../../scripts/lib/system/index.mjs").startSystem>>} System
 */

const POLL_MS = 100;
/** Time limit of a health request. */
const ASK_MS = 5_000;
/** How long a part that was started may take until it serves, on a busy machine. */
const SERVE_TIMEOUT_MS = 90_000;
/**
 * wrangler restarts a workerd that died at once. To keep it down longer than this, wrangler is killed as well, and so it is
 * when it does not restart workerd.
 */
const KEEPER_LIVES_MS = 2_000;
const KEEPER_TIMEOUT_MS = 20_000;
const CHAIN_COPY_INTERVAL_MS = 500;

/**
 * The processes of a group by the name of their program: Linux only.
 * @param {number} group
 * @param {string} program
 */
const pidsInGroup = (group, program) =>
  readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
      const pgrp = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]);
      return pgrp === group && name === program;
    } catch {
      return false;
    }
  });

/**
 * anvil writes its whole state into one file now and then; a node has a database that outlives a crash. So a copy is
 * kept of the last whole file, and replaces a half-written one: a few blocks are lost, as with a node that is restored
 * from a backup.
 */
class ChainFile {
  #path;
  #copied = 0;
  #timer;

  /** @param {string} dir */
  constructor(dir) {
    this.#path = join(dir, "chain", "state.json");
    this.#timer = setInterval(() => this.#copy(), CHAIN_COPY_INTERVAL_MS);
  }

  get #backup() {
    return `${this.#path}.whole`;
  }

  /** @param {string} path */
  #isWhole(path) {
    try {
      JSON.parse(readFileSync(path, "utf8"));
      return true;
    } catch {
      return false;
    }
  }

  #copy() {
    if (!existsSync(this.#path)) return;
    const { mtimeMs } = statSync(this.#path);
    if (mtimeMs === this.#copied) return;
    const next = `${this.#backup}.next`;
    copyFileSync(this.#path, next);
    if (!this.#isWhole(next)) return;
    renameSync(next, this.#backup);
    this.#copied = mtimeMs;
  }

  /** Makes the file whole; to be called while no node runs. */
  mend() {
    if (!this.#isWhole(this.#path) && existsSync(this.#backup)) copyFileSync(this.#backup, this.#path);
  }

  stop() {
    clearInterval(this.#timer);
  }
}

export class Killer {
  #system;
  #log;
  #chainFile;
  /** The part's name → a promise that resolves when it serves again. @type {Map<string, Promise<unknown>>} */
  #returning = new Map();
  /** @type {unknown[]} */
  #failures = [];
  /** How often each part was killed. */
  counts = { relay: 0, worker: 0, chain: 0 };

  /** @param {System} system @param {(line: string) => void} log */
  constructor(system, log) {
    this.#system = system;
    this.#log = log;
    this.#chainFile = new ChainFile(system.dir);
  }

  /** @param {KilledPart} name */
  #partOf(name) {
    return this.#system.parts[name === "worker" ? "edge" : name];
  }

  /**
   * Kills a part at once; resolves when it is dead. It is started again after `downMs`.
   * @param {{ part: KilledPart, downMs: number }} kill
   */
  async kill({ part: name, downMs }) {
    await this.#returning.get(name);
    const part = this.#partOf(name);
    const wasRunning = part.running;
    const workerAlone = name === "worker" && wasRunning && downMs <= KEEPER_LIVES_MS;
    if (workerAlone && part.pid !== null) this.#killWorkers(part.pid);
    else await part.kill();
    this.counts[name]++;
    const down = workerAlone ? "" : `, down for ${downMs} ms`;
    this.#log(`kill -9 ${name}${wasRunning ? "" : " (it was dead already)"}${down}`);
    const back = (workerAlone ? this.#awaitKeeper() : this.#revive(name, downMs)).catch((error) =>
      this.#failures.push(error),
    );
    this.#returning.set(name, back);
  }

  /**
   * The workerd that listens on the edge's port only passes requests on to those that run the Worker.
   * @param {number} group
   */
  #killWorkers(group) {
    const workers = pidsInGroup(group, "workerd").filter((pid) => !listensOn(pid, this.#system.ports.edge));
    for (const pid of workers) process.kill(Number(pid), "SIGKILL");
  }

  /** wrangler starts workerd again; if it does not, both are started anew. */
  async #awaitKeeper() {
    const deadline = Date.now() + KEEPER_TIMEOUT_MS;
    while (Date.now() < deadline && this.#partOf("worker").running) {
      if (await this.#serves("worker")) return;
      await delay(POLL_MS);
    }
    await this.#partOf("worker").kill();
    await this.#revive("worker", 0);
  }

  /** @param {KilledPart} name @param {number} downMs */
  async #revive(name, downMs) {
    await delay(downMs);
    if (name === "chain") this.#chainFile.mend();
    const part = this.#partOf(name);
    const deadline = Date.now() + SERVE_TIMEOUT_MS;
    do {
      if (!part.running) part.start();
      if (await this.#serves(name)) return;
      await delay(POLL_MS);
    } while (Date.now() < deadline);
    throw part.failure(`The ${name} was killed and does not come back.`);
  }

  /**
   * A relay counts as serving when it runs: only the edge could say whether it is registered, and the edge may be dead.
   * @param {KilledPart} name
   */
  async #serves(name) {
    const { urls } = this.#system;
    try {
      if (name === "worker") return (await fetch(`${urls.edge}/v1/health`, { signal: AbortSignal.timeout(ASK_MS) })).ok;
      if (name === "chain") return Boolean(await this.#system.rpc("eth_chainId"));
      return this.#partOf(name).running;
    } catch {
      return false;
    }
  }

  /** Resolves when everything that was killed serves again; fails when something does not. */
  async allBack() {
    await Promise.all(this.#returning.values());
    this.#chainFile.stop();
    if (this.#failures.length > 0) throw this.#failures[0];
  }
}
