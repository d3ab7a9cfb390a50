// The artifacts of a release, each made into the folder dist/. Nothing is published from here.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { showCargo } from "../build/cargo.mjs";
import { PACKAGE } from "../build/package.mjs";
import { Failure } from "../console.mjs";
import { cargoOutput, NODE, ROOT } from "../paths.mjs";
import { show } from "../run.mjs";
import { findEngine } from "./engine.mjs";
import { buildImage, imageFiles, saveImage } from "./image.mjs";
import { archivePrograms, compilePrograms, releaseTarget } from "./programs.mjs";
import { sbom } from "./sbom.mjs";
import {
  bundledPackages,
  cargoMetadata,
  compiledCrates,
  PUBLISHED,
  RELEASED,
  releaseVersion,
  sourceTime,
  tagProblem,
} from "./sources.mjs";

/** The file with the SHA-256 of every other one, as `sha256sum -c` reads it. */
const SUMS = "SHA256SUMS";

/**
 * @typedef {object} Release
 * @property {string} out the folder of the artifacts
 * @property {string | undefined} programs a folder with the programs, if they are compiled already
 */

/** @param {Release} release */
const programsOf = async (release) => (release.programs ??= await compilePrograms({ profile: "relay" }));

/** @param {Release} release */
const makePrograms = async (release) => {
  const programs = await programsOf(release);
  await archivePrograms({ programs, version: releaseVersion(), time: sourceTime(), out: release.out });
};

/** @param {Release} release */
const makeImage = async (release) => {
  const engine = findEngine();
  if (engine === null) {
    throw new Failure("There is no container engine that works here.", [
      "Debian, Ubuntu: apt-get install podman runc",
      "The other parts need none: npm run release -- programs package crates sbom sums",
    ]);
  }
  const target = releaseTarget();
  if (!target.endsWith("-linux-musl")) throw new Failure(`The image is for Linux; this is ${target}.`);
  const files = join(release.out, "image");
  imageFiles({ program: join(await programsOf(release), "relay-node"), folder: files });
  const [architecture] = target.split("-");
  const tag = `streamchain-relay:${releaseVersion()}`;
  await buildImage({ engine, files, tag });
  const file = join(release.out, `streamchain-relay-${releaseVersion()}-${architecture}.tar`);
  await saveImage({ engine, tag, file });
  rmSync(files, { recursive: true });
};

/** @param {Release} release */
const makePackage = async ({ out }) => {
  const args = ["pack", "--pack-destination", out];
  if ((await show("npm", args, { cwd: PACKAGE })) !== 0) throw new Failure("npm pack failed.");
};

/**
 * The crates as crates.io takes them. They are not compiled here: tests/release does that with what is in them.
 * @param {Release} release
 */
const makeCrates = async ({ out }) => {
  const crates = PUBLISHED.flatMap((name) => ["-p", name]);
  if ((await showCargo("cargo", ["package", "--locked", "--no-verify", "--allow-dirty", ...crates])) !== 0) {
    throw new Failure("cargo package failed (its output is above).");
  }
  for (const name of PUBLISHED) {
    const file = `${name}-${releaseVersion()}.crate`;
    copyFileSync(cargoOutput("package", file), join(out, file));
  }
};

/** @param {Release} release */
const makeSbom = async ({ out }) => {
  const version = releaseVersion();
  const text = sbom({
    version,
    timestamp: new Date(sourceTime() * 1_000).toISOString(),
    metadata: cargoMetadata(),
    roots: RELEASED,
    compiled: compiledCrates(),
    lock: readFileSync(join(ROOT, "Cargo.lock"), "utf8"),
    npm: await bundledPackages(),
  });
  writeFileSync(join(out, `streamchain-${version}.cdx.json`), text);
};

/** @param {Release} release */
const makeSums = async ({ out }) => {
  const names = readdirSync(out, { withFileTypes: true }).filter((entry) => entry.isFile() && entry.name !== SUMS);
  const lines = names
    .map(({ name }) => name)
    .sort()
    .map(
      (name) =>
        `${createHash("sha256")
          .update(readFileSync(join(out, name)))
          .digest("hex")}  ${name}\n`,
    );
  writeFileSync(join(out, SUMS), lines.join(""));
};

/** In this order: the sums are those of all others. @type {{ name: string, title: string, make: (release: Release) => Promise<void> }[]} */
export const ARTIFACTS = [
  { name: "programs", title: "streamchain and relay-node for this machine, in an archive", make: makePrograms },
  { name: "image", title: "The relay's container image; needs podman or docker", make: makeImage },
  { name: "package", title: "The npm package of the client library", make: makePackage },
  { name: "crates", title: "The crates of protocol, chain, client, relay and command line", make: makeCrates },
  { name: "sbom", title: "The software bill of materials (CycloneDX)", make: makeSbom },
  { name: "sums", title: "SHA256SUMS of everything that is in the folder", make: makeSums },
];

/** @param {readonly { make: (release: Release) => Promise<void> }[]} artifacts @param {Release} release */
export const makeArtifacts = async (artifacts, release) => {
  mkdirSync(release.out, { recursive: true });
  const problem = tagProblem(process.env);
  if (problem !== null)
    throw new Failure(problem, ["Set the version in Cargo.toml, package.json and web/package.json, and tag again."]);
  if (!existsSync(NODE)) throw new Failure("The npm packages are not installed.", ["npm ci"]);
  for (const { make } of artifacts) await make(release);
  return readdirSync(release.out).sort();
};
