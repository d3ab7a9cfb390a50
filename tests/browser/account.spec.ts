// Who the reader is in the page: a guest, the account of a key made there, or of a wallet.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Page } from "playwright-core";
import { openApp, sessionOpen, sharedScene } from "../harness/pages.ts";
import { historyOf } from "../harness/streams.ts";

const scene = sharedScene();
const STREAM = "accounts";

const author = (page: Page): Promise<string | undefined> =>
  page.evaluate(() => window.streamchain.connection.author as string | undefined);

/** Presses a button of the account's sheet, which loads the page anew, and waits until that is connected. */
const become = async (page: Page, kind: "page" | "wallet" | "guest"): Promise<string | undefined> => {
  await page.getByTestId("account").click();
  await Promise.all([page.waitForEvent("load"), page.getByTestId(`account-${kind}`).click()]);
  await sessionOpen(page);
  return author(page);
};

const shown = async (page: Page): Promise<string | null> => {
  await page.getByTestId("account").click();
  const text = await page.getByTestId("account-address").textContent();
  await page.keyboard.press("Escape");
  return text;
};

describe("the account menu", () => {
  it("makes a key in the page that stays the author over reloads", async () => {
    const page = await openApp(scene.browser, scene.system, STREAM);
    const guest = await author(page);
    const own = await become(page, "page");
    assert.notEqual(own, guest);
    assert.equal(await shown(page), own);
    await page.reload();
    await sessionOpen(page);
    assert.equal(await author(page), own);

    await page.evaluate(() => window.streamchain.connection.publish("by my own key").stored);
    const [message] = await historyOf(scene.system, STREAM);
    assert.deepEqual([message?.text, message?.author], ["by my own key", own]);

    const after = await become(page, "guest");
    assert.ok(after !== own && after !== guest, "a new guest");
    assert.equal(await become(page, "page"), own);
  });

  it("signs in with a wallet, here the local chain's own account", async () => {
    const page = await openApp(scene.browser, scene.system, STREAM);
    const accounts = (await scene.system.system.rpc("eth_accounts", [])) as string[];
    const own = await become(page, "wallet");
    assert.ok(own !== undefined && accounts.map((one) => one.toLowerCase()).includes(own), own);
  });
});
