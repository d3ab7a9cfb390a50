// The app by keyboard alone, on a phone, in the dark. SCREENSHOTS=folder keeps pictures of it.

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Page } from "playwright-core";
import { accessibilityFaults } from "../harness/accessible.ts";
import { appUrl, blankPage, openApp, sessionOpen, sharedScene } from "../harness/pages.ts";
import { streamReaches } from "../harness/streams.ts";

const STREAM = "usability";
const PHONE = { width: 360, height: 740 };
/** More Tab presses than this to get anywhere is not usable. */
const MOST_TABS = 30;

const scene = sharedScene();

const picture = async (page: Page, name: string): Promise<void> => {
  const folder = process.env.SCREENSHOTS;
  if (folder !== undefined && folder !== "") await page.screenshot({ path: join(folder, `${name}.png`) });
};

const focusedTestId = (page: Page): Promise<string | undefined> =>
  page.evaluate(() => (document.activeElement as HTMLElement | null)?.dataset.testid);

/** Presses Tab until the element with this test id has the focus. */
const tabTo = async (page: Page, testId: string): Promise<void> => {
  for (let presses = 0; presses < MOST_TABS; presses++) {
    if ((await focusedTestId(page)) === testId) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`${testId} is not reached by ${MOST_TABS} presses of Tab`);
};

const widerThanScreen = (page: Page): Promise<boolean> =>
  page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

describe("by keyboard alone", () => {
  it("Enter sends a message, and Escape leaves its verification", async () => {
    const page = await openApp(scene.browser, scene.system, STREAM);
    await tabTo(page, "composer");
    await page.keyboard.type("typed by hand");
    await page.keyboard.press("Enter");
    await page.getByTestId("message").filter({ hasText: "typed by hand" }).waitFor();
    assert.equal(await page.getByTestId("composer").inputValue(), "");
    await streamReaches(scene.system, STREAM, "anchored", 1);

    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    await tabTo(page, "verify");
    await page.keyboard.press("Enter");
    const dialog = page.getByTestId("verify-dialog");
    await dialog.waitFor();
    await page.getByTestId("rpc").fill(scene.system.chain);
    // What was opened is verified at once, and cannot be verified again meanwhile.
    const idle = page.locator("[data-testid=verify-run]:not([aria-disabled])");
    await idle.waitFor();
    await tabTo(page, "verify-run");
    await page.keyboard.press("Enter");
    await page.locator("[data-testid=verify-result][data-ok=true]").waitFor();
    await idle.waitFor();
    assert.equal(await focusedTestId(page), "verify-run", "the focus stays where it was while the button works");
    assert.ok((await page.getByTestId("verify-step").count()) >= 8, "each step is shown");
    assert.equal(await page.locator("[data-testid=verify-step][data-ok=false]").count(), 0);
    await picture(page, "verified");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    await page.context().close();
  });

  it("what has the focus can be seen", async () => {
    const page = await openApp(scene.browser, scene.system, STREAM);
    for (const testId of ["stream-name", "composer", "send"]) {
      await tabTo(page, testId);
      const seen = await page.evaluate(() => {
        const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(document.activeElement as Element);
        return (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none";
      });
      assert.ok(seen, testId);
    }
    await page.context().close();
  });
});

describe("what cannot be sent", () => {
  it("says why beside the field, and stays in it", async () => {
    const page = await openApp(scene.browser, scene.system, "too-large");
    await page.getByTestId("composer").fill("x".repeat(65_537));
    await page.getByTestId("composer").press("Enter");
    await page.waitForFunction(() => document.querySelector("[data-testid=composer-error]")?.textContent !== "");
    assert.match(await page.getByTestId("composer-error").innerText(), /65,537.*65,536/);
    assert.equal((await page.getByTestId("composer").inputValue()).length, 65_537);
    await page.context().close();
  });
});

for (const colorScheme of ["light", "dark"] as const) {
  describe(`in ${colorScheme}`, () => {
    it("a view 360 pixels wide does not scroll sideways", async () => {
      const page = await blankPage(scene.browser, { viewport: PHONE, colorScheme, hasTouch: true, isMobile: true });
      await page.goto(appUrl(scene.system.edge, STREAM));
      await sessionOpen(page);
      await page.evaluate(async (colorScheme) => {
        const { connection } = window.streamchain;
        await connection.publish(`a long word ${"w".repeat(300)}`).stored;
        await connection.publish(`<b>not markup</b> ünïcödé 消息 ${colorScheme}`).stored;
      }, colorScheme);
      await page
        .getByTestId("message")
        .filter({ hasText: `消息 ${colorScheme}` })
        .waitFor();
      assert.equal(await widerThanScreen(page), false);
      for (const tab of ["messages", "latency", "anchors", "path"]) {
        await page.getByTestId(`tab-${tab}`).tap();
        assert.equal(await widerThanScreen(page), false, tab);
        await picture(page, `phone-${colorScheme}-${tab}`);
      }
      await page.getByTestId("tab-messages").tap();
      await page.getByTestId("composer").fill(`from a phone in ${colorScheme}`);
      await page.getByTestId("send").tap();
      await page
        .getByTestId("message")
        .filter({ hasText: `from a phone in ${colorScheme}` })
        .waitFor();
      await page.context().close();
    });

    it("the page follows the system's choice, and the person's own", async () => {
      const page = await blankPage(scene.browser, { viewport: { width: 1280, height: 800 }, colorScheme });
      await page.goto(appUrl(scene.system.edge, STREAM));
      await sessionOpen(page);
      const brightness = () =>
        page.evaluate(() => {
          const [red = 0, green = 0, blue = 0] =
            getComputedStyle(document.body)
              .backgroundColor.match(/\d+(\.\d+)?/g)
              ?.map(Number) ?? [];
          return (red + green + blue) / 3;
        });
      const isDark = async () => (await brightness()) < 128;
      assert.equal(await isDark(), colorScheme === "dark");
      await picture(page, `desktop-${colorScheme}`);
      assert.deepEqual(await accessibilityFaults(page), []);
      await page.getByTestId("theme-toggle").click();
      assert.equal(await isDark(), colorScheme !== "dark");
      await page.reload();
      await sessionOpen(page);
      assert.equal(await isDark(), colorScheme !== "dark", "the choice survives a reload");
      await page.context().close();
    });
  });
}
