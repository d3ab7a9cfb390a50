// `npm run fuzz -- TARGET --seconds N`: libFuzzer on one fuzz target, guided by the branches that its inputs take.
// `npm run fuzz -- --help` lists the targets. Inputs that break a promise are left in fuzz/failures/.

import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { showCargo } from "./lib/build/cargo.mjs";
import { Failure, heading, main } from "./lib/console.mjs";
import { ROOT, STATE } from "./lib/paths.mjs";
import { show } from "./lib/run.mjs";
import { setUp } from "./lib/setup/index.mjs";

const FUZZ = join(ROOT, "fuzz");
const CORPORA = join(FUZZ, "corpus");
const DEFAULT_SECONDS = 60;

/** The largest input, bytes: above the largest frame. */
const MAX_INPUT_BYTES = 70_000;

/** What makes a stable compiler count edges and comparisons for libFuzzer (LLVM's SanitizerCoverage). */
const COVERAGE = [
  "-Cpasses=sancov-module",
  "-Cllvm-args=-sanitizer-coverage-level=4",
  "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
  "-Cllvm-args=-sanitizer-coverage-pc-table",
  "-Cllvm-args=-sanitizer-coverage-trace-compares",
  "-Ccodegen-units=1",
  "-Cdebug-assertions",
].join(" ");

const targets = () => readdirSync(CORPORA).sort();

const HELP = `npm run fuzz -- [TARGET…] [--seconds N]

Searches for inputs on which a parser fails, with libFuzzer guided by coverage, for N seconds for each
target (default ${DEFAULT_SECONDS}). Without a name all targets run. This needs a C++ compiler. The targets:

  ${targets().join("\n  ")}

Failing inputs are saved in fuzz/failures/. Copy one to fuzz/corpus/TARGET/, and "npm test" includes it from then on.`;

/** @param {string} triple */
const build = async (triple) => {
  heading("Building the targets with coverage (some minutes the first time)");
  // With a target triple the flags reach neither build scripts nor macros.
  const args = ["build", "--release", "-p", "streamchain-fuzz", "--features", "coverage", "--bin", "coverage"];
  const folder = join(STATE, "fuzz-target");
  const env = { RUSTFLAGS: COVERAGE, CARGO_TARGET_DIR: folder, CARGO_PROFILE_RELEASE_LTO: "off" };
  if ((await showCargo("cargo", [...args, "--target", triple], env)) !== 0) {
    throw new Failure("The fuzz targets do not compile (cargo's output is above).", [
      "libFuzzer is C++: Debian, Ubuntu: apt-get install g++",
    ]);
  }
  return join(folder, triple, "release", "coverage");
};

/** @param {string} program @param {string} target @param {number} seconds */
const fuzz = async (program, target, seconds) => {
  heading(`▶ ${target} (${seconds} s)`);
  const found = join(FUZZ, "failures", target);
  const grown = join(STATE, "fuzz-corpus", target);
  for (const folder of [found, grown]) mkdirSync(folder, { recursive: true });
  const options = [`-max_total_time=${seconds}`, `-max_len=${MAX_INPUT_BYTES}`, `-artifact_prefix=${found}/`];
  const code = await show(program, [...options, "-print_final_stats=1", grown, join(CORPORA, target)], {
    env: { FUZZ_TARGET: target },
  });
  return code === 0;
};

await main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: "string", default: String(DEFAULT_SECONDS) }, help: { type: "boolean" } },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1) throw new Failure("--seconds: expected a whole number from 1 on.");
  const wrong = positionals.filter((name) => !targets().includes(name));
  if (wrong.length > 0) throw new Failure(`There is no target ${wrong.join(", ")}.`, ["npm run fuzz -- --help"]);
  await setUp();
  const { hostTriple } = await import("./lib/setup/rust.mjs");
  const program = await build(hostTriple());
  const failed = [];
  for (const target of positionals.length > 0 ? positionals : targets()) {
    if (!(await fuzz(program, target, seconds))) failed.push(target);
  }
  if (failed.length > 0) throw new Failure(`Promises were broken: ${failed.join(", ")} (see fuzz/failures/).`);
  console.log("No target broke a promise.");
  return 0;
});
