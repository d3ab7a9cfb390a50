// What the edge serves beside the app. To pages of any origin: the library as a module, its types, and the contract's
// interface. To people: the pages of documents, with links, search and policy, on phones, without a script or a mouse.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { ROOT } from "../../scripts/lib/paths.mjs";
import { accessibilityFaults } from "../harness/accessible.ts";
import { blankPage, sharedScene } from "../harness/pages.ts";

const scene = sharedScene();

/** A page that uses the library of an edge on another origin, as its documents say. */
const strangersPage = (edge: string): string => `<!doctype html><title>stranger</title><script type="module">
  import { connect } from ${JSON.stringify(`${edge}/client.js`)};
  const stream = connect({ stream: "from-elsewhere", edge: "${edge}" });
  stream.publish("hello from elsewhere").stored.then((seq) => {
    document.title = "stored " + seq;
  });
</script>`;

describe("a page of another origin", () => {
  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end(strangersPage(scene.system.edge));
  });
  before(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
  after(() => server.close());

  it("publishes with the served module", async () => {
    const page = await blankPage(scene.browser);
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.waitForFunction(() => document.title === "stored 0", null, { timeout: 30_000 });
    await page.context().close();
  });

  it("reads types and interface", async () => {
    const page = await blankPage(scene.browser);
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const [types, abi] = await page.evaluate(
      async (edge) =>
        [
          await (await fetch(`${edge}/client.d.ts`)).text(),
          (await (await fetch(`${edge}/abi.json`)).json()) as {
            type: string;
            name: string;
            inputs: { name: string; indexed?: boolean }[];
          }[],
        ] as const,
      scene.system.edge,
    );
    assert.match(types, /declare class StreamConnection/);
    const anchored = abi.find(({ type, name }) => type === "event" && name === "Anchored");
    const indexed = anchored?.inputs.filter((input) => input.indexed).map(({ name }) => name);
    assert.deepEqual(indexed, ["stream", "anchorer"]);
    for (const name of ["open", "publish", "anchor"]) {
      assert.ok(
        abi.some((entry) => entry.type === "function" && entry.name === name),
        name,
      );
    }
    await page.context().close();
  });

  it("the types are text, not a film", async () => {
    const { headers } = await fetch(`${scene.system.edge}/client.d.ts`);
    assert.match(headers.get("content-type") ?? "", /^application\/typescript/);
  });
});

const PHONE = { width: 360, height: 740 };

/** The pages that were built. */
const addresses = readdirSync(join(ROOT, "web", "dist", "docs"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".html"))
  .map((name) => `/docs/${name.replace(/(?:index)?\.html$/, "")}`);

const at = (path: string): string => `${scene.system.edge}${path}`;

/** Whatever the browser complains of while this page is open. */
const complaintsOf = (page: Page): string[] => {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(scene.system.edge)) complaints.push(`a request of ${request.url()}`);
  });
  return complaints;
};

describe("the pages of documents", () => {
  it("lead only to what is there", async () => {
    assert.ok(addresses.length >= 10, addresses.join(" "));
    const links = new Set<string>();
    for (const address of addresses) {
      const answer = await fetch(at(address));
      assert.match(answer.headers.get("content-type") ?? "", /^text\/html/, address);
      const found = (await answer.text()).matchAll(/(?:href|src)="(\/[^"#]*)/g);
      for (const [, path = ""] of found) links.add(path);
    }
    for (const link of links) assert.equal((await fetch(at(link))).status, 200, link);
  });

  it("keep the policy, ask nobody else, and fit a phone", async () => {
    const page = await blankPage(scene.browser, { viewport: PHONE, colorScheme: "dark" });
    const complaints = complaintsOf(page);
    for (const address of addresses) {
      await page.goto(at(address));
      const wider = await page.evaluate(
        () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
      );
      assert.equal(wider, false, `${address} scrolls sideways`);
    }
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  it("are read, and left for others, without a script", async () => {
    const context = await scene.browser.newContext({ javaScriptEnabled: false, viewport: PHONE });
    const page = await context.newPage();
    await page.goto(at("/docs/"));
    await page.locator("summary").click();
    await page.locator(".menu").getByRole("link", { name: "Networks" }).click();
    await page.waitForURL(at("/docs/connectivity"));
    await page.locator("a[rel=next]").click();
    await page.waitForURL(at("/docs/security"));
    await context.close();
  });

  it("have no fault for a reader without mouse or good eyes", async () => {
    for (const [address, colorScheme] of [
      ["/docs/", "light"],
      ["/docs/cli", "dark"],
    ] as const) {
      const page = await blankPage(scene.browser, { viewport: PHONE, colorScheme });
      await page.goto(at(address));
      assert.deepEqual(await accessibilityFaults(page), [], address);
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      assert.equal(
        await page.evaluate(() => document.activeElement?.id),
        "content",
        "the first key leads past the lists",
      );
      await page.context().close();
    }
  });
});

describe("the search in the documents", () => {
  it("finds a section by keyboard alone, and goes there", async () => {
    const page = await blankPage(scene.browser);
    const complaints = complaintsOf(page);
    await page.goto(at("/docs/cli"));
    await page.keyboard.press("/");
    await page.keyboard.type("turn tls 443");
    const results = page.getByTestId("search-results").getByRole("link");
    await results.first().waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForURL(at("/docs/connectivity#*"));
    assert.ok(await page.locator(`[id="${new URL(page.url()).hash.slice(1)}"]`).isVisible());
    assert.deepEqual(complaints, []);
    await page.context().close();
  });

  it("says so when nothing is found, and closes with Escape", async () => {
    const page = await blankPage(scene.browser);
    await page.goto(at("/docs/vi/"));
    await page.getByTestId("search").fill("chung cuoc");
    await page.getByTestId("search-results").getByRole("link").first().waitFor();
    await page.getByTestId("search").fill("xyzzyx");
    await page.getByTestId("search-status").filter({ hasText: "Không tìm thấy gì" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByTestId("search-status").waitFor({ state: "hidden" });
    await page.context().close();
  });
});

it("the app leads to the documents, in its theme", async () => {
  const page = await blankPage(scene.browser, { colorScheme: "light" });
  await page.goto(at("/"));
  await page.getByTestId("theme-toggle").click();
  await page.getByTestId("documents").click();
  await page.waitForURL(at("/docs/"));
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.context().close();
});
