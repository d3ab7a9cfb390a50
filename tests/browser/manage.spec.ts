// The sheet in which an owner manages a stream, and the operator's page. SCREENSHOTS=folder keeps pictures of them.

import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { BrowserContextOptions, Locator, Page } from "playwright-core";
import { accessToken, bearer } from "../edge/harness.ts";
import { accessibilityFaults } from "../harness/accessible.ts";
import { appUrl, blankPage, openApp, sessionOpen, sharedScene } from "../harness/pages.ts";
import { eventually } from "../harness/system.ts";

const scene = sharedScene();
const MEMBER = `0x${"cd".repeat(20)}`;

const picture = async (page: Page, name: string): Promise<void> => {
  const folder = process.env.SCREENSHOTS;
  if (folder !== undefined && folder !== "") await page.screenshot({ path: join(folder, `${name}.png`) });
};

/** Deliveries that came to a receiver on the loopback interface. */
const deliveries: string[] = [];
let receiver: Server;

before(async () => {
  receiver = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => {
      body += part;
    });
    request.on("end", () => {
      deliveries.push(body);
      response.end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
});
after(() => {
  receiver.closeAllConnections();
  receiver.close();
});

/** A page whose account, a key of the page, owns the stream that it shows. */
const ownersPage = async (
  name: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; stream: string }> => {
  const page = await openApp(scene.browser, scene.system, "lobby", await blankPage(scene.browser, options));
  await page.getByTestId("account").click();
  await Promise.all([page.waitForEvent("load"), page.getByTestId("account-page").click()]);
  await sessionOpen(page);
  const stream = await page.evaluate(async (name) => {
    const { connection, lib } = window.streamchain;
    const key = Object.keys(localStorage).find((key) => /token/.test(key) && localStorage.getItem(key)?.includes("."));
    const kept = localStorage.getItem(key ?? "") ?? "";
    const token = kept.startsWith("{") || kept.startsWith('"') ? JSON.parse(kept) : kept;
    const body = { name, owner: connection.author };
    return (await lib.postJson(`${location.origin}/v1/streams`, body, token)).hex("id", 32);
  }, name);
  await page.goto(appUrl(scene.system.edge, stream));
  await sessionOpen(page);
  return { page, stream };
};

const operatorToken = (): string => {
  const { master, operator } = scene.system.system;
  return accessToken(operator.address.toLowerCase(), {}, master);
};

/** Opens a part of the sheet. */
const part = async (page: Page, name: string): Promise<Locator> => {
  const section = page.getByTestId(`manage-${name}`);
  if ((await section.getAttribute("open")) === null) await section.locator("summary").click();
  return section;
};

/** Presses a button that asks once more. */
const pressTwice = async (button: Locator): Promise<void> => {
  await button.click();
  await button.click();
};

const said = (page: Page, name: string): Promise<void> =>
  page
    .waitForFunction((id) => document.querySelector(`[data-testid=${id}]`)?.textContent !== "", `${name}-report`)
    .then(() => {});

/** What can be operated, is visible and has no name that a screen reader could say. */
const nameless = (page: Page): Promise<string[]> =>
  page.evaluate(() =>
    [
      ...document.querySelectorAll<HTMLInputElement>(
        "dialog[open] :is(input, select, button, summary), main :is(input, select)",
      ),
    ]
      .filter((element) => element.checkVisibility())
      .filter(
        (element) =>
          !element.getAttribute("aria-label") && !element.labels?.length && element.textContent?.trim() === "",
      )
      .map((element) => element.outerHTML),
  );

describe("the sheet of a stream's owner", () => {
  it("changes settings, members, keys, webhooks, and erases", async () => {
    const { page, stream } = await ownersPage("managed");
    const state = () => scene.system.get<Record<string, unknown>>(`/v1/streams/${stream}`);
    await page.evaluate(() => window.streamchain.connection.publish("to be erased").stored);

    await page.getByTestId("manage").focus();
    await page.keyboard.press("Enter");
    await page.getByTestId("set-write").waitFor();
    assert.equal(await page.getByTestId("settings-readonly").count(), 0);
    await page.getByTestId("set-write").selectOption("closed");
    await page.getByTestId("set-retention").fill("30");
    await page.getByTestId("set-p2p").check();
    await page.getByTestId("settings-save").click();
    await said(page, "settings");
    const { write, retention, p2p, read } = await state();
    assert.deepEqual({ write, retention, p2p, read }, { write: "closed", retention: 30, p2p: true, read: "public" });
    await page.getByTestId("set-retention").fill("");
    await page.getByTestId("settings-save").click();
    await said(page, "settings");
    assert.equal((await state()).retention, "forever");

    await part(page, "members");
    await page.getByTestId("member-address").fill(MEMBER);
    await page.getByTestId("member-write").check();
    await page.getByTestId("member-add").click();
    await page.locator(`[data-testid=member][data-address="${MEMBER}"]`).waitFor();
    await pressTwice(page.getByTestId("member-remove"));
    await page.getByTestId("member").waitFor({ state: "detached" });

    await part(page, "webhooks");
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
    await page.getByTestId("webhook-url").fill("ftp://nowhere.example");
    await page.getByTestId("webhook-make").click();
    await page.waitForFunction(() => document.querySelector("[data-testid=webhooks-problem]")?.textContent !== "");
    await page.getByTestId("webhook-url").fill(url);
    await page.getByTestId("webhook-make").click();
    assert.match(await page.getByTestId("webhook-secret").innerText(), /^whsec_/);
    assert.equal(await page.getByTestId("webhook").getAttribute("data-state"), "active");
    await picture(page, "manage-webhooks");
    await page.evaluate(() => window.streamchain.connection.publish("delivered").stored);
    await eventually("the message is delivered", async () =>
      deliveries.some((body) => body.includes("0x64656c697665726564")),
    );
    await page.getByTestId("webhook-toggle").click();
    await page.locator("[data-testid=webhook][data-state=paused]").waitFor();
    await pressTwice(page.getByTestId("webhook-remove"));
    await page.getByTestId("webhook").waitFor({ state: "detached" });

    await part(page, "keys");
    await page.getByTestId("key-name").fill("a service");
    await page.getByTestId("key-make").click();
    assert.match(await page.getByTestId("key-secret").innerText(), /^sck_/);
    assert.deepEqual(await nameless(page), []);
    await pressTwice(page.getByTestId("key-remove"));
    await page.getByTestId("key").waitFor({ state: "detached" });

    await part(page, "erasure");
    await page.getByTestId("erase-seq").fill("0");
    await pressTwice(page.getByTestId("erase"));
    await said(page, "erasure");
    const { messages } = await scene.system.get<{ messages: { erased?: unknown }[] }>(
      `/v1/streams/${stream}/messages?limit=1`,
    );
    assert.ok(messages[0]?.erased !== undefined);

    await page.keyboard.press("Escape");
    await page.getByTestId("manage-sheet").waitFor({ state: "hidden" });
    assert.equal(await page.evaluate(() => (document.activeElement as HTMLElement).dataset.testid), "manage");
    await page.context().close();
  });

  it("shows others the settings, and lets them change nothing", async () => {
    const page = await openApp(scene.browser, scene.system, "lobby");
    await page.getByTestId("manage").click();
    await page.getByTestId("settings-readonly").waitFor();
    assert.ok(await page.getByTestId("settings-save").isDisabled());
    for (const name of ["members", "webhooks", "keys", "erasure"]) {
      assert.ok(await page.getByTestId(`manage-${name}`).isHidden(), name);
    }
    await page.context().close();
  });

  it("fits a phone, in Vietnamese and in the dark", async () => {
    const { page } = await ownersPage("managed-phone", {
      locale: "vi-VN",
      colorScheme: "dark",
      viewport: { width: 360, height: 740 },
    });
    await page.getByTestId("manage").click();
    await page.getByTestId("set-read").waitFor();
    assert.match(await page.getByTestId("manage-sheet").innerText(), /Ai được đọc/);
    await picture(page, "manage-phone-dark-vi");
    for (const name of ["members", "webhooks", "keys", "erasure"]) {
      await part(page, name);
      await page.waitForFunction(
        (id) => document.querySelector(`[data-testid=${id}]`)?.getAttribute("aria-busy") === null,
        `manage-${name}`,
      );
    }
    await page.getByTestId("manage-erasure").scrollIntoViewIfNeeded();
    await picture(page, "manage-phone-dark-vi-end");
    assert.deepEqual(await nameless(page), []);
    assert.deepEqual(await accessibilityFaults(page), []);
    const overflows = await page.evaluate(() => {
      const parts = document.querySelectorAll("dialog[open], dialog[open] .sheet");
      return [...parts].some(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth);
    });
    assert.equal(overflows, false);
    await page.context().close();
  });
});

describe("the operator's page", () => {
  it("is closed to others, and live for operators", async () => {
    const page = await blankPage(scene.browser, { viewport: { width: 1280, height: 900 } });
    await page.goto(`${scene.system.edge}/operator`);
    await page.getByTestId("operator-token").fill(accessToken(MEMBER, {}, scene.system.system.master));
    await page.getByTestId("operator-show").click();
    await page.waitForFunction(() => document.querySelector("[data-testid=operator-refused]")?.textContent !== "");
    assert.equal(await page.getByTestId("operator-cards").count(), 0);
    assert.deepEqual(await nameless(page), []);
    await page.getByTestId("operator-token").fill(operatorToken());
    await page.getByTestId("operator-show").click();
    await page.getByTestId("card-relays").getByRole("table").waitFor();
    for (const card of ["errors", "chain", "gas", "storage", "relays", "streams", "limits", "edge", "audit"]) {
      assert.ok(await page.getByTestId(`card-${card}`).isVisible(), card);
    }
    assert.match(await page.getByTestId("card-streams").innerText(), /lobby/);
    const first = await page.getByTestId("operator-when").innerText();
    await page.waitForFunction(
      (first) => document.querySelector("[data-testid=operator-when]")?.textContent !== first,
      first,
    );
    await picture(page, "operator-light");
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 360, height: 740 });
    await picture(page, "operator-phone-dark");
    assert.deepEqual(await accessibilityFaults(page), []);
    const overflows = await page.evaluate(
      () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
    );
    assert.equal(overflows, false);
    await page.context().close();
  });

  it("has the metrics that a scrape gets", async () => {
    const path = `${scene.system.edge}/v1/metrics`;
    assert.equal((await fetch(path)).status, 401);
    const answer = await fetch(path, { headers: bearer(operatorToken()) });
    const text = await answer.text();
    assert.equal(answer.status, 200, text);
    for (const name of ["chain_ok 1", "rounds_anchored ", "database_bytes ", 'relay_alive{relay="']) {
      assert.ok(text.includes(`\nstreamchain_edge_${name}`), name);
    }
  });
});
