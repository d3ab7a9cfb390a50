// Pushes the relay's image, as the release workflow does: first each architecture's own, then one name for all of them.
//
//   node scripts/push-image.mjs ghcr.io/OWNER/streamchain-relay          the image of `npm run release -- image`
//   node scripts/push-image.mjs ghcr.io/OWNER/streamchain-relay --join   VERSION and latest, of both architectures

import { execFileSync } from "node:child_process";
import { Failure, main } from "./lib/console.mjs";
import { releaseVersion } from "./lib/release/sources.mjs";
import { show } from "./lib/run.mjs";

const ARCHITECTURES = { x64: "amd64", arm64: "arm64" };

/** @param {string[]} args */
const docker = async (...args) => {
  if ((await show("docker", args)) !== 0) throw new Failure(`docker ${args[0]} failed (its output is above).`);
};

await main(async () => {
  const [name, join] = process.argv.slice(2);
  if (!name || (join !== undefined && join !== "--join")) {
    throw new Failure("node scripts/push-image.mjs REGISTRY/NAME [--join]");
  }
  const version = releaseVersion();
  if (join) {
    const images = Object.values(ARCHITECTURES).map((architecture) => `${name}:${version}-${architecture}`);
    await docker("buildx", "imagetools", "create", "-t", `${name}:${version}`, "-t", `${name}:latest`, ...images);
    return;
  }
  const architecture = ARCHITECTURES[/** @type {keyof typeof ARCHITECTURES} */ (process.arch)];
  if (!architecture) throw new Failure(`There is no image for ${process.arch}.`);
  const local = `streamchain-relay:${version}`;
  const said = execFileSync("docker", ["run", "--rm", local, "--version"], { encoding: "utf8" }).trim();
  if (said !== `relay-node ${version}`) throw new Failure(`The image says ${said}, not relay-node ${version}.`);
  const tag = `${name}:${version}-${architecture}`;
  await docker("tag", local, tag);
  await docker("push", tag);
});
