// Twenty streams in one page: one peer connection, and one request for each further stream. It prints what a further stream costs
// beside one HTTP request of the same page: on a busy machine the ratio says more than the time. And the streams of a pattern.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bareApiPage, blankPage, openApp, sharedScene } from "../harness/pages.ts";
import { eventually } from "../harness/system.ts";

const STREAMS = 20;

const scene = sharedScene();

/** Opens streams that are there, one after the other, in a page; what each took, beside a request of the page. */
const openAll = async (count: number) => {
  const { connect } = window.tools.lib;
  const openIn = async (stream: string) => {
    const before = performance.now();
    const connection = connect({ stream });
    await new Promise<void>((resolve) => {
      connection.on("state", ({ state }) => state === "open" && resolve());
    });
    return { connection, ms: performance.now() - before };
  };
  const all: Awaited<ReturnType<typeof openIn>>[] = [];
  const names = Array.from({ length: count }, (_, at) => `joined-${at}`);
  // The streams are there: it is joining that is measured, not making.
  for (const name of names) {
    const headers = { "content-type": "application/json" };
    await fetch("/v1/streams", { method: "POST", headers, body: JSON.stringify({ name }) });
  }
  for (const name of names) all.push(await openIn(name));
  const requestMs: number[] = [];
  for (const name of names) {
    const before = performance.now();
    await (await fetch(`/v1/streams/${name}`)).text();
    requestMs.push(performance.now() - before);
  }
  const stepMs = (step: string): number[] =>
    all.slice(1).map(({ connection }) => connection.attempts[0]?.steps.find(({ id }) => id === step)?.tookMs ?? 0);
  const requests = performance
    .getEntriesByType("resource")
    .map(({ name }) => new URL(name).pathname)
    .filter((path) => /\/sessions/.test(path));
  Object.assign(window, { all: all.map(({ connection }) => connection) });
  const { peers } = window as unknown as { peers: RTCPeerConnection[] };
  const steps = { http: stepMs("http"), channel: stepMs("channel"), welcome: stepMs("welcome") };
  return { peers: peers.length, requests, ms: all.map(({ ms }) => ms), requestMs, steps };
};

/** What a further stream costs, as a text. */
const costOf = (opened: Awaited<ReturnType<typeof openAll>>): string => {
  const shown = (ms: number | undefined): string => `${ms?.toFixed(1)} ms`;
  const median = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[all.length >> 1] ?? 0;
  const further = opened.ms.slice(1);
  const { http, channel, welcome } = opened.steps;
  return (
    `the first stream: ${shown(opened.ms[0])}; each further one: median ${shown(median(further))}, longest ${shown(Math.max(...further))}: ` +
    `request ${shown(median(http))}, channel ${shown(median(channel))}, welcome ${shown(median(welcome))}; ` +
    `${(median(further) / median(opened.requestMs)).toFixed(1)} times an HTTP request of this page (${shown(median(opened.requestMs))})`
  );
};

describe("a page with twenty streams", () => {
  it("has one connection, and goes on with it over an ICE restart", async (test) => {
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
    const opened = await page.evaluate(openAll, STREAMS);
    test.diagnostic(costOf(opened));
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

describe("the streams of a pattern", () => {
  it("are followed as they appear, over one connection", async () => {
    const page = await bareApiPage(scene.browser, scene.system);
    await page.evaluate(() => {
      const seen: string[] = [];
      const all = window.tools.lib.sub("pattern.*");
      all.on("message", ({ stream, message }) => seen.push(`${stream} ${new TextDecoder().decode(message.payload)}`));
      Object.assign(window, { all, seen });
    });
    const other = await bareApiPage(scene.browser, scene.system);
    const publish = (stream: string, text: string): Promise<void> =>
      other.evaluate(
        async ([stream, text]) => {
          const connection = window.tools.lib.connect({ stream });
          await connection.publish(text).stored;
          connection.close();
        },
        [stream, text] as const,
      );
    for (const name of ["a", "b", "c"]) await publish(`pattern.${name}`, `first of ${name}`);
    await publish("elsewhere", "not this");
    const seen = () => page.evaluate(() => [...(window as unknown as { seen: string[] }).seen].sort());
    const wanted = ["a", "b", "c"].map((name) => `pattern.${name} first of ${name}`);
    await eventually("the first message of each stream came", async () => (await seen()).length >= wanted.length);
    assert.deepEqual(await seen(), wanted);
    await page.context().close();
    await other.context().close();
  });

  it("are offered while a name is typed", async () => {
    const page = await openApp(scene.browser, scene.system, "pattern.a");
    await page.getByTestId("stream-name").fill("pattern.");
    const offered = (): Promise<string[]> =>
      page.evaluate(() =>
        [...document.querySelectorAll("#stream-names option")].map((one) => one.getAttribute("value") ?? ""),
      );
    await eventually("names are offered", async () => (await offered()).length > 0);
    assert.deepEqual(await offered(), ["pattern.a", "pattern.b", "pattern.c"]);
    await page.context().close();
  });
});

describe("who is on a stream", () => {
  it("is counted, and shown by address where it is wished", async () => {
    const stream = "presence";
    const one = await openApp(scene.browser, scene.system, stream);
    const two = await openApp(scene.browser, scene.system, stream);
    const readers = (count: number): Promise<void> =>
      one
        .getByTestId("presence-readers")
        .filter({ hasText: `${count} reading` })
        .waitFor();
    await readers(2);
    await one.getByTestId("presence-readers").click();
    assert.equal(await one.getByTestId("presence-authors").locator("li").count(), 0, "nobody is shown unasked");
    await two.getByTestId("presence-readers").click();
    await two.getByTestId("presence-show").check();
    const author = await two.evaluate(() => window.streamchain.connection.author);
    await one.locator(`[data-testid=presence-authors] code[title="${author}"]`).waitFor();
    const { presence } = await eventually("the edge knows it too", async () => {
      const info = await scene.system.get<{ presence?: { readers: number } }>(`/v1/streams/${stream}`);
      return info.presence?.readers === 2 && info;
    });
    assert.deepEqual(presence, { readers: 2, publishers: 2, authors: [author] });
    await two.context().close();
    await readers(1);
    await one.context().close();
  });
});
