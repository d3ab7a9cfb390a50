// The one build tool that is compiled here: scripts/edge-bindgen, once per user, into the cache folder. Its version is that of
// the crate wasm-bindgen (Cargo.toml).

import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { step } from "../console.mjs";
import { ROOT, STATE, toolFolder, which } from "../paths.mjs";
import { ask, runLogged } from "../run.mjs";

/** @typedef {{ crate: string, command: string, version: string }} CargoTool */

/** @type {CargoTool} */
const EDGE_BINDGEN = { crate: "edge-bindgen", command: "edge-bindgen", version: "0.2.129" };

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

/** The path of the program that makes JavaScript around the Worker's WebAssembly. */
export const edgeBindgenPath = () => cached(EDGE_BINDGEN);

/** Compiles it unless it is there. */
export const installEdgeBindgen = async () => {
  if (existsSync(edgeBindgenPath())) return;
  const { crate, version } = EDGE_BINDGEN;
  const path = join(ROOT, "scripts", crate);
  const target = join(STATE, crate);
  const root = toolFolder(crate, version);
  const args = ["install", "--path", path, "--target-dir", target, "--debug", "--locked", "--root", root];
  await step(`${crate} ${version} (compiling it once takes half a minute)`, () =>
    runLogged(crate, "cargo", args, {
      log: join(STATE, "logs", `${crate}.log`),
      advice: ["It needs the network once."],
    }),
  );
  rmSync(target, { recursive: true, force: true });
};
