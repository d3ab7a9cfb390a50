// What a stream costs at Cloudflare, by the counters of a run and the published prices; and the tables of the documents,
// which are made of it. Pure, but for the functions that read and write files.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../paths.mjs";

/**
 * @typedef {object} Counts what an edge did in a window
 * @property {number} commits batches that were stored
 * @property {number} objectCalls
 * @property {number} objectRows rows that objects wrote
 * @property {number} d1Rows rows written to D1
 * @property {number} rounds rounds that became final
 *
 * @typedef {{ seconds: number, counts: Counts }} Spent
 *
 * @typedef {object} Measured what some streams did that commit a message each `periodMs`
 * @property {number} periodMs
 * @property {number} streams
 * @property {Spent} spent
 * @property {Spent} idle the same deployment without a stream
 *
 * @typedef {object} Run
 * @property {string} date
 * @property {Measured[]} measured
 *
 * @typedef {{ what: string, amount: number, unit: string, price: string, dollars: number }} Part
 */

/** The counters of the last run of the bench. */
const RUN_FILE = join(ROOT, "bench", "results", "stream-costs.json");

/** Dollars a million, as Cloudflare published them in 2026; duration is a million GB-seconds. */
const PRICES = { requests: 0.3, objectRequests: 0.15, rows: 1, duration: 12.5, archiveWrites: 4.5 };
/** Dollars for a GB in the archive, a month. */
const ARCHIVE_GB = 0.015;
const OBJECT_GB = 0.128;
const MONTH_S = 30 * 24 * 3_600;
/** A message of 100 bytes, with what is stored beside it. */
const STORED_BYTES = 155;
const PACK_BYTES = 8 * 1024 ** 2;

/** What a stream may cost in a month, by the period of its commits. @type {Record<number, number>} */
export const MAX_DOLLARS = { 1000: 10, 50: 90 };

/**
 * What one of the streams needs in a month: for each commit what was counted for each, segments, alarms and rounds included. What the
 * deployment does without streams is not the streams'. A machine that is too busy to commit in time makes more rounds meanwhile,
 * so it counts too much. Each commit is a request: a relay sends those of several streams together where it can.
 * @param {Measured} measured
 * @returns {Part[]}
 */
export const partsOf = ({ periodMs, spent, idle }) => {
  const commits = ((1_000 / periodMs) * MONTH_S) / 1e6;
  /** Millions a month. @param {"objectCalls" | "objectRows" | "d1Rows"} what */
  const millions = (what) => {
    const others = (idle.counts[what] / idle.seconds) * spent.seconds;
    return (commits * (spent.counts[what] - others)) / spent.counts.commits;
  };
  const gigabytes = (commits * STORED_BYTES) / 1e3;
  const writes = (gigabytes * 1e9) / PACK_BYTES / 1e6;
  const gbSeconds = (MONTH_S / 1e6) * OBJECT_GB;
  /** @param {string} what @param {number} amount @param {string} unit @param {number} price */
  const part = (what, amount, unit, price) => ({ what, amount, unit, price: `$${price}`, dollars: amount * price });
  return [
    part("requests of the Worker", commits, "million", PRICES.requests),
    part("requests of objects, and their alarms", millions("objectCalls"), "million", PRICES.objectRequests),
    part("rows that objects write", millions("objectRows"), "million", PRICES.rows),
    part("rows written to D1", millions("d1Rows"), "million", PRICES.rows),
    part("duration of the Stream object, always awake", gbSeconds, "million GB-s", PRICES.duration),
    part("packs written to the archive", writes, "million", PRICES.archiveWrites),
    part("a month's messages of 100 bytes in the archive", gigabytes, "GB", ARCHIVE_GB),
  ];
};

/** @param {Part[]} parts */
export const dollarsOf = (parts) => parts.reduce((sum, { dollars }) => sum + dollars, 0);

/** @param {Measured} measured */
export const objectRowsEachCommit = (measured) => {
  const rows = partsOf(measured).find(({ what }) => what === "rows that objects write");
  return (rows?.amount ?? 0) / (((1_000 / measured.periodMs) * MONTH_S) / 1e6);
};

/** Cents below a dollar, then whole cents: no more digits than what was measured has. @param {number} dollars */
const money = (dollars) => (dollars < 0.005 ? "below $0.01" : `$${dollars.toFixed(2)}`);

/** @param {number} amount */
const quantity = (amount) => (amount < 0.01 ? "below 0.01" : amount.toPrecision(3));

/** @param {number} periodMs */
const title = (periodMs) =>
  periodMs >= 1_000 ? `one message each ${periodMs / 1_000} s` : `a batch each ${periodMs} ms`;

/**
 * The table of DEPLOY.md: a column for each rate.
 * @param {Run} run
 */
export const costTable = ({ measured }) => {
  const columns = measured.map(partsOf);
  const [first = []] = columns;
  const heads = measured.map(({ periodMs }) => `${title(periodMs)}, a month`);
  const rows = first.map(({ what, unit, price }, i) => {
    const cells = columns.map((parts) => {
      const { amount = 0, dollars = 0 } = parts[i] ?? {};
      return `${quantity(amount)} ${unit}: ${money(dollars)}`;
    });
    return [what, price, ...cells];
  });
  const sums = columns.map((parts) => `**${money(dollarsOf(parts))}**`);
  const all = [["what", "price", ...heads], ["---", "---", ...heads.map(() => "---")], ...rows, ["all", "", ...sums]];
  const table = all.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  return `${table}\n\n${restSentence(measured)}`;
};

/** What a deployment without streams does in a month. @param {Measured[]} measured */
const restSentence = ([first]) => {
  if (first === undefined) return "";
  const { seconds, counts } = first.idle;
  /** @param {number} count */
  const millions = (count) => ((count / seconds) * MONTH_S) / 1e6;
  const [rows, d1, calls] = [millions(counts.objectRows), millions(counts.d1Rows), millions(counts.objectCalls)];
  const dollars = (rows + d1) * PRICES.rows + calls * PRICES.objectRequests;
  return `A deployment with one relay and no stream writes ${quantity(rows + d1)} million rows in a month and makes ${quantity(calls)} million calls of objects: ${money(dollars)}, before the plan's allowances, and beside the time that its objects are awake.`;
};

/** Whole dollars a month, of a message a second and of one that is written to all the time. @param {Run} run */
const wholeDollars = ({ measured }) => measured.map((one) => Math.ceil(dollarsOf(partsOf(one))));

/** The sentence of the README. @param {Run} run */
const costSentence = (run) => {
  const [slow, fast] = wholeDollars(run);
  return `- Cloudflare: $5 a month, and about $${slow} for a stream of one message a second, up to about $${fast} for one that is written to all the time.`;
};

/** The same in Vietnamese. @param {Run} run */
const vietnameseSentence = (run) => {
  const [slow, fast] = wholeDollars(run);
  return `- Cloudflare: 5 đô la Mỹ mỗi tháng, và khoảng ${slow} đô la cho một luồng một tin mỗi giây, đến khoảng ${fast} đô la cho một luồng được ghi liên tục.`;
};

/** An EAS timestamp, `timestamp(bytes32)`, which stores one hash: measured on a copy of its contract. */
export const EAS_GAS = 45_766;
/**
 * Ceramic's anchor contract (CIP-110) publishes no figure. By its source: base, 36 bytes of calldata, one look into the
 * list of allowed services, one event with one indexed field and one word.
 */
export const CERAMIC_GAS = 21_000 + 4 * 16 + 32 * 16 + 2_100 + (375 + 2 * 375 + 8 * 32);

/** Of one message a second. */
export const MINUTE_OF_MESSAGES = 60;

/** The gas of whole transactions, which the contract's tests keep. */
const GAS_FILE = join(ROOT, "contracts", "snapshots", "WholeTransaction.json");

/** @param {number} gas */
const grouped = (gas) => gas.toLocaleString("en-US", { maximumFractionDigits: gas < 10 ? 2 : 0 });

/** What an anchor costs beside what others publish. */
const gasTable = () => {
  const gas = JSON.parse(readFileSync(GAS_FILE, "utf8"));
  /** @param {string} name */
  const of = (name) => Number(gas[name]);
  /** @type {[number, number, number]} */
  const [round, anchor, hundred] = [of("anchorRound, average"), of("anchor 1 stream"), of("anchor 100 streams")];
  const minute = MINUTE_OF_MESSAGES;
  /** @param {number} all @param {number} streams */
  const each = (all, streams) => grouped(all / (streams * minute));
  const rows = [
    ["a round, 1 stream", round, each(round, 1)],
    ["a round, 100 streams", round, each(round, 100)],
    ["a round, 1,000 streams", round, each(round, 1_000)],
    ["`anchor`, 1 stream", anchor, each(anchor, 1)],
    ["`anchor`, 100 streams", hundred, each(hundred, 100)],
    ["an EAS timestamp, 1 hash", EAS_GAS, grouped(EAS_GAS)],
    ["a Ceramic anchor, by its source in CIP-110", CERAMIC_GAS, "any number under one root; contracts can check none"],
  ];
  const lines = rows.map(([what, all, one]) => `| ${what} | ${grouped(Number(all))} | ${one} |`);
  return [`| | gas | for each message, ${minute} in each stream |`, "|---|---|---|", ...lines].join("\n");
};

const [BEGIN, END] = ["<!-- costs: `npm run bench -- streams` writes this -->", "<!-- costs end -->"];

/** Documents with a part that is made of the run: which one, and what it is to be. */
const DOCUMENTS = [
  {
    file: "docs/DEPLOY.md",
    part: new RegExp(`${BEGIN}.*?${END}`, "s"),
    text: (/** @type {Run} */ run) => `${BEGIN}\n\n${costTable(run)}\n\n${END}`,
  },
  { file: "README.md", part: /^- Cloudflare: \$.*$/m, text: costSentence },
  { file: "README.vi.md", part: /^- Cloudflare: 5 .*$/m, text: vietnameseSentence },
  { file: "contracts/README.md", part: /^\| \| gas \| for each message.*?(?=\n\n)/ms, text: gasTable },
];

/** @returns {Run} */
export const lastRun = () => JSON.parse(readFileSync(RUN_FILE, "utf8"));

/** Each document as it is, and as the run makes it. @param {Run} run */
export const documentsOf = (run) =>
  DOCUMENTS.map(({ file, part, text }) => {
    const is = readFileSync(join(ROOT, file), "utf8");
    if (!part.test(is)) throw new Error(`${file} has no place for the costs: ${part}`);
    return { file, is, due: is.replace(part, () => text(run)) };
  });

/** Keeps a run, and makes the documents anew. @param {Run} run */
export const keepRun = (run) => {
  writeFileSync(RUN_FILE, `${JSON.stringify(run, null, 2)}\n`);
  for (const { file, due } of documentsOf(run)) writeFileSync(join(ROOT, file), due);
};
