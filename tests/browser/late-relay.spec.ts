// The order of `npm start` on real parts: the page publishes and reads before there is a relay, and is live after it has come.

import assert from "node:assert/strict";
import { it } from "node:test";
import { startInOrder } from "../../scripts/lib/start.mjs";
import { launchChromium } from "../harness/browser.ts";
import { appUrl, blankPage, sessionOpen } from "../harness/pages.ts";
import { runningSystem, type TestSystem } from "../harness/system.ts";

it("a page works by HTTP first, and live once the relay is there", async () => {
  const browser = await launchChromium();
  const { promise: asked, resolve: end } = Promise.withResolvers<void>();
  const { promise: published, resolve: relayMayCome } = Promise.withResolvers<void>();
  const page = await blankPage(browser);
  const happened: string[] = [];
  let system: TestSystem | null = null;
  try {
    const failure = await startInOrder({
      buildPage: async () => {},
      startSystem: async () => {
        system = await runningSystem({ relays: 0 });
        const { system: started } = system;
        return { died: started.died, addRelay: () => started.addRelay(), stop: () => (system as TestSystem).stop() };
      },
      pageWorks: async () => {
        await page.goto(appUrl((system as TestSystem).edge, "late"));
        const seq = await page.evaluate(async () => {
          const { connection } = window.streamchain;
          window.kept.collector = window.tools.collect(connection, 0);
          return await connection.publish("before the relay").stored;
        });
        await page.waitForFunction(() => window.kept.collector.seen.length === 1, null, { polling: 50 });
        const state = await page.evaluate(() => window.streamchain.connection.state.state);
        happened.push(`message ${seq} by ${state}`);
        relayMayCome();
      },
      buildRelay: () => published,
      relayWorks: () => {
        const live = async (): Promise<void> => {
          await sessionOpen(page);
          const seq = await page.evaluate(() => window.streamchain.connection.publish("with the relay").stored);
          await page.waitForFunction(() => window.kept.collector.seen.length === 2, null, { polling: 50 });
          happened.push(`message ${seq} live`);
        };
        live()
          .catch((error) => happened.push(String(error)))
          .finally(end);
      },
      asked: () => asked,
      ends: () => {},
    });
    assert.equal(failure, null);
    assert.deepEqual(happened, ["message 0 by http", "message 1 live"]);
  } finally {
    await browser.close();
    await (system as TestSystem | null)?.stop();
  }
});
