// The clients of a run: the real client library, in pages of a real browser, several connections in each page.

import { launchChromium } from "../harness/browser.ts";
import { blankPage } from "../harness/pages.ts";
import {
  progressOfClients,
  publisherNote,
  standingOfClients,
  startClients,
  stopPublishing,
  subscriberNote,
  watchClients,
} from "./in-page.mjs";

/** Bytes of each message. */
const PAYLOAD_BYTES = 100;
/** More pages than cores only cost memory; one page's connections share a thread, as in a busy tab. */
const PAGES = 4;

/** The streams' names. @param {number} count */
export const streamNames = (count) => Array.from({ length: count }, (_, i) => `chaos-${i}`);

/**
 * Items dealt in turns.
 * @template T
 * @param {T[]} items @param {number} hands
 */
const dealt = (items, hands) => Array.from({ length: hands }, (_, hand) => items.filter((_, i) => i % hands === hand));

/** Every other round of subscribers waits for storage. @param {number} round @returns {"live" | "stored"} */
const guaranteeOf = (round) => (round % 2 === 0 ? "live" : "stored");

export class Clients {
  /** @type {import("playwright-core").Browser | undefined} */
  #browser;
  /** @type {import("playwright-core").Page[]} */
  #pages = [];
  /** How many clients each page has. @type {{ publishers: number, subscribers: number }[]} */
  #places = [];
  /** What the pages' consoles said that is worth a look. @type {string[]} */
  errors = [];

  /** @param {{ edge: string, streams: string[], publishers: number, subscribers: number, rate: number }} how */
  static async start(how) {
    const clients = new Clients();
    try {
      await clients.#start(how);
    } catch (error) {
      await clients.close();
      throw error;
    }
    return clients;
  }

  /** @param {{ edge: string, streams: string[], publishers: number, subscribers: number, rate: number }} how */
  async #start({ edge, streams, publishers, subscribers, rate }) {
    const browser = await launchChromium();
    this.#browser = browser;
    /** @param {number} index */
    const streamOf = (index) => streams[index % streams.length] ?? "";
    const writers = Array.from({ length: publishers }, (_, index) => ({ index, stream: streamOf(index) }));
    const readers = Array.from({ length: subscribers }, (_, index) => ({
      index,
      stream: streamOf(index),
      guarantee: guaranteeOf(Math.floor(index / streams.length)),
    }));
    const pages = Math.min(PAGES, Math.max(publishers, subscribers));
    const publishersOf = dealt(writers, pages);
    const subscribersOf = dealt(readers, pages);
    for (let i = 0; i < pages; i++) {
      const page = await blankPage(browser);
      page.on("pageerror", (error) => this.errors.push(`page ${i}: ${error.stack ?? error.message}`));
      page.on("crash", () => this.errors.push(`page ${i} crashed`));
      await page.goto(`${edge}/v1/health`);
      this.#pages.push(page);
      const [own, others] = [publishersOf[i] ?? [], subscribersOf[i] ?? []];
      this.#places.push({ publishers: own.length, subscribers: others.length });
    }
    await Promise.all(
      this.#pages.map((page, i) =>
        page.evaluate(startClients, {
          publishers: publishersOf[i] ?? [],
          subscribers: subscribersOf[i] ?? [],
          perSecond: rate / publishers,
          payloadBytes: PAYLOAD_BYTES,
        }),
      ),
    );
    await Promise.all(this.#pages.map((page) => page.evaluate(watchClients)));
  }

  /** How far every client is. */
  async progress() {
    const pages = await Promise.all(this.#pages.map((page) => page.evaluate(progressOfClients)));
    return {
      publishers: pages.flatMap(({ publishers }) => publishers),
      subscribers: pages.flatMap(({ subscribers }) => subscribers),
    };
  }

  /** How often each client opened a session, and its longest pause since this was asked last. */
  async standing() {
    return (await Promise.all(this.#pages.map((page) => page.evaluate(standingOfClients)))).flat();
  }

  /** Nothing new is published from now on. */
  async stopPublishing() {
    await Promise.all(this.#pages.map((page) => page.evaluate(stopPublishing)));
  }

  /** All that the clients noted. */
  async notes() {
    /** @type {import("./in-page.mjs").PublisherNote[]} */
    const publishers = [];
    /** @type {import("./in-page.mjs").SubscriberNote[]} */
    const subscribers = [];
    for (const [i, page] of this.#pages.entries()) {
      const places = this.#places[i] ?? { publishers: 0, subscribers: 0 };
      for (let k = 0; k < places.publishers; k++) publishers.push(await page.evaluate(publisherNote, k));
      for (let k = 0; k < places.subscribers; k++) subscribers.push(await page.evaluate(subscriberNote, k));
    }
    return { publishers, subscribers };
  }

  async close() {
    await this.#browser?.close();
  }
}
