// The relay: `cargo build --profile relay` (or `start`, which compiles quickly), which compiles only what changed.

import { Failure } from "../console.mjs";
import { cargoOutput } from "../paths.mjs";
import { showCargo } from "./cargo.mjs";

/**
 * The relay-node executable: the tests run that of the profile `relay`, `npm start` that of `start`.
 * @param {"relay" | "start"} profile
 */
export const relayPath = (profile = "relay") =>
  cargoOutput(profile, process.platform === "win32" ? "relay-node.exe" : "relay-node");

/**
 * The executable `streamchain` as the tests run it: the one that `cargo test` makes for its own tests, so that nothing is
 * compiled and linked twice.
 */
export const streamchainPath = () =>
  cargoOutput("debug", process.platform === "win32" ? "streamchain.exe" : "streamchain");

/** All tests are built, since fewer of them would be built with other features of the crates that they share. */
export const buildStreamchain = async () => {
  if ((await showCargo("cargo", ["test", "--workspace", "--no-run"])) !== 0) {
    throw new Failure("The command streamchain does not compile (cargo's output is above).");
  }
};

/** The executable of the benches' load clients; `buildRelayTestkit` makes it. */
export const relayTestkitPath = () =>
  cargoOutput("relay", process.platform === "win32" ? "relay-testkit.exe" : "relay-testkit");

export const buildRelayTestkit = async () => {
  if ((await showCargo("cargo", ["build", "--profile", "relay", "-p", "relay-testkit"])) !== 0) {
    throw new Failure("The relay's load clients do not compile (cargo's output is above).");
  }
};

/** @param {{ profile?: "relay" | "start" }} how */
export const buildRelay = async ({ profile = "relay" } = {}) => {
  if ((await showCargo("cargo", ["build", "--profile", profile, "-p", "relay-node"])) !== 0) {
    throw new Failure("The relay does not compile (cargo's output is above).");
  }
};
