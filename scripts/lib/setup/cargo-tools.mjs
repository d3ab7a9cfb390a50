// The two build tools that come from crates.io. Their versions must be the crates' own (Cargo.toml), so a tool on the
// PATH is used only when its version is equal; otherwise it is compiled once per user into the cache folder.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { step } from "../console.mjs";
import { STATE, toolFolder, which } from "../paths.mjs";
import { ask, runLogged } from "../run.mjs";

/** @typedef {{ crate: string, command: string, version: string }} CargoTool */

/** @type {CargoTool} */
const WASM_BINDGEN = { crate: "wasm-bindgen-cli", command: "wasm-bindgen", version: "0.2.129" };
/** @type {CargoTool} */
const WORKER_BUILD = { crate: "worker-build", command: "worker-build", version: "0.8.7" };

/** @param {CargoTool} tool */
const cached = ({ crate, command, version }) => join(toolFolder(crate, version), "bin", command);

/** @param {CargoTool} tool */
const onPath = ({ command, version }) => {
  const path = which(command);
  const answer = path && ask(path, ["--version"]);
  return answer?.split(" ").pop() === version ? path : null;
};

/** The path of a tool that is installed, or null. @param {CargoTool} tool */
export const findCargoTool = (tool) => (existsSync(cached(tool)) ? cached(tool) : onPath(tool));

/** Compiles a tool unless it is there. @param {CargoTool} tool */
const installCargoTool = async (tool) => {
  if (findCargoTool(tool)) return;
  const { crate, version } = tool;
  await step(`${crate} ${version} (compiling it once takes a few minutes)`, () =>
    runLogged(
      crate,
      "cargo",
      ["install", crate, "--version", version, "--locked", "--root", toolFolder(crate, version)],
      {
        log: join(STATE, "logs", `${crate}.log`),
        advice: [`It needs the network once. By hand: cargo install ${crate} --version ${version} --locked`],
      },
    ),
  );
};

export const installCargoTools = async () => {
  await installCargoTool(WASM_BINDGEN);
  await installCargoTool(WORKER_BUILD);
};

export const wasmBindgenPath = () => findCargoTool(WASM_BINDGEN);
export const workerBuildPath = () => findCargoTool(WORKER_BUILD);
