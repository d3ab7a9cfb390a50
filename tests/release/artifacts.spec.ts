// `npm run release` with programs that are compiled already: every artifact but the image, and sums that hold.

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { childEnv, NODE, ROOT } from "../../scripts/lib/paths.mjs";
import { releaseTarget } from "../../scripts/lib/release/programs.mjs";
import { PUBLISHED, releaseVersion } from "../../scripts/lib/release/sources.mjs";

const run = promisify(execFile);
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

describe("the artifacts of a release", () => {
  const folder = mkdtempSync(join(tmpdir(), "streamchain-release-"));
  const [programs, out] = [join(folder, "programs"), join(folder, "out")];
  const archive = `streamchain-${releaseVersion()}-${releaseTarget()}.tar.gz`;
  const env = { RELEASE_PROGRAMS: programs, RELEASE_FOLDER: out, SOURCE_DATE_EPOCH: "1700000000" };
  const release = (...names: string[]) =>
    run(NODE, [join(ROOT, "scripts", "release.mjs"), ...names], { env: childEnv(env), maxBuffer: MAX_OUTPUT_BYTES });

  before(async () => {
    mkdirSync(programs);
    for (const name of ["streamchain", "relay-node"]) {
      writeFileSync(join(programs, name), `#!/bin/sh\necho ${name}\n`);
      chmodSync(join(programs, name), 0o700);
    }
    await release("programs", "package", "crates", "sbom", "sums");
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("are all there, each with its version", () => {
    const version = releaseVersion();
    const crates = PUBLISHED.map((name) => `${name}-${version}.crate`);
    const others = ["SHA256SUMS", archive, `streamchain-${version}.cdx.json`, `streamchain-client-${version}.tgz`];
    assert.deepEqual(readdirSync(out).sort(), [...crates, ...others].sort());
  });

  it("have sums that hold, and that notice a change", () => {
    const check = (): string =>
      execFileSync("sha256sum", ["--check", "SHA256SUMS"], { cwd: out, encoding: "utf8", stdio: "pipe" });
    const lines = check().trim().split("\n");
    assert.equal(lines.length, readdirSync(out).length - 1);
    const bill = join(out, `streamchain-${releaseVersion()}.cdx.json`);
    const before = readFileSync(bill);
    writeFileSync(bill, Buffer.concat([before, Buffer.from(" ")]));
    assert.throws(check);
    writeFileSync(bill, before);
  });

  it("have programs, licences and documents in the archive", () => {
    const listed = execFileSync("tar", ["-tzvf", join(out, archive)], { encoding: "utf8" });
    for (const name of ["LICENSE-MIT", "LICENSE-APACHE", "README.md", "INSTALL.md", "relay-node.service"]) {
      assert.match(listed, new RegExp(`/${name}$`, "m"));
    }
    for (const name of ["streamchain", "relay-node"]) assert.match(listed, new RegExp(`^-rwxr-xr-x .*/${name}$`, "m"));
  });

  it("are the same when they are made again", async () => {
    const names = [archive, `streamchain-${releaseVersion()}.cdx.json`];
    const before = names.map((name) => readFileSync(join(out, name)));
    await release("programs", "sbom");
    for (const [i, name] of names.entries()) assert.ok(readFileSync(join(out, name)).equals(before[i] as Buffer), name);
  });

  it("are refused where the tag is not the version", async () => {
    const tag = { ...env, GITHUB_REF_TYPE: "tag", GITHUB_REF_NAME: "v99.0.0" };
    const work = run(NODE, [join(ROOT, "scripts", "release.mjs"), "sums"], { env: childEnv(tag) });
    await assert.rejects(work, (error: { stderr?: string }) => /v99\.0\.0 is not v/.test(error.stderr ?? ""));
  });
});
