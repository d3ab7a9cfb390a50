// The edge Worker: Rust → WebAssembly (cargo), JavaScript around it (edge-bindgen), smaller (wasm-opt), and with the entry
// src/entry.mjs one module (esbuild): build/index.js and build/index_bg.wasm.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../console.mjs";
import { cargoOutput, npmBin, ROOT, STATE } from "../paths.mjs";
import { runLogged, show } from "../run.mjs";
import { edgeBindgenPath } from "../setup/cargo-tools.mjs";
import { showCargo } from "./cargo.mjs";
import { withoutSection } from "./wasm.mjs";

const TARGET = "wasm32-unknown-unknown";
const BUILD = join(ROOT, "build");
const ENTRY = join(ROOT, "src", "entry.mjs");
const MODULE = "index_bg.wasm";
const OUTPUTS = ["index.js", MODULE].map((name) => join(BUILD, name));
const STAMP = join(STATE, "stamps", "edge-build");

/** Has wasm-bindgen's macros use what `worker` uses for futures. */
const CARGO_ENV = { WASM_BINDGEN_USE_JS_SYS: "1" };

/** What the compiler and edge-bindgen make use of. */
const WASM_OPT_FLAGS = ["-Oz", "--all-features"];

/** @param {string[]} parts */
const hashOf = (...parts) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};

/** @param {string} path */
const read = (path) => readFileSync(path, "latin1");

/** What build/ is made from. @param {string} profile */
const inputHash = (profile) => {
  const module = cargoOutput(TARGET, profile, "streamchain_edge.wasm");
  const files = [module, ENTRY, join(ROOT, "package-lock.json"), edgeBindgenPath(), import.meta.filename];
  return hashOf(profile, ...files.map(read));
};

/** Hash of the build's outputs, which finds out another build in the same folder or a file edited by hand. */
const outputHash = () => hashOf(...OUTPUTS.map(read));

/** @param {string} profile */
const upToDate = (profile) =>
  existsSync(STAMP) &&
  OUTPUTS.every((path) => existsSync(path)) &&
  readFileSync(STAMP, "utf8") === `${inputHash(profile)} ${outputHash()}`;

/** Runs a tool with its output shown. @param {string} command @param {string[]} args */
const run = async (command, args) => {
  if ((await show(command, args)) !== 0) throw new Failure(`${command} failed (its output is above).`);
};

/** Names of functions, a sixth of the upload, are read by debuggers only. @param {string} path */
const dropNames = (path) => writeFileSync(path, withoutSection(readFileSync(path), "name"));

/**
 * The entry and the JavaScript around the module as one file. The module stays a file of its own, imported as the
 * platform gives it: already compiled.
 * @param {string} folder where edge-bindgen wrote
 */
const bundle = async (folder) => {
  const { build } = await import("esbuild");
  const rust = join(folder, "index.js");
  writeFileSync(rust, readFileSync(rust, "utf8").replace("import source ", "import "));
  await build({
    entryPoints: [ENTRY],
    outfile: join(BUILD, "index.js"),
    bundle: true,
    format: "esm",
    minify: true,
    external: ["cloudflare:*", `./${MODULE}`],
    plugins: [
      {
        name: "rust",
        setup: (setup) => setup.onResolve({ filter: /^\.\/rust\.js$/ }, () => ({ path: rust })),
      },
    ],
    logLevel: "warning",
  });
};

/** @param {string} profile */
const cargoArguments = (profile) => ["build", "--lib", "--profile", profile, "--target", TARGET];

/**
 * Compiles the Worker of `npm start` while packages and tools are installed, which its compilation does not need. A failure is
 * shown by `buildEdge`, which goes on from here.
 */
export const compileEdgeAhead = () =>
  runLogged("edge Worker", "cargo", cargoArguments("start"), {
    log: join(STATE, "logs", "edge-build.log"),
    env: CARGO_ENV,
  }).catch(() => {});

/**
 * Builds the Worker; when cargo has nothing new, the steps after it are skipped too.
 * @param {{ profile?: "release" | "start" }} how `start` compiles quickly, and makes a larger module that is as correct
 */
export const buildEdge = async ({ profile = "release" } = {}) => {
  if ((await showCargo("cargo", cargoArguments(profile), CARGO_ENV)) !== 0) {
    throw new Failure("The Worker does not compile (cargo's output is above).");
  }
  if (upToDate(profile)) return;
  const folder = join(STATE, "bindgen");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await run(edgeBindgenPath(), [cargoOutput(TARGET, profile, "streamchain_edge.wasm"), folder]);
  const module = join(folder, MODULE);
  if (profile === "release") await run(npmBin("wasm-opt"), [...WASM_OPT_FLAGS, module, "-o", module]);
  dropNames(module);
  rmSync(BUILD, { recursive: true, force: true });
  mkdirSync(BUILD, { recursive: true });
  copyFileSync(module, join(BUILD, MODULE));
  await bundle(folder);
  mkdirSync(join(STATE, "stamps"), { recursive: true });
  writeFileSync(STAMP, `${inputHash(profile)} ${outputHash()}`);
};
