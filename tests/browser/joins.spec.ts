// Twenty streams in one page: one peer connection, and one request for each further stream.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bareApiPage, blankPage, sharedScene } from "../harness/pages.ts";

const STREAMS = 20;

const scene = sharedScene();

describe("a page with twenty streams", () => {
  it("has one connection, and goes on with it over an ICE restart", async () => {
    const page = await blankPage(scene.browser);
    await page.addInitScript(() => {
      const made: RTCPeerConnection[] = [];
      const Original = RTCPeerConnection;
      window.RTCPeerConnection = class extends Original {
        constructor(...parameters: ConstructorParameters<typeof Original>) {
          super(...parameters);
          made.push(this);
        }
      };
      Object.assign(window, { peers: made });
    });
    await bareApiPage(scene.browser, scene.system, page);
    const opened = await page.evaluate(async (count) => {
      const { connect } = window.tools.lib;
      const openIn = async (stream: string) => {
        const before = performance.now();
        const connection = connect({ stream });
        await new Promise<void>((resolve) => {
          connection.on("state", ({ state }) => state === "open" && resolve());
        });
        return { connection, ms: performance.now() - before };
      };
      const all = [];
      for (let at = 0; at < count; at++) all.push(await openIn(`joined-${at}`));
      const requests = performance
        .getEntriesByType("resource")
        .map(({ name }) => new URL(name).pathname)
        .filter((path) => /\/sessions/.test(path));
      Object.assign(window, { all: all.map(({ connection }) => connection) });
      const { peers } = window as unknown as { peers: RTCPeerConnection[] };
      return { peers: peers.length, requests, ms: all.map(({ ms }) => ms) };
    }, STREAMS);
    const further = opened.ms.slice(1).sort((a, b) => a - b);
    const shown = (ms: number | undefined): string => `${ms?.toFixed(1)} ms`;
    console.log(
      `the first stream: ${shown(opened.ms[0])}; each further one: median ${shown(further[further.length >> 1])}, longest ${shown(further.at(-1))}`,
    );
    assert.equal(opened.peers, 1);
    assert.equal(opened.requests.length, STREAMS, opened.requests.join("\n"));
    assert.equal(opened.requests.filter((path) => path.startsWith("/v1/sessions/")).length, STREAMS - 1);

    const after = await page.evaluate(async () => {
      const { all, peers } = window as unknown as {
        all: InstanceType<typeof window.tools.lib.StreamConnection>[];
        peers: RTCPeerConnection[];
      };
      const [peer] = peers as [RTCPeerConnection];
      const ufrag = (): string | undefined => /^a=ice-ufrag:(\S+)/m.exec(peer.localDescription?.sdp ?? "")?.[1];
      const before = ufrag();
      window.dispatchEvent(new Event("online")); // the network is another one: a new path is looked for
      while (ufrag() === before || peer.iceConnectionState === "checking") {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const seen = all.map(async (connection) => {
        const subscription = connection.subscribe();
        for await (const { payload } of subscription) return new TextDecoder().decode(payload);
      });
      await Promise.all(all.map((connection, at) => connection.publish(`over the new path ${at}`).stored));
      const texts = await Promise.all(seen);
      const attempts = all.map((connection) => connection.attempts.length);
      for (const connection of all) connection.close();
      return { texts, attempts, peers: peers.length, state: peer.connectionState };
    });
    assert.deepEqual(
      after.texts,
      Array.from({ length: STREAMS }, (_, at) => `over the new path ${at}`),
    );
    assert.deepEqual(new Set(after.attempts), new Set([1]), "no session was opened again");
    assert.deepEqual([after.peers, after.state], [1, "closed"]);
  });
});
