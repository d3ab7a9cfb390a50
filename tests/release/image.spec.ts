// The relay's image, and the parts of compose.yaml as their containers run them: chain, edge, and the image beside them. By a
// container engine where one works; else the image's program runs in an empty folder.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { streamchainPath } from "../../scripts/lib/build/relay.mjs";
import { childEnv, NODE, ROOT } from "../../scripts/lib/paths.mjs";
import { findEngine } from "../../scripts/lib/release/engine.mjs";
import { IMAGE_USER, imageFiles } from "../../scripts/lib/release/image.mjs";
import { compilePrograms } from "../../scripts/lib/release/programs.mjs";
import { type ImageRunner, imageRunner } from "../../scripts/lib/release/run-image.mjs";
import { Part } from "../../scripts/lib/system/part.mjs";
import { freePort, LOCALHOST } from "../../scripts/lib/system/ports.mjs";
import { eventually } from "../harness/system.ts";

const run = promisify(execFile);

/** Program headers of an ELF file: where they begin, their size and number, and the type that names a dynamic loader. */
const [PROGRAM_HEADERS_AT, HEADER_SIZE_AT, HEADER_COUNT_AT, INTERPRETER] = [32, 54, 56, 3];

/** Whether a 64-bit ELF program asks for a dynamic loader. */
const hasLoader = (program: Buffer): boolean => {
  const start = Number(program.readBigUInt64LE(PROGRAM_HEADERS_AT));
  const [size, count] = [program.readUInt16LE(HEADER_SIZE_AT), program.readUInt16LE(HEADER_COUNT_AT)];
  return Array.from({ length: count }, (_, i) => program.readUInt32LE(start + i * size)).includes(INTERPRETER);
};

/** The processes that run the image's program, by user and group. */
const relayProcesses = (port: number): { user: string; capabilities: string }[] =>
  readdirSync("/proc").flatMap((pid) => {
    try {
      if (!/^\d+$/.test(pid) || !readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("/relay-node\0")) return [];
      if (!readFileSync(`/proc/${pid}/environ`, "utf8").includes(`:${port}\0`)) return [];
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const field = (name: string): string => new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(status)?.[1] ?? "";
      return [{ user: field("Uid"), capabilities: field("CapEff") }];
    } catch {
      return []; // it ended
    }
  });

describe("the relay's image beside chain and edge", () => {
  const dir = mkdtempSync(join(tmpdir(), "streamchain-image-"));
  const parts: Part[] = [];
  let program = "";
  let runner: ImageRunner;
  let edge = "";
  let relayEnv: Record<string, string>;
  let ports: { chain: number; edge: number; relay: number; metrics: number };
  let ended: string | null = null;

  const part = (name: string, how: { command: string; args: string[]; env?: object }): Part => {
    const made = new Part(name, { ...how, log: join(dir, `${name}.log`) }, (_, reason) => {
      ended = `${name}: ${reason}`;
    });
    made.start();
    parts.push(made);
    return made;
  };

  /** One of the demo's other containers, as its command line and variables have it. */
  const container = async (name: "chain" | "edge", port: number, env: Record<string, string> = {}): Promise<void> => {
    const settings = { STREAMCHAIN_DATA: join(dir, name), STREAMCHAIN_HOST: LOCALHOST, STREAMCHAIN_PORT: `${port}` };
    const made = part(name, {
      command: NODE,
      args: [join(ROOT, "scripts", "container.mjs"), name],
      env: { ...settings, ...env },
    });
    await made.until(async () => readFileSync(made.log, "utf8").includes(`The ${name} serves.`), {
      what: "served",
      timeoutMs: 120_000,
    });
  };

  before(async () => {
    // Others must reach what is in it: the image's user is nobody else on this machine.
    chmodSync(dir, 0o755);
    const programs =
      process.env.STATIC_PROGRAMS ?? (await compilePrograms({ profile: "dev", packages: ["relay-node"] }));
    program = join(programs, "relay-node");
    const files = join(dir, "files");
    imageFiles({ program, folder: files });
    const folder = join(dir, "root");
    mkdirSync(folder);
    runner = await imageRunner({ engine: findEngine(), files, folder, tag: `streamchain-relay-test-${process.pid}` });
    console.log(`  by ${runner.how}`);
    const [chain, port, relay, metrics] = [
      await freePort("tcp"),
      await freePort("tcp"),
      await freePort("udp"),
      await freePort("tcp"),
    ];
    ports = { chain, edge: port, relay, metrics };
    edge = `http://${LOCALHOST}:${port}`;
    const rpc = `http://${LOCALHOST}:${chain}`;
    await container("chain", chain);
    const keys = join(dir, "keys");
    const key = { RELAY_ID: "demo", RELAY_KEY_FILE: join(keys, "relay.key") };
    await container("edge", port, { ...key, CHAIN_RPC_URL: rpc, PUBLIC_RPC_URL: rpc });
    relayEnv = {
      STREAMCHAIN_RELAY_ID: "demo",
      STREAMCHAIN_RELAY_KEY_FILE: "/keys/relay.key",
      STREAMCHAIN_EDGE: edge,
      STREAMCHAIN_LISTEN: `${LOCALHOST}:${relay}`,
      STREAMCHAIN_METRICS_LISTEN: `${LOCALHOST}:${metrics}`,
    };
    part("relay", runner.run(["run", "--no-turn"], relayEnv, [[keys, "/keys"]]));
  });

  after(async () => {
    for (const started of parts.reverse()) await started.stop();
    runner?.cleanUp();
    rmSync(dir, { recursive: true, force: true });
  });

  const health = async (env: Record<string, string>): Promise<{ code: number; text: string }> => {
    const asked = runner.run(["health"], env);
    try {
      const { stdout } = await run(asked.command, asked.args, { env: childEnv(asked.env as NodeJS.ProcessEnv) });
      return { code: 0, text: stdout };
    } catch (error) {
      const { code, stderr } = error as { code: number; stderr: string };
      return { code, text: stderr };
    }
  };

  it("has a program that needs no loader and no library", () => {
    assert.equal(hasLoader(readFileSync(program)), false);
    assert.equal(hasLoader(readFileSync(NODE)), true, "the check can fail");
  });

  it("registers with the edge, and says that it is healthy", async () => {
    await eventually("the relay is healthy", async () => {
      assert.equal(ended, null);
      return (await health(relayEnv)).code === 0;
    });
    assert.match((await health(relayEnv)).text, /^registered with the edge$/m);
    const status = (await (await fetch(`${edge}/v1/status`)).json()) as { relays: { id: string; alive: boolean }[] };
    assert.deepEqual(
      status.relays.map(({ id, alive }) => [id, alive]),
      [["demo", true]],
    );
  });

  it("is not healthy where no relay answers", async () => {
    const elsewhere = `${LOCALHOST}:${await freePort("tcp")}`;
    const { code, text } = await health({ ...relayEnv, STREAMCHAIN_METRICS_LISTEN: elsewhere });
    assert.deepEqual([code, text.includes(elsewhere)], [1, true], text);
  });

  it("runs as a user of its own without capabilities", () => {
    assert.deepEqual(relayProcesses(ports.relay), [{ user: `${IMAGE_USER}`, capabilities: "0000000000000000" }]);
  });

  it("carries messages over a data channel", async () => {
    const { stdout } = await run(streamchainPath(), ["bench", "--messages", "100"], {
      env: { ...process.env, STREAMCHAIN_EDGE: edge },
    });
    assert.notEqual(stdout, "");
    // A shard reports its counters from time to time.
    await eventually("the relay counts the messages", async () => {
      const metrics = await (await fetch(`http://${LOCALHOST}:${ports.metrics}/metrics`)).text();
      const [, accepted = "0"] = /^streamchain_messages_accepted_total (\d+)$/m.exec(metrics) ?? [];
      return Number(accepted) >= 100;
    });
  });

  it("ends by SIGTERM with what it holds stored", async () => {
    const [relay] = parts.splice(parts.length - 1);
    await relay?.stop();
    const log = (): string => readFileSync(join(dir, "relay.log"), "utf8");
    await eventually("its end is in the log", async () => /relay ended: /.test(log()));
    assert.match(log(), /relay ended: exit code 0/);
    assert.match(log(), /"messages_stored":100\b/);
  });
});
