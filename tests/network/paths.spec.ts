// Every kind of network lets a client through: messages both ways, by the path that this network leaves.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { blankPage } from "../harness/pages.ts";
import type { Host } from "./harness/hosts.ts";
import { CABLE, clientOn, EDGE_URL, IPV6_CABLE, internet } from "./harness/network.ts";
import { bothWays, FIREWALLS, PATHS, type PathName, pathOf } from "./harness/paths.ts";

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

const bare = async (browser: Browser): Promise<Page> => {
  const page = await blankPage(browser);
  await page.goto(`${EDGE_URL}/v1/health`);
  return page;
};
