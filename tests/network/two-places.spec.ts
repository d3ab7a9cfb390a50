// Two relays in two places with 80 ms between them: each client is at its near one, and messages go both ways. The figures stand
// beside those of one relay that is far for one of the clients.
//
//   Frankfurt: edge, relay, a client ── 80 ms there and back ── Sydney: a relay, a client

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { relayPath } from "../../scripts/lib/build/relay.mjs";
import { blankPage } from "../harness/pages.ts";
import { eventually } from "../harness/system.ts";
import { type Host, plugIn, wireUp } from "./harness/hosts.ts";
import { CABLE, EDGE, EDGE_URL, FAR, type Internet, internet, RELAY } from "./harness/network.ts";

const FRANKFURT = { latitude: "50.11", longitude: "8.68" };
const SYDNEY = { latitude: "-33.87", longitude: "151.21" };

/** Each way, so that a round trip takes 80 ms. */
const DELAY_MS = 40;

/** Messages of each client. */
const MESSAGES = 20;

/** The port at which the edge is reached without TLS: the relay takes no certificate of a test. */
const EDGE_PORT = 8_787;
const LINK_PORT = 7_443;
const SYDNEY_ADDRESS = FAR.client[0]?.split("/")[0] ?? "";

const scene: Internet = internet({}, [
  ...["--location", `${FRANKFURT.latitude},${FRANKFURT.longitude}`],
  ...["--link-listen", `${RELAY.v4}:${LINK_PORT}`],
]);

let far: Host;
let front: Server;
let relay: ChildProcess | undefined;
const pages: Record<"frankfurt" | "sydney", Page> = {} as never;

/** A page of a client in a place: the runtime takes it from this header, as Cloudflare from where a request comes. */
const pageOf = async (host: Host, place: object): Promise<Page> => {
  const page = await blankPage(await scene.chromiumOn(host), {
    extraHTTPHeaders: { "mf-cf-blob": JSON.stringify(place) },
  });
  await page.goto(`${EDGE_URL}/v1/health`);
  return page;
};

/** Opens a stream in a page; the relay that the edge chose and that packets go to, the time from its answer to the welcome, and a check's round trip. */
const openAt = async (page: Page, stream: string) => {
  const answered = page.waitForResponse((response) => response.url().endsWith(`/${stream}/sessions`));
  const opened = await page.evaluate(async (stream) => {
    const connection = window.tools.lib.connect({ stream });
    window.kept.connection = connection;
    window.kept.collector = window.tools.collect(connection, 0);
    await new Promise<void>((resolve) => connection.on("state", ({ state }) => state === "open" && resolve()));
    const steps = connection.attempts.at(-1)?.steps ?? [];
    const openMs = steps.reduce((sum, { id, tookMs = 0 }) => (["offer", "http"].includes(id) ? sum : sum + tookMs), 0);
    const path = await connection.getPath();
    return { openMs, host: path?.remoteAddress.replace(/:\d+$/, "") ?? "", rttMs: path?.rttMs ?? 0 };
  }, stream);
  return { ...opened, relay: (await answered).headers()["streamchain-relay"] ?? "" };
};

/** Publishes numbered messages in a page, each once the one before came back; how long each took, in ms. */
const publishAt = (page: Page, name: string): Promise<number[]> =>
  page.evaluate(
    async ([name, count]) => {
      const { connection } = window.kept;
      const took: number[] = [];
      for (let at = 0; at < count; at++) {
        const before = performance.now();
        await connection.publish(`${name} ${at} ${Date.now()}`).live;
        took.push(performance.now() - before);
      }
      return took;
    },
    [name, MESSAGES] as const,
  );

/** The texts that a page has, in the stream's order. */
const heardAt = async (page: Page): Promise<string[]> => {
  await page.waitForFunction((count) => window.kept.collector.standing.length >= count, 2 * MESSAGES);
  return page.evaluate(() =>
    window.kept.collector.standing.map(({ payload }) => new TextDecoder().decode(window.tools.lib.fromHex(payload))),
  );
};

const median = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[all.length >> 1] ?? 0;

/** Both clients on one stream: where they are, and that all messages of both are with both, once and in one order. */
const bothWays = async (stream: string) => {
  const frankfurt = await openAt(pages.frankfurt, stream);
  const sydney = await openAt(pages.sydney, stream);
  const took = await Promise.all([publishAt(pages.frankfurt, "frankfurt"), publishAt(pages.sydney, "sydney")]);
  const [first, second] = await Promise.all([heardAt(pages.frankfurt), heardAt(pages.sydney)]);
  assert.deepEqual(first, second, "both have the same stream");
  for (const name of ["frankfurt", "sydney"]) {
    const own = first.filter((text) => text.startsWith(name)).map((text) => Number(text.split(" ")[1]));
    assert.deepEqual(
      own,
      Array.from({ length: MESSAGES }, (_, at) => at),
    );
  }
  const attempts = await Promise.all(
    Object.values(pages).map((page) => page.evaluate(() => window.kept.connection.attempts.length)),
  );
  for (const page of Object.values(pages)) await page.evaluate(() => window.kept.connection.close());
  const shown = ({ openMs, rttMs }: typeof sydney, took: readonly number[]): string =>
    `open after ${openMs.toFixed(0)} ms, round trip to the relay ${rttMs.toFixed(0)} ms, own message back after ${median(took).toFixed(0)} ms`;
  const figures = `Frankfurt: ${shown(frankfurt, took[0])}; Sydney: ${shown(sydney, took[1])}; sessions opened: ${attempts}`;
  return { relays: [frankfurt.relay, sydney.relay], hosts: [frankfurt.host, sydney.host], figures };
};

const startSydney = async (): Promise<void> => {
  const program = relayPath();
  const { master, dir } = scene.system.system;
  const key = spawnSync(program, ["key", "--master", master, "--id", "sydney"], { encoding: "utf8" }).stdout.trim();
  const [command, ...args] = far.command(
    program,
    ...["run", "--id", "sydney", "--edge", `http://${EDGE.v4}:${EDGE_PORT}`, "--state", join(dir, "relay", "sydney")],
    ...["--listen", `${SYDNEY_ADDRESS}:7100`, "--advertise", SYDNEY_ADDRESS],
    ...["--location", `${SYDNEY.latitude},${SYDNEY.longitude}`, "--link-listen", `${SYDNEY_ADDRESS}:${LINK_PORT}`],
  );
  relay = spawn(command, args, {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, STREAMCHAIN_RELAY_KEY: key },
  });
  await eventually("the edge knows the relay in Sydney", async () => {
    const { relays } = await scene.system.get<{ relays: { id: string; alive: boolean }[] }>("/v1/status");
    return relays.some(({ id, alive }) => id === "sydney" && alive);
  });
};

describe("two places with 80 ms between them", () => {
  before(async () => {
    const near = await scene.newHost();
    await plugIn(near, "near", CABLE);
    far = await scene.newHost();
    await wireUp(far, "far", FAR, { delayMs: DELAY_MS, lossPercent: 0, seed: 1 });
    front = createServer((client) => {
      const edge = connect(Number(new URL(scene.system.edge).port), "127.0.0.1");
      client.pipe(edge).pipe(client);
      for (const [one, other] of [
        [client, edge],
        [edge, client],
      ] as const) {
        one.on("error", () => other.destroy());
      }
    });
    await new Promise<void>((resolve) => front.listen(EDGE_PORT, EDGE.v4, resolve));
    pages.frankfurt = await pageOf(near, FRANKFURT);
    pages.sydney = await pageOf(far, SYDNEY);
  });

  after(() => {
    relay?.kill();
    front?.close();
  });

  it("one relay is far for one of the clients", async (test) => {
    const alone = await bothWays("one-place");
    test.diagnostic(alone.figures);
    assert.deepEqual(
      alone.relays.map((one) => one.split(";")[0]),
      ['"local"', '"local"'],
    );
  });

  it("with two relays each client is at its near one", async (test) => {
    await startSydney();
    const both = await bothWays("two-places");
    test.diagnostic(both.figures);
    test.diagnostic(both.relays.join(" "));
    assert.match(both.relays[0] ?? "", /^"local";/);
    assert.match(both.relays[1] ?? "", /^"sydney";reason=nearest/);
    const [frankfurt, sydney] = both.hosts;
    assert.ok([RELAY.v4, RELAY.v6].includes(frankfurt ?? ""), `packets go to the near relay: ${frankfurt}`);
    assert.equal(sydney, SYDNEY_ADDRESS, "packets go to the near relay");
  });
});
