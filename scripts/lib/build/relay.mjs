// The relay: `cargo build --profile relay`, which compiles only what changed.

import { Failure } from "../console.mjs";
import { cargoOutput } from "../paths.mjs";
import { showCargo } from "./cargo.mjs";

/** The relay-node executable that `npm start` and the tests run. */
export const relayPath = () => cargoOutput("relay", process.platform === "win32" ? "relay-node.exe" : "relay-node");

export const buildRelay = async () => {
  if ((await showCargo("cargo", ["build", "--profile", "relay", "-p", "relay-node"])) !== 0) {
    throw new Failure("The relay does not compile (cargo's output is above).");
  }
};
