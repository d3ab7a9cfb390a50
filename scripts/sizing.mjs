// The sizing table of docs/OPERATIONS.md, computed from the newest figures of `npm run bench -- mesh`: what a million readers of one
// stream need. `node scripts/sizing.mjs` prints it; `--write` puts it into the document in place of the one that is there.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./lib/paths.mjs";

const READERS = 1_000_000;
const RATES = [1, 10, 50];
/** Threads of one relay, and how much of each may be used: the rest is for joins and for relays that are lost. */
const [THREADS, SHARE] = [4, 0.6];
/** Sessions of one thread, and what an idle one keeps, bytes: `MAX_SESSIONS` in relay-node/src/core/limits.rs. */
const [MAX_SESSIONS, SESSION_BYTES] = [20_000, 52 * 1024];
/** Assumed prices in dollars: a server of four dedicated cores and 16 GB for a month, and a terabyte out, cheap and dear. */
const [RELAY_DOLLARS, TERABYTE_DOLLARS] = [60, [1.2, 50]];
const SECONDS_PER_MONTH = 30 * 24 * 3_600;
const MICROS_PER_SECOND = 1_000_000;
const BITS_PER_GIGABIT = 8 / 1e9;

const RESULTS = join(ROOT, "bench", "results");
const DOCUMENT = join(ROOT, "docs", "OPERATIONS.md");
const HEAD = "| a million readers, messages of 100 bytes |";

/** The newest results that have figures of the mesh. */
const newest = () => {
  const files = readdirSync(RESULTS).filter((name) => name.endsWith(".json"));
  for (const name of files.sort().reverse()) {
    /** @type {{ rows: { bench: string, figure: string, value: number }[] }} */
    const { rows } = JSON.parse(readFileSync(join(RESULTS, name), "utf8"));
    const mesh = rows.filter(({ bench }) => bench === "mesh");
    if (mesh.length > 0) return { name: name.replace(".json", ".md"), mesh };
  }
  throw new Error("bench/results has no figures of the mesh: npm run bench -- mesh");
};

/** @param {{ figure: string, value: number }[]} rows @param {string} beginning */
const figure = (rows, beginning) => {
  const found = rows.find(({ figure }) => figure.startsWith(beginning));
  if (!found) throw new Error(`bench/results has no figure "${beginning} …": npm run bench -- mesh`);
  return found.value;
};

/** @param {number} value */
const shown = (value) => Number(value.toPrecision(2)).toLocaleString("en-US");

/** What so many messages a second need. @param {{ figure: string, value: number }[]} rows @param {number} rate */
const column = (rows, rate) => {
  const delivery = figure(rows, "followers' CPU a delivery");
  const bytes = figure(rows, "bytes sent a delivery");
  const alone = figure(rows, "leader's CPU a message, 0 followers");
  const perFollower = (figure(rows, "leader's CPU a message, 8 followers with 1000 ") - alone) / 8;
  const perThread = Math.min(MAX_SESSIONS, Math.floor((SHARE * MICROS_PER_SECOND) / (rate * delivery)));
  const relays = Math.ceil(READERS / (perThread * THREADS));
  const leader = (rate * (alone + perFollower * (relays + THREADS - 2))) / MICROS_PER_SECOND;
  const bytesPerSecond = READERS * rate * bytes;
  const terabytes = (bytesPerSecond * SECONDS_PER_MONTH) / 1e12;
  return [
    `${rate} a second`,
    `${perThread.toLocaleString("en-US")}`,
    `${relays}`,
    `${relays - 1} between relays, ${THREADS - 1} inside each`,
    `${shown((perThread * THREADS * SESSION_BYTES) / 2 ** 30)} GiB`,
    `${shown(100 * leader)} % of a core`,
    `${shown(bytesPerSecond * BITS_PER_GIGABIT)} Gbit/s; ${shown((bytesPerSecond * BITS_PER_GIGABIT) / relays)} each`,
    `${shown(relays * RELAY_DOLLARS)} dollars`,
    `${TERABYTE_DOLLARS.map((price) => shown(terabytes * price)).join(" to ")} dollars`,
  ];
};

const LABELS = [
  HEAD.slice(2, -2),
  `sessions of a thread, at ${100 * SHARE} % of its CPU`,
  `relays of ${THREADS} threads`,
  "links",
  "memory of a relay for sessions",
  "the leader's part, of links inside a relay",
  "traffic out",
  `relays, a month at ${RELAY_DOLLARS} dollars each`,
  `traffic, a month of it at ${TERABYTE_DOLLARS.join(" to ")} dollars a terabyte`,
];

const table = () => {
  const { mesh } = newest();
  const columns = RATES.map((rate) => column(mesh, rate));
  const lines = LABELS.map((label, row) => `| ${[label, ...columns.map((cells) => cells[row])].join(" | ")} |`);
  return [lines[0], `|${"---|".repeat(RATES.length + 1)}`, ...lines.slice(1)].join("\n");
};

const made = table();
if (process.argv.includes("--write")) {
  const text = readFileSync(DOCUMENT, "utf8");
  const start = text.indexOf(HEAD);
  if (start < 0) throw new Error(`docs/OPERATIONS.md has no table that begins with "${HEAD}"`);
  writeFileSync(DOCUMENT, text.slice(0, start) + made + text.slice(text.indexOf("\n\n", start)));
} else {
  console.log(made);
}
