// What the workflow of releases, the images and compose.yaml name: every script, artifact, target and file is there.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { ROOT } from "../../scripts/lib/paths.mjs";
import { ARTIFACTS } from "../../scripts/lib/release/index.mjs";
import { imageEnvironment, relayStage } from "../../scripts/lib/release/run-image.mjs";
import { releaseVersion, tagProblem } from "../../scripts/lib/release/sources.mjs";

const read = (...path: string[]): string => readFileSync(join(ROOT, ...path), "utf8");
const scripts = (): Record<string, string> => JSON.parse(read("package.json")).scripts;

/** The scripts of npm and the files that commands of a text name, and what is wrong with them. */
const missing = (text: string): string[] => {
  const known = scripts();
  const npm = [...text.matchAll(/\bnpm run ([\w-]+)/g)].map(([, name = ""]) => name).filter((name) => !known[name]);
  const files = [...text.matchAll(/\bnode (?:-- )?((?:scripts|containers)\/[\w./-]+)/g)].map(([, path = ""]) => path);
  return [...npm, ...files.filter((path) => !existsSync(join(ROOT, path)))];
};

suite("the release workflow", () => {
  const workflow = read(".github", "workflows", "release.yml");

  test("runs scripts that are there", () => {
    assert.deepEqual(missing(workflow), []);
    assert.deepEqual(missing("npm run nothing && node scripts/nothing.mjs"), ["nothing", "scripts/nothing.mjs"]);
  });

  test("makes every artifact, and none that is unknown", () => {
    const calls = [...workflow.matchAll(/npm run release -- ([a-z ]+)$/gm)].flatMap(([, names = ""]) =>
      names.split(" "),
    );
    assert.deepEqual(calls.sort(), ARTIFACTS.map(({ name }) => name).sort());
  });

  test("builds for Linux and macOS, on x86-64 and arm64", () => {
    assert.match(workflow, /runner: \[ubuntu-24\.04, ubuntu-24\.04-arm, macos-15-intel, macos-15\]/);
  });

  test("gives no job more rights than it uses", () => {
    assert.match(workflow, /^permissions:\n {2}contents: read\n/m);
    const jobs = workflow.split(/^ {2}(?=\w+:$)/m).slice(1);
    const writes = (job: string): string[] =>
      [...job.matchAll(/^ {6}([\w-]+): write$/gm)].map(([, right = ""]) => right);
    const byName = Object.fromEntries(jobs.map((job) => [job.slice(0, job.indexOf(":")), writes(job)]));
    assert.deepEqual(byName.programs, ["packages"]);
    assert.deepEqual(byName.sources, []);
    assert.deepEqual(byName.publish, ["contents", "packages", "id-token", "attestations"]);
  });

  test("is of one version everywhere, the tag's", () => {
    const tag = (name: string): string | null => tagProblem({ GITHUB_REF_TYPE: "tag", GITHUB_REF_NAME: name });
    assert.equal(tag(`v${releaseVersion()}`), null);
    assert.match(tag("v99.0.0") ?? "", /v99\.0\.0 is not v/);
    assert.equal(tagProblem({}), null);
    assert.equal(JSON.parse(read("package.json")).version, releaseVersion());
    assert.equal(JSON.parse(read("web", "package.json")).version, releaseVersion());
  });
});

suite("the images", () => {
  const dockerfile = read("containers", "Dockerfile");
  const compose = read("compose.yaml");

  test("have files and scripts that are there", () => {
    assert.deepEqual(missing(dockerfile), []);
    assert.deepEqual(missing(compose.replaceAll(/"node", "/g, "node ")), []);
    for (const [, path = ""] of compose.matchAll(/dockerfile: (\S+)/g)) assert.ok(existsSync(join(ROOT, path)), path);
  });

  test("are targets of the Dockerfile", () => {
    const targets = [...compose.matchAll(/target: (\S+)/g)].map(([, target]) => target);
    assert.deepEqual(new Set(targets), new Set(["edge", "relay"]));
    for (const target of targets) assert.match(dockerfile, new RegExp(`^FROM \\S+ AS ${target}$`, "m"));
  });

  test("run the relay without a shell, as nobody, with its health", () => {
    const lines = relayStage();
    assert.ok(lines.includes("USER 65532:65532"));
    assert.ok(lines.includes('ENTRYPOINT ["/relay-node"]'));
    assert.ok(lines.some((line) => line.startsWith("HEALTHCHECK ") && line.endsWith('CMD ["/relay-node", "health"]')));
    assert.ok(!lines.some((line) => line.startsWith("RUN ")), "nothing can be run in an empty image");
  });

  test("set variables that the relay has", () => {
    const options = read("relay-node", "src", "relay", "options.rs");
    const names = [
      ...Object.keys(imageEnvironment()),
      ...[...compose.matchAll(/^ {6}(STREAMCHAIN_\w+):/gm)].map(([, n = ""]) => n),
    ];
    assert.ok(names.length >= 8, `${names}`);
    for (const name of names) assert.ok(options.includes(`"${name}"`), name);
  });

  test("need no other Rust than the workspace", () => {
    const [, wanted] = /rust-version = "([^"]+)"/.exec(read("Cargo.toml")) ?? [];
    assert.match(dockerfile, new RegExp(`^ARG RUST_IMAGE=\\S+:${wanted}-`, "m"));
  });

  test("of the demo listen on this machine only", () => {
    const ports = [...compose.matchAll(/(?:ports: \[|^ +- )"([^"]+)"/gm)].map(([, port = ""]) => port);
    assert.ok(ports.length >= 4);
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:/);
  });
});
