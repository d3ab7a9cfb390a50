// Pages of the app in a real browser, each with the tests' own tools in it (in-page.ts).

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { launchChromium } from "./browser.ts";
import { runningSystem, type TestSystem } from "./system.ts";
import { startedTogether } from "./together.ts";

const IN_PAGE = fileURLToPath(new URL("in-page.ts", import.meta.url));

/** How long a page may take until its session is open, on a busy machine. */
const OPEN_TIMEOUT_MS = 30_000;

let bundled: Promise<string> | null = null;

/** The source of in-page.ts with the client library, for `addInitScript`. */
export const inPageTools = (): Promise<string> => {
  bundled ??= build({ entryPoints: [IN_PAGE], bundle: true, format: "iife", target: "es2022", write: false }).then(
    ({ outputFiles }) => outputFiles[0]?.text ?? "",
  );
  return bundled;
};

/** A new page that has been nowhere yet, in a profile of its own: another person. */
export const blankPage = async (browser: Browser, options: BrowserContextOptions = {}): Promise<Page> => {
  const context = await browser.newContext(options);
  await context.addInitScript({ content: await inPageTools() });
  return context.newPage();
};

/** Where the app shows a stream. */
export const appUrl = (edge: string, stream: string): string => `${edge}/?stream=${encodeURIComponent(stream)}`;

/** Resolves once the app's own connection is open; fails with what it tried. */
export const sessionOpen = async (page: Page): Promise<void> => {
  const isOpen = (): boolean => window.streamchain?.connection.state.state === "open";
  try {
    await page.waitForFunction(isOpen, null, { timeout: OPEN_TIMEOUT_MS, polling: 50 });
  } catch (cause) {
    const tried = await page.evaluate(() => JSON.stringify(window.streamchain?.connection.attempts));
    throw new Error(`no open session: ${tried}`, { cause });
  }
};

/** The app in a page, with an open session; the page may be given (to log its requests from the start). */
export const openApp = async (browser: Browser, system: TestSystem, stream: string, page?: Page): Promise<Page> => {
  const opened = page ?? (await blankPage(browser));
  await opened.goto(appUrl(system.edge, stream));
  await sessionOpen(opened);
  return opened;
};

/** A page of the edge's origin that is not the app: what happens in it, the test does. */
export const bareApiPage = async (browser: Browser, system: TestSystem, page?: Page): Promise<Page> => {
  const opened = page ?? (await blankPage(browser));
  await opened.goto(`${system.edge}/v1/health`);
  return opened;
};

/** Somebody who publishes to a stream, to be asked by `goesOn` whether others harmed the session. */
export const bystanderOf = async (browser: Browser, system: TestSystem, stream: string): Promise<Page> => {
  const page = await bareApiPage(browser, system);
  await page.evaluate(async (stream) => {
    window.kept.connection = window.tools.lib.connect({ stream });
    await window.kept.connection.publish("here").stored;
  }, stream);
  return page;
};

/** A bystander's next message is stored, on the session that was there from the start. */
export const goesOn = async (bystander: Page): Promise<void> => {
  const served = await bystander.evaluate(async () => {
    const { connection } = window.kept;
    await connection.publish("still here").stored;
    return { state: connection.state.state, attempts: connection.attempts.length };
  });
  assert.deepEqual(served, { state: "open", attempts: 1 }, "another session of the stream goes on undisturbed");
};

/** What the tests of one file share; set before the first of them runs. */
export interface Scene {
  system: TestSystem;
  browser: Browser;
}

/** One system and one browser for all tests of the `describe` that this is called in. */
export const sharedScene = (options: Parameters<typeof runningSystem>[0] = {}): Scene => {
  const scene = {} as Scene;
  before(async () => {
    const system = { start: () => runningSystem(options), stop: (started: TestSystem) => started.stop() };
    const browser = { start: launchChromium, stop: (started: Browser) => started.close() };
    [scene.system, scene.browser] = await startedTogether(system, browser);
  });
  after(async () => {
    await scene.browser?.close();
    await scene.system?.stop();
  });
  return scene;
};
