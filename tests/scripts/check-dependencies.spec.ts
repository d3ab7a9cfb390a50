// The tools that check the crates' dependencies, on small workspaces in a temporary folder: what they are there for fails.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { childEnv, ROOT } from "../../scripts/lib/paths.mjs";
import { cargoDenyPath, cargoShearPath } from "../../scripts/lib/setup/dependency-tools.mjs";

const manifest = (name: string, license: string, dependencies = ""): string =>
  `[package]\nname = "${name}"\nversion = "0.1.0"\nedition = "2024"\nlicense = "${license}"\n\n[dependencies]\n${dependencies}`;

const WORKSPACE = '[workspace]\nmembers = ["a", "b"]\nresolver = "3"\n';
const USES_B = 'b = { path = "../b", version = "0.1.0" }\n';

/** Runs a tool in a workspace of crates `a` and `b`; resolves to its exit code and what it printed. */
const run = (tool: string, args: string[], files: Record<string, string>) => {
  const folder = mkdtempSync(join(tmpdir(), "streamchain-check-"));
  try {
    for (const [path, text] of Object.entries({ "Cargo.toml": WORKSPACE, ...files })) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    copyFileSync(join(ROOT, "deny.toml"), join(folder, "deny.toml"));
    const options = { cwd: folder, encoding: "utf8", env: childEnv({ NO_COLOR: "1" }) } as const;
    const { status, stdout, stderr } = spawnSync(tool, args, options);
    return { status, text: `${stdout}${stderr}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

describe("cargo-shear", () => {
  const files = (code: string, more: Record<string, string> = {}) => ({
    "a/Cargo.toml": manifest("a", "MIT", USES_B),
    "a/src/lib.rs": code,
    "b/Cargo.toml": manifest("b", "MIT"),
    "b/src/lib.rs": "pub fn one() {}\n",
    ...more,
  });

  test("a crate that is used is right", () => {
    const { status, text } = run(cargoShearPath(), ["--deny-warnings"], files("pub fn f() { b::one() }\n"));
    assert.equal(status, 0, text);
  });

  test("a crate that nothing uses fails", () => {
    const { status, text } = run(cargoShearPath(), ["--deny-warnings"], files("pub fn f() {}\n"));
    assert.notEqual(status, 0);
    assert.match(text, /unused dependency `b`/);
  });

  test("a file outside of the module tree fails", () => {
    const more = { "a/src/forgotten.rs": "pub fn g() {}\n" };
    const { status, text } = run(cargoShearPath(), ["--deny-warnings"], files("pub fn f() { b::one() }\n", more));
    assert.notEqual(status, 0);
    assert.match(text, /forgotten\.rs/);
  });
});

describe("cargo-deny", () => {
  const ARGS = ["--offline", "--workspace", "check", "licenses", "bans", "sources"];
  const files = (license: string, name = "b") => ({
    "a/Cargo.toml": manifest("a", "MIT"),
    "a/src/lib.rs": "",
    "b/Cargo.toml": manifest(name, license),
    "b/src/lib.rs": "",
  });

  test("a licence that is on the list is right", () => {
    const { status, text } = run(cargoDenyPath(), ARGS, files("MIT OR Apache-2.0"));
    assert.equal(status, 0, text);
  });

  test("a licence that is not on the list fails", () => {
    const { status, text } = run(cargoDenyPath(), ARGS, files("GPL-3.0-only"));
    assert.notEqual(status, 0);
    assert.match(text, /GPL-3\.0-only/);
  });

  test("a banned crate fails", () => {
    const { status, text } = run(cargoDenyPath(), ARGS, files("MIT", "openssl-sys"));
    assert.notEqual(status, 0);
    assert.match(text, /openssl-sys/);
  });
});
