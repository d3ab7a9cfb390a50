// A long or bad wire between client and relay: a session takes no more round trips than the protocols of its path, and
// nothing that was published is lost, doubled or out of order.

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { appUrl, blankPage, sessionOpen } from "../harness/pages.ts";
import { streamReaches } from "../harness/streams.ts";
import { NETWORK_CASES, PATH_COSTS, tripsOf, visit } from "./harness/cases.ts";
import { type Host, renumber, wireUp } from "./harness/hosts.ts";
import { CABLE, clientOn, EDGE_URL, FAR, internet, WIRE } from "./harness/network.ts";
import { readPackets, roundTrips } from "./harness/packets.ts";
import { bothWays, FIREWALLS, PATHS, pathOf } from "./harness/paths.ts";
import { assertWhole, inPage, publishedAll, publishSteadily } from "./harness/publisher.ts";

const scene = internet();

/** Each way, so that a round trip takes 100 ms. */
const DELAY_MS = 50;

/** A processor that is away for longer than a round trip can add one to a session's count, not take one away. */
const SESSIONS_AT_MOST = 4;

describe("from the edge's answer to an open channel, over a wire that takes 100 ms there and back", () => {
  let host: Host;
  let page: Page;
  let record: string;

  before(async () => {
    host = await scene.newHost();
    record = join(scene.folder, "packets.pcap");
    await wireUp(host, "far", FAR, { delayMs: DELAY_MS, lossPercent: 0, seed: 1 }, record);
    page = await blankPage(await scene.chromiumOn(host));
    await page.goto(`${EDGE_URL}/v1/health`);
  });

  for (const [index, network] of NETWORK_CASES.entries()) {
    const trips = tripsOf(network);
    it(`${network.title}: ${trips} round trips, ${network.path}`, async (test) => {
      host.firewall(FIREWALLS[network.firewall]);
      let fewest = Number.POSITIVE_INFINITY;
      for (let session = 0; fewest > trips && session < SESSIONS_AT_MOST; session++) {
        const { path, openMs, span } = await visit(page, `rounds-${index}-${session}`, network);
        assert.equal(pathOf(path), network.path);
        const seen = roundTrips(readPackets(record), PATH_COSTS[network.path].door, span, DELAY_MS);
        test.diagnostic(`open after ${openMs.toFixed(0)} ms, ${seen} round trips, ${path?.dtls}`);
        fewest = Math.min(fewest, seen);
      }
      assert.equal(fewest, trips);
    });
  }
});

describe("a wire that delays for 100 ms there and back and loses 5 % of all packets", () => {
  it("lets a client in, and what it publishes arrives in order", async (test) => {
    const host = await scene.newHost();
    await wireUp(host, "lossy", WIRE, { delayMs: DELAY_MS, lossPercent: 5, seed: 1 });
    const page = await blankPage(await scene.chromiumOn(host));
    await page.goto(`${EDGE_URL}/v1/health`);
    const { openMs, path } = await bothWays(page, "lossy-raw", PATHS.direct.ways);
    test.diagnostic(`open after ${openMs.toFixed(0)} ms, ${pathOf(path)}`);

    const stream = "lossy";
    await page.goto(appUrl(EDGE_URL, stream));
    await sessionOpen(page);
    await publishSteadily(page, 300);
    await assertWhole(page, await publishedAll(page));
    await streamReaches(scene.system, stream, "stored", 300);
    const attempts = await page.evaluate(() => window.streamchain.connection.attempts.length);
    test.diagnostic(`${attempts} ${attempts === 1 ? "session" : "sessions"}`);
  });
});

describe("a client whose address changes in the middle of a stream", () => {
  it("goes on without losing anything", async (test) => {
    const stream = "moving";
    const { host, browser } = await clientOn(scene, "moving", CABLE);
    const page = await blankPage(browser);
    await page.goto(appUrl(EDGE_URL, stream));
    await sessionOpen(page);
    const publishing = publishSteadily(page, 200);
    await streamReaches(scene.system, stream, "stored", 20);
    const before = await page.evaluate(() => window.streamchain.connection.getPath());

    renumber(host, "moving", "10.78.0.11/24", "10.78.0.1");
    await publishing;
    await assertWhole(page, await publishedAll(page));
    const pauseMs = await page.evaluate(inPage.longestPauseMs);
    test.diagnostic(`nothing came for ${pauseMs.toFixed(0)} ms`);
    await streamReaches(scene.system, stream, "stored", 200);
    const after = await page.evaluate(() => window.streamchain.connection.getPath());
    test.diagnostic(`${pathOf(before)} to ${before?.remoteAddress}, then ${pathOf(after)} to ${after?.remoteAddress}`);
    assert.match(after?.remoteAddress ?? "", /^10\.77\.0\.2:/, "IPv6 is gone, so it goes by IPv4");
  });
});
