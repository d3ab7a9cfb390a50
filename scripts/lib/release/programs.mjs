// The programs of a release: compiled for this machine, without a C library on Linux, and put into one archive.

import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { showCargo } from "../build/cargo.mjs";
import { Failure, step } from "../console.mjs";
import { cargoOutput, ROOT, STATE, which } from "../paths.mjs";
import { ask, runLogged, show } from "../run.mjs";
import { installDebian } from "../setup/debian.mjs";
import { hostTriple } from "../setup/rust.mjs";

const PROGRAMS = ["streamchain", "relay-node"];

/** What is beside the programs in their archive, by path in the checkout. */
const BESIDE = [
  "README.md",
  "CHANGELOG.md",
  "LICENSE",
  "LICENSE-APACHE",
  "LICENSE-MIT",
  "docs/INSTALL.md",
  "docs/CLI.md",
  "relay-node/systemd/relay-node.service",
];

/** The target that the programs are compiled for: on Linux one that needs no C library of the machine. */
export const releaseTarget = () => hostTriple().replace(/-linux-gnu$/, "-linux-musl");

const isStatic = () => releaseTarget().endsWith("-linux-musl");

/** Adds what compiling for the target needs: the target's standard library, and a C compiler for it. */
const prepareTarget = async () => {
  const target = releaseTarget();
  const sysroot = ask("rustc", ["--print", "sysroot"]);
  if (sysroot === null || !existsSync(join(sysroot, "lib", "rustlib", target, "lib"))) {
    const advice = [`rustup target add ${target}`];
    if (!which("rustup")) throw new Failure(`Rust's target ${target} is missing, and rustup too.`, advice);
    await step(`Rust target ${target}`, () =>
      runLogged("rustup target add", "rustup", ["target", "add", target], {
        log: join(STATE, "logs", "rustup-release.log"),
        advice,
      }),
    );
  }
  if (isStatic() && !which("musl-gcc")) {
    const why = "Static programs need musl's C compiler, musl-gcc, which is not on the PATH.";
    await installDebian({ packages: ["musl-tools"], why, advice: ["Debian, Ubuntu: apt-get install musl-tools"] });
  }
};

/**
 * Compiles these programs for the release's target; returns the folder that they are in.
 * @param {{ profile: string, packages?: string[] }} how
 */
export const compilePrograms = async ({ profile, packages = ["relay-node", "streamchain-cli"] }) => {
  await prepareTarget();
  const target = releaseTarget();
  const crates = packages.flatMap((name) => ["-p", name]);
  if ((await showCargo("cargo", ["build", "--locked", "--profile", profile, "--target", target, ...crates])) !== 0) {
    throw new Failure("The programs do not compile (cargo's output is above).");
  }
  return cargoOutput(target, profile === "dev" ? "debug" : profile);
};

/**
 * The programs and what belongs to them, as an archive in the folder `out`; returns its path.
 * @param {{ programs: string, version: string, time: number, out: string }} how `programs`: the folder that they are in
 */
export const archivePrograms = async ({ programs, version, time, out }) => {
  const name = `streamchain-${version}-${releaseTarget()}`;
  const folder = join(out, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const program of PROGRAMS) {
    copyFileSync(join(programs, program), join(folder, program));
    chmodSync(join(folder, program), 0o755);
  }
  for (const path of BESIDE) copyFileSync(join(ROOT, path), join(folder, basename(path)));
  const archive = join(out, `${name}.tar.gz`);
  // The same files give the same archive, where tar is GNU's.
  const same = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", `--mtime=@${time}`];
  const args = [...(process.platform === "linux" ? same : []), "-C", out, "-czf", archive, name];
  if ((await show("tar", args)) !== 0) throw new Failure(`tar could not make ${archive}.`);
  rmSync(folder, { recursive: true });
  return archive;
};
