// Watches what the end of a relay does to the clients of the others: none of them may open another session.
//
// It is only judged where nothing else is under way: everybody had a session when the relay ended, and the watch is over before
// the next part is killed.

import { delay } from "../../scripts/lib/system/part.mjs";
import { relayMetric } from "../harness/streams.ts";

const POLL_MS = 100;
/** How long it is waited until everybody has a session; a kill before that is not judged. */
const CALM_TIMEOUT_MS = 10_000;
/** A shorter watch says nothing about pauses: the next leader may not have been there yet. */
const WATCH_MS = 3_000;

/**
 * @typedef {import("./killer.mjs").System} System
 * @typedef {import("./clients.mjs").Clients} Clients
 * @typedef {{ relay: string, leads: string[], goodbye: boolean, sessions: number, opened: Map<string, number>, at: number }} Watch
 */

/** The middle one; NaN of none. @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

export class MeshWatch {
  #system;
  #clients;
  #count;
  /** @type {Watch | undefined} */
  #watch;
  /** @type {string[]} */
  faults = [];
  /** Ends of relays that were judged. */
  judged = 0;
  /** How long live subscribers of other relays had no message when their leader ended, ms. */
  pauses = { killed: /** @type {number[]} */ ([]), goodbye: /** @type {number[]} */ ([]) };

  /** @param {System} system @param {Clients} clients @param {number} count of the clients */
  constructor(system, clients, count) {
    this.#system = system;
    this.#clients = clients;
    this.#count = count;
  }

  /** Sessions at a relay; 0 while it does not answer. @param {string} relay */
  async #sessionsAt(relay) {
    try {
      return await relayMetric(this.#system, relay, "streamchain_sessions");
    } catch {
      return 0;
    }
  }

  /** Whether every client has a session, and none is left over. */
  async #isCalm() {
    const sessions = await Promise.all(this.#system.relayIds.map((relay) => this.#sessionsAt(relay)));
    const { publishers, subscribers } = await this.#clients.progress();
    const isOpen = [...publishers, ...subscribers].every(({ state }) => state === "open");
    return isOpen && sessions.reduce((sum, count) => sum + count, 0) === this.#count;
  }

  /**
   * A relay is about to end.
   * @param {{ relay: string, leads: string[] }} victim
   * @param {boolean} goodbye
   */
  async begin({ relay, leads }, goodbye) {
    const deadline = Date.now() + CALM_TIMEOUT_MS;
    while (!(await this.#isCalm())) {
      if (Date.now() > deadline) return;
      await delay(POLL_MS);
    }
    const standing = await this.#clients.standing();
    const opened = new Map(standing.map((client) => [client.name, client.opened]));
    this.#watch = { relay, leads, goodbye, sessions: await this.#sessionsAt(relay), opened, at: Date.now() };
  }

  /** Another part is about to end, or the run is over. */
  async end() {
    const watch = this.#watch;
    this.#watch = undefined;
    if (watch === undefined) return;
    const standing = await this.#clients.standing();
    const again = standing.filter(({ name, opened }) => opened !== watch.opened.get(name));
    this.judged++;
    if (again.length > watch.sessions) {
      const names = again.map(({ name }) => name).join(", ");
      this.faults.push(
        `reconnected: ${again.length} clients when ${watch.relay} ended, which had ${watch.sessions} sessions: ${names}`,
      );
    }
    if (Date.now() - watch.at < WATCH_MS) return;
    for (const { name, stream, opened, pauseMs } of standing) {
      const stayed = opened === watch.opened.get(name);
      if (stayed && pauseMs !== null && watch.leads.includes(stream)) {
        this.pauses[watch.goodbye ? "goodbye" : "killed"].push(pauseMs);
      }
    }
  }

  /** The middle of the pauses, in words. */
  summary() {
    /** @param {number[]} pauses */
    const of = (pauses) =>
      pauses.length === 0 ? "not measured" : `${Math.round(median(pauses))} ms (of ${pauses.length})`;
    const { killed, goodbye } = this.pauses;
    return `${this.judged} ends of relays judged; to the next live message when the leader was killed: ${of(killed)}, when it said goodbye: ${of(goodbye)}`;
  }
}
