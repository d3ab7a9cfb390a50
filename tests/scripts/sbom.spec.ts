// The bill of materials of a release: what it must list, and what it must not.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { before, suite, test } from "node:test";
import { ROOT } from "../../scripts/lib/paths.mjs";
import { sbom } from "../../scripts/lib/release/sbom.mjs";
import {
  bundledPackages,
  cargoMetadata,
  compiledCrates,
  PUBLISHED,
  RELEASED,
  releaseVersion,
} from "../../scripts/lib/release/sources.mjs";

const HASH = "ab".repeat(32);

const crate = (name: string, more = {}) => ({
  id: `${name}-id`,
  name,
  version: "1.0.0",
  license: "MIT",
  source: "r",
  ...more,
});
const needs = (id: string, ...deps: [string, string | null][]) => ({
  id: `${id}-id`,
  deps: deps.map(([name, kind]) => ({ pkg: `${name}-id`, dep_kinds: [{ kind }] })),
});

const SMALL = {
  version: "1.2.3",
  timestamp: "2026-01-01T00:00:00.000Z",
  metadata: {
    packages: [
      crate("program", { source: null, license: "Apache-2.0 OR MIT" }),
      crate("library", { license: "MIT/Apache-2.0" }),
      crate("builder"),
      crate("tester"),
      crate("stranger"),
    ],
    resolve: {
      nodes: [
        needs("program", ["library", null], ["builder", "build"], ["tester", "dev"]),
        needs("library"),
        needs("builder"),
        needs("tester", ["stranger", null]),
        needs("stranger"),
      ],
    },
  },
  roots: ["program"],
  compiled: new Set(["program", "library", "builder", "tester", "stranger"].map((name) => `${name} 1.0.0`)),
  lock: `[[package]]\nname = "library"\nversion = "1.0.0"\nsource = "r"\nchecksum = "${HASH}"\n\n[[package]]\nname = "program"\nversion = "1.0.0"\n`,
  npm: [
    {
      name: "@scope/lib",
      version: "2.0.0",
      license: "MIT",
      integrity: `sha512-${Buffer.from("xyz").toString("base64")}`,
    },
  ],
};

suite("a small bill of materials", () => {
  const document = JSON.parse(sbom(SMALL));
  const refs = document.components.map((component: { "bom-ref": string }) => component["bom-ref"]);

  test("has what is compiled in and what builds it, and no tests", () => {
    assert.deepEqual(refs, [
      "pkg:cargo/builder@1.0.0",
      "pkg:cargo/library@1.0.0",
      "pkg:cargo/program@1.0.0",
      "pkg:npm/%40scope/lib@2.0.0",
    ]);
  });

  test("leaves out what no feature asks for", () => {
    const compiled = new Set(["program 1.0.0", "library 1.0.0"]);
    assert.doesNotMatch(sbom({ ...SMALL, compiled }), /builder/);
  });

  test("has licences as expressions, and the registries' hashes", () => {
    const library = document.components[1];
    assert.deepEqual(library.licenses, [{ expression: "MIT OR Apache-2.0" }]);
    assert.deepEqual(library.hashes, [{ alg: "SHA-256", content: HASH }]);
    assert.deepEqual(document.components[3].hashes, [{ alg: "SHA-512", content: Buffer.from("xyz").toString("hex") }]);
  });

  test("says what needs what, from the product on", () => {
    const graph = Object.fromEntries(
      document.dependencies.map(({ ref, dependsOn }: { ref: string; dependsOn: string[] }) => [ref, dependsOn]),
    );
    assert.deepEqual(graph["pkg:generic/streamchain@1.2.3"], ["pkg:cargo/program@1.0.0", "pkg:npm/%40scope/lib@2.0.0"]);
    assert.deepEqual(graph["pkg:cargo/program@1.0.0"], ["pkg:cargo/builder@1.0.0", "pkg:cargo/library@1.0.0"]);
  });

  test("is the same for the same sources, and another for others", () => {
    assert.equal(sbom(SMALL), sbom(SMALL));
    assert.match(document.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.notEqual(JSON.parse(sbom({ ...SMALL, version: "1.2.4" })).serialNumber, document.serialNumber);
  });

  test("is refused where a released crate is unknown", () => {
    assert.throws(() => sbom({ ...SMALL, roots: ["program", "nothing"] }), /does not know all of/);
  });
});

suite("this checkout's bill of materials", () => {
  let document: {
    components: { name: string; version: string; licenses?: object[]; hashes?: object[]; "bom-ref": string }[];
    dependencies: { ref: string; dependsOn: string[] }[];
  };
  before(async () => {
    const lock = readFileSync(join(ROOT, "Cargo.lock"), "utf8");
    const [metadata, compiled, npm] = [cargoMetadata(), compiledCrates(), await bundledPackages()];
    document = JSON.parse(
      sbom({ ...SMALL, version: releaseVersion(), metadata, lock, npm, roots: RELEASED, compiled }),
    );
  });

  test("has the libraries of TLS, WebRTC, hashes and the Worker", () => {
    const names = document.components.map(({ name }) => name);
    for (const name of ["rustls", "aws-lc-sys", "str0m", "worker", "k256", "@noble/hashes", ...RELEASED]) {
      assert.ok(names.includes(name), name);
    }
    for (const name of ["proptest", "relay-testkit", "streamchain-fuzz", "esbuild", "siwe"])
      assert.ok(!names.includes(name), name);
  });

  test("gives each component a licence and, if it is foreign, a hash", () => {
    const own = /^(streamchain|relay-node)/;
    for (const { name, licenses, hashes } of document.components) {
      assert.ok(licenses, `${name} has a licence`);
      assert.ok(hashes ?? own.test(name), `${name} has a hash`);
    }
  });

  test("names nothing twice, and nothing that is not there", () => {
    const refs = new Set(document.components.map((component) => component["bom-ref"]));
    assert.equal(refs.size, document.components.length);
    for (const { dependsOn } of document.dependencies) for (const ref of dependsOn) assert.ok(refs.has(ref), ref);
  });

  test("is of the version that the published crates have", () => {
    const manifest = readFileSync(join(ROOT, "Cargo.toml"), "utf8");
    for (const name of PUBLISHED.filter((name) => name !== "streamchain-cli")) {
      const [, version] =
        new RegExp(`^${name} = \\{ path = "[^"]+", version = "([^"]+)" \\}$`, "m").exec(manifest) ?? [];
      assert.equal(version, releaseVersion(), name);
    }
  });
});
