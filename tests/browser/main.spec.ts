// The main job on real parts: two browsers, the relay, the edge, a chain; from a message to a receipt that anyone can check.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { parseReceipt, type Receipt } from "../../web/src/lib/index.ts";
import { type NetworkLog, networkLog, sessionRequests } from "../harness/network-log.ts";
import { bareApiPage, blankPage, openApp, sharedScene } from "../harness/pages.ts";
import { alterations, openZeppelinAccepts, type Verdict, verifyWithRelayNode } from "../harness/receipts.ts";
import { listeningTcpPorts } from "../harness/sockets.ts";
import { anchorsOf, miningUntil, receiptText, runsOf, streamFigures, streamReaches } from "../harness/streams.ts";

const STREAM = "main-job";
const MESSAGES = 1_000;
const PAYLOAD_BYTES = 100;

/** The first, the last, and some in between that differ from run to run. */
const someSeqs = (): number[] => {
  const between = Array.from({ length: 3 }, () => 1 + Math.floor(Math.random() * (MESSAGES - 2)));
  return [...new Set([0, ...between.sort((a, b) => a - b), MESSAGES - 1])];
};

/** Message i: its number, then filling. */
const payloadHex = (i: number): string => {
  const bytes = Buffer.alloc(PAYLOAD_BYTES, i % 251);
  bytes.writeUInt32BE(i);
  return `0x${bytes.toString("hex")}`;
};

// Without its doors for TURN and ICE-TCP the relay speaks nothing but UDP.
const scene = sharedScene({ mining: "manual", relayArgs: ["--no-turn", "--no-ice-tcp"] });

describe("a thousand messages from one page to another", () => {
  const seqs = someSeqs();
  const logs: NetworkLog[] = [];
  let writer: Page;
  let reader: Page;

  const loggedApp = async (): Promise<Page> => {
    const page = await blankPage(scene.browser);
    logs.push(await networkLog(page));
    return openApp(scene.browser, scene.system, STREAM, page);
  };

  before(async () => {
    writer = await loggedApp();
    reader = await loggedApp();
    await reader.evaluate(() => {
      window.kept.collector = window.tools.collect(window.streamchain.connection, 0);
    });
  });

  it("all reach the other page, once, in order, before any block", async () => {
    await writer.evaluate(
      async ({ messages, bytes }) => {
        const { connection } = window.streamchain;
        window.kept.publications = [];
        for (let i = 0; i < messages; i++) {
          await connection.writable();
          const payload = new Uint8Array(bytes).fill(i % 251);
          new DataView(payload.buffer).setUint32(0, i);
          window.kept.publications.push(connection.publish(payload));
        }
      },
      { messages: MESSAGES, bytes: PAYLOAD_BYTES },
    );
    await reader.waitForFunction((count) => window.kept.collector.seen.length >= count, MESSAGES, { polling: 100 });
    const { seen, retractions } = await reader.evaluate(() => window.kept.collector);
    assert.equal(retractions, 0);
    assert.deepEqual(
      seen.map(({ seq, payload }) => [seq, payload]),
      Array.from({ length: MESSAGES }, (_, i) => [i, payloadHex(i)]),
    );
  });

  it("are all stored", async () => {
    const stored = await writer.evaluate(() => Promise.all(window.kept.publications.map(({ stored }) => stored)));
    assert.deepEqual(
      stored,
      Array.from({ length: MESSAGES }, (_, i) => i),
    );
    const figures = await streamFigures(scene.system, STREAM);
    assert.equal(figures.head, MESSAGES);
    assert.equal(figures.stored, MESSAGES);
  });

  it("are final once blocks are mined, and both pages show it", async () => {
    assert.equal((await streamFigures(scene.system, STREAM)).anchored, 0, "nothing is on chain before a block is");
    await miningUntil(scene.system, streamReaches(scene.system, STREAM, "final", MESSAGES));
    const finals = await writer.evaluate(() => Promise.all(window.kept.publications.map((one) => one.final)));
    assert.equal(finals.length, MESSAGES);
    await reader.waitForFunction((count) => window.streamchain.connection.marks.final >= count, MESSAGES, {
      polling: 100,
    });
    assert.equal(await reader.evaluate((last) => window.streamchain.connection.stateOf(last), MESSAGES - 1), "final");
    assert.equal(await reader.evaluate(() => window.kept.collector.seen.length), MESSAGES, "none came twice");
  });

  it("are final from the start for a page that is opened later", async () => {
    const late = await openApp(scene.browser, scene.system, STREAM);
    for (const mark of ["live", "stored", "anchored", "final"]) {
      await late.getByTestId(`mark-${mark}`).filter({ hasText: "1,000" }).waitFor();
    }
    const last = late.locator(`[data-testid=message][data-seq="${MESSAGES - 1}"]`);
    await last.waitFor();
    assert.equal(await last.getAttribute("data-state"), "final");
    await late.context().close();
  });

  it("are in final rounds, by runs that touch", async () => {
    let [next, round] = [0, -1];
    for (const run of await runsOf(scene.system, STREAM)) {
      assert.equal(run.first, next);
      assert.ok(run.round > round, "a stream has one run in a round");
      assert.equal(run.state, "final");
      next += run.count;
      round = run.round;
    }
    assert.equal(next, MESSAGES);
    assert.deepEqual(await anchorsOf(scene.system, STREAM), [], "and have no anchors of their own");
  });

  it("have receipts that three verifiers accept", async () => {
    for (const seq of seqs) {
      const text = await receiptText(scene.system, STREAM, seq);
      const receipt = parseReceipt(text);
      assert.equal(receipt.version, 2);
      assert.equal(receipt.message.payload, payloadHex(seq));
      assert.ok(await verifiesInPage(reader, text, scene.system.chain), `receipt ${seq} in the page`);
      const { code, text: said } = await verifyWithRelayNode(text, scene.system.system.verifyConfig);
      assert.equal(code, 0, `relay-node verify, receipt ${seq}: ${said}`);
      assert.match(said, /\S/);
      assert.ok(openZeppelinAccepts(receipt), `OpenZeppelin, receipt ${seq}`);
    }
  });

  it("have a verify button that shows each step of the proof", async () => {
    const seq = MESSAGES - 1;
    await reader.locator(`[data-testid=message][data-seq="${seq}"]`).getByTestId("verify").click();
    await reader.getByTestId("rpc").fill(scene.system.chain);
    await reader.getByTestId("verify-run").click();
    await reader.locator("[data-testid=verify-result][data-ok=true]").waitFor();
    const steps = await reader
      .getByTestId("verify-step")
      .evaluateAll((items) =>
        items.map((item) => [(item as HTMLElement).dataset.step, (item as HTMLElement).dataset.ok]),
      );
    const shown = steps.map(([id]) => id);
    for (const id of [
      "stream-id",
      "payload-hash",
      "leaf",
      "root",
      "range",
      "rounds",
      "bucket",
      "round",
      "peak",
      "chain-id",
      "contract",
      "transaction",
      "event",
    ]) {
      assert.ok(shown.includes(id), id);
    }
    assert.ok(steps.every(([, ok]) => ok === "true"));
    await reader.getByTestId("details-close").click();
  });

  it("have receipts that fail when any field is changed", async () => {
    const receipt = parseReceipt(await receiptText(scene.system, STREAM, seqs[1] ?? 0));
    const altered = alterations(receipt);
    assert.ok(altered.length > 20, "type, version, chain, contract, stream, message, leaf, proof, root, anchor");
    const unaltered = JSON.stringify(receipt);
    assert.ok(await verifiesInPage(reader, unaltered, scene.system.chain), "unaltered, in the page");
    assert.equal(
      (await verifyWithRelayNode(unaltered, scene.system.system.verifyConfig)).code,
      0,
      "unaltered, relay-node verify",
    );
    const verdicts = await Promise.all(
      altered.map(({ json }) => verifyWithRelayNode(json, scene.system.system.verifyConfig)),
    );
    for (const [i, { field, json }] of altered.entries()) {
      assert.equal(await verifiesInPage(reader, json, scene.system.chain), false, `${field} changed, in the page`);
      const { code, text } = verdicts[i] as Verdict;
      assert.ok(code === 1 || code === 2, `${field} changed, relay-node verify: exit code ${code}, ${text}`);
      assert.match(text, /\S/, `${field} changed: relay-node says why`);
    }
  });

  it("have proofs that OpenZeppelin refuses for changed messages", async () => {
    const receipt = parseReceipt(await receiptText(scene.system, STREAM, seqs[1] ?? 0));
    const proven = /^(message\..*|stream\.id|leaf|proof.*|root|round\.(run|bucket)\..*|anchor\.(first|root))$/;
    const altered = alterations(receipt).filter(({ field }) => proven.test(field));
    assert.ok(altered.length >= 20);
    for (const { field, json } of altered) {
      assert.equal(openZeppelinAccepts(JSON.parse(json) as Receipt), false, field);
    }
  });

  it("needed one HTTP request for each session, and no WebSocket", async () => {
    for (const { requests, webSockets, webTransports } of logs) {
      assert.deepEqual(webSockets, []);
      assert.deepEqual(webTransports, []);
      assert.ok(requests.length > 0, "the log works");
    }
    for (const [i, page] of [writer, reader].entries()) {
      const attempts = await page.evaluate(() => window.streamchain.connection.attempts.map(({ error }) => `${error}`));
      assert.equal(attempts.length, 1, `one session is enough for all of this: ${attempts.join("; ")}`);
      assert.equal(sessionRequests(logs[i] as NetworkLog).length, 1);
    }
  });
});

/** Every check that the client library has, in a page. */
const verifiesInPage = (page: Page, receipt: string, rpc: string): Promise<boolean> =>
  page.evaluate(
    async ({ receipt, rpc }) => {
      const { lib, connection } = window.streamchain;
      try {
        const parsed = lib.parseReceipt(receipt);
        const config = await connection.edge.config();
        const results = [lib.checkProof(parsed), lib.checkDeployment(parsed, config)];
        results.push(await lib.checkOnChain(parsed, rpc), await lib.checkAuthor(parsed, { rpcUrl: rpc }));
        return results.every(({ ok }) => ok);
      } catch (error) {
        if (error instanceof lib.StreamChainError && error.code === "malformed") return false;
        throw error;
      }
    },
    { receipt, rpc },
  );

describe("setting up a session", () => {
  it("is one HTTP request by the client", async () => {
    const page = await blankPage(scene.browser);
    const log = await networkLog(page);
    await bareApiPage(scene.browser, scene.system, page);
    const before = log.requests.length;
    await page.evaluate(async () => {
      const connection = window.tools.lib.connect({ stream: "never-seen-before" });
      const publication = connection.publish("hello");
      await publication.stored;
    });
    const scripted = log.requests.slice(before).filter(({ type }) => type !== "Other"); // not the favicon
    assert.deepEqual(
      scripted.map(({ method, path }) => `${method} ${path}`),
      ["POST /v1/streams/never-seen-before/sessions"],
    );
    assert.deepEqual(log.webSockets, []);
  });

  it("is answered by the edge while the relay is halted", async () => {
    const { pid } = scene.system.system.parts.relay;
    assert.ok(pid !== null);
    const page = await bareApiPage(scene.browser, scene.system);
    process.kill(pid, "SIGSTOP");
    try {
      const status = await page.evaluate(async () => {
        const peer = new RTCPeerConnection();
        peer.createDataChannel("streamchain", { protocol: "streamchain.v1" });
        await peer.setLocalDescription();
        const headers = { "content-type": "application/sdp" };
        const body = peer.localDescription?.sdp ?? "";
        return (await fetch("/v1/streams/relay-halted/sessions", { method: "POST", headers, body })).status;
      });
      assert.equal(status, 201);
    } finally {
      process.kill(pid, "SIGCONT");
    }
  });

  it("sends the relay nothing by HTTP: it listens on no TCP port", () => {
    const { relay, chain } = scene.system.system.parts;
    assert.ok(relay.pid !== null && chain.pid !== null);
    assert.deepEqual(listeningTcpPorts(relay.pid), []);
    assert.deepEqual(listeningTcpPorts(chain.pid), [scene.system.system.ports.chain], "the look-up itself works");
  });
});
