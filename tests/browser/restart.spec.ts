// Everything stops and starts again on the same folder: what was stored is there, and the streams go on.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { blankPage, openApp, sessionOpen, sharedScene } from "../harness/pages.ts";
import { lasting, verifyWithRelayNode } from "../harness/receipts.ts";
import {
  type RunFigures,
  receiptText,
  runsOf,
  type StreamFigures,
  streamFigures,
  streamReaches,
} from "../harness/streams.ts";

const STREAM = "restarted";
const BEFORE = 60;
/** These are stored, but most likely not anchored yet when everything stops. */
const LATE = 10;
const AFTER = 5;

const scene = sharedScene();

/** Publishes texts from the app of this page; resolves to their seqs once they are stored. */
const publishTexts = (page: Page, prefix: string, count: number): Promise<(number | null)[]> =>
  page.evaluate(
    ({ prefix, count }) => {
      const { connection } = window.streamchain;
      const publications = Array.from({ length: count }, (_, i) => connection.publish(`${prefix} ${i}`));
      return Promise.all(publications.map(({ stored }) => stored));
    },
    { prefix, count },
  );

const seqsFrom = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);

describe("after a restart of chain, edge and relay", () => {
  let page: Page;
  let figures: StreamFigures;
  let runs: RunFigures[];
  let receipts: string[];

  before(async () => {
    page = await openApp(scene.browser, scene.system, STREAM);
    await publishTexts(page, "before", BEFORE);
    await streamReaches(scene.system, STREAM, "final", BEFORE);
    receipts = await Promise.all([0, 17, BEFORE - 1].map((seq) => receiptText(scene.system, STREAM, seq)));
    runs = await runsOf(scene.system, STREAM);
    await publishTexts(page, "late", LATE);
    figures = await streamFigures(scene.system, STREAM);
    await scene.system.restartAll();
  });

  it("heads, runs and receipts are the same", async () => {
    const now = await streamFigures(scene.system, STREAM);
    assert.equal(now.id, figures.id);
    assert.equal(now.head, BEFORE + LATE);
    assert.equal(now.stored, BEFORE + LATE);
    assert.ok(now.anchored >= figures.anchored && now.final >= BEFORE);
    assert.deepEqual((await runsOf(scene.system, STREAM)).slice(0, runs.length), runs);
    assert.deepEqual(
      (await Promise.all([0, 17, BEFORE - 1].map((seq) => receiptText(scene.system, STREAM, seq)))).map(lasting),
      receipts.map(lasting),
    );
  });

  it("receipts from before still verify", async () => {
    for (const receipt of receipts) {
      const { code, text } = await verifyWithRelayNode(receipt, scene.system.system.verifyConfig);
      assert.equal(code, 0, text);
    }
  });

  it("a new page reads the whole history, in order", async () => {
    const reader = await openApp(scene.browser, scene.system, STREAM);
    await reader.evaluate(() => {
      window.kept.collector = window.tools.collect(window.streamchain.connection, 0);
    });
    await reader.waitForFunction((count) => window.kept.collector.seen.length >= count, BEFORE + LATE);
    const seen = await reader.evaluate(() =>
      window.kept.collector.seen.map(({ seq, payload }) => {
        const { fromHex } = window.tools.lib;
        return `${seq} ${new TextDecoder().decode(fromHex(payload))}`;
      }),
    );
    const said = [...seqsFrom(0, BEFORE).map((i) => `before ${i}`), ...seqsFrom(0, LATE).map((i) => `late ${i}`)];
    assert.deepEqual(
      seen,
      said.map((text, seq) => `${seq} ${text}`),
    );
    await reader.context().close();
  });

  it("an open page reconnects, and the stream goes on", async () => {
    await sessionOpen(page);
    assert.deepEqual(await publishTexts(page, "after", AFTER), seqsFrom(BEFORE + LATE, AFTER));
  });

  it("what was stored before is anchored and final", async () => {
    const all = BEFORE + LATE + AFTER;
    await streamReaches(scene.system, STREAM, "final", all);
    const { code, text } = await verifyWithRelayNode(
      await receiptText(scene.system, STREAM, BEFORE + LATE - 1),
      scene.system.system.verifyConfig,
    );
    assert.equal(code, 0, text);
    const covered = (await runsOf(scene.system, STREAM)).map(({ first, count }) => [first, first + count]);
    assert.deepEqual(covered[0]?.[0], 0);
    assert.deepEqual(covered.at(-1)?.[1], all);
    for (const [i, [first]] of covered.entries()) if (i > 0) assert.equal(first, covered[i - 1]?.[1]);
  });

  it("a guest is the same author as before after a reload", async () => {
    const author = () => page.evaluate(() => window.streamchain.connection.author);
    const mine = await author();
    assert.match(mine ?? "", /^0x[0-9a-f]{40}$/);
    await page.reload();
    await sessionOpen(page);
    assert.equal(await author(), mine);
    const other = await openApp(scene.browser, scene.system, STREAM, await blankPage(scene.browser));
    assert.notEqual(await other.evaluate(() => window.streamchain.connection.author), mine);
  });
});
