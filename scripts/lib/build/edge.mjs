// The edge Worker: Rust → WebAssembly → build/edge.js, by worker-build with tools that are already here; build/index.js is
// the entry around it, src/entry.mjs.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../console.mjs";
import { cargoOutput, npmBin, ROOT, STATE } from "../paths.mjs";
import { wasmBindgenPath, workerBuildPath } from "../setup/cargo-tools.mjs";
import { showCargo } from "./cargo.mjs";
import { withoutSection } from "./wasm.mjs";

const TARGET = "wasm32-unknown-unknown";
const BUILD = join(ROOT, "build");
const ENTRY = join(ROOT, "src", "entry.mjs");
const OUTPUTS = ["index.js", "edge.js", "index_bg.wasm"].map((name) => join(BUILD, name));
const STAMP = join(STATE, "stamps", "edge-build");

/** worker-build sets this for its own cargo run; a different environment would compile everything twice. */
const CARGO_ENV = { WASM_BINDGEN_USE_JS_SYS: "1" };

const buildEnv = () => ({
  ...CARGO_ENV,
  WASM_BINDGEN_BIN: wasmBindgenPath() ?? "wasm-bindgen",
  WASM_OPT_BIN: process.env.WASM_OPT_BIN || npmBin("wasm-opt"),
  ESBUILD_BIN: npmBin("esbuild"),
});

/** What build/ is made from: cargo's output, the entry, the manifest (it holds the wasm-opt flags) and the tools' versions. */
const inputHash = () => {
  const hash = createHash("sha256");
  hash.update(readFileSync(cargoOutput(TARGET, "release", "streamchain_edge.wasm")));
  hash.update(readFileSync(ENTRY));
  hash.update(readFileSync(join(ROOT, "Cargo.toml")));
  hash.update(readFileSync(join(ROOT, "package-lock.json")));
  hash.update(`${wasmBindgenPath()} ${workerBuildPath()}`);
  return hash.digest("hex");
};

/** Hash of the build's outputs, which finds out another build in the same folder or a file edited by hand. */
const outputHash = () => {
  const hash = createHash("sha256");
  for (const path of OUTPUTS) hash.update(readFileSync(path));
  return hash.digest("hex");
};

/** Removes the names of functions, a sixth of the upload, which only debuggers read. worker-build always keeps them. */
const dropNames = () => {
  const module = join(BUILD, "index_bg.wasm");
  writeFileSync(module, withoutSection(readFileSync(module), "name"));
};

/** worker-build names its own entry index.js, which is the name that ours must have. */
const putEntry = () => {
  renameSync(join(BUILD, "index.js"), join(BUILD, "edge.js"));
  copyFileSync(ENTRY, join(BUILD, "index.js"));
};

const upToDate = () =>
  existsSync(STAMP) &&
  OUTPUTS.every((path) => existsSync(path)) &&
  readFileSync(STAMP, "utf8") === `${inputHash()} ${outputHash()}`;

/** Builds the Worker; when cargo has nothing new, the steps after it are skipped too. */
export const buildEdge = async () => {
  const cargo = ["build", "--lib", "--release", "--target", TARGET];
  if ((await showCargo("cargo", cargo, CARGO_ENV)) !== 0) {
    throw new Failure("The Worker does not compile (cargo's output is above).");
  }
  if (upToDate()) return;
  const workerBuild = workerBuildPath();
  if (!workerBuild) throw new Failure("worker-build is missing.", ["npm run setup installs it."]);
  if ((await showCargo(workerBuild, ["--release"], buildEnv())) !== 0) {
    throw new Failure("worker-build failed (its output is above).");
  }
  dropNames();
  putEntry();
  mkdirSync(join(STATE, "stamps"), { recursive: true });
  writeFileSync(STAMP, `${inputHash()} ${outputHash()}`);
};
