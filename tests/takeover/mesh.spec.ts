// Three relays with links and six pages, some at each relay, which all publish and all read: the relay that leads the stream is
// killed, and then the next one says goodbye. Pages at the others keep their sessions; nothing is lost, doubled or reordered.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { bareApiPage, sharedScene } from "../harness/pages.ts";
import { edgeCounts, historyOf, oneSessionEach, readsAll, relayMetric, sessionsBegan } from "../harness/streams.ts";
import { eventually } from "../harness/system.ts";

const STREAM = "mesh";
const PAGES = 6;
/** A page whose relay is gone notices it in seconds. */
const MOVE_TIMEOUT_MS = 90_000;

const scene = sharedScene({ relays: 3, shards: 2, links: true, metrics: true, relayArgs: ["--capacity", "2"] });

interface Figures {
  readonly relay: string;
  readonly epoch: number;
}

const figures = (): Promise<Figures> => scene.system.get(`/v1/streams/${STREAM}`);

/** Has the page publish "0 0", "0 1" … and read the stream, until it is told to stop. */
const begin = (page: Page, who: number): Promise<void> =>
  page.evaluate(
    async ({ stream, who }) => {
      const connection = window.tools.lib.connect({ stream });
      window.kept.connection = connection;
      window.kept.collector = window.tools.collect(connection, 0);
      window.kept.publications = [];
      const publish = () => {
        const { publications } = window.kept;
        publications.push(connection.publish(`${who} ${publications.length}`));
        return publications.at(-1);
      };
      await publish()?.stored;
      const timer = setInterval(publish, 40);
      window.kept.stopPublishing = () => clearInterval(timer);
    },
    { stream: STREAM, who },
  );

/** Resolves once this page has read what each page has published after now. */
const goOn = async (pages: Page[]): Promise<void> => {
  await Promise.all(
    pages.map((page) =>
      page.evaluate(async () => {
        const before = window.kept.publications.length;
        while (window.kept.publications.length === before) await new Promise((resolve) => setTimeout(resolve, 10));
        await window.kept.publications[before]?.stored;
      }),
    ),
  );
};

const restartPauses = (pages: Page[]): Promise<unknown> =>
  Promise.all(
    pages.map((page) =>
      page.evaluate(() => {
        window.kept.collector.longestPauseMs = 0;
      }),
    ),
  );

/** The middle one of the longest pauses of the pages that kept their sessions. */
const medianPause = async (pages: Page[]): Promise<number> => {
  const pauses = await Promise.all(pages.map((page) => page.evaluate(() => window.kept.collector.longestPauseMs)));
  return pauses.sort((a, b) => a - b)[Math.floor(pauses.length / 2)] ?? Number.NaN;
};

/** Resolves once another relay than this one leads. */
const ledByAnother = (was: Figures): Promise<Figures> =>
  eventually(
    `${STREAM} is led by another relay than ${was.relay}`,
    async () => {
      const now = await figures();
      return now.relay !== was.relay && now.epoch > was.epoch && now;
    },
    MOVE_TIMEOUT_MS,
  );

describe("a stream that three relays serve", () => {
  const pages: Page[] = [];

  /** Ends the leader in some way, and returns the pages that were not at it, which must all keep their sessions. */
  const afterEndOf = async (end: (relay: string) => Promise<void>): Promise<Page[]> => {
    // A page that still looks for a relay after the end before would open a session that has nothing to do with this one.
    await oneSessionEach(scene.system, pages, MOVE_TIMEOUT_MS);
    const was = await figures();
    const before = await sessionsBegan(pages);
    const atLeader = await relayMetric(scene.system.system, was.relay, "streamchain_sessions");
    await restartPauses(pages);
    await end(was.relay);
    await ledByAnother(was);
    await goOn(pages);
    await oneSessionEach(scene.system, pages, MOVE_TIMEOUT_MS);
    const after = await sessionsBegan(pages);
    const kept = pages.filter((_, who) => after[who] === before[who]);
    assert.equal(kept.length, PAGES - atLeader, `sessions of before ${before}, after ${after}`);
    return kept;
  };

  before(async () => {
    for (let who = 0; who < PAGES; who++) {
      const page = await bareApiPage(scene.browser, scene.system);
      await begin(page, who);
      pages.push(page);
      await edgeCounts(scene.system, who + 1);
    }
  });

  it("is led by one, and followed by those that it has no room at", async () => {
    const { relay: leader } = await figures();
    for (const relay of scene.system.system.relayIds) {
      await eventually(`${relay} has sessions and its links`, async () => {
        const of = (name: string) => relayMetric(scene.system.system, relay, `streamchain_${name}`);
        const [sessions, followed, followers] = [
          await of("sessions"),
          await of("links_followed"),
          await of("links_followers"),
        ];
        return sessions > 0 && followed === (relay === leader ? 0 : 1) && followers === (relay === leader ? 2 : 0);
      });
    }
    await goOn(pages);
  });

  it("goes on for all others when its leader is killed", async () => {
    const kept = await afterEndOf((relay) => scene.system.system.relayPart(relay).kill());
    console.log(`    killed: ${Math.round(await medianPause(kept))} ms without a message`);
  });

  it("goes on at once when its leader says goodbye", async () => {
    const kept = await afterEndOf((relay) => scene.system.system.relayPart(relay).stop());
    console.log(`    goodbye: ${Math.round(await medianPause(kept))} ms without a message`);
  });

  it("has every message once, in order, and so has every reader", async () => {
    const published = await Promise.all(
      pages.map((page) =>
        page.evaluate(async () => {
          window.kept.stopPublishing();
          await Promise.all(window.kept.publications.map(({ stored }) => stored));
          return window.kept.publications.length;
        }),
      ),
    );
    const history = await historyOf(scene.system, STREAM);
    for (const [who, count] of published.entries()) {
      const own = history
        .filter(({ text }) => text.startsWith(`${who} `))
        .map(({ text }) => Number(text.split(" ")[1]));
      const expected = Array.from({ length: count }, (_, number) => number);
      assert.deepEqual(own, expected, `page ${who}'s messages are there once each, in their order`);
    }
    for (const page of pages) await readsAll(page, history);
    console.log(`    ${history.length} messages of ${PAGES} pages over ${(await figures()).epoch} epochs; each once`);
  });
});
