// compose.yaml as it stands: where a container engine, its compose command and the images that containers/Dockerfile begins with are
// on this machine, it is built and run, and a page publishes in it. Elsewhere it is said what is left out; image.spec.ts runs the same
// parts without compose.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { childEnv, ROOT } from "../../scripts/lib/paths.mjs";
import { findCompose, findEngine, hasImage } from "../../scripts/lib/release/engine.mjs";
import { freePort, LOCALHOST } from "../../scripts/lib/system/ports.mjs";
import { launchChromium } from "../harness/browser.ts";
import { appUrl, blankPage, sessionOpen } from "../harness/pages.ts";
import { eventually } from "../harness/system.ts";

const run = promisify(execFile);

/** What compiling everything in containers may take, and starting it. */
const BUILD_TIMEOUT_MS = 3_600_000;
const START_TIMEOUT_MS = 180_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

const compose = readFileSync(join(ROOT, "compose.yaml"), "utf8");
const dockerfile = readFileSync(join(ROOT, "containers", "Dockerfile"), "utf8");

const all = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, found = ""]) => found);

/** The images of others that are built upon. */
const BASE_IMAGES = all(dockerfile, /^ARG \w+_IMAGE=(\S+)$/gm);

/** What runs compose.yaml here, or why it can't be run. */
const runner = (): { command: string[] } | { missing: string } => {
  const engine = findEngine();
  if (engine === null) return { missing: "a container engine that works (docker or podman)" };
  const command = findCompose(engine);
  if (command === null) return { missing: `a compose command for ${engine.name}` };
  const images = BASE_IMAGES.filter((name) => !hasImage(engine, name));
  return images.length > 0 ? { missing: `the images ${images.join(" and ")}` } : { command };
};

describe("compose.yaml", () => {
  it("names stages, programs and ports that there are", () => {
    const stages = all(dockerfile, /^FROM .* AS ([\w-]+)$/gm);
    const targets = all(compose, /^ +target: (\S+)$/gm);
    assert.deepEqual(targets, ["edge", "relay"]);
    for (const target of targets) assert.ok(stages.includes(target), target);
    const parts = all(compose, /"scripts\/container\.mjs", "(\w+)"/g);
    const program = readFileSync(join(ROOT, "scripts", "container.mjs"), "utf8");
    assert.deepEqual(parts, ["chain", "edge"]);
    for (const part of parts) assert.ok(program.includes(`{ name: "${part}"`), part);
    const published = compose.split("\n").flatMap((line) => all(line, /(?:ports: \[|^ +- )"([^"]+)"/g));
    assert.equal(published.length, 4);
    for (const port of published) assert.match(port, /^127\.0\.0\.1:/, "on the loopback interface only");
    assert.equal(BASE_IMAGES.length, 2);
  });

  it("runs, and a page publishes and gets a receipt", { timeout: BUILD_TIMEOUT_MS }, async () => {
    const how = runner();
    if ("missing" in how)
      return console.log(`    Left out, since this machine lacks ${how.missing}: compose.yaml was not run.`);
    const [program = "", ...options] = how.command;
    const [port, chain, relay] = [await freePort("tcp"), await freePort("tcp"), await freePort("udp")];
    const ports = { STREAMCHAIN_PORT: port, STREAMCHAIN_CHAIN_PORT: chain, STREAMCHAIN_RELAY_PORT: relay };
    const env = Object.fromEntries(Object.entries(ports).map(([name, value]) => [name, `${value}`]));
    const project = `streamchain-test-${process.pid}`;
    const inCompose = (...args: string[]) =>
      run(program, [...options, "-p", project, ...args], {
        cwd: ROOT,
        env: childEnv(env),
        maxBuffer: MAX_OUTPUT_BYTES,
      });
    console.log(`    by ${how.command.join(" ")}`);
    await inCompose("build");
    try {
      await inCompose("up", "-d");
      await demoWorks(`http://${LOCALHOST}:${port}`);
    } finally {
      await inCompose("down", "-v");
    }
  });
});

/** Publishes in a page over a data channel, and waits for the receipt. */
const demoWorks = async (edge: string): Promise<void> => {
  const json = async <T>(path: string): Promise<T> => (await (await fetch(`${edge}${path}`)).json()) as T;
  await eventually(
    "the relay is registered",
    async () => {
      const { relays } = await json<{ relays: { id: string; alive: boolean }[] }>("/v1/status");
      return relays.some(({ id, alive }) => id === "demo" && alive);
    },
    START_TIMEOUT_MS,
  );
  const browser = await launchChromium();
  try {
    const page = await blankPage(browser);
    await page.goto(appUrl(edge, "demo"));
    await sessionOpen(page);
    const seq = await page.evaluate(() => window.streamchain.connection.publish("from a container").stored);
    assert.equal(seq, 0);
    await eventually(
      "its receipt is there",
      async () => (await fetch(`${edge}/v1/streams/demo/messages/0/receipt`)).ok,
      START_TIMEOUT_MS,
    );
    const [message] = (await json<{ messages: { payload: string }[] }>("/v1/streams/demo/messages")).messages;
    assert.equal(Buffer.from(message?.payload.slice(2) ?? "", "hex").toString(), "from a container");
  } finally {
    await browser.close();
  }
};
