// Kills parts of a running system, as a crash would, and starts them again.
//
// What always holds: a part that was killed is started again, whatever state the others are in meanwhile; two kills
// of one part never overlap.

import { copyFileSync, existsSync, readdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { delay } from "../../scripts/lib/system/part.mjs";
import { listensOn } from "../../scripts/lib/system/ports.mjs";
import { streamFigures } from "./stored.mjs";

/**
 * @typedef {import("./plan.mjs").Kill} Kill
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
  #streams;
  #log;
  #chainFile;
  /** The part's name → a promise that resolves when it serves again. @type {Map<string, Promise<unknown>>} */
  #returning = new Map();
  /** @type {unknown[]} */
  #failures = [];
  /** How often each part was killed, or told to stop. */
  counts = { leader: 0, follower: 0, worker: 0, chain: 0 };

  /** @param {System} system @param {string[]} streams @param {(line: string) => void} log */
  constructor(system, streams, log) {
    this.#system = system;
    this.#streams = streams;
    this.#log = log;
    this.#chainFile = new ChainFile(system.dir);
  }

  /** @param {string} name `worker`, `chain`, or the name of a relay's part */
  #partOf(name) {
    const part = this.#system.parts[name === "worker" ? "edge" : name];
    if (part === undefined) throw new Error(`There is no part ${name}.`);
    return part;
  }

  /**
   * The relay that is to be killed, and the streams that it leads as far as the edge says so.
   * @param {Kill} kill
   */
  async victim({ part, pick }) {
    const leaders = await Promise.all(
      this.#streams.map((stream) =>
        streamFigures(this.#system.urls.edge, stream).then(
          ({ relay }) => relay,
          () => undefined,
        ),
      ),
    );
    const leader = leaders[pick % leaders.length];
    const others = this.#system.relayIds.filter((id) => id !== leader && this.#system.relayPart(id).running);
    const relay = (part === "leader" ? leader : others[pick % others.length]) ?? this.#system.relayIds[0] ?? "";
    return { relay, leads: this.#streams.filter((_, index) => leaders[index] === relay) };
  }

  /**
   * Ends a part at once; resolves when it is dead. It is started again after `downMs`.
   * @param {Kill} kill
   * @param {string} [relay] the one that is meant
   */
  async kill({ part: meant, downMs, goodbye }, relay) {
    const name = relay === undefined ? meant : this.#system.relayPartName(relay);
    await this.#returning.get(name);
    const part = this.#partOf(name);
    const wasRunning = part.running;
    const workerAlone = name === "worker" && wasRunning && downMs <= KEEPER_LIVES_MS;
    const isAsked = relay !== undefined && goodbye;
    if (workerAlone && part.pid !== null) this.#killWorkers(part.pid);
    else await (isAsked ? part.stop() : part.kill());
    this.counts[meant]++;
    const down = workerAlone ? "" : `, down for ${downMs} ms`;
    const what = relay === undefined ? name : `${meant} (${name})`;
    this.#log(`${isAsked ? "stop" : "kill -9"} ${what}${wasRunning ? "" : " (it was dead already)"}${down}`);
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

  /** @param {string} name @param {number} downMs */
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
   * @param {string} name
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
