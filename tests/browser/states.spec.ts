// What a person sees when a part is missing, and that it passes when the part is back.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Page } from "playwright-core";
import { appUrl, blankPage, openApp, sessionOpen, sharedScene } from "../harness/pages.ts";
import { streamFigures, streamReaches } from "../harness/streams.ts";

/** The page asks the edge for its state every 5 s; a lost path shows itself after as long. */
const NOTICED_MS = 40_000;

const scene = sharedScene();

const banner = (page: Page, kinds: RegExp): Promise<string> =>
  page
    .waitForFunction(
      (kinds) => {
        const banners = [...document.querySelectorAll<HTMLElement>("[data-testid=banner]")];
        return banners.find(({ dataset }) => new RegExp(kinds).test(dataset.kind ?? ""))?.innerText;
      },
      kinds.source,
      { timeout: NOTICED_MS, polling: 100 },
    )
    .then((found) => found.jsonValue() as Promise<string>);

const noBanner = (page: Page): Promise<unknown> =>
  page.waitForFunction(() => document.querySelector("[data-testid=banner]") === null, null, {
    timeout: NOTICED_MS,
    polling: 100,
  });

const stateText = (page: Page): Promise<string> => page.getByTestId("connection-state").innerText();

describe("an empty stream", () => {
  it("says that it is empty and what to do, until it is not", async () => {
    const page = await openApp(scene.browser, scene.system, "nothing-yet");
    const empty = page.getByTestId("empty");
    await empty.waitFor({ state: "visible" });
    assert.match(await empty.innerText(), /first message/);
    assert.match(await stateText(page), /Connected/);
    await page.getByTestId("composer").fill("something");
    await page.getByTestId("send").click();
    await page.getByTestId("message").filter({ hasText: "something" }).waitFor();
    await empty.waitFor({ state: "hidden" });
    await page.context().close();
  });
});

describe("a relay that dies", () => {
  it("is shown, and the page goes on once a relay is back", async () => {
    const stream = "relay-dies";
    const page = await openApp(scene.browser, scene.system, stream);
    await page.evaluate(() => window.streamchain.connection.publish("before").stored);
    await scene.system.system.kill("relay");
    const told = await banner(page, /lost|http/);
    assert.match(told, /relay|connection/i);
    assert.doesNotMatch(await stateText(page), /Connected/);
    await page.evaluate(() => {
      window.kept.publications = [window.streamchain.connection.publish("while it was away")];
    });

    await scene.system.system.restart("relay");
    await sessionOpen(page);
    await noBanner(page);
    assert.deepEqual(await page.evaluate(() => Promise.all(window.kept.publications.map(({ stored }) => stored))), [1]);
    await page.getByTestId("message").filter({ hasText: "while it was away" }).waitFor();
    assert.equal(await page.getByTestId("message").filter({ hasText: "while it was away" }).count(), 1);
    await page.context().close();
  });

  it("leaves the stream readable and writable for a new page", async () => {
    const stream = "relay-away";
    const before = await openApp(scene.browser, scene.system, stream);
    await before.evaluate(() => window.streamchain.connection.publish("stored before").stored);
    await before.context().close();
    await scene.system.system.kill("relay");
    const page = await blankPage(scene.browser);
    await page.goto(appUrl(scene.system.edge, stream));
    await page.getByTestId("message").filter({ hasText: "stored before" }).waitFor();
    assert.match(await banner(page, /http/), /stored/);
    assert.match(await stateText(page), /HTTP/);
    await page.getByTestId("composer").fill("while no relay is there");
    await page.getByTestId("send").click();
    await page.getByTestId("message").filter({ hasText: "while no relay is there" }).waitFor();
    await scene.system.system.restart("relay");
    await sessionOpen(page);
    await noBanner(page);
    await page.context().close();
  });
});

describe("a browser without WebRTC", () => {
  it("is shown so, and takes part by HTTP", async () => {
    const stream = "no-webrtc";
    const other = await openApp(scene.browser, scene.system, stream);
    const page = await blankPage(scene.browser);
    await page.addInitScript("delete globalThis.RTCPeerConnection");
    await page.goto(appUrl(scene.system.edge, stream));
    assert.match(await banner(page, /http/), /WebRTC/);
    assert.equal(await page.getByTestId("advice").getAttribute("data-advice"), "no-webrtc");
    for (const [from, to, text] of [
      [page, other, "by HTTP"],
      [other, page, "by the channel"],
    ] as const) {
      await from.getByTestId("composer").fill(text);
      await from.getByTestId("send").click();
      await to.getByTestId("message").filter({ hasText: text }).waitFor();
    }
    const own = page.getByTestId("message").filter({ hasText: "by HTTP" });
    assert.match(await own.innerText(), /you/, "the page knows its own");
    for (const one of [page, other]) await one.context().close();
  });
});

describe("a chain that is down", () => {
  it("is shown; messages are stored, and anchored once it is back", async () => {
    const stream = "chain-down";
    const page = await openApp(scene.browser, scene.system, stream);
    await scene.system.system.stopPart("chain");
    const told = await banner(page, /chain-down/);
    assert.match(told, /chain/);
    assert.match(await stateText(page), /Connected/);
    const seq = await page.evaluate(() => window.streamchain.connection.publish("without a chain").stored);
    assert.equal(seq, 0);
    assert.equal((await streamFigures(scene.system, stream)).anchored, 0);

    await scene.system.system.restart("chain");
    await streamReaches(scene.system, stream, "final", 1);
    await noBanner(page);
    await page.waitForFunction(() => window.streamchain.connection.stateOf(0) === "final", null, { polling: 100 });
    await page.context().close();
  });
});
