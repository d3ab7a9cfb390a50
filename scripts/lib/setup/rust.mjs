// Rust: the compiler must be there (installing it is the user's choice); its WebAssembly target is added by rustup.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Failure, step } from "../console.mjs";
import { STATE, which } from "../paths.mjs";
import { ask, runLogged } from "../run.mjs";

/** The oldest compiler that builds the workspace: `rust-version` in Cargo.toml. */
const OLDEST = { major: 1, minor: 95 };
const TARGET = "wasm32-unknown-unknown";

const GET_RUST = "Get Rust from https://rustup.rs, then run this again.";

/** Fails unless a new enough Rust is on the PATH. */
export const requireRust = () => {
  const answer = ask("rustc", ["--version"]);
  if (answer === null) throw new Failure("Rust is missing (no `rustc` on the PATH).", [GET_RUST]);
  const [, major = "", minor = ""] = answer.match(/(\d+)\.(\d+)/) ?? [];
  if (Number(major) > OLDEST.major || Number(minor) >= OLDEST.minor) return;
  const wanted = `${OLDEST.major}.${OLDEST.minor}`;
  throw new Failure(`Rust ${major}.${minor} is too old: ${wanted} is needed.`, ["rustup update stable"]);
};

const hasTarget = () => {
  const sysroot = ask("rustc", ["--print", "sysroot"]);
  return sysroot !== null && existsSync(join(sysroot, "lib", "rustlib", TARGET, "lib"));
};

/** Adds the target that the Worker is compiled for. */
export const addWasmTarget = async () => {
  if (hasTarget()) return;
  const byHand = `Install the standard library for ${TARGET} as your Rust came, e.g. \`rustup target add ${TARGET}\`.`;
  if (!which("rustup")) throw new Failure(`Rust's target ${TARGET} is missing, and rustup too.`, [byHand]);
  await step(`Rust target ${TARGET}`, () =>
    runLogged("rustup target add", "rustup", ["target", "add", TARGET], {
      log: join(STATE, "logs", "rustup.log"),
      advice: [byHand, "It needs the network once."],
    }),
  );
};

const COMPONENTS = [
  { component: "rustfmt", subcommand: "fmt" },
  { component: "clippy", subcommand: "clippy" },
];

/** Adds the parts of Rust that only the checks need. */
export const addCheckComponents = async () => {
  const missing = COMPONENTS.filter(({ subcommand }) => ask("cargo", [subcommand, "--version"]) === null);
  if (missing.length === 0) return;
  const names = missing.map(({ component }) => component);
  const byHand = `Install ${names.join(" and ")} as your Rust came, e.g. \`rustup component add ${names.join(" ")}\`.`;
  if (!which("rustup")) throw new Failure(`Rust's ${names.join(" and ")} is missing, and rustup too.`, [byHand]);
  await step(`Rust components ${names.join(", ")}`, () =>
    runLogged("rustup component add", "rustup", ["component", "add", ...names], {
      log: join(STATE, "logs", "rustup.log"),
      advice: [byHand, "It needs the network once."],
    }),
  );
};

/** The target triple of this machine, as `rustc -vV` names it. */
export const hostTriple = () => {
  const triple = ask("rustc", ["--print", "host-tuple"]);
  if (!triple) throw new Failure("rustc does not say for which machine it compiles.", [GET_RUST]);
  return triple;
};
