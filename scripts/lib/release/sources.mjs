// What a release is made from, as this checkout has it: version, time of the commit, crates and npm packages.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { childEnv, ROOT } from "../paths.mjs";

/** The crates whose programs and modules are released. */
export const RELEASED = ["relay-node", "streamchain-cli", "streamchain-edge"];

/** The crates that people install or depend on, each after those that it depends on. */
export const PUBLISHED = [
  "streamchain-protocol",
  "streamchain-chain",
  "streamchain-client",
  "relay-node",
  "streamchain-cli",
];

/** What is bundled for browsers. */
const BUNDLES = [
  "web/src/app/main.ts",
  "web/src/app/operator/main.ts",
  "web/src/lib/index.ts",
  "web/src/lib/receipt.ts",
];

/** `cargo metadata` may print more than Node's usual limit of a megabyte. */
const MAX_METADATA_BYTES = 64 * 1024 * 1024;

/** @param {string} command @param {string[]} args */
const output = (command, args) =>
  execFileSync(command, args, { cwd: ROOT, env: childEnv(), encoding: "utf8", maxBuffer: MAX_METADATA_BYTES });

/** @returns {import("./sbom.mjs").Metadata} */
export const cargoMetadata = () => JSON.parse(output("cargo", ["metadata", "--format-version", "1", "--locked"]));

/** The crates that the released ones are compiled from on any system, as `name version`. @returns {Set<string>} */
export const compiledCrates = () => {
  const crates = RELEASED.flatMap((name) => ["-p", name]);
  const args = ["tree", "--locked", ...crates, "-e", "normal,build", "--target", "all", "--prefix", "none"];
  const lines = output("cargo", [...args, "--no-dedupe", "--format", "{p}"]).split("\n");
  return new Set(lines.flatMap((line) => /^(\S+) v(\S+)/.exec(line)?.slice(1, 3).join(" ") ?? []));
};

/** The version that Cargo.toml gives all crates, and package.json the page. */
export const releaseVersion = () => {
  const text = readFileSync(join(ROOT, "Cargo.toml"), "utf8");
  const version = /\[workspace\.package\]\nversion = "([^"]+)"/.exec(text)?.[1];
  if (!version) throw new Error("Cargo.toml has no [workspace.package] version.");
  return version;
};

/** What is wrong with the tag that is being released, or null; `env` is that of the workflow. @param {NodeJS.ProcessEnv} env */
export const tagProblem = ({ GITHUB_REF_TYPE, GITHUB_REF_NAME }) =>
  GITHUB_REF_TYPE !== "tag" || GITHUB_REF_NAME === `v${releaseVersion()}`
    ? null
    : `The tag ${GITHUB_REF_NAME} is not v${releaseVersion()}, the version in Cargo.toml.`;

/** Seconds since 1970 of what is released: SOURCE_DATE_EPOCH, or the commit's. */
export const sourceTime = () =>
  Number(process.env.SOURCE_DATE_EPOCH ?? output("git", ["log", "-1", "--format=%ct"]).trim());

/** The npm packages whose code is in the page or the library. @returns {Promise<import("./sbom.mjs").NpmPackage[]>} */
export const bundledPackages = async () => {
  const { build } = await import("esbuild");
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: BUNDLES,
    outdir: "unused",
    bundle: true,
    format: "esm",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  const names = new Set(
    Object.keys(metafile.inputs).flatMap((path) => {
      const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
      return name === undefined ? [] : [name];
    }),
  );
  const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));
  return [...names].sort().map((name) => {
    const { version, license, integrity } = packages[`node_modules/${name}`];
    return { name, version, license, integrity };
  });
};
