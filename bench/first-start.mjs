// The first start of a newcomer, part by part: a fresh clone, and empty caches of npm and cargo; Rust and Node are there.
//
// It needs the network. CPU time is that of all processes of the start: on a busy machine it says more than the time that passed.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "../scripts/lib/paths.mjs";
import { freePort } from "../scripts/lib/system/ports.mjs";
import { FirstStart } from "./lib/first-start.mjs";
import { cpuMillisecondsOfTree } from "./lib/processes.mjs";
import { rounded } from "./lib/statistics.mjs";

/** It builds in a clone: nothing of this checkout is used. */
export const needsBuild = false;

/** What a first start took before the tools were fewer and the page came first, on two quiet cores. */
const BEFORE_SECONDS = 624;

/** A start that takes longer than this hangs. */
const TIMEOUT_MS = 3_600_000;

/** Variables that would bring this checkout's tools, caches or settings into the clone. */
const LEFT_OUT = /^(npm_|NODE_PATH$|NODE_OPTIONS$|INIT_CWD$|XDG_|CARGO_|STREAMCHAIN_|RUSTFLAGS$)/;

/** The environment of a newcomer: a home folder with nothing in it but Rust's tool chain. @param {string} home */
const environment = (home) => {
  const rust = { cargo: join(homedir(), ".cargo"), rustup: join(homedir(), ".rustup") };
  const cargo = process.env.CARGO_HOME ?? rust.cargo;
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.includes("node_modules"));
  const kept = Object.entries(process.env).filter(([name]) => !LEFT_OUT.test(name));
  return {
    ...Object.fromEntries(kept),
    HOME: home,
    PATH: [...folders, join(cargo, "bin")].join(delimiter),
    CARGO_HOME: join(home, ".cargo"),
    RUSTUP_HOME: process.env.RUSTUP_HOME ?? rust.rustup,
  };
};

/**
 * Runs `npm start` until everything is there; resolves to its parts.
 * @param {{ checkout: string, env: NodeJS.ProcessEnv, log: (line: string) => void }} how
 */
const startOnce = async ({ checkout, env, log }) => {
  const ports = {
    port: await freePort("tcp"),
    "chain-port": await freePort("tcp"),
    "relay-port": await freePort("udp"),
  };
  const args = ["start", "--", ...Object.entries(ports).flatMap(([name, port]) => [`--${name}`, `${port}`])];
  const begin = performance.now();
  // A group of its own, so that Ctrl-C is sent to all of it.
  const child = spawn("npm", args, { cwd: checkout, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const pid = child.pid ?? 0;
  const signal = (/** @type {NodeJS.Signals} */ name) => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-pid, name);
  };
  const killed = () => signal("SIGKILL");
  process.once("exit", killed);
  const ended = new Promise((resolve) => child.once("close", resolve));
  const start = new FirstStart();
  const spent = () => ({ wallMs: performance.now() - begin, cpuMs: cpuMillisecondsOfTree(pid) });
  const over = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        start.line(line, spent);
        log(`    ${line}`);
        if (start.isOver) resolve(undefined);
      });
    }
  });
  const timer = setTimeout(killed, TIMEOUT_MS);
  try {
    await Promise.race([over, ended]);
    return { parts: start.parts, totals: start.totals };
  } finally {
    clearTimeout(timer);
    signal("SIGINT");
    await ended;
    process.removeListener("exit", killed);
  }
};

const measured = async (/** @type {(line: string) => void} */ log) => {
  const folder = mkdtempSync(join(tmpdir(), "streamchain-first-start-"));
  try {
    const [checkout, home] = [join(folder, "streamchain"), join(folder, "home")];
    mkdirSync(home);
    execFileSync("git", ["clone", "--quiet", "--no-hardlinks", ROOT, checkout]);
    return await startOnce({ checkout, env: environment(home), log });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const seconds = (/** @type {number} */ ms) => rounded(ms / 1_000);

/** @param {string} figure @param {{ wallMs: number, cpuMs: number }} spent @param {readonly string[]} notes */
const row = (figure, { wallMs, cpuMs }, notes = []) => ({
  figure,
  value: seconds(wallMs),
  unit: "s",
  note: [`${seconds(cpuMs)} s of CPU`, ...notes].join("; "),
});

export const benches = [
  {
    name: "first start",
    run: async (/** @type {{ log: (line: string) => void }} */ { log }) => {
      const { parts, totals } = await measured(log);
      const share = `${rounded(totals.everything.wallMs / 1_000 / BEFORE_SECONDS, 2)} × ${BEFORE_SECONDS} s, as it was before`;
      return [
        ...parts.map(({ name, details, ...spent }) => row(name, spent, details)),
        row("until the page works", totals.page),
        row("until everything is there", totals.everything, [share]),
      ];
    },
  },
];
