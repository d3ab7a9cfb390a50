// Direct channels between two browsers: real WebRTC from page to page, signalled through the stream's mailboxes.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { accessToken, bearer } from "../edge/harness.ts";
import { launchChromium } from "../harness/browser.ts";
import { bareApiPage } from "../harness/pages.ts";
import { eventually, runningSystem, type TestSystem } from "../harness/system.ts";

/** What a page keeps between two calls of a test. */
interface Heard {
  readonly told: string[];
  readonly seen: string[];
}

let system: TestSystem;
let browser: Browser;

before(async () => {
  // Browsers hide their addresses from pages behind mDNS names, which a machine without mDNS can't resolve.
  [system, browser] = await Promise.all([
    runningSystem({ mining: "manual" }),
    launchChromium(["--disable-features=WebRtcHideLocalIpsWithMdns"]),
  ]);
});
after(async () => {
  await browser?.close();
  await system?.stop();
});

const makeStream = async (name: string, p2p: boolean): Promise<void> => {
  const token = accessToken(system.system.operator.address.toLowerCase(), {}, system.system.master);
  const made = await fetch(`${system.edge}/v1/streams`, {
    method: "POST",
    headers: { "content-type": "application/json", ...bearer(token) },
    body: JSON.stringify({ name, p2p }),
  });
  assert.equal(made.status, 201, await made.text());
};

/** A page with a connection of its own that notes what comes, and which way. */
const member = async (stream: string): Promise<Page> => {
  const page = await bareApiPage(browser, system);
  await page.evaluate((name) => {
    const { lib } = window.tools;
    const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);
    const connection = lib.connect({ stream: name });
    const heard: Heard = { told: [], seen: [] };
    connection.on("direct", ({ state, payload }) => heard.told.push(`${state} ${text(payload)}`));
    connection.subscribe({ from: 0 }).on("message", ({ seq, payload }) => heard.seen.push(`${seq} ${text(payload)}`));
    window.kept.connection = connection;
    Object.assign(window, { heard });
  }, stream);
  await page.waitForFunction(() => window.kept.connection.state.state === "open");
  return page;
};

const heard = (page: Page): Promise<Heard> => page.evaluate(() => (window as unknown as { heard: Heard }).heard);
const peers = (page: Page): Promise<number> => page.evaluate(() => window.kept.connection.peers.length);
const publish = (page: Page, text: string): Promise<unknown> =>
  page.evaluate((words) => window.kept.connection.publish(words).stored, text);

const seesAll = (page: Page, count: number): Promise<string[]> =>
  eventually(`${count} messages are there`, async () => {
    const { seen } = await heard(page);
    return seen.length >= count && seen;
  });

describe("two browsers on a stream that allows direct channels", () => {
  let a: Page;
  let b: Page;

  before(async () => {
    await makeStream("direct", true);
    [a, b] = [await member("direct"), await member("direct")];
    await eventually("both have a direct channel", async () => (await peers(a)) === 1 && (await peers(b)) === 1);
  });

  test("hear each other directly, and once from the stream", async () => {
    for (let number = 0; number < 20; number++) await publish(a, `m${number}`);
    const expected = Array.from({ length: 20 }, (_, number) => `${number} m${number}`);
    assert.deepEqual(await seesAll(b, 20), expected);
    const { told } = await heard(b);
    const of = (state: string) => told.filter((news) => news.startsWith(state)).map((news) => news.split(" ")[1]);
    assert.ok(of("tentative").length > 0, "at least one came directly first");
    assert.deepEqual(of("settled"), of("tentative"), "each of those is settled by the relay, once");
    assert.deepEqual(of("dropped"), []);
  });

  test("hear direct messages while the relay is halted", async () => {
    const relay = system.system.parts.relay.pid as number;
    process.kill(relay, "SIGSTOP");
    try {
      await a.evaluate(() => {
        window.kept.connection.publish("past the relay");
      });
      await eventually("it came directly", async () => (await heard(b)).told.includes("tentative past the relay"));
      assert.ok(!(await heard(b)).seen.some((line) => line.endsWith("past the relay")));
    } finally {
      process.kill(relay, "SIGCONT");
    }
    assert.equal((await seesAll(b, 21)).filter((line) => line.endsWith("past the relay")).length, 1);
  });

  test("go on by the relay when the direct channel is cut", async () => {
    await b.evaluate(() => window.kept.connection.close());
    await b.close();
    await eventually("the channel is gone", async () => (await peers(a)) === 0);
    const late = await member("direct");
    await publish(a, "by the relay");
    const seen = await seesAll(late, 22);
    assert.equal(seen.filter((line) => line.endsWith("by the relay")).length, 1);
    await late.close();
  });
});

test("browsers on any other stream stay apart", async () => {
  await makeStream("apart", false);
  const [a, b] = [await member("apart"), await member("apart")];
  await publish(a, "hi");
  await seesAll(b, 1);
  assert.deepEqual([await peers(a), await peers(b), (await heard(b)).told], [0, 0, []]);
});

test("direct channels end with the right to read", async () => {
  await makeStream("closing", true);
  const [a, b] = [await member("closing"), await member("closing")];
  await eventually("both have a direct channel", async () => (await peers(a)) === 1 && (await peers(b)) === 1);
  const token = accessToken(system.system.operator.address.toLowerCase(), {}, system.system.master);
  const closed = await fetch(`${system.edge}/v1/streams/closing`, {
    method: "PATCH",
    headers: { "content-type": "application/json", ...bearer(token) },
    body: JSON.stringify({ read: "private" }),
  });
  assert.equal(closed.status, 200, await closed.text());
  await eventually("the channels are closed", async () => (await peers(a)) === 0 && (await peers(b)) === 0);
});
