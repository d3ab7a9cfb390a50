// How a session opens on every kind of network: by which path, how fast, and in how many round trips. Writes the table
// of docs/CONNECTIVITY.md. Hosts, firewalls and lines are those of the network tests.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeMachine } from "../scripts/lib/machine.mjs";
import { NODE, ROOT } from "../scripts/lib/paths.mjs";
import { show } from "../scripts/lib/run.mjs";
import { privateNetwork } from "../scripts/lib/test/private-network.mjs";

/**
 * @typedef {import("./lib/networks.mjs").Seen} Seen
 * @typedef {import("./lib/networks.mjs").SessionFigures} SessionFigures
 * @typedef {ReturnType<typeof import("../scripts/lib/machine.mjs").machine>} Machine
 */

const DOCUMENT = join(ROOT, "docs", "CONNECTIVITY.md");
const PLACE = /(<!-- npm run bench -- network -->\n)[\s\S]*?(<!-- end -->)/;

/**
 * What bench/lib/networks.mjs saw, in a network of its own; says what is missing where there can't be one.
 * @param {string | null} chromium
 * @returns {Promise<Seen>}
 */
const measured = async (chromium) => {
  const { command, env } = await privateNetwork();
  const folder = mkdtempSync(join(tmpdir(), "streamchain-bench-"));
  try {
    const file = join(folder, "networks.json");
    const [program = NODE, ...args] = [...command, NODE, join(ROOT, "bench", "lib", "networks.mjs"), file];
    const quiet = "--disable-warning=ExperimentalWarning";
    const code = await show(program, args, { env: { ...env, NODE_OPTIONS: quiet, CHROMIUM_PATH: chromium ?? "" } });
    if (code !== 0) throw new Error(`the measurement ended with ${code}`);
    return JSON.parse(readFileSync(file, "utf8"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

/** @param {number} value */
const ms = (value) => `${value.toFixed(0)} ms`;
/** @param {(string | number)[]} cells */
const line = (cells) => `| ${cells.join(" | ")} |`;
/** @param {SessionFigures} figures */
const wait = ({ waitMs }) => (waitMs === 0 ? "none" : ms(waitMs));

/**
 * Round trips by the clock: what the session took, without what the client waited, in round trips of that wire.
 * @param {SessionFigures} figures
 */
const byTheClock = ({ openMs, waitMs, rttMs }) => ((openMs - waitMs) / rttMs).toFixed(1);

/** @param {readonly (readonly [string, number])[]} steps */
const explained = (steps) => steps.map(([name, trips]) => `${name} ${trips}`).join(", ");

/** @param {Seen} seen */
const sessionLines = ({ near, far, lossy }) => [
  line([
    "Network",
    "Path",
    "Messages both ways",
    "Open, no delay",
    "Open, 100 ms",
    "Of it, waited",
    "Round trips, by the clock",
    "counted",
    "Needed by the protocols",
  ]),
  line(Array(9).fill("---")),
  ...far.map((there, i) => {
    const here = near[i] ?? there;
    const paths = here.paths === there.paths ? here.paths : `${here.paths}; far: ${there.paths}`;
    const worked = `${here.worked + there.worked} of ${here.tried + there.tried}`;
    const needed = `${there.needed}: ${explained(there.steps)}`;
    const times = [ms(here.openMs), ms(there.openMs), wait(there)];
    return line([there.title, paths, worked, ...times, byTheClock(there), there.trips, needed]);
  }),
  ...lossy.map((there) => {
    const worked = `${there.worked} of ${there.tried}`;
    const open = `${ms(there.openMs)}, slowest ${ms(there.slowestMs)}`;
    const needed = `${there.needed}, and what is sent again`;
    return line([there.title, there.paths, worked, "–", open, wait(there), byTheClock(there), "–", needed]);
  }),
];

/** @param {string} name @param {Seen["moving"]["near"]} figures */
const movingLine = (name, { paths, storedMs, sameSession }) =>
  line([name, paths, ms(storedMs), sameSession ? "the same" : "a new one"]);

/** @param {Seen} seen @param {Machine} machine */
const tables = (seen, machine) => [
  `Measured on ${describeMachine(machine)}; ${new Date().toISOString().slice(0, 10)}.`,
  `A round trip on the wire of 100 ms took ${seen.far[0]?.rttMs.toFixed(1)} ms.`,
  "",
  ...sessionLines(seen),
  "",
  "The client's address changes in the middle of a stream, from IPv6 and IPv4 to another IPv4 address:",
  "",
  line(["Wire", "Path", "Next message stored after", "Session"]),
  line(Array(4).fill("---")),
  movingLine("no delay", seen.moving.near),
  movingLine("100 ms", seen.moving.far),
  "",
];

/** @param {Seen} seen */
const rows = ({ near, far, lossy, moving }) => [
  ...far.map((there, i) => ({
    figure: `answer → open, ${there.title}`,
    value: Math.round(there.openMs),
    unit: "ms",
    note: `${there.paths}, ${there.trips} round trips of ${there.rttMs.toFixed(0)} ms; without delay ${near[i]?.openMs.toFixed(0)} ms`,
  })),
  ...lossy.map(({ title, paths, openMs, slowestMs, tried }) => ({
    figure: `answer → open, 100 ms there and back, ${title}`,
    value: Math.round(openMs),
    unit: "ms",
    note: `${paths}; slowest of ${tried}: ${slowestMs.toFixed(0)} ms`,
  })),
  {
    figure: "the client's address changes → next message stored",
    value: Math.round(moving.near.storedMs),
    unit: "ms",
    note: `${moving.near.paths}; with 100 ms there and back ${moving.far.storedMs.toFixed(0)} ms`,
  },
];

export const benches = [
  {
    name: "network",
    /** @param {{ machine: Machine, chromiumPath: () => string | null }} context */
    run: async ({ machine, chromiumPath }) => {
      const seen = await measured(chromiumPath());
      const document = readFileSync(DOCUMENT, "utf8");
      const place = tables(seen, machine).join("\n");
      writeFileSync(
        DOCUMENT,
        document.replace(PLACE, (_, start, end) => `${start}${place}${end}`),
      );
      return rows(seen);
    },
  },
];
