// A page that publishes numbered messages one after the other and hears its own stream.

import assert from "node:assert/strict";
import type { Page } from "playwright-core";

/** Publishes so many messages, one every 20 ms, from the app's own connection. */
export const publishSteadily = (page: Page, count: number): Promise<void> =>
  page.evaluate(async (count) => {
    const { connection } = window.streamchain;
    window.kept.collector = window.tools.collect(connection, 0);
    window.kept.publications = [];
    for (let i = 0; i < count; i++) {
      await connection.writable();
      window.kept.publications.push(connection.publish(`message ${i}`));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }, count);

/** Resolves once all that was published is stored, to the seqs. */
export const publishedAll = (page: Page): Promise<(number | null)[]> =>
  page.evaluate(() => Promise.all(window.kept.publications.map(({ stored }) => stored)));

/** Fails unless the page heard every message that it published once, in the order in which it did. */
export const assertWhole = async (page: Page, seqs: readonly (number | null)[]): Promise<void> => {
  const count = seqs.length;
  await page.waitForFunction((count) => window.kept.collector.seen.length >= count, count, { polling: 100 });
  const heard = await page.evaluate(() =>
    window.kept.collector.seen.map(({ seq, payload }) => {
      const { fromHex } = window.tools.lib;
      return `${seq} ${new TextDecoder().decode(fromHex(payload))}`;
    }),
  );
  const expected = Array.from({ length: count }, (_, i) => `${i} message ${i}`);
  assert.deepEqual(heard, expected);
};
