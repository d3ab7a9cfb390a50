// The page's *Verify* believes the page's own deployment, and says so: what a receipt names is only compared with it.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Page, Route } from "playwright-core";
import type { Receipt } from "../../web/src/lib/index.ts";
import { openApp, sharedScene } from "../harness/pages.ts";

const scene = sharedScene();
const FORGER = `0x${"f0".repeat(20)}`;

type Change = (receipt: Receipt) => unknown;

/** A page with one anchored message, on a stream of its own. */
async function anchoredPage(stream: string): Promise<Page> {
  const page = await openApp(scene.browser, scene.system, stream);
  await page.evaluate(() => window.streamchain.connection.publish("to be verified").anchored);
  await page.getByTestId("message").first().waitFor();
  return page;
}

/** The edge gives changed receipts. */
const forgeReceipts = (page: Page, change: Change): Promise<unknown> =>
  page.route("**/receipt", async (route) => {
    const receipt = (await (await route.fetch()).json()) as Receipt;
    await route.fulfill({ json: change(receipt) });
  });

/** The node answers a method with what `change` makes of its answer. */
const changeNode = (page: Page, method: string, change: (answer: { result?: unknown }) => unknown): Promise<unknown> =>
  page.route(`${scene.system.chain}/**`, async (route: Route) => {
    const request = JSON.parse(route.request().postData() ?? "{}") as { method?: string };
    if (request.method !== method) return route.fallback();
    const answer = (await (await route.fetch()).json()) as { result?: unknown };
    await route.fulfill({ json: change(answer), headers: { "access-control-allow-origin": "*" } });
  });

/** Opens the first message, verifies it, and waits for this verdict; returns the sheet's text. */
async function verdict(page: Page, ok: string): Promise<string> {
  await page.getByTestId("message").first().click();
  await page.getByTestId("rpc").fill(scene.system.chain);
  await page.getByTestId("verify-run").click();
  await page.locator(`[data-testid=verify-result][data-ok=${ok}]`).waitFor();
  return page.getByTestId("verify-dialog").innerText();
}

const failedStep = (page: Page): Promise<string | null> =>
  page.locator("[data-testid=verify-step][data-ok=false]").first().getAttribute("data-step");

describe("a receipt that holds", () => {
  it("comes with whom one must believe for it", async () => {
    const page = await anchoredPage("verify-holds");
    await verdict(page, "true");
    const believed = await page.getByTestId("verify-believed").innerText();
    const { contract } = await scene.system.get<{ contract: string }>("/v1/config");
    const { id, owner } = await scene.system.get<{ id: string; owner: string }>("/v1/streams/verify-holds");
    for (const part of [contract, id, owner])
      assert.ok(believed.includes(part.toLowerCase()), `${part} in ${believed}`);
    assert.match(believed, /anchorer\s+0x[0-9a-f]{40} \(the account of this deployment\)/);
    await page.context().close();
  });

  it("holds where the node does not know what is final", async () => {
    const page = await anchoredPage("verify-no-finality");
    await changeNode(page, "eth_getBlockByNumber", () => ({ id: 1, error: { code: -32_602, message: "unknown tag" } }));
    assert.match(await verdict(page, "true"), /does not say which blocks are final/);
    await page.context().close();
  });
});

describe("a forged receipt", () => {
  it("of the forger's contract does not hold", async () => {
    const page = await anchoredPage("verify-contract");
    await forgeReceipts(page, (receipt) => ({ ...receipt, contract: FORGER }));
    await changeNode(page, "eth_getTransactionReceipt", (answer) => {
      const result = answer.result as { logs: object[] };
      return { ...answer, result: { ...result, logs: result.logs.map((log) => ({ ...log, address: FORGER })) } };
    });
    await verdict(page, "false");
    assert.equal(await failedStep(page), "contract");
    await page.context().close();
  });

  it("of another stream or message does not hold", async () => {
    const other = await anchoredPage("verify-other");
    const genuine = await scene.system.get<Receipt>("/v1/streams/verify-other/messages/0/receipt");
    await other.context().close();
    const page = await anchoredPage("verify-stream");
    await forgeReceipts(page, () => genuine);
    await verdict(page, "false");
    assert.equal(await failedStep(page), "stream");
    await page.context().close();
  });

  it("is not judged where the page has no deployment of its own", async () => {
    const page = await openApp(scene.browser, scene.system, "verify-holds");
    await page.route("**/v1/config", (route) => route.abort());
    await page.reload();
    await page.getByTestId("message").first().waitFor();
    assert.match(await verdict(page, "error"), /nothing says whose receipt this is/);
    await page.context().close();
  });
});
