// The clients of a run: the real client library, in pages of a real browser, several connections in each page.

import { launchChromium } from "../harness/browser.ts";
import { blankPage } from "../harness/pages.ts";
import { progressOfClients, publisherNote, startClients, stopPublishing, subscriberNote } from "./in-page.mjs";

/** Bytes of each message. */
const PAYLOAD_BYTES = 100;
/** More pages than cores only cost memory; one page's connections share a thread, as in a busy tab. */
const PAGES = 4;

/** The streams' names. */
export const streamNames = (count) => Array.from({ length: count }, (_, i) => `chaos-${i}`);

const dealt = (items, hands) => Array.from({ length: hands }, (_, hand) => items.filter((_, i) => i % hands === hand));

export class Clients {
  #browser;
  #pages = [];
  #places = [];
  /** What the pages' consoles said that is worth a look. */
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

  async #start({ edge, streams, publishers, subscribers, rate }) {
    this.#browser = await launchChromium();
    const streamOf = (index) => streams[index % streams.length];
    const writers = Array.from({ length: publishers }, (_, index) => ({ index, stream: streamOf(index) }));
    const readers = Array.from({ length: subscribers }, (_, index) => ({
      index,
      stream: streamOf(index),
      guarantee: Math.floor(index / streams.length) % 2 === 0 ? "live" : "stored",
    }));
    const pages = Math.min(PAGES, Math.max(publishers, subscribers));
    const hands = [dealt(writers, pages), dealt(readers, pages)];
    for (let i = 0; i < pages; i++) {
      const page = await blankPage(this.#browser);
      page.on("pageerror", (error) => this.errors.push(`page ${i}: ${error.stack ?? error.message}`));
      page.on("crash", () => this.errors.push(`page ${i} crashed`));
      await page.goto(`${edge}/v1/health`);
      this.#pages.push(page);
      this.#places.push({ publishers: hands[0][i].length, subscribers: hands[1][i].length });
    }
    await Promise.all(
      this.#pages.map((page, i) =>
        page.evaluate(startClients, {
          publishers: hands[0][i],
          subscribers: hands[1][i],
          perSecond: rate / publishers,
          payloadBytes: PAYLOAD_BYTES,
        }),
      ),
    );
  }

  /** How far every client is. */
  async progress() {
    const pages = await Promise.all(this.#pages.map((page) => page.evaluate(progressOfClients)));
    return {
      publishers: pages.flatMap(({ publishers }) => publishers),
      subscribers: pages.flatMap(({ subscribers }) => subscribers),
    };
  }

  /** Nothing new is published from now on. */
  async stopPublishing() {
    await Promise.all(this.#pages.map((page) => page.evaluate(stopPublishing)));
  }

  /** All that the clients noted. */
  async notes() {
    const [publishers, subscribers] = [[], []];
    for (const [i, page] of this.#pages.entries()) {
      const places = this.#places[i];
      for (let k = 0; k < places.publishers; k++) publishers.push(await page.evaluate(publisherNote, k));
      for (let k = 0; k < places.subscribers; k++) subscribers.push(await page.evaluate(subscriberNote, k));
    }
    return { publishers, subscribers };
  }

  async close() {
    await this.#browser?.close();
  }
}
