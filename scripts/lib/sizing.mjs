// The sizing table of docs/OPERATIONS.md: what a million readers of one stream need, computed from the newest figures of
// `npm run bench -- mesh`, and the largest run of `npm run bench -- many-readers` beside it.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describeMachine } from "./machine.mjs";
import { ROOT } from "./paths.mjs";

/**
 * @typedef {{ bench: string, figure: string, value: number, unit: string, note?: string }} Row
 * @typedef {{ machine: Parameters<typeof describeMachine>[0], rows: Row[] }} Results
 */

const READERS = 1_000_000;
const RATES = [1, 10, 50];
/** Threads of one relay, and how much of each may be used: the rest is for joins and for relays that are lost. */
const [THREADS, SHARE] = [4, 0.6];
/** `MAX_SESSIONS` in relay-node/src/core/limits.rs. */
export const MAX_SESSIONS = 20_000;
/** Assumed prices in dollars: a server of four dedicated cores and 16 GB for a month, and a terabyte out, cheap and dear. */
const [RELAY_DOLLARS, TERABYTE_DOLLARS] = [60, [1.2, 50]];
const SECONDS_PER_MONTH = 30 * 24 * 3_600;
const MICROS_PER_SECOND = 1_000_000;
const BITS_PER_GIGABIT = 8 / 1e9;
const KIB_PER_GIB = 2 ** 20;

const RESULTS = join(ROOT, "bench", "results");
export const DOCUMENT = join(ROOT, "docs", "OPERATIONS.md");
export const PLACE = /(<!-- npm run bench -- mesh many-readers -->\n)([\s\S]*?)(<!-- end -->)/;
const UNMEASURED = "Not measured yet: `npm run bench -- mesh many-readers` measures it and writes the table here.";

/** All results, the newest first. @returns {{ name: string, results: Results }[]} */
const allResults = () => {
  const files = readdirSync(RESULTS).filter((name) => /^\d{4}-.*\.json$/.test(name));
  return files
    .sort()
    .reverse()
    .map((name) => ({
      name: name.replace(".json", ".md"),
      results: JSON.parse(readFileSync(join(RESULTS, name), "utf8")),
    }));
};

/** @param {readonly Row[]} rows @param {string} beginning */
const figure = (rows, beginning) => {
  const found = rows.find(({ figure }) => figure.startsWith(beginning));
  if (!found) throw new Error(`bench/results has no figure "${beginning} …": npm run bench -- mesh`);
  return found.value;
};

/** @param {number} value */
const shown = (value) => Number(value.toPrecision(2)).toLocaleString("en-US");

/** What so many messages a second need. @param {readonly Row[]} rows @param {number} rate */
const column = (rows, rate) => {
  const delivery = figure(rows, "followers' CPU a delivery");
  const bytes = figure(rows, "bytes sent a delivery");
  const alone = figure(rows, "leading relay's CPU a message, 0 ");
  const perRelay = Math.max(0, (figure(rows, "leading relay's CPU a message, 8 ") - alone) / 8);
  const perThread = Math.min(MAX_SESSIONS, Math.floor((SHARE * MICROS_PER_SECOND) / (rate * delivery)));
  const relays = Math.ceil(READERS / (perThread * THREADS));
  const leader = (rate * (alone + perRelay * (relays - 1))) / MICROS_PER_SECOND;
  const memory = perThread * THREADS * figure(rows, "memory of a relay for each subscriber");
  const bytesPerSecond = READERS * rate * bytes;
  const terabytes = (bytesPerSecond * SECONDS_PER_MONTH) / 1e12;
  return [
    `${rate} a second`,
    `${perThread.toLocaleString("en-US")}`,
    `${relays}`,
    `${relays - 1} between relays, ${THREADS - 1} inside each`,
    `${shown(memory / KIB_PER_GIB)} GiB`,
    `${shown(100 * leader)} % of a core`,
    `${shown(bytesPerSecond * BITS_PER_GIGABIT)} Gbit/s; ${shown((bytesPerSecond * BITS_PER_GIGABIT) / relays)} each`,
    `${shown(relays * RELAY_DOLLARS)} dollars`,
    `${TERABYTE_DOLLARS.map((price) => shown(terabytes * price)).join(" to ")} dollars`,
  ];
};

const LABELS = [
  "a million readers, messages of 100 bytes",
  `sessions of a thread, at ${100 * SHARE} % of its CPU and at most ${MAX_SESSIONS.toLocaleString("en-US")}`,
  `relays of ${THREADS} threads`,
  "links",
  "memory of a relay for its sessions",
  "the leader's part, for links to all other relays",
  "traffic out",
  `relays, a month, if one is ${RELAY_DOLLARS} dollars`,
  `traffic, a month of it, if a terabyte is ${TERABYTE_DOLLARS.join(" to ")} dollars`,
];

/** @param {readonly Row[]} rows */
const table = (rows) => {
  const columns = RATES.map((rate) => column(rows, rate));
  const lines = LABELS.map((label, row) => `| ${[label, ...columns.map((cells) => cells[row])].join(" | ")} |`);
  return [lines[0], `|${"---|".repeat(RATES.length + 1)}`, ...lines.slice(1)];
};

/** What stands in the document. */
export const sizingText = (all = allResults()) => {
  const [mesh] = all.filter(({ results }) => results.rows.some(({ bench }) => bench === "mesh"));
  if (!mesh) return `${UNMEASURED}\n`;
  const { name, results } = mesh;
  const rows = results.rows.filter(({ bench }) => bench === "mesh");
  const lines = [
    `Computed, not measured as a whole: from [figures](../bench/results/${name}) of single relays on ${describeMachine(results.machine)}.`,
    "The prices are assumptions.",
    "",
    ...table(rows),
    "",
  ];
  const runs = all.flatMap((file) => file.results.rows.map((row) => ({ row, file })));
  const largest = runs.find(({ row }) => row.bench === "many readers");
  if (largest) {
    const { row, file } = largest;
    lines.push(
      `The largest run that was measured ([figures](../bench/results/${file.name})), clients on the same machine:`,
      `${row.value.toLocaleString("en-US")} ${row.figure}. ${row.note}.`,
      "",
    );
  }
  return `${lines.join("\n")}`;
};

/** Puts it into the document. */
export const writeSizing = () => {
  const text = readFileSync(DOCUMENT, "utf8");
  if (!PLACE.test(text)) throw new Error("docs/OPERATIONS.md has no place for the sizing table");
  writeFileSync(
    DOCUMENT,
    text.replace(PLACE, (_, start, _before, end) => `${start}${sizingText()}${end}`),
  );
};
