// The crates as crates.io would take them, in an empty folder: what is packed is complete, and `cargo install` makes the program
// of it. The libraries of others come out of the folder that `cargo test` compiled them into.

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { cargoOutput, childEnv, ROOT } from "../../scripts/lib/paths.mjs";
import { PUBLISHED, releaseVersion } from "../../scripts/lib/release/sources.mjs";

const run = promisify(execFile);
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

const cargo = (args: string[], cwd: string) =>
  run("cargo", args, { cwd, env: childEnv({ CARGO_TERM_COLOR: "never" }), maxBuffer: MAX_OUTPUT_BYTES });

describe("the packed crates", () => {
  const folder = mkdtempSync(join(tmpdir(), "streamchain-crates-"));
  const unpacked = (name: string, ...path: string[]): string => join(folder, `${name}-${releaseVersion()}`, ...path);
  let said = "";

  before(async () => {
    const crates = PUBLISHED.flatMap((name) => ["-p", name]);
    said = (await cargo(["package", "--locked", "--no-verify", "--allow-dirty", ...crates], ROOT)).stderr;
    for (const name of PUBLISHED) {
      const archive = cargoOutput("package", `${name}-${releaseVersion()}.crate`);
      // With the time of now: packed files all have one time, so that Cargo would take what it made of earlier ones.
      execFileSync("tar", ["-xzmf", archive, "-C", folder]);
    }
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("are packed without a warning", () => {
    assert.doesNotMatch(said, /^warning/m);
  });

  it("have their licences, a README and what the source includes", () => {
    for (const name of PUBLISHED) {
      const files = readdirSync(unpacked(name));
      for (const file of ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "Cargo.toml", "src"]) {
        assert.ok(files.includes(file), `${name}: ${file}`);
      }
      assert.match(readFileSync(unpacked(name, "README.md"), "utf8"), new RegExp(`^# ${name}\n`));
    }
    const contract = readFileSync(unpacked("streamchain-chain", "sol", "IStreamChain.sol"), "utf8");
    assert.equal(contract, readFileSync(join(ROOT, "contracts", "src", "IStreamChain.sol"), "utf8"));
  });

  it("depend on each other by version", () => {
    for (const name of PUBLISHED) {
      const manifest = readFileSync(unpacked(name, "Cargo.toml"), "utf8");
      assert.doesNotMatch(manifest, /^path = "\.\./m, name);
      assert.doesNotMatch(manifest, /^publish = false$/m, name);
    }
  });

  it("make the command streamchain in an empty folder", async () => {
    const profiles = readFileSync(join(ROOT, "Cargo.toml"), "utf8").split(/^(?=\[profile\.dev)/m)[1] ?? "";
    const members = PUBLISHED.map((name) => `"${name}-${releaseVersion()}"`);
    const patches = PUBLISHED.map((name) => `${name} = { path = "${name}-${releaseVersion()}" }`);
    const workspace = `[workspace]\nresolver = "3"\nmembers = [${members}]\n\n[patch.crates-io]\n${patches.join("\n")}\n\n`;
    // The profile of the checkout, so that the compiled libraries of others are the same.
    writeFileSync(join(folder, "Cargo.toml"), workspace + profiles);
    cpSync(join(ROOT, "Cargo.lock"), join(folder, "Cargo.lock"));
    await cargo(["metadata", "--offline", "--format-version", "1"], folder); // what the workspace no longer has leaves the lock file
    const args = ["install", "--locked", "--offline", "--debug", "--path", unpacked("streamchain-cli")];
    await cargo([...args, "--target-dir", cargoOutput(), "--root", join(folder, "installed")], folder);
    const { stdout } = await run(join(folder, "installed", "bin", "streamchain"), ["--version"]);
    assert.equal(stdout.trim(), `streamchain ${releaseVersion()}`);
  });
});
