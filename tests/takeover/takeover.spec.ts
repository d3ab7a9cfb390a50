// Three relays, one stream, two pages that publish all the time and one that reads: the relay that has the stream is
// killed, says goodbye, hangs and comes back. Nothing that was stored is lost, doubled or reordered.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { networkLog, sessionRequests } from "../harness/network-log.ts";
import { bareApiPage, openApp, sessionOpen, sharedScene } from "../harness/pages.ts";
import { historyOf, readsAll, relayMetric } from "../harness/streams.ts";
import { eventually } from "../harness/system.ts";
import { Wire } from "../harness/wire.ts";

const STREAM = "moving";
/** A page notices a dead relay in seconds, and may be sent to it again until its lease (10 s) is over. */
const MOVE_TIMEOUT_MS = 90_000;

/** The error that tells a client to connect again: the stream is elsewhere. */
const STREAM_MOVED = 5;

/** Each relay's way to the edge. */
const wires = new Map<string, Wire>();

const scene = sharedScene({
  relays: 3,
  metrics: true,
  edgeFor: async (relay, edge) => {
    const wire = await Wire.to(edge);
    wires.set(relay, wire);
    return wire.url;
  },
});
after(() => {
  for (const wire of wires.values()) wire.close();
});

interface Figures {
  readonly relay: string;
  readonly epoch: number;
}

const figures = (stream = STREAM): Promise<Figures> => scene.system.get(`/v1/streams/${stream}`);

/** Publishes "name 0", "name 1" … from the app of this page until it is told to stop. */
const publishSteadily = (page: Page, name: string): Promise<void> =>
  page.evaluate((name) => {
    const { connection } = window.streamchain;
    window.kept.publications = [];
    const timer = setInterval(() => {
      window.kept.publications.push(connection.publish(`${name} ${window.kept.publications.length}`));
    }, 25);
    window.kept.stopPublishing = () => clearInterval(timer);
  }, name);

/** Resolves once a message that is published from now on is stored. */
const publishesAgain = (page: Page): Promise<unknown> =>
  page.evaluate(async () => {
    const before = window.kept.publications.length;
    while (window.kept.publications.length === before) await new Promise((resolve) => setTimeout(resolve, 10));
    return window.kept.publications[before]?.stored;
  });

/** Resolves once the stream is at another relay and under another epoch than it was. */
const movedFrom = (was: Figures, stream = STREAM): Promise<Figures> =>
  eventually(
    `${stream} has left ${was.relay}`,
    async () => {
      const now = await figures(stream);
      return now.relay !== was.relay && now.epoch > was.epoch && now;
    },
    MOVE_TIMEOUT_MS,
  );

const takenForDead = (relay: string): Promise<unknown> =>
  eventually("the edge takes the relay for dead", async () => {
    const status = await scene.system.get<{ relays: { id: string; alive: boolean }[] }>("/v1/status");
    return status.relays.some(({ id, alive }) => id === relay && !alive);
  });

const openRaw = (page: Page, stream: string): Promise<unknown> =>
  page.evaluate(async (stream) => {
    window.kept.raw = await window.tools.rawSession(stream);
    window.kept.raw.hello();
    window.kept.raw.subscribe(null);
    await window.kept.raw.frame("welcome");
  }, stream);

/** The ports of the relay in the answer that opened the page's raw session. */
const rawPorts = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const sdp = window.kept.raw.peer.remoteDescription?.sdp ?? "";
    return [...sdp.matchAll(/a=candidate:\S+ 1 udp \d+ \S+ (\d+)/gi)].map(([, port]) => port ?? "");
  });

/** The code of the error that a raw session was ended with. */
const rawFarewell = (page: Page): Promise<number> =>
  page.evaluate(async () => {
    await window.kept.raw.closed();
    const last = window.kept.raw.frames.findLast((frame) => frame.kind === "error");
    return last?.kind === "error" ? last.code : -1;
  });

describe("a stream whose relay goes away while two pages publish", () => {
  const writers: Page[] = [];
  let reader: Page;

  const standing = (): Promise<number> => reader.evaluate(() => window.kept.collector.standing.length);
  const retractions = (): Promise<number> => reader.evaluate(() => window.kept.collector.retractions);
  const readsOn = async (): Promise<void> => {
    const before = await standing();
    await reader.waitForFunction((before) => window.kept.collector.standing.length > before + 20, before, {
      polling: 50,
      timeout: MOVE_TIMEOUT_MS,
    });
  };
  const allGoOn = async (): Promise<void> => {
    await Promise.all([...writers.map(publishesAgain), readsOn()]);
    await Promise.all([...writers, reader].map(sessionOpen)); // and not by HTTP alone
  };

  before(async () => {
    reader = await openApp(scene.browser, scene.system, STREAM);
    await reader.evaluate(() => {
      window.kept.collector = window.tools.collect(window.streamchain.connection, 0);
    });
    for (const name of ["ann", "bob"]) {
      const page = await openApp(scene.browser, scene.system, STREAM);
      await publishSteadily(page, name);
      writers.push(page);
    }
    await readsOn();
  });

  it("goes to another relay by itself when its own is killed", async () => {
    const was = await figures();
    await scene.system.system.relayPart(was.relay).kill();
    const now = await movedFrom(was);
    // Pages that reach no relay send by HTTP: then the edge itself writes under an epoch in between.
    assert.ok(now.epoch - was.epoch <= 2, `${now.epoch} after ${was.epoch}`);
    await allGoOn();
  });

  it("goes to another relay at once when its own says goodbye", async () => {
    const [writer] = writers;
    assert.ok(writer);
    const log = await networkLog(writer);
    const was = await figures();
    await scene.system.system.relayPart(was.relay).stop();
    await movedFrom(was);
    await allGoOn();
    assert.equal(sessionRequests(log).length, 1, "nobody is sent back to the relay that has just gone");
  });

  it("leaves a relay that hangs, which can store nothing more", async () => {
    const { system } = scene;
    for (const relay of system.system.relayIds) {
      if (!system.system.relayPart(relay).running) await system.system.restart(relay.replace("local", "relay"));
    }
    const was = await figures();
    const [old, edge] = [system.system.relayPart(was.relay), system.system.parts.edge];
    assert.ok(edge);
    // While the edge stands still the relay goes on live; then it hangs with messages that it could not store.
    edge.pause();
    await readsOn();
    const takenBack = await retractions();
    const lost = "streamchain_streams_lost_total";
    const lostBefore = await relayMetric(scene.system.system, was.relay, lost);
    old.pause();
    edge.resume();
    await movedFrom(was);
    await allGoOn();
    const now = await figures(); // the edge itself may have written before the new relay did
    assert.ok((await retractions()) > takenBack, "the reader dropped what the hanging relay had not stored");

    old.resume();
    await eventually(
      "the old relay loses the stream",
      async () => (await relayMetric(scene.system.system, was.relay, lost)) > lostBefore,
    );
    const notLeader = 'streamchain_edge_requests_total{outcome="not_leader"}'; // stale-epoch or not-owner
    assert.ok((await relayMetric(scene.system.system, was.relay, notLeader)) > 0);
    await allGoOn();
    assert.deepEqual(await figures().then(({ relay, epoch }) => [relay, epoch]), [now.relay, now.epoch]);
  });

  it("has every stored message once, in order, and so its reader", async () => {
    const said = await Promise.all(
      writers.map((page) =>
        page.evaluate(async () => {
          window.kept.stopPublishing();
          const { publications } = window.kept;
          return Promise.all(publications.map(({ stored }) => stored));
        }),
      ),
    );
    const history = await historyOf(scene.system, STREAM);
    assert.equal(history.length, said.flat().length, "as many as were published");
    for (const [who, seqs] of said.entries()) {
      for (const [number, seq] of seqs.entries()) {
        // Null: it was posted by HTTP, and a session opened before the page had asked for its seq.
        if (seq !== null) assert.equal(history[seq]?.text, `${["ann", "bob"][who]} ${number}`, `message ${seq}`);
      }
    }
    const known = said.flat().filter((seq) => seq !== null).length;
    assert.ok(known > 0.9 * history.length, `${known} of ${history.length} seqs are known`);
    assert.deepEqual(
      history.map(({ seq }) => seq),
      history.map((_, index) => index),
      "no gap",
    );
    for (const name of ["ann", "bob"]) {
      const numbers = history.filter(({ text }) => text.startsWith(name)).map(({ text }) => Number(text.split(" ")[1]));
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => index),
        `${name}'s messages are in the order in which they were sent`,
      );
    }
    await readsAll(reader, history);
    console.log(`    ${history.length} messages over ${(await figures()).epoch} epochs; each once`);
  });
});

describe("a relay that is cut off from the edge, but not from its clients", () => {
  it("goes on live, and sends its clients on with what is unstored", async () => {
    const [writer, reader] = [
      await openApp(scene.browser, scene.system, "cut"),
      await openApp(scene.browser, scene.system, "cut"),
    ];
    await reader.evaluate(() => {
      window.kept.collector = window.tools.collect(window.streamchain.connection, 0);
    });
    const publish = (texts: string[]): Promise<(number | null)[]> =>
      writer.evaluate(
        (texts) => Promise.all(texts.map((text) => window.streamchain.connection.publish(text).stored)),
        texts,
      );
    await publish(["before"]);
    const was = await figures("cut");
    const wire = wires.get(was.relay);
    assert.ok(wire);
    wire.cut();
    const late = publish(["late 0", "late 1"]);
    await reader.waitForFunction(() => window.kept.collector.seen.length === 3);
    await takenForDead(was.relay);
    const newcomer = await bareApiPage(scene.browser, scene.system);
    await openRaw(newcomer, "cut");
    const now = await movedFrom(was, "cut");
    assert.ok(
      (await rawPorts(newcomer)).includes(`${scene.system.system.relayPorts[now.relay]}`),
      "the right relay's port",
    );

    const told = writer.evaluate(
      () =>
        new Promise<number>((resolve) => {
          window.streamchain.connection.on("relay-error", ({ code }) => resolve(code));
        }),
    );
    wire.mend();
    assert.equal(await told, STREAM_MOVED);
    assert.deepEqual(await late, [1, 2]);
    assert.deepEqual(
      (await historyOf(scene.system, "cut")).map(({ text }) => text),
      ["before", "late 0", "late 1"],
    );
    await reader.waitForFunction(
      () => window.kept.collector.standing.length === 3 && window.kept.collector.retractions === 1,
    );
    assert.deepEqual(await figures("cut").then(({ relay }) => relay), now.relay);
    for (const page of [writer, reader, newcomer]) await page.context().close();
  });

  it("finds out that a stream moved, and notifies its readers", async () => {
    const listener = await bareApiPage(scene.browser, scene.system);
    await openRaw(listener, "quiet");
    const was = await figures("quiet");
    wires.get(was.relay)?.cut();
    await takenForDead(was.relay);
    const newcomer = await bareApiPage(scene.browser, scene.system);
    await openRaw(newcomer, "quiet");
    await movedFrom(was, "quiet");
    wires.get(was.relay)?.mend();
    assert.equal(await rawFarewell(listener), STREAM_MOVED);
    for (const page of [listener, newcomer]) await page.context().close();
  });
});
