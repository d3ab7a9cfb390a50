// Every kind of network lets a client through: messages both ways, by the path that this network leaves.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { Browser, Locator, Page } from "playwright-core";
import { blankPage } from "../harness/pages.ts";
import { NETWORK_CASES } from "./harness/cases.ts";
import type { Host } from "./harness/hosts.ts";
import { assertJoined, joinStreams, openTimes } from "./harness/joined.ts";
import { CABLE, clientOn, EDGE, EDGE_URL, FREE, IPV6_CABLE, internet, SHUT } from "./harness/network.ts";
import { bothWays, FIREWALLS, PATHS, type PathName, pathOf } from "./harness/paths.ts";

/** How long an attempt may take to fail, or to get through, on a busy machine. */
const PATIENCE_MS = 60_000;

/** Streams that share a connection on each kind of network. */
const JOINED_STREAMS = 4;

const scene = internet();

describe("a client with IPv4 and IPv6", () => {
  let host: Host;
  let page: Page;

  before(async () => {
    const client = await clientOn(scene, "cable", CABLE);
    host = client.host;
    page = await bare(client.browser);
  });

  for (const name of Object.keys(PATHS) as PathName[]) {
    const { title, firewall, expected } = PATHS[name];
    it(`${title}: goes ${expected}`, async (test) => {
      host.firewall(FIREWALLS[firewall]);
      const { openMs, path } = await bothWays(page, `path-${name.toLowerCase()}`, PATHS[name].ways);
      test.diagnostic(`open after ${openMs.toFixed(1)} ms, ${pathOf(path)} to ${path?.remoteAddress}`);
      assert.equal(pathOf(path), expected);
    });
  }

  for (const [at, { title, firewall, policy, path }] of NETWORK_CASES.filter(({ returning }) => !returning).entries()) {
    it(`${title}: streams share a connection`, async (test) => {
      host.firewall(FIREWALLS[firewall]);
      const asked = { prefix: `joined-${at}`, count: JOINED_STREAMS, policy, restarts: false };
      const joined = await page.evaluate(joinStreams, asked);
      test.diagnostic(`${openTimes(joined)}; ${pathOf(joined.paths[0])}`);
      assertJoined(joined, JOINED_STREAMS);
      assert.equal(pathOf(joined.paths[0]), path);
    });
  }
});

describe("a client with IPv6 alone", () => {
  let page: Page;

  before(async () => {
    const { browser } = await clientOn(scene, "cable6", IPV6_CABLE);
    page = await bare(browser);
  });

  it("goes direct over UDP", async (test) => {
    const { openMs, path } = await bothWays(page, "ipv6-direct", PATHS.direct.ways);
    test.diagnostic(`open after ${openMs.toFixed(1)} ms, ${pathOf(path)} to ${path?.remoteAddress}`);
    assert.equal(pathOf(path), "direct over UDP");
    assert.match(path?.remoteAddress ?? "", /^\[?2001:db8:77::2\]?:7100$/);
  });

  it("goes through TURN over TLS", async (test) => {
    const { openMs, path } = await bothWays(page, "ipv6-turn-tls", PATHS.turnTls.ways);
    test.diagnostic(`open after ${openMs.toFixed(1)} ms, ${pathOf(path)} to ${path?.remoteAddress}`);
    assert.equal(pathOf(path), "TURN over TLS");
  });
});

describe("a client that nothing but the edge can be reached from", () => {
  const STREAM = "shut-in";
  let host: Host;
  let page: Page;
  /** Somebody with a network that lets everything through. */
  let elsewhere: Page;

  before(async () => {
    const client = await clientOn(scene, "shut", SHUT, [`ip daddr != ${EDGE.v4} drop`]);
    host = client.host;
    page = await client.browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(`${EDGE_URL}/?stream=${STREAM}`);
    elsewhere = await bare((await clientOn(scene, "free", FREE)).browser);
  });

  const shown = (name: string): Locator => page.getByTestId(name);
  const message = (text: string): Locator => shown("message").filter({ hasText: text });
  const send = async (text: string): Promise<void> => {
    await shown("composer").fill(text);
    await shown("send").click();
  };

  it("is shown what failed, what was tried, and what to do", async () => {
    await shown("advice").waitFor({ timeout: PATIENCE_MS });
    assert.equal(await shown("advice").getAttribute("data-advice"), "all-blocked");
    const steps = await rows(shown("setup-steps"), "data-step");
    assert.deepEqual(
      [steps.get("http"), steps.get("answer"), steps.get("ice"), steps.get("dtls")],
      ["ok", "ok", "failed", "not-reached"],
    );
    const paths = await rows(shown("candidate-paths"), "data-path");
    assert.ok(paths.has("udp") && paths.has("turn-tls"), [...paths].join("; "));
    assert.deepEqual([...new Set(paths.values())], ["silent"]);
  });

  it("sends and receives by HTTP, and is told what that means", async () => {
    await page.locator("[data-testid=banner][data-kind=http]").waitFor({ timeout: PATIENCE_MS });
    assert.match(await shown("connection-state").innerText(), /HTTP/);
    assert.ok(await shown("path-retry").isVisible(), "another attempt is a click away");
    await send("out of the shut network");
    await elsewhere.evaluate(async (stream) => {
      const connection = window.tools.lib.connect({ stream });
      window.kept.connection = connection;
      window.kept.collector = window.tools.collect(connection, 0);
      await connection.publish("into the shut network").stored;
    }, STREAM);
    await message("into the shut network").waitFor({ timeout: PATIENCE_MS });
    assert.equal(await page.evaluate(() => window.streamchain.connection.state.state), "http");
  });

  it("changes to a session once it can, and misses nothing", async () => {
    for (let number = 0; number < 5; number++) await send(`before ${number}`);
    host.firewall(FIREWALLS.open);
    await shown("path-relay").waitFor({ timeout: 2 * PATIENCE_MS });
    assert.match(await shown("path-protocol").innerText(), /^(UDP|TCP|TLS)/, "which one depends on the moment");
    await send("over the channel");
    await message("over the channel").waitFor();
    const texts = await page.evaluate(() =>
      window.streamchain.messages().map(({ seq, payload }) => `${seq}:${new TextDecoder().decode(payload)}`),
    );
    const wanted = ["before 0", "before 1", "before 2", "before 3", "before 4", "over the channel"];
    const expected = ["out of the shut network", "into the shut network", ...wanted];
    assert.deepEqual(
      texts,
      expected.map((text, seq) => `${seq}:${text}`),
    );
    await elsewhere.waitForFunction((count) => window.kept.collector.standing.length >= count, expected.length);
    assert.equal(await elsewhere.evaluate(() => window.kept.collector.standing.length), expected.length);
  });
});

/** What a list of the panel says of each: its name, and the outcome. */
const rows = async (list: Locator, name: string): Promise<Map<string, string>> => {
  const found = await list
    .locator(`[${name}]`)
    .evaluateAll(
      (all, attribute) => all.map((row) => [row.getAttribute(attribute) ?? "", row.getAttribute("data-outcome") ?? ""]),
      name,
    );
  return new Map(found as [string, string][]);
};

const bare = async (browser: Browser): Promise<Page> => {
  const page = await blankPage(browser);
  await page.goto(`${EDGE_URL}/v1/health`);
  return page;
};
