// What the relay's image costs: its size, and the relay's memory at rest and with a thousand sessions.

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildRelayTestkit, relayTestkitPath } from "../scripts/lib/build/relay.mjs";
import { imageFiles } from "../scripts/lib/release/image.mjs";
import { compilePrograms } from "../scripts/lib/release/programs.mjs";
import { runningSystem } from "../tests/harness/system.ts";
import { rounded } from "./lib/statistics.mjs";

const SESSIONS = 1_000;
const KIB = 1_024;
const MIB = KIB * KIB;

/** Bytes of memory that a process uses. @param {number} pid */
const residentBytes = (pid) => {
  const [, kib = "0"] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) * KIB;
};

/** Opens the sessions, and resolves to a function that ends them. @param {string} edge */
const openSessions = async (edge) => {
  const args = ["sessions", "--edge", edge, "--stream", "bench-image", "--sessions", `${SESSIONS}`];
  const child = spawn(relayTestkitPath(), args, { stdio: ["pipe", "pipe", "inherit"] });
  await new Promise((resolve, reject) => {
    child.stdout.once("data", resolve);
    child.once("exit", (code) => reject(new Error(`relay-testkit sessions: exit code ${code}`)));
  });
  return () => child.stdin.end();
};

/** Bytes of all files of the image. @param {string} program */
const imageBytes = (program) => {
  const folder = mkdtempSync(join(tmpdir(), "streamchain-image-"));
  try {
    imageFiles({ program, folder });
    const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
    return files.reduce((sum, { name }) => sum + statSync(join(folder, name)).size, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const measured = async () => {
  await buildRelayTestkit();
  const program = join(await compilePrograms({ profile: "relay", packages: ["relay-node"] }), "relay-node");
  const system = await runningSystem({ relay: program });
  try {
    const pid = system.system.parts.relay.pid ?? 0;
    const atRest = residentBytes(pid);
    const end = await openSessions(system.edge);
    const withSessions = residentBytes(pid);
    end();
    return { image: imageBytes(program), atRest, withSessions };
  } finally {
    await system.stop();
  }
};

export const benches = [
  {
    name: "image",
    run: async () => {
      const { image, atRest, withSessions } = await measured();
      return [
        {
          figure: "size of the relay's image",
          value: rounded(image / MIB),
          unit: "MiB",
          note: "the program and root certificates",
        },
        { figure: "memory of the relay in it, at rest", value: rounded(atRest / MIB), unit: "MiB" },
        {
          figure: `memory of the relay in it, with ${SESSIONS} sessions`,
          value: rounded(withSessions / MIB),
          unit: "MiB",
          note: `${rounded((withSessions - atRest) / SESSIONS / KIB)} KiB for each session`,
        },
      ];
    },
  },
];
