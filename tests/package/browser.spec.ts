// The packed package in Chromium, on pages that are not the edge's: without a build, in a worker, and with React.

import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { launchChromium } from "../harness/browser.ts";
import { historyOf } from "../harness/streams.ts";
import { runningSystem, type TestSystem } from "../harness/system.ts";
import { type Site, serve } from "./site.ts";
import { EXAMPLES, packageOf, packClient, readmeExamples, StrangersFolder } from "./stranger.ts";

/** How long a page may take until it shows something, on a busy machine. */
const PATIENCE = { timeout: 60_000 };

let archive = "";
let system: TestSystem;
let browser: Browser;
let vite: StrangersFolder;
const sites: Site[] = [];

before(async () => {
  archive = await packClient();
  [system, browser, vite] = await Promise.all([
    runningSystem(),
    launchChromium(),
    StrangersFolder.ofExample(archive, "react"),
  ]);
});
after(async () => {
  await browser?.close();
  for (const site of sites) await site.stop();
  await vite?.remove();
  await system?.stop();
  if (archive !== "") await rm(dirname(archive), { recursive: true, force: true });
});

/** A page of its own profile; what it throws fails the test that asks for `errors`. */
const open = async (url: string): Promise<{ page: Page; errors: string[]; sessions: () => number }> => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const errors: string[] = [];
  let sessions = 0;
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => {
    if (request.method() === "POST" && request.url().endsWith("/sessions")) sessions++;
  });
  await page.goto(url);
  return { page, errors, sessions: () => sessions };
};

const openOn = (site: Site, path = "/") => open(`${site.origin}${path}`);

const siteOf = async (folder: string, texts: Record<string, string> = {}): Promise<Site> => {
  const site = await serve(folder, texts);
  sites.push(site);
  return site;
};

describe("the chat example", () => {
  it("joins a page of another origin and one of a file", async () => {
    const html = await readFile(join(EXAMPLES, "chat", "index.html"), "utf8");
    await vite.write("chat.html", html.replaceAll("https://edge.example", system.edge));
    const site = await siteOf(vite.path);
    const ann = await open(`${site.origin}/chat.html`);
    const ben = await open(pathToFileURL(join(vite.path, "chat.html")).href);
    for (const { page } of [ann, ben]) await page.getByRole("status").getByText("open").waitFor(PATIENCE);
    await ann.page.getByLabel("Message").fill("<b>hi</b> Ben");
    await ann.page.getByRole("button", { name: "Send" }).click();
    await ben.page.getByText("<b>hi</b> Ben").waitFor(PATIENCE);
    await ben.page.getByText(/^(stored|anchored|final)$/).waitFor(PATIENCE);
    assert.deepEqual([ann.errors, ben.errors], [[], []]);
  });
});

describe("the modules without a bundler", () => {
  const MODULE = "/node_modules/@streamchain/client/lib/index.js";
  const publishing = (report: string): string => `
    const { connect } = await import(${JSON.stringify(MODULE)});
    const stream = connect({ stream: "unbundled", edge: "${system.edge}" });
    const seq = await stream.publish("hello").stored;
    ${report}({ seq, state: stream.state.state });`;

  it("publish in a page, over a data channel", async () => {
    const html = `<!doctype html><script type="module">${publishing("((shown) => { document.title = JSON.stringify(shown); })")}</script>`;
    const { page } = await openOn(await siteOf(vite.path, { "/page.html": html }), "/page.html");
    await page.waitForFunction(() => document.title.startsWith("{"), null, PATIENCE);
    assert.deepEqual(JSON.parse(await page.title()), { seq: 0, state: "open" });
  });

  it("publish in a worker, by HTTP", async () => {
    const html = `<!doctype html><script type="module">
      const worker = new Worker("/worker.js", { type: "module" });
      worker.onmessage = ({ data }) => { document.title = JSON.stringify(data); };
    </script>`;
    const texts = { "/worker.html": html, "/worker.js": publishing("postMessage") };
    const { page, errors } = await openOn(await siteOf(vite.path, texts), "/worker.html");
    await page.waitForFunction(() => document.title.startsWith("{"), null, PATIENCE);
    assert.deepEqual(JSON.parse(await page.title()), { seq: 1, state: "http" });
    assert.deepEqual(errors, []);
  });
});

describe("the React example", () => {
  it("is built by Vite, publishes, and verifies a receipt", async () => {
    const config = await system.get<{ chainId: number; contract: string; operator: string; roundsOwner?: string }>(
      "/v1/config",
    );
    const env = {
      VITE_EDGE: system.edge,
      VITE_STREAM: "react",
      VITE_CHAIN_ID: `${config.chainId}`,
      VITE_CONTRACT: config.contract,
      VITE_ROUNDS_OWNER: config.roundsOwner ?? config.operator,
      VITE_RPC: system.chain,
    };
    const built = await vite.start(["run", "build"], env, "npm").ended;
    assert.equal(built.code, 0, built.text);
    const { page, errors } = await openOn(await siteOf(join(vite.path, "dist")));
    await page.getByRole("status").getByText("open").waitFor(PATIENCE);
    await page.getByLabel("Message").fill("hello from React");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("hello from React").waitFor(PATIENCE);
    await page.getByText("0 not stored yet").waitFor(PATIENCE);
    await page.getByRole("button", { name: "Verify" }).click();
    await page
      .getByRole("note")
      .getByText(/message 0: valid, anchored in block \d+/)
      .waitFor(PATIENCE);
    assert.deepEqual(errors, []);
  });
});

/** The versions of React whose strict mode is tested: of the oldest major that the package takes, and the example's. */
const REACTS = ["react@18.3.1", await packageOf("react", "react")];

describe("the README's component", () => {
  for (const react of REACTS) {
    it(`keeps one session in strict mode of ${react}`, async () => {
      const folder = await StrangersFolder.with(archive, react, react.replace("react", "react-dom"));
      try {
        await inStrictMode(folder, react.replace("@", "-"));
      } finally {
        await folder.remove();
      }
    });
  }
});

/** Bundles the README's component for development, since strict mode mounts twice there only. */
const strictBundle = async (folder: StrangersFolder, stream: string): Promise<string> => {
  const example = (await readmeExamples()).get("react") ?? "";
  const edited = example
    .replaceAll("https://edge.example", system.edge)
    .replace('stream: "demo"', `stream: "${stream}"`);
  await folder.write("chat.jsx", edited);
  await folder.write(
    "main.jsx",
    `import { StrictMode } from "react";
     import { createRoot } from "react-dom/client";
     import { Chat } from "./chat.jsx";
     const root = createRoot(document.getElementById("root"));
     root.render(<StrictMode><Chat /></StrictMode>);
     globalThis.leave = () => root.unmount();`,
  );
  const { outputFiles } = await build({
    entryPoints: [join(folder.path, "main.jsx")],
    bundle: true,
    format: "esm",
    jsx: "automatic",
    jsxDev: true,
    define: { "process.env.NODE_ENV": '"development"' },
    write: false,
  });
  return outputFiles[0]?.text ?? "";
};

const inStrictMode = async (folder: StrangersFolder, stream: string): Promise<void> => {
  const html = `<!doctype html><div id="root"></div><script type="module" src="/strict.js"></script>`;
  const site = await siteOf(folder.path, { "/index.html": html, "/strict.js": await strictBundle(folder, stream) });
  const { page, errors, sessions } = await openOn(site);
  await page.getByRole("button", { name: "Say hello" }).click();
  await page.getByText(/^hello \((stored|anchored|final)\)$/).waitFor(PATIENCE);
  assert.equal(sessions(), 1, "one session request");
  assert.deepEqual(errors, []);
  const ended = page.waitForResponse((response) => response.request().method() === "DELETE");
  await page.evaluate(() => (globalThis as unknown as { leave: () => void }).leave());
  assert.ok((await ended).ok(), "the session ends with the component");
  assert.deepEqual(
    (await historyOf(system, stream)).map(({ text }) => text),
    ["hello"],
  );
};
