// Client libraries of earlier versions against the relay and the edge as they are: a stream on several threads of a relay is a stream.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { build } from "esbuild";
import type { Page } from "playwright-core";
import { freePorts } from "../../scripts/lib/system/ports.mjs";
import { bareApiPage, blankPage, sharedScene } from "../harness/pages.ts";

/** Sessions are spread over the threads, so that some are with the thread that leads their stream, and others with one that follows. */
const SHARDS = 3;
const scene = sharedScene({ ports: { relay: await freePorts(SHARDS) }, relayArgs: ["--shards", `${SHARDS}`] });

const STREAMS = 4;
const MESSAGES = 10;

/** The library as a script that sets `window.earlier`. */
const clientOf = async (version: string): Promise<string> => {
  const packed = await readFile(new URL(`../fixtures/clients/${version}.js.gz`, import.meta.url));
  const stdin = { contents: gunzipSync(packed).toString() };
  const footer = { js: "window.earlier = earlier;" };
  const { outputFiles } = await build({ stdin, format: "iife", globalName: "earlier", footer, write: false });
  return outputFiles[0]?.text ?? "";
};

/** A page that has the earlier library as `window.earlier`, beside the present one. */
const pageWith = async (version: string): Promise<Page> => {
  const page = await blankPage(scene.browser);
  await page.addInitScript({ content: await clientOf(version) });
  return bareApiPage(scene.browser, scene.system, page);
};

/** Has both libraries publish to each stream and read it; what each read of each stream, and the attempts of all connections. */
const bothWays = ({ prefix, streams, messages }: { prefix: string; streams: number; messages: number }) => {
  const { earlier, tools } = window as unknown as { earlier: typeof window.tools.lib; tools: typeof window.tools };
  const each = async (at: number) => {
    const all = [earlier, tools.lib].map((lib, which) => ({
      which,
      connection: lib.connect({ stream: `${prefix}-${at}` }),
    }));
    const read = all.map(async ({ connection }) => {
      const texts: string[] = [];
      for await (const { seq, payload } of connection.subscribe({ from: 0 })) {
        texts.push(`${seq} ${new TextDecoder().decode(payload)}`);
        if (texts.length === 2 * messages) return texts;
      }
      return texts;
    });
    const publish = all.map(async ({ which, connection }) => {
      const stored = Array.from({ length: messages }, (_, n) => connection.publish(`${which}:${n}`).stored);
      await Promise.all(stored);
    });
    await Promise.all(publish);
    const texts = await Promise.all(read);
    const attempts = all.map(({ connection }) => connection.attempts.length);
    const states = all.map(({ connection }) => connection.state.state);
    for (const { connection } of all) connection.close();
    return { texts, attempts, states };
  };
  return Promise.all(Array.from({ length: streams }, (_, at) => each(at)));
};

describe("a client library of an earlier version", () => {
  for (const version of ["one-stream", "shared-connections"]) {
    it(`${version}: publishes and reads beside the present one`, async () => {
      const page = await pageWith(version);
      const asked = { prefix: version, streams: STREAMS, messages: MESSAGES };
      for (const { texts, attempts, states } of await page.evaluate(bothWays, asked)) {
        const [earlier = [], present = []] = texts;
        assert.deepEqual(earlier, present, "both read the same stream");
        assert.deepEqual(
          earlier.map((text) => Number(text.split(" ")[0])),
          Array.from({ length: 2 * MESSAGES }, (_, seq) => seq),
        );
        for (const which of [0, 1]) {
          const own = earlier.map((text) => text.split(" ")[1] ?? "").filter((text) => text.startsWith(`${which}:`));
          assert.deepEqual(
            own,
            Array.from({ length: MESSAGES }, (_, n) => `${which}:${n}`),
          );
        }
        assert.deepEqual(
          [attempts, states],
          [
            [1, 1],
            ["open", "open"],
          ],
        );
      }
      await page.context().close();
    });
  }
});
