// A page that publishes numbered messages one after the other and hears its own stream.

import assert from "node:assert/strict";
import type { Page } from "playwright-core";

/** What the functions below do in a page. */
export const inPage = {
  publish: async (count: number): Promise<void> => {
    const { connection } = window.streamchain;
    window.kept.collector = window.tools.collect(connection, 0);
    window.kept.publications = [];
    for (let i = 0; i < count; i++) {
      await connection.writable();
      window.kept.publications.push(connection.publish(`message ${i}`));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
  stored: (): Promise<(number | null)[]> => Promise.all(window.kept.publications.map(({ stored }) => stored)),
  heard: (): string[] =>
    window.kept.collector.seen.map(({ seq, payload }) => {
      const { fromHex } = window.tools.lib;
      return `${seq} ${new TextDecoder().decode(fromHex(payload))}`;
    }),
  longestPauseMs: (): number => window.kept.collector.longestPauseMs,
};

/** Publishes so many messages, one every 20 ms, from the app's own connection. */
export const publishSteadily = (page: Page, count: number): Promise<void> => page.evaluate(inPage.publish, count);

/** Resolves once all that was published is stored, to the seqs. */
export const publishedAll = (page: Page): Promise<(number | null)[]> => page.evaluate(inPage.stored);

/** Fails unless these are all messages that a page published, each once and in order. */
export const assertAllHeard = (heard: readonly string[], count: number): void => {
  assert.deepEqual(
    heard,
    Array.from({ length: count }, (_, i) => `${i} message ${i}`),
  );
};

/** Fails unless the page heard every message that it published once, in the order in which it did. */
export const assertWhole = async (page: Page, seqs: readonly (number | null)[]): Promise<void> => {
  const count = seqs.length;
  await page.waitForFunction((count) => window.kept.collector.seen.length >= count, count, { polling: 100 });
  assertAllHeard(await page.evaluate(inPage.heard), count);
};
