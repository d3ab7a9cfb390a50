// One reader by server-sent events, one by data channel, both cut off again and again: each has every message once.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Page } from "playwright-core";
import { EdgeClient, followEvents } from "../../web/src/lib/index.ts";
import { CuttableProxy } from "../harness/cuttable.ts";
import { bareApiPage, sharedScene } from "../harness/pages.ts";
import { historyOf } from "../harness/streams.ts";
import { eventually } from "../harness/system.ts";

const STREAM = "cut-off";
const CUTS = 50;
const SEED = 20_261_121;

/** Longest time between being whole and being cut, ms. */
const MAX_WHOLE_MS = 250;

const scene = sharedScene();

/** The same numbers in [0, 1) each time (mulberry32). */
const seeded = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
};

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What a test keeps in the reader's page: every data channel that was made, the newest last. */
type Reader = Window & { channels: RTCDataChannel[] };

/** A page that reads the stream by data channel, without pauses between attempts. */
const channelReader = async (): Promise<Page> => {
  const page = await bareApiPage(scene.browser, scene.system);
  await page.evaluate((stream) => {
    const channels: RTCDataChannel[] = [];
    (window as unknown as Reader).channels = channels;
    const create = RTCPeerConnection.prototype.createDataChannel;
    RTCPeerConnection.prototype.createDataChannel = function (...args) {
      const channel = create.apply(this, args);
      channels.push(channel);
      return channel;
    };
    const connection = window.tools.lib.connect({ stream, platform: { random: () => 0 } });
    window.kept.connection = connection;
    window.kept.collector = window.tools.collect(connection, 0);
  }, STREAM);
  return page;
};

const channelIsWhole = (page: Page): Promise<boolean> =>
  page.evaluate(
    () =>
      window.kept.connection.state.state === "open" &&
      (window as unknown as Reader).channels.at(-1)?.readyState === "open",
  );

/** A page that publishes by data channel until it is told to stop. */
const publisher = async (): Promise<Page> => {
  const page = await bareApiPage(scene.browser, scene.system);
  await page.evaluate((stream) => {
    const connection = window.tools.lib.connect({ stream });
    window.kept.connection = connection;
    let number = 0;
    const timer = setInterval(() => connection.publish(`by channel ${number++}`), 20);
    window.kept.stopPublishing = () => clearInterval(timer);
  }, STREAM);
  return page;
};

/** What a page with a data channel has read. */
const readByChannel = async (reader: Page): Promise<{ seq: number; text: string }[]> => {
  const seen = await reader.evaluate(() =>
    window.kept.collector.standing.map(({ seq, payload }) => ({ seq, payload })),
  );
  return seen.map(({ seq, payload }) => ({ seq, text: Buffer.from(payload.slice(2), "hex").toString() }));
};

describe("an event-stream reader and a data-channel reader of one stream", () => {
  it(`both cut off ${CUTS} times, have the same, complete list`, async () => {
    const { system } = scene;
    const random = seeded(SEED);
    const proxy = await CuttableProxy.to(system.system.ports.edge);
    const publishing = await publisher();
    const edge = new EdgeClient(system.edge, fetch);
    const { token } = (await (await fetch(`${system.edge}/v1/auth/guest`, { method: "POST" })).json()) as {
      token: string;
    };
    await eventually("the stream is there", () => edge.stream(STREAM).then((info) => info !== undefined));

    const heard: { seq: number; text: string }[] = [];
    let breaks = 0;
    const follower = followEvents({
      edge: proxy.url,
      stream: STREAM,
      from: 0,
      onBreak: () => {
        breaks += 1;
      },
    });
    const following = (async () => {
      for await (const event of follower) {
        if (event.type === "stored") {
          heard.push({ seq: event.message.seq, text: Buffer.from(event.message.payload).toString() });
        }
      }
    })();
    const reader = await channelReader();
    let posted = 0;
    let posting = true;
    const posts = (async () => {
      while (posting) {
        const number = { idempotencyKey: `post-${posted}` };
        await edge.publish(STREAM, Buffer.from(`by http ${posted}`), { token, number });
        posted += 1;
        await pause(200);
      }
    })();

    for (let cut = 0; cut < CUTS; cut += 1) {
      const before = heard.length;
      await eventually("both readers are whole", async () => proxy.connections > 0 && channelIsWhole(reader));
      await pause(random() * MAX_WHOLE_MS);
      proxy.cut();
      await reader.evaluate(() => (window as unknown as Reader).channels.at(-1)?.close());
      if (cut % 10 === 9) await eventually("the event stream goes on", async () => heard.length > before);
    }

    posting = false;
    await posts;
    await publishing.evaluate(async () => {
      window.kept.stopPublishing();
      await Promise.all(window.kept.connection.unstored.map(({ stored }) => stored));
    });
    const history = await eventually("all is stored", async () => {
      const all = await historyOf(system, STREAM);
      return all.filter(({ text }) => text.startsWith("by http")).length === posted && all;
    });
    await eventually("the event stream has all", async () => heard.length >= history.length);
    await eventually("the data channel has all", () =>
      reader.evaluate((count) => window.kept.collector.standing.length >= count, history.length),
    );
    follower.close();
    await following;
    proxy.close();

    const expected = history.map(({ seq, text }) => ({ seq, text }));
    assert.deepEqual(heard, expected);
    assert.deepEqual(await readByChannel(reader), expected);
    const sessions = await reader.evaluate(() => (window as unknown as Reader).channels.length);
    assert.ok(breaks >= CUTS && sessions > CUTS, `${breaks} broken responses, ${sessions} data channels`);
    assert.ok(posted > 5 && history.length > 2 * posted, `${history.length} messages, ${posted} of them by HTTP`);
  });
});
