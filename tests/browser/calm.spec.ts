// The page is calm: nothing moves while it loads, and neither a new stream nor a close shows as an error in the browser.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Page } from "playwright-core";
import { appUrl, blankPage, sessionOpen, sharedScene } from "../harness/pages.ts";

/** What Lighthouse calls good is 0.1; the page keeps to half of it. */
const MAX_SHIFT = 0.05;

const SIZES = { wide: { width: 1280, height: 800 }, narrow: { width: 360, height: 740 } } as const;

const scene = sharedScene();

/** A page that sums the shares of its area that moved without the person doing anything. */
async function watchedPage(viewport: { width: number; height: number }): Promise<Page> {
  const page = await blankPage(scene.browser, { viewport });
  await page.addInitScript(() => {
    const sum = { shifted: 0 };
    Object.assign(window, { sum });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
        if (!entry.hadRecentInput) sum.shifted += entry.value;
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
  return page;
}

const shifted = (page: Page): Promise<number> =>
  page.evaluate(async () => {
    // Two frames later, what was drawn last is counted.
    for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
    return (window as unknown as { sum: { shifted: number } }).sum.shifted;
  });

/** Errors in the console, and requests that failed. */
function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`${message.text()} ${message.location().url}`);
  });
  page.on("requestfailed", (request) => {
    complaints.push(`${request.method()} ${request.url()}: ${request.failure()?.errorText}`);
  });
  return complaints;
}

describe("while it loads", () => {
  for (const [size, viewport] of Object.entries(SIZES)) {
    it(`nothing moves on a ${size} screen, and a new stream is no error`, async () => {
      const page = await watchedPage(viewport);
      const complaints = complaintsOf(page);
      await page.goto(appUrl(scene.system.edge, `calm-${size}`));
      await sessionOpen(page);
      await page.getByTestId("empty").waitFor();
      await page.evaluate(async () => {
        const { connection } = window.streamchain;
        for (let i = 0; i < 40; i++) connection.publish(`message ${i}`);
        await connection.drain();
      });
      await page.getByTestId("message").filter({ hasText: "message 39" }).waitFor();
      assert.ok((await shifted(page)) < MAX_SHIFT, `${await shifted(page)} of the screen moved`);
      assert.deepEqual(complaints, []);
      await page.context().close();
    });
  }
});

describe("a close", () => {
  it("is no failed request, of a connection or of its page", async () => {
    const page = await watchedPage(SIZES.wide);
    const complaints = complaintsOf(page);
    await page.goto(appUrl(scene.system.edge, "calm-close"));
    await sessionOpen(page);
    await page.waitForLoadState("networkidle");
    // A request whose answer is not read to its end never finishes, and fails when the page goes.
    const ended = page.waitForEvent("requestfinished", (request) => request.method() === "DELETE");
    await page.evaluate(() => window.streamchain.connection.close());
    assert.ok((await (await ended).response())?.ok(), "the session is ended by its author");
    await page.goto(`${scene.system.edge}/v1/health`);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
});

describe("without a relay", () => {
  it("the note that says so moves nothing", async () => {
    await scene.system.system.kill("relay");
    for (const [size, viewport] of Object.entries(SIZES)) {
      const page = await watchedPage(viewport);
      await page.goto(appUrl(scene.system.edge, `calm-${size}`));
      await page.getByTestId("banner").waitFor();
      await page.getByTestId("message").filter({ hasText: "message 39" }).waitFor();
      assert.ok((await shifted(page)) < MAX_SHIFT, `${size}: ${await shifted(page)} of the screen moved`);
      // The newest message is above the note, not behind it.
      const newest = await page.getByTestId("message").filter({ hasText: "message 39" }).boundingBox();
      const note = await page.getByTestId("banner").boundingBox();
      assert.ok(newest !== null && note !== null && newest.y + newest.height <= note.y + 1, size);
      await page.context().close();
    }
  });
});
