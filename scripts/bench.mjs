// `npm run bench`: builds, runs the benches of bench/*.mjs, prints a table, and writes it to bench/results/.
// `npm run bench -- gas relay` runs these files only.
//
// A bench file exports `benches`, an array of { name, run }; `run(context)` resolves to rows
// { figure, value, unit, note? } or to one of them. context: { startSystem, chromiumPath, machine, log }. A file that exports
// `needsBuild` as false builds what it uses, or uses nothing that is built in this checkout.
// What a run did not measure stays in the results of that day and machine. The sizing table of docs/OPERATIONS.md follows the results.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { choose } from "./lib/choice.mjs";
import { elapsed, Failure, heading, main, printFailure } from "./lib/console.mjs";
import { describeMachine, machine } from "./lib/machine.mjs";
import { ROOT } from "./lib/paths.mjs";
import { setUp } from "./lib/setup/index.mjs";
import { writeSizing } from "./lib/sizing.mjs";

/**
 * @typedef {{ bench: string, figure: string, value: number, unit: string, note?: string }} BenchRow
 * @typedef {{ date: string, load: number, benches: string[] }} Run
 * @typedef {{ date: string, machine: ReturnType<typeof machine>, rows: BenchRow[] }} Results
 */

const FOLDER = join(ROOT, "bench");

const ABOUT = {
  command: "npm run bench",
  does: "Builds everything, measures on this machine, prints a table and writes it to bench/results/.",
  kind: "bench",
};

/** The benches that there are, each with what its file says of itself. */
const benchFiles = () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".mjs"));
  /** @param {string} file */
  const about = (file) =>
    readFileSync(join(FOLDER, file), "utf8")
      .slice("// ".length)
      .replace(/[:.\n].*/s, "");
  return files.sort().map((file) => ({ name: basename(file, ".mjs"), title: about(file), file }));
};

/** @param {BenchRow[]} rows */
const table = (rows) => {
  const cells = rows.map(({ bench, figure, value, unit, note = "" }) => [bench, figure, `${value} ${unit}`, note]);
  const header = ["Bench", "Figure", "Value", "Note"];
  const widths = header.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]?.length ?? 0)));
  /** @param {string[]} row */
  const line = (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  return [line(header), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...cells.map(line)].join("\n");
};

/** @param {string} file */
const load = (file) => import(join(FOLDER, file));

/** Whether one of the files uses what is built. @param {readonly { file: string }[]} files */
const needBuild = async (files) => {
  for (const { file } of files) if ((await load(file)).needsBuild !== false) return true;
  return false;
};

/** @param {readonly { file: string }[]} files @param {object} context */
const runBenches = async (files, context) => {
  /** @type {BenchRow[]} */
  const rows = [];
  /** @type {string[]} */
  const failures = [];
  for (const { file } of files) {
    const { benches } = await load(file);
    for (const { name, run } of benches) {
      const start = Date.now();
      heading(`▶ ${name}`);
      try {
        rows.push(...[await run(context)].flat().map((row) => ({ bench: name, ...row })));
      } catch (error) {
        printFailure(error);
        failures.push(name);
      }
      console.log(`  ${elapsed(start)}`);
    }
  }
  return { rows, failures };
};

/** @param {BenchRow[]} rows */
const benchesOf = (rows) => [...new Set(rows.map(({ bench }) => bench))];

/**
 * What earlier runs of the same day on the same machine measured and this one left out: their rows, and which run it was.
 * @param {string} file
 * @param {Results} results
 */
const keptOf = (file, { rows }) => {
  /** @type {{ rows: BenchRow[], runs: Run[] }} */
  const nothing = { rows: [], runs: [] };
  if (!existsSync(file)) return nothing;
  const measured = new Set(benchesOf(rows));
  /** @type {Results & { runs?: Run[] }} */
  const before = JSON.parse(readFileSync(file, "utf8"));
  /** @param {Run} run @returns {Run} */
  const of = ({ date, load, benches }) => ({ date, load, benches: benches.filter((bench) => !measured.has(bench)) });
  const last = { date: before.date, load: before.machine.load, benches: benchesOf(before.rows) };
  return {
    rows: before.rows.filter(({ bench }) => !measured.has(bench)),
    runs: (before.runs ?? [last]).map(of).filter(({ benches }) => benches.length > 0),
  };
};

/** @param {Results} result */
const write = (result) => {
  const slug = result.machine.cpu
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 40);
  const name = join(FOLDER, "results", `${result.date.slice(0, 10)}-${slug}`);
  mkdirSync(join(FOLDER, "results"), { recursive: true });
  const kept = keptOf(`${name}.json`, result);
  const rows = [...kept.rows, ...result.rows].sort((a, b) => a.bench.localeCompare(b.bench));
  const run = { date: result.date, load: result.machine.load, benches: benchesOf(result.rows) };
  writeFileSync(`${name}.json`, `${JSON.stringify({ ...result, runs: [...kept.runs, run], rows }, null, 2)}\n`);
  const earlier = kept.runs.map(({ load, benches }) => `Of an earlier run, load ${load}: ${benches.join(", ")}.\n`);
  const lines = [`# Figures of ${result.date.slice(0, 10)}\n`, `${describeMachine(result.machine)}\n`, ...earlier];
  writeFileSync(`${name}.md`, `${lines.join("\n")}\n${table(rows)}\n`);
  return name.slice(ROOT.length + 1);
};

await main(async () => {
  const files = choose(process.argv.slice(2), benchFiles(), ABOUT);
  if (files === null) return;
  await setUp({ browser: true });
  const { buildAll } = await import("./lib/build/index.mjs");
  const { startSystem } = await import("./lib/system/index.mjs");
  const { chromiumPath } = await import("./lib/setup/chromium.mjs");
  if (await needBuild(files)) await buildAll();
  const browser = chromiumPath();
  if (!browser) throw new Failure("The benches need Chromium.", ["npm run setup installs it."]);
  const before = machine(browser);
  const { rows, failures } = await runBenches(files, { startSystem, chromiumPath, machine: before, log: console.log });
  const result = { date: new Date().toISOString(), machine: before, rows };
  heading(describeMachine(result.machine));
  console.log(table(rows));
  if (rows.length > 0) {
    console.log(`\nWritten to ${write(result)}.md and .json`);
    writeSizing();
  }
  if (failures.length > 0) throw new Failure(`These benches failed: ${failures.join(", ")}`);
});
