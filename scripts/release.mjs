// `npm run release`: makes the artifacts of a release in dist/. It publishes nothing: .github/workflows/release.yml does.

import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { choose } from "./lib/choice.mjs";
import { heading, main } from "./lib/console.mjs";
import { ROOT } from "./lib/paths.mjs";
import { setUp } from "./lib/setup/index.mjs";

const ABOUT = {
  command: "npm run release",
  does: `Makes these artifacts for this machine in dist/, and publishes nothing. Variables:
  RELEASE_PROGRAMS  a folder with streamchain and relay-node, to be taken in place of compiling them
  RELEASE_FOLDER    another folder than dist/; without it dist/ is emptied first, unless parts are named`,
  kind: "artifact",
};

await main(async () => {
  await setUp({ rust: false });
  const { ARTIFACTS, makeArtifacts } = await import("./lib/release/index.mjs");
  const words = process.argv.slice(2);
  const artifacts = choose(words, ARTIFACTS, ABOUT);
  if (artifacts === null) return;
  const { RELEASE_FOLDER, RELEASE_PROGRAMS } = process.env;
  const out = RELEASE_FOLDER ? resolve(RELEASE_FOLDER) : join(ROOT, "dist");
  if (!RELEASE_FOLDER && words.length === 0) rmSync(out, { recursive: true, force: true });
  const programs = RELEASE_PROGRAMS ? resolve(RELEASE_PROGRAMS) : undefined;
  const made = await makeArtifacts(artifacts, { out, programs });
  heading(out);
  for (const name of made) console.log(`  ${name}`);
});
