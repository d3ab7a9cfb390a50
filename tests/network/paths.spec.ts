// Every kind of network lets a client through: messages both ways, by the path that this network leaves.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { Browser, Locator, Page } from "playwright-core";
import { blankPage } from "../harness/pages.ts";
import type { Host } from "./harness/hosts.ts";
import { CABLE, clientOn, EDGE, EDGE_URL, IPV6_CABLE, internet, SHUT } from "./harness/network.ts";
import { bothWays, FIREWALLS, PATHS, type PathName, pathOf } from "./harness/paths.ts";

/** How long an attempt may take to fail, or to get through, on a busy machine. */
const PATIENCE_MS = 60_000;

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
  let host: Host;
  let page: Page;

  before(async () => {
    const client = await clientOn(scene, "shut", SHUT, [`ip daddr != ${EDGE.v4} drop`]);
    host = client.host;
    page = await client.browser.newPage({ ignoreHTTPSErrors: true });
    await page.goto(`${EDGE_URL}/?stream=shut-in`);
  });

  const shown = (name: string): Locator => page.getByTestId(name);

  it("is told which step failed, what was tried, and what can be done", async () => {
    await shown("advice").waitFor({ timeout: PATIENCE_MS });
    assert.equal(await shown("advice").getAttribute("data-advice"), "all-blocked");
    const steps = await rows(shown("setup-steps"), "data-step");
    assert.deepEqual(
      [steps.get("http"), steps.get("answer"), steps.get("ice"), steps.get("dtls")],
      ["ok", "ok", "failed", "not-reached"],
    );
    const ways = await rows(shown("ways"), "data-way");
    assert.ok(ways.has("udp") && ways.has("turn-tls"), [...ways].join("; "));
    assert.deepEqual([...new Set(ways.values())], ["silent"]);
  });

  it("gets through by a click once the network lets it", async () => {
    host.firewall(FIREWALLS.open);
    await shown("path-retry").click();
    await shown("path-relay").waitFor({ timeout: PATIENCE_MS });
    assert.match(await shown("path-protocol").innerText(), /^UDP/);
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
