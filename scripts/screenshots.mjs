// `npm run screenshots`: pictures of what people see, to be looked at, and docs/app.png, the picture of the README. A system of its own runs meanwhile.

import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { helpOnly } from "./lib/choice.mjs";
import { main, step } from "./lib/console.mjs";
import { ROOT, STATE } from "./lib/paths.mjs";
import { setUp } from "./lib/setup/index.mjs";

const HELP = `Builds everything, starts a system of its own, and takes pictures of the app, the operator's page, the documents and the READMEs, wide and
narrow, light and dark, into .streamchain/screenshots/; and docs/app.png, the picture of the README.`;

const FOLDER = join(STATE, "screenshots");
const STREAM = "plant-7";
const WIDE = { width: 1280, height: 800 };
const NARROW = { width: 360, height: 740 };
/** The column in which GitHub shows a README, on a wide and on a narrow screen. */
const [README_WIDE, README_NARROW] = [
  { width: 900, height: 800 },
  { width: 390, height: 800 },
];

const TEXTS = [
  "temperature 21.4 °C, humidity 48 %",
  "night shift: all quiet",
  "door 2 closed",
  "batch 8812 started",
  "valve V-17 opened",
  "pump 3 pressure 4.21 bar",
  "sensor 9 answers again after 12 s",
  "shift handed over to the morning crew",
];
const PEOPLE = 3;
/** How many messages are final, anchored and stored in the picture, at least. */
const [FINAL, ANCHORED, STORED] = [20, 32, 40];

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").Browser} Browser */
/** @typedef {import("../tests/harness/system.ts").TestSystem} TestSystem */

/**
 * Publishes the texts from..to, each by the next person, as a person does: by typing; resolves when they are stored.
 * @param {Page[]} people @param {number} from @param {number} to
 */
const publish = async (people, from, to) => {
  for (let i = from; i < to; i++) {
    const person = people[i % people.length];
    await person?.getByTestId("composer").fill(TEXTS[i % TEXTS.length] ?? "");
    await person?.getByTestId("composer").press("Enter");
    await person?.waitForFunction((count) => window.streamchain.connection.marks.committed >= count, i + 1);
  }
};

/** The app with messages of several people in several states. @param {Browser} browser @param {TestSystem} system */
const app = async (browser, system) => {
  const { openApp, blankPage, appUrl, sessionOpen } = await import("../tests/harness/pages.ts");
  const { streamReaches } = await import("../tests/harness/streams.ts");
  /** @type {Page[]} */
  const people = [];
  for (let i = 0; i < PEOPLE; i++) {
    people.push(await openApp(browser, system, STREAM, await blankPage(browser, { viewport: WIDE })));
  }
  await publish(people, 0, FINAL);
  await streamReaches(system, STREAM, "final", FINAL);
  await publish(people, FINAL, ANCHORED);
  await streamReaches(system, STREAM, "anchored", ANCHORED);
  await publish(people, ANCHORED, STORED);
  const [page] = people;
  if (!page) throw new Error("There is no page.");
  await page
    .getByTestId("message")
    .filter({ hasText: TEXTS[(STORED - 1) % TEXTS.length] ?? "" })
    .last()
    .waitFor();
  await page.getByTestId("composer").focus();
  await page.screenshot({ path: join(ROOT, "docs", "app.png") });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.screenshot({ path: join(FOLDER, "app-wide-dark.png") });
  for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    const phone = await blankPage(browser, { viewport: NARROW, colorScheme, hasTouch: true, isMobile: true });
    await phone.goto(appUrl(system.edge, STREAM));
    await sessionOpen(phone);
    await phone.getByTestId("message").last().waitFor();
    await phone.screenshot({ path: join(FOLDER, `app-narrow-${colorScheme}.png`) });
    await phone.context().close();
  }
};

/** The operator's page. @param {Browser} browser @param {TestSystem} system */
const dashboard = async (browser, system) => {
  const { blankPage } = await import("../tests/harness/pages.ts");
  const { accessToken } = await import("../tests/edge/harness.ts");
  const { master, operator } = system.system;
  const page = await blankPage(browser, { viewport: WIDE });
  await page.goto(`${system.edge}/operator`);
  await page.getByTestId("operator-token").fill(accessToken(operator.address.toLowerCase(), {}, master));
  await page.getByTestId("operator-show").click();
  await page.getByTestId("card-relays").getByRole("table").waitFor();
  await everyView(page, "operator");
  await page.context().close();
};

/** Wide and narrow, light and dark, whole pages. @param {Page} page @param {string} name @param {{ width: number, height: number }[]} sizes */
const everyView = async (page, name, [wide, narrow] = [WIDE, NARROW]) => {
  for (const [shape, size] of /** @type {const} */ ([
    ["wide", wide],
    ["narrow", narrow],
  ])) {
    if (size) await page.setViewportSize(size);
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(FOLDER, `${name}-${shape}-${colorScheme}.png`), fullPage: true });
    }
  }
};

/** Runs in the page: resolves when all pictures are there, also those that are read when they come into view. */
const allImages = async () => {
  for (const image of document.images) image.loading = "eager";
  await Promise.all([...document.images].map((image) => image.decode()));
};

/** The documents, as the edge serves them. @param {Browser} browser @param {TestSystem} system */
const documents = async (browser, system) => {
  const page = await browser.newPage();
  for (const name of ["", "install", "cli", "protocol", "operations"]) {
    await page.goto(`${system.edge}/docs/${name}`);
    await page.evaluate(allImages);
    await everyView(page, `docs-${name || "index"}`);
  }
  await page.close();
};

/** The READMEs in about GitHub's look. @param {Browser} browser */
const readmes = async (browser) => {
  const { marked } = await import("marked");
  const page = await browser.newPage();
  for (const name of ["README", "README.vi"]) {
    const body = await marked.parse(readFileSync(join(ROOT, `${name}.md`), "utf8"));
    // The pictures of the page are files beside it.
    await page.goto(`file://${join(ROOT, "LICENSE")}`);
    await page.setContent(`<!doctype html><base href="file://${ROOT}/"><style>${GITHUB_STYLE}</style>${body}`);
    await page.evaluate(allImages);
    await everyView(page, name.toLowerCase(), [README_WIDE, README_NARROW]);
  }
  await page.close();
};

const GITHUB_STYLE = `
:root { color-scheme: light dark }
body { margin: 0 auto; padding: 32px; max-width: 836px; font: 16px/1.5 "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; background: light-dark(#fff, #0d1117); color: light-dark(#1f2328, #f0f6fc) }
@media (width < 600px) { body { padding: 16px } }
img { max-width: 100% } a { color: light-dark(#0969da, #4493f8) }
h1, h2 { border-bottom: 1px solid #8884; padding-bottom: .3em } pre { overflow: auto; padding: 16px; background: #8882; font-size: 85% }
code { font-size: 85%; background: #8882; padding: .2em .4em; border-radius: 6px } pre code { padding: 0; background: none; font-size: 100% }
table { display: block; overflow: auto; border-collapse: collapse } td, th { border: 1px solid #8886; padding: 6px 13px }`;

await main(async () => {
  if (helpOnly(process.argv.slice(2), "npm run screenshots", HELP)) return;
  await setUp({ browser: true });
  const { buildAll } = await import("./lib/build/index.mjs");
  await buildAll();
  const { launchChromium } = await import("../tests/harness/browser.ts");
  const { runningSystem } = await import("../tests/harness/system.ts");
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const system = await runningSystem({ mining: "interval" });
  const browser = await launchChromium();
  try {
    await step("the app", () => app(browser, system));
    await step("the operator's page", () => dashboard(browser, system));
    await step("the documents", () => documents(browser, system));
    await step("the READMEs", () => readmes(browser));
  } finally {
    await browser.close();
    await system.stop();
  }
  console.log("docs/app.png is new; the others are in .streamchain/screenshots/.");
});
