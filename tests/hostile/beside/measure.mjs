// An honest stream: a publisher in Chromium over a data channel, and how long its messages take.

import { bareApiPage } from "../../harness/pages.ts";
import { newName, until } from "../lib/target.mjs";

/** Pause between messages. */
const EVERY_MS = 200;
const POLL_MS = 200;
/** New sessions that are opened in each phase, one after the other. */
const SESSIONS = 3;
const OPEN_TIMEOUT_MS = 15_000;

/** Limits of an attack's effect on others: so many times the quiet figure, and at least this. */
const MAX_FACTOR = 10;
const MIN_LIMIT_MS = { stored: 2_000, anchored: 20_000, open: 5_000 };

/**
 * One phase of the honest stream. Times are milliseconds; what has not happened is Infinity.
 * @typedef {object} Phase
 * @property {number} published
 * @property {number[]} stored from publishing until it was stored
 * @property {number[]} anchored from publishing until it was anchored; filled while and after the phase
 * @property {number[]} open until a new session was open
 * @property {{ seq: number, at: number }[]} waiting stored and not anchored yet
 */

export class Measure {
  /** @type {Phase[]} */
  #phases = [];
  #ended = false;

  /**
   * @param {import("../../harness/system.ts").TestSystem} system
   * @param {import("playwright-core").Page} page
   * @param {string} stream
   */
  constructor(system, page, stream) {
    this.system = system;
    this.page = page;
    this.stream = stream;
  }

  /**
   * @param {import("playwright-core").Browser} browser
   * @param {import("../../harness/system.ts").TestSystem} system
   */
  static async start(browser, system) {
    const measure = new Measure(system, await bareApiPage(browser, system), newName("honest"));
    await measure.page.evaluate(async (/** @type {string} */ stream) => {
      window.kept.connection = window.tools.lib.connect({ stream });
      await window.kept.connection.publish("first").stored;
    }, measure.stream);
    measure.#watch();
    return measure;
  }

  /** Sees when messages become anchored. */
  async #watch() {
    while (!this.#ended) {
      const mark = await this.#anchoredMark().catch(() => 0);
      const now = Date.now();
      for (const phase of this.#phases) {
        const [done, waiting] = [
          phase.waiting.filter(({ seq }) => seq < mark),
          phase.waiting.filter(({ seq }) => seq >= mark),
        ];
        phase.waiting = waiting;
        for (const { at } of done) phase.anchored.push(now - at);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** @returns {Promise<number>} */
  async #anchoredMark() {
    const response = await fetch(`${this.system.edge}/v1/streams/${this.stream}`, {
      signal: AbortSignal.timeout(5_000),
    });
    return (await response.json()).anchored;
  }

  /** Publishes for so long, and opens some sessions meanwhile. @param {number} durationMs */
  async phase(durationMs) {
    /** @type {Phase} */
    const phase = { published: 0, stored: [], anchored: [], open: [], waiting: [] };
    this.#phases.push(phase);
    const [end, sent] = [Date.now() + durationMs, /** @type {Promise<void>[]} */ ([])];
    const opening = this.#openSessions(phase, durationMs / (SESSIONS + 1));
    while (Date.now() < end) {
      phase.published += 1;
      sent.push(this.#publish(phase));
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
    await Promise.all([...sent, opening]);
    return phase;
  }

  /** @param {Phase} phase */
  async #publish(phase) {
    const at = Date.now();
    const work = this.page.evaluate(async (limit) => {
      const begun = performance.now();
      const timeout = new Promise((resolve) => setTimeout(resolve, limit, "never"));
      const seq = await Promise.race([window.kept.connection.publish("honest").stored, timeout]);
      return seq === "never" ? null : { took: performance.now() - begun, seq };
    }, OPEN_TIMEOUT_MS);
    const found = await work.catch(() => null);
    phase.stored.push(found ? found.took : Number.POSITIVE_INFINITY);
    if (typeof found?.seq === "number") phase.waiting.push({ seq: found.seq, at });
  }

  /** @param {Phase} phase @param {number} pauseMs */
  async #openSessions(phase, pauseMs) {
    for (let i = 0; i < SESSIONS; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const took = await this.page.evaluate(
        async ({ stream, limit }) => {
          const begun = performance.now();
          const connection = window.tools.lib.connect({ stream });
          while (connection.state.state !== "open" && performance.now() - begun < limit) {
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
          const isOpen = connection.state.state === "open";
          const time = performance.now() - begun;
          connection.close();
          return isOpen ? time : null;
        },
        { stream: this.stream, limit: OPEN_TIMEOUT_MS },
      );
      phase.open.push(took ?? Number.POSITIVE_INFINITY);
    }
  }

  /** Waits until all that was published is anchored, or for so long. @param {number} limitMs */
  async settle(limitMs) {
    await until(async () => this.#phases.every(({ waiting }) => waiting.length === 0), limitMs);
    this.#ended = true;
    for (const phase of this.#phases) for (const _ of phase.waiting) phase.anchored.push(Number.POSITIVE_INFINITY);
    await this.page.context().close();
  }
}

/** @param {number[]} values @param {number} part */
const quantile = (values, part) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];

/** @param {number | undefined} ms */
const shown = (ms) => (ms === undefined ? "–" : ms === Number.POSITIVE_INFINITY ? "never" : `${Math.round(ms)} ms`);

/** Both phases side by side. @param {Phase} quiet @param {Phase} under */
export const table = (quiet, under) => {
  /** @type {[string, (phase: Phase) => string][]} */
  const rows = [
    ["published", ({ published }) => `${published}`],
    ["stored, median", ({ stored }) => shown(quantile(stored, 0.5))],
    ["stored, 95 %", ({ stored }) => shown(quantile(stored, 0.95))],
    ["stored, longest", ({ stored }) => shown(quantile(stored, 1))],
    ["anchored, median", ({ anchored }) => shown(quantile(anchored, 0.5))],
    ["anchored, longest", ({ anchored }) => shown(quantile(anchored, 1))],
    ["a new session opens, longest", ({ open }) => shown(quantile(open, 1))],
  ];
  const line = (/** @type {string[]} */ [what = "", one = "", two = ""]) =>
    `${what.padEnd(30)}${one.padStart(12)}${two.padStart(16)}`;
  return [line(["", "quiet", "under attack"]), ...rows.map(([what, of]) => line([what, of(quiet), of(under)]))];
};

/** What the attack did to the honest stream that it must not. @param {Phase} quiet @param {Phase} under @returns {string[]} */
export const judge = (quiet, under) =>
  /** @type {const} */ (["stored", "anchored", "open"]).flatMap((what) => {
    const limit = Math.max(MIN_LIMIT_MS[what], MAX_FACTOR * (quantile(quiet[what], 0.95) ?? 0));
    const found = what === "stored" ? quantile(under[what], 0.95) : quantile(under[what], 1);
    const never = under[what].filter((ms) => ms === Number.POSITIVE_INFINITY).length;
    if (found === undefined) return [`${what}: nothing was measured under the attack`];
    if (never > 0) return [`${what}: ${never} of ${under[what].length} never were`];
    return found > limit ? [`${what}: ${shown(found)}, with a limit of ${shown(limit)}`] : [];
  });
