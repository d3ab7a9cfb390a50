// Other clients than Chromium: Firefox with the app, and a program that knows docs/PROTOCOL.md alone.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { PYTHON_CLIENT } from "../../scripts/lib/setup/network.mjs";
import { venvPython } from "../../scripts/lib/setup/python.mjs";
import type { ConnectionPath } from "../../web/src/lib/index.ts";
import { appUrl, inPageTools } from "../harness/pages.ts";
import { streamReaches } from "../harness/streams.ts";
import { eventually } from "../harness/system.ts";
import { Firefox } from "./harness/firefox.ts";
import { type Host, plugIn } from "./harness/hosts.ts";
import { CABLE, EDGE_URL, type Internet, internet } from "./harness/network.ts";
import { pathOf } from "./harness/paths.ts";

let scene: Internet;
let host: Host;

describe("other clients", () => {
  scene = internet();

  before(async () => {
    host = await scene.newHost();
    plugIn(host, "clients", CABLE);
  });

  firefoxTests();
  pythonTests();
});

function firefoxTests(): void {
  describe("Firefox", () => {
    const stream = "firefox";
    let firefox: Firefox;

    before(async () => {
      firefox = await Firefox.start(host, scene.folder);
      await firefox.addInitScript(await inPageTools());
      await firefox.goto(appUrl(EDGE_URL, stream));
    });

    after(() => firefox?.stop());

    it("joins a stream with the app, directly over UDP", async (test) => {
      test.diagnostic(await firefox.version());
      const state = "window.streamchain?.connection.state.state";
      await eventually("the session is open", async () => (await firefox.evaluate(state)) === "open", 60_000);
      const path = await firefox.evaluate<ConnectionPath>("window.streamchain.connection.getPath()");
      test.diagnostic(`${pathOf(path)} to ${path.remoteAddress}`);
      assert.equal(pathOf(path), "direct over UDP");
    });

    it("sends messages, gets them back and sees them stored", async () => {
      await firefox.evaluate("void (window.kept.collector = window.tools.collect(window.streamchain.connection, 0))");
      const seqs = await firefox.evaluate<number[]>(
        `Promise.all([0, 1, 2].map((i) => window.streamchain.connection.publish("fox " + i).stored))`,
      );
      assert.deepEqual(seqs, [0, 1, 2]);
      const heard = await eventually("it hears all three", async () => {
        const texts = await firefox.evaluate<string[]>(
          `window.kept.collector.seen.map(({ payload }) => new TextDecoder().decode(window.tools.lib.fromHex(payload)))`,
        );
        return texts.length === 3 && texts;
      });
      assert.deepEqual(heard, ["fox 0", "fox 1", "fox 2"]);
      await streamReaches(scene.system, stream, "stored", 3);
    });
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
    it("publishes and hears; after a restart of the relay it resumes without a double and fills the gap", async (test) => {
      const { code, said } = await runPython("from-python");
      for (const line of said.split("\n")) test.diagnostic(line);
      assert.equal(code, 0, said);
      await streamReaches(scene.system, "from-python", "stored", 6);
    });
  });
}
