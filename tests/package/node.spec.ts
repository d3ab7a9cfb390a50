// The packed package in Node, against a whole system: by HTTP and events, over a data channel, and the README's examples.

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { after, before, describe, it } from "node:test";
import { historyOf, streamReaches } from "../harness/streams.ts";
import { eventually, runningSystem, type TestSystem } from "../harness/system.ts";
import { packClient, readmeExamples, StrangersFolder } from "./stranger.ts";

/** The address that README.md writes for the contract and for the owner of rounds. */
const README_ADDRESS = "0x0000000000000000000000000000000000000000";

let archive = "";
let system: TestSystem;
let sensor: StrangersFolder;

before(async () => {
  archive = await packClient();
  [system, sensor] = await Promise.all([runningSystem(), StrangersFolder.ofExample(archive, "sensor")]);
});
after(async () => {
  await sensor?.remove();
  await system?.stop();
  if (archive !== "") await rm(dirname(archive), { recursive: true, force: true });
});

const READINGS = 5;

/** Runs the sensor until all its readings are stored. */
const runSensor = async (stream: string, env: NodeJS.ProcessEnv = {}): Promise<string> => {
  const settings = { EDGE: system.edge, STREAM: stream, READINGS: `${READINGS}`, EVERY_MS: "50" };
  const { code, text } = await sensor.start(["sensor.js"], { ...settings, ...env }).ended;
  assert.equal(code, 0, text);
  return text;
};

const assertReadings = async (stream: string): Promise<void> => {
  const readings = await historyOf(system, stream);
  assert.equal(readings.length, READINGS);
  const times = readings.map(({ text }) => JSON.parse(text).at as string);
  assert.deepEqual(times, [...times].sort(), "in the order in which they were taken");
  assert.equal(new Set(readings.map(({ author }) => author)).size, 1);
};

describe("the sensor example", () => {
  it("publishes by HTTP, and ends by itself", async () => {
    const text = await runSensor("sensor-http");
    assert.match(text, /^http: /m);
    await assertReadings("sensor-http");
  });

  it("publishes over a data channel, and ends by itself", async () => {
    const text = await runSensor("sensor-channel", { WEBRTC: "1" });
    assert.match(text, /^open$/m);
    assert.doesNotMatch(text, /^http/m);
    await assertReadings("sensor-channel");
  });
});

describe("a connection in Node", () => {
  /** Prints each message as `seq text state`, and the connection's states; ends when the text `end` comes. */
  const follower = (stream: string, options: string): string => `
    import { connect } from "@streamchain/client";
    const stream = connect({ edge: "${system.edge}", stream: "${stream}"${options} });
    stream.on("state", ({ state }) => console.log("is", state));
    for await (const { seq, payload } of stream.subscribe({ from: 0 })) {
      const text = new TextDecoder().decode(payload);
      console.log(seq, text, stream.stateOf(seq));
      if (text === "end") break;
    }
    stream.close();
  `;

  const publish = async (stream: string, text: string): Promise<void> => {
    const response = await fetch(`${system.edge}/v1/streams/${stream}/messages`, {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: text,
    });
    assert.ok(response.ok, await response.text());
  };

  for (const [how, options, state] of [
    ["by events", "", "http"],
    ["over a data channel", `, webrtc: await import("node-datachannel/polyfill")`, "open"],
  ] as const) {
    it(`follows a stream ${how}`, async () => {
      const stream = `followed-${state}`;
      await publish(stream, "before");
      await sensor.write(`${state}.mjs`, follower(stream, options));
      const running = sensor.start([`${state}.mjs`]);
      await eventually(`it is ${state}`, async () => running.text.includes(`is ${state}\n`));
      await publish(stream, "after");
      await publish(stream, "end");
      const { code, text } = await running.ended;
      const messages = text.split("\n").filter((line) => /^\d/.test(line));
      assert.deepEqual(
        messages.map((line) => line.split(" ").slice(0, 2).join(" ")),
        ["0 before", "1 after", "2 end"],
      );
      assert.equal(code, 0, text);
    });
  }

  it("ends by itself although no session opened", async () => {
    const { code, text } = await sensor.runModule(`
      import { connect } from "@streamchain/client";
      import * as webrtc from "node-datachannel/polyfill";
      const stream = connect({ edge: "http://127.0.0.1:9", stream: "demo", webrtc });
      stream.on("state", ({ state, error }) => {
        if (state !== "waiting") return;
        console.log(error.code);
        stream.close();
      });
    `);
    assert.deepEqual([code, text.trim()], [0, "edge-unreachable"]);
  });

  it("keeps what is not stored where it is given a storage", async () => {
    const { token } = (await (await fetch(`${system.edge}/v1/auth/guest`, { method: "POST" })).json()) as {
      token: string;
    };
    /** A process whose storage is a file; `body` has the connection as `stream`. */
    const restarted = (fetcher: string, body: string): string => `
      import { readFileSync, writeFileSync } from "node:fs";
      import { connect } from "@streamchain/client";
      const read = () => { try { return JSON.parse(readFileSync("storage.json", "utf8")); } catch { return {}; } };
      const change = (edit) => { const all = read(); edit(all); writeFileSync("storage.json", JSON.stringify(all)); };
      const storage = {
        get length() { return Object.keys(read()).length; },
        key: (index) => Object.keys(read())[index] ?? null,
        getItem: (key) => read()[key] ?? null,
        setItem: (key, value) => change((all) => { all[key] = value; }),
        removeItem: (key) => change((all) => { delete all[key]; }),
      };
      const platform = { storage, locks: { acquire: async () => () => {} }${fetcher} };
      const stream = connect({ edge: "${system.edge}", stream: "kept", token: "${token}", platform });
      ${body}`;
    const offline = ', fetch: () => Promise.reject(new Error("no network"))';
    const first = await sensor.runModule(
      restarted(
        offline,
        `const publication = stream.publish("kept");
         stream.on("state", () => { if (publication.kept) process.exit(7); });`,
      ),
    );
    assert.equal(first.code, 7, first.text);
    const second = await sensor.runModule(
      restarted(
        "",
        `stream.on("publication", async (publication) => {
           await publication.stored;
           stream.close();
         });`,
      ),
    );
    assert.equal(second.code, 0, second.text);
    assert.deepEqual(
      (await historyOf(system, "kept")).map(({ text }) => text),
      ["kept"],
    );
  });

  it("opens another session after its relay was restarted", async () => {
    const stream = "restarted";
    await sensor.write("restarted.mjs", follower(stream, `, webrtc: await import("node-datachannel/polyfill")`));
    const running = sensor.start(["restarted.mjs"]);
    const opened = (): number => [...running.text.matchAll(/^is open$/gm)].length;
    await eventually("the session is open", async () => opened() === 1);
    const { relay } = system.system.parts;
    await relay.kill();
    relay.start();
    await eventually("another session is open", async () => opened() === 2, 60_000);
    await publish(stream, "end");
    const { code, text } = await running.ended;
    assert.equal(code, 0, text);
  });
});

describe("the README's examples", () => {
  const edited = (code = ""): string =>
    code.replaceAll("https://edge.example", system.edge).replaceAll("https://rpc.example", system.chain);

  it("publish and read", async () => {
    const examples = await readmeExamples();
    const { code, text } = await sensor.runModule(edited(examples.get("publish-and-read")));
    assert.match(text, /^0 0x[0-9a-f]{40} hello$/m);
    assert.equal(code, 0);
  });

  it("check a receipt", async () => {
    const examples = await readmeExamples();
    await streamReaches(system, "demo", "anchored", 1);
    const example = edited(examples.get("check-a-receipt"));
    assert.equal((await sensor.runModule(example)).text.trim(), "not valid", "of another chain and contract");
    const config = await system.get<{ chainId: number; contract: string; operator: string; roundsOwner?: string }>(
      "/v1/config",
    );
    const own = example
      .replace("chainId: 1,", `chainId: ${config.chainId},`)
      .replace(`contract: "${README_ADDRESS}"`, `contract: "${config.contract}"`)
      .replace(`roundsOwner: "${README_ADDRESS}"`, `roundsOwner: "${config.roundsOwner ?? config.operator}"`);
    assert.ok(!own.includes(README_ADDRESS));
    assert.equal((await sensor.runModule(own)).text.trim(), "valid");
  });
});
