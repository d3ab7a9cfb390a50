// Ten thousand TCP connections that never say anything worth while: the relay's memory stays bounded, and everybody
// else is served.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { blankPage } from "../harness/pages.ts";
import { eventually } from "../harness/system.ts";
import { type Host, ip, plugIn } from "./harness/hosts.ts";
import { CABLE, clientOn, EDGE_URL, internet, RELAY, RELAY_PORT } from "./harness/network.ts";
import { bothWays, FIREWALLS, PATHS, pathOf } from "./harness/paths.ts";

const scene = internet();

const CONNECTIONS = 10_000;
/** The doors of TURN, TURN over TLS and ICE-TCP. */
const PORTS = [3478, 443, RELAY_PORT];

/** 40 KiB for each connection that is let in, of at most 4,096 for each of two listener threads; measured far below. */
const MAX_GROWTH_MIB = 320;

const FLOODER_LINE = { server: ["10.81.0.1/24"], client: ["10.81.0.10/24"] };

/** A host that has hundreds of addresses. */
const flooderHost = async (): Promise<Host> => {
  const host = await scene.newHost();
  await plugIn(host, "flooder", FLOODER_LINE);
  host.run("ip", "route", "add", "local", "10.80.0.0/16", "dev", "lo");
  ip("route", "add", "10.80.0.0/16", "via", "10.81.0.10");
  return host;
};

const startFlood = (host: Host): ChildProcess => {
  const script = fileURLToPath(new URL("python/flood.py", import.meta.url));
  const [command, ...args] = host.command("python3", script, RELAY.v4, `${CONNECTIONS}`, ...PORTS.map(String));
  return spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
};

const nextLine = (child: ChildProcess): Promise<{ opened: number; closed: number }> =>
  new Promise((resolve) => {
    child.stdout?.once("data", (bytes: Buffer) => resolve(JSON.parse(bytes.toString())));
  });

describe("ten thousand connections that say nothing, or a byte a second", () => {
  it("take bounded memory, are ended, and keep nobody else out", async (test) => {
    const residentMiB = (): number => {
      const status = readFileSync(`/proc/${scene.system.system.parts.relay.pid}/status`, "utf8");
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1_024;
    };
    const client = await clientOn(scene, "cable", CABLE);
    const page = await blankPage(client.browser);
    await page.goto(`${EDGE_URL}/v1/health`);
    await bothWays(page, "before-the-flood", PATHS.direct.ways);

    const before = residentMiB();
    const flood = startFlood(await flooderHost());
    const { opened } = await nextLine(flood);
    const during = residentMiB();
    test.diagnostic(`${opened} of ${CONNECTIONS} came about; resident ${before.toFixed(1)} → ${during.toFixed(1)} MiB`);
    assert.ok(opened > CONNECTIONS / 2, `only ${opened} connections came about`);
    assert.ok(during - before < MAX_GROWTH_MIB, `the relay grew by ${(during - before).toFixed(1)} MiB`);

    const direct = await bothWays(page, "in-the-flood", PATHS.direct.ways);
    test.diagnostic(`in the flood: open after ${direct.openMs.toFixed(1)} ms, ${pathOf(direct.path)}`);

    await eventually("the relay has ended every one of them", async () => {
      flood.stdin?.write("\n");
      return (await nextLine(flood)).closed === opened;
    });
    test.diagnostic(`all were ended by the relay; resident ${residentMiB().toFixed(1)} MiB`);
    flood.kill();
    client.host.firewall(FIREWALLS.only443);
    const behind = await bothWays(page, "after-the-flood", PATHS.only443.ways);
    assert.equal(pathOf(behind.path), "TURN over TLS");
  });
});
