// The relay: `cargo build --profile relay`, or `start`, which compiles quickly.

import { join } from "node:path";
import { Failure } from "../console.mjs";
import { cargoOutput, STATE } from "../paths.mjs";
import { runLogged } from "../run.mjs";
import { showCargo } from "./cargo.mjs";

/**
 * The relay-node executable: the tests run that of the profile `relay`, `npm start` that of `start`.
 * @param {"relay" | "start"} profile
 */
export const relayPath = (profile = "relay") =>
  cargoOutput(profile, process.platform === "win32" ? "relay-node.exe" : "relay-node");

/**
 * The executable `streamchain`. The tests run the one that `cargo test` makes for its own tests, so that nothing is compiled and
 * linked twice, the benches one like that of a release.
 * @param {"debug" | "relay"} profile
 */
export const streamchainPath = (profile = "debug") =>
  cargoOutput(profile, process.platform === "win32" ? "streamchain.exe" : "streamchain");

/** All tests are built, since fewer of them would be built with other features of the crates that they share. */
export const buildStreamchain = async () => {
  if ((await showCargo("cargo", ["test", "--workspace", "--no-run"])) !== 0) {
    throw new Failure("The command streamchain does not compile (cargo's output is above).");
  }
};

/** What `streamchainPath("relay")` names. */
export const buildStreamchainForBenches = async () => {
  if ((await showCargo("cargo", ["build", "--profile", "relay", "-p", "streamchain-cli"])) !== 0) {
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

/** @param {{ profile?: "relay" | "start" }} how `start` compiles quickly */
export const buildRelay = async ({ profile = "relay" } = {}) => {
  if ((await showCargo("cargo", ["build", "--profile", profile, "-p", "relay-node"])) !== 0) {
    throw new Failure("The relay does not compile (cargo's output is above).");
  }
};

/**
 * Compiles the relay that `npm start` runs, with a low priority, until the signal ends it.
 * @param {AbortSignal} signal
 */
export const buildRelayBehind = (signal) =>
  runLogged("relay", "cargo", ["build", "--profile", "start", "-p", "relay-node"], {
    log: join(STATE, "logs", "relay-build.log"),
    background: signal,
  });
