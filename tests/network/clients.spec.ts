// Other clients than Chromium: Firefox with the app, and a program that knows docs/PROTOCOL.md alone.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { PYTHON_CLIENT } from "../../scripts/lib/setup/network.mjs";
import { venvPython } from "../../scripts/lib/setup/python.mjs";
import type { Attempt, ConnectionPath } from "../../web/src/lib/index.ts";
import { appUrl, inPageTools } from "../harness/pages.ts";
import { streamReaches } from "../harness/streams.ts";
import { eventually } from "../harness/system.ts";
import { Firefox } from "./harness/firefox.ts";
import { type Host, plugIn, renumber } from "./harness/hosts.ts";
import { assertJoined, joinStreams, openTimes } from "./harness/joined.ts";
import { CABLE, EDGE_URL, type Internet, internet } from "./harness/network.ts";
import { FIREWALLS, PATHS, pathOf, thereAndBack } from "./harness/paths.ts";
import { assertAllHeard, inPage } from "./harness/publisher.ts";

/** Streams of one page, as many as the browser tests open in Chromium. */
const STREAMS = 20;

/** Messages of a client whose address changes after the twentieth. */
const MOVING = 100;

let scene: Internet;
let host: Host;

describe("other clients", () => {
  scene = internet();

  before(async () => {
    host = await scene.newHost();
    await plugIn(host, "clients", CABLE);
  });

  pythonTests();
  firefoxTests();
});

function firefoxTests(): void {
  describe("Firefox", () => {
    const stream = "firefox";
    let firefox: Firefox;

    const joinWithApp = async (stream: string): Promise<void> => {
      await firefox.goto(appUrl(EDGE_URL, stream));
      const open = (): Promise<boolean> =>
        firefox.run(() => window.streamchain?.connection.state.state === "open" && window.kept !== undefined);
      await eventually("the session is open", open, 60_000);
    };
    const path = (): Promise<ConnectionPath | undefined> => firefox.run(() => window.streamchain.connection.getPath());
    const attempts = (): Promise<readonly Attempt[]> => firefox.run(() => window.streamchain.connection.attempts);

    before(async () => {
      firefox = await Firefox.start(host, scene.folder);
      await firefox.addInitScript(await inPageTools());
    });

    after(() => firefox?.stop());

    it("joins a stream with the app, directly over UDP", async (test) => {
      test.diagnostic(await firefox.version());
      await joinWithApp(stream);
      const taken = await path();
      test.diagnostic(`${pathOf(taken)} to ${taken?.remoteAddress}`);
      assert.equal(pathOf(taken), "direct over UDP");
    });

    it("sends messages, gets them back and sees them stored", async () => {
      await firefox.run(inPage.publish, 3);
      assert.deepEqual(await firefox.run(inPage.stored), [0, 1, 2]);
      const heard = await eventually("it hears all three", async () => {
        const texts = await firefox.run(inPage.heard);
        return texts.length === 3 && texts;
      });
      assertAllHeard(heard, 3);
      await streamReaches(scene.system, stream, "stored", 3);
    });

    it("restarts ICE against the same answer, and keeps its session", async () => {
      const before = await path();
      await firefox.run(() => window.dispatchEvent(new Event("online")));
      await eventually("it goes another way", async () => (await path())?.localAddress !== before?.localAddress);
      assert.deepEqual(await firefox.run(() => window.streamchain.connection.publish("after").stored), 3);
      assert.equal((await attempts()).length, 1);
    });

    it("finds TURN over TLS by a restart, where only 443 is open", async (test) => {
      host.firewall(FIREWALLS.only443);
      await joinWithApp("firefox-443");
      const [attempt, ...more] = await attempts();
      const tookMs = attempt?.steps.reduce((sum, step) => sum + (step.tookMs ?? 0), 0);
      test.diagnostic(`open ${tookMs?.toFixed(0)} ms after the attempt began, ${pathOf(await path())}`);
      assert.deepEqual([pathOf(await path()), more], ["TURN over TLS", []]);
      await firefox.run(inPage.publish, 3);
      assert.deepEqual(await firefox.run(inPage.stored), [0, 1, 2]);
    });

    for (const name of ["iceTcp", "turnUdp", "turnTcp", "turnTls"] as const) {
      const { title, firewall, ways, expected } = PATHS[name];
      it(`${title}: goes ${expected}`, async (test) => {
        host.firewall(FIREWALLS.open);
        await firefox.goto(`${EDGE_URL}/v1/health`);
        host.firewall(FIREWALLS[firewall]);
        const shown = await firefox.run(thereAndBack, { stream: `firefox-path-${name.toLowerCase()}`, ways });
        test.diagnostic(`open after ${shown.openMs.toFixed(1)} ms, ${pathOf(shown.path)}`);
        assert.equal(pathOf(shown.path), expected);
      });
    }

    it("has 20 streams on one connection, over an ICE restart", async (test) => {
      host.firewall(FIREWALLS.open);
      await firefox.goto(`${EDGE_URL}/v1/health`);
      const asked = { prefix: "firefox-joined", count: STREAMS, policy: "all", restarts: true } as const;
      const joined = await firefox.run(joinStreams, asked);
      test.diagnostic(`${openTimes(joined)}; ${pathOf(joined.paths[0])}`);
      assertJoined(joined, STREAMS);
      assert.equal(pathOf(joined.paths[0]), "direct over UDP");
    });

    const moves = async (test: TestContext, stream: string, address: string): Promise<void> => {
      host.firewall(FIREWALLS.open);
      await joinWithApp(stream);
      const publishing = firefox.run(inPage.publish, MOVING);
      await streamReaches(scene.system, stream, "stored", 20);
      renumber(host, "clients", address, "10.78.0.1");
      await publishing;
      await firefox.run(inPage.stored);
      const heard = await eventually("it hears all of them", async () => {
        const texts = await firefox.run(inPage.heard);
        return texts.length >= MOVING && texts;
      });
      assertAllHeard(heard, MOVING);
      const pauseMs = await firefox.run(inPage.longestPauseMs);
      test.diagnostic(`nothing came for ${pauseMs.toFixed(0)} ms; then ${pathOf(await path())}`);
      assert.match((await path())?.remoteAddress ?? "", /^10\.77\.0\.2:/);
    };

    it("loses nothing when its IPv6 goes in the middle of a stream", (test) =>
      moves(test, "firefox-loses-ipv6", "10.78.0.11/24"));

    it("loses nothing when its IPv4 address changes", (test) => moves(test, "firefox-moves", "10.78.0.12/24"));
  });
}

/** Runs the Python client to its end; the relay is restarted once the client says that it has published. */
const runPython = (stream: string): Promise<{ code: number | null; said: string }> => {
  const script = fileURLToPath(new URL("python/client.py", import.meta.url));
  const args = [script, EDGE_URL, stream, "--authority", scene.certificates.authority, "--expect-gap"];
  const [command, ...rest] = host.command(venvPython(PYTHON_CLIENT), ...args);
  const client = spawn(command, rest, { stdio: ["pipe", "pipe", "pipe"] });
  client.stdout.once("data", async () => {
    await scene.system.system.restart("relay");
    client.stdin.end("\n");
  });
  let said = "";
  for (const output of [client.stdout, client.stderr]) {
    output.on("data", (bytes: Buffer) => {
      said += bytes.toString();
    });
  }
  return new Promise((resolve) => client.on("close", (code) => resolve({ code, said: said.trim() })));
};

function pythonTests(): void {
  describe("a Python program with aiortc, written from docs/PROTOCOL.md alone", () => {
    it("resumes after a relay's restart, without doubles or gaps", async (test) => {
      const { code, said } = await runPython("from-python");
      for (const line of said.split("\n")) test.diagnostic(line);
      assert.equal(code, 0, said);
      await streamReaches(scene.system, "from-python", "stored", 6);
    });
  });
}
