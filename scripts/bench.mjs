// `npm run bench`: builds, runs the benches of bench/*.mjs, prints a table, and writes it to bench/results/.
// `npm run bench -- gas relay` runs these files only.
//
// A bench file exports `benches`, an array of { name, run }; `run(context)` resolves to rows
// { figure, value, unit, note? } or to one of them. context: { startSystem, chromiumPath, log }.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem, type } from "node:os";
import { basename, join } from "node:path";
import { elapsed, Failure, heading, main } from "./lib/console.mjs";
import { ROOT } from "./lib/paths.mjs";
import { setUp } from "./lib/setup/index.mjs";

const FOLDER = join(ROOT, "bench");
const GIB = 2 ** 30;

const benchFiles = () => {
  const files = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => name.endsWith(".mjs")) : [];
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !files.includes(`${name}.mjs`));
  if (unknown.length > 0 || files.length === 0) {
    throw new Failure(`No such bench: ${unknown.join(", ") || "there are none"}`, [`There are: ${files.join(", ")}`]);
  }
  return files.filter((file) => names.length === 0 || names.includes(basename(file, ".mjs"))).sort();
};

const browserVersion = (path) =>
  execFileSync(path, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
    .split(" built")[0]
    .trim();

/** `load`: how many processes wanted a core in the minute before; much above 0, and the figures are somebody else's too. */
const machine = (browser) => {
  const [first] = cpus();
  return {
    cpu: first?.model.trim() || "unknown processor",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / GIB),
    system: `${type()} ${release().split("-")[0]} ${process.arch}`,
    node: process.version,
    browser: browserVersion(browser),
    load: Number(loadavg()[0].toFixed(1)),
  };
};

const describe = ({ cpu, cores, memoryGiB, system, node, browser, load }) =>
  `${cpu}, ${cores} cores, ${memoryGiB} GiB; ${system}; Node ${node}; ${browser}; load ${load} before the run`;

const table = (rows) => {
  const cells = rows.map(({ bench, figure, value, unit, note = "" }) => [bench, figure, `${value} ${unit}`, note]);
  const header = ["Bench", "Figure", "Value", "Note"];
  const widths = header.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i].length)));
  const line = (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  return [line(header), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...cells.map(line)].join("\n");
};

const runBenches = async (context) => {
  const rows = [];
  const failures = [];
  for (const file of benchFiles()) {
    const { benches } = await import(join(FOLDER, file));
    for (const { name, run } of benches) {
      const start = Date.now();
      heading(`▶ ${name}`);
      try {
        rows.push(...[await run(context)].flat().map((row) => ({ bench: name, ...row })));
      } catch (error) {
        console.error(error);
        failures.push(name);
      }
      console.log(`  ${elapsed(start)}`);
    }
  }
  return { rows, failures };
};

const write = (result) => {
  const slug = result.machine.cpu
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 40);
  const name = join(FOLDER, "results", `${result.date.slice(0, 10)}-${slug}`);
  mkdirSync(join(FOLDER, "results"), { recursive: true });
  writeFileSync(`${name}.json`, `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(
    `${name}.md`,
    `# Figures of ${result.date.slice(0, 10)}\n\n${describe(result.machine)}\n\n${table(result.rows)}\n`,
  );
  return name.slice(ROOT.length + 1);
};

await main(async () => {
  await setUp({ browser: true });
  const { buildAll } = await import("./lib/build/index.mjs");
  const { startSystem } = await import("./lib/system/index.mjs");
  const { chromiumPath } = await import("./lib/setup/chromium.mjs");
  await buildAll();
  const before = machine(chromiumPath());
  const { rows, failures } = await runBenches({ startSystem, chromiumPath, log: console.log });
  const result = { date: new Date().toISOString(), machine: before, rows };
  heading(describe(result.machine));
  console.log(table(rows));
  if (rows.length > 0) console.log(`\nWritten to ${write(result)}.md and .json`);
  if (failures.length > 0) throw new Failure(`These benches failed: ${failures.join(", ")}`);
});
