// Runs the relay's image: by a container engine where one works, else its program in an empty root folder that has the image's
// files at their places and nothing else.

import { execFileSync } from "node:child_process";
import { chownSync, cpSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Failure } from "../console.mjs";
import { childEnv, ROOT, which } from "../paths.mjs";
import { buildImage, IMAGE_USER } from "./image.mjs";

const DOCKERFILE = join(ROOT, "containers", "Dockerfile");

/** The lines of the Dockerfile's stage `relay`, those that go on in the next line joined. */
export const relayStage = () => {
  const lines = readFileSync(DOCKERFILE, "utf8")
    .replace(/\\\n\s*/g, "")
    .split("\n");
  const start = lines.indexOf("FROM scratch AS relay");
  const end = lines.findIndex((line, index) => index > start && line.startsWith("FROM "));
  if (start < 0 || end < 0) throw new Failure("containers/Dockerfile has no stage `relay` from scratch.");
  return lines.slice(start + 1, end).filter((line) => line !== "" && !line.startsWith("#"));
};

/** What the stage sets in the environment. */
export const imageEnvironment = () =>
  Object.fromEntries(
    relayStage()
      .filter((line) => line.startsWith("ENV "))
      .flatMap((line) => line.slice("ENV ".length).trim().split(/\s+/))
      .map((pair) => {
        const [name = "", ...value] = pair.split("=");
        return [name, value.join("=")];
      }),
  );

/** Puts the image's files into an empty folder as the stage's COPY lines say. @param {{ files: string, root: string }} how */
const makeRoot = ({ files, root }) => {
  for (const line of relayStage().filter((candidate) => candidate.startsWith("COPY "))) {
    const words = line.split(/\s+/).slice(1);
    const [from = "", to = ""] = words.filter((word) => !word.startsWith("--"));
    mkdirSync(dirname(join(root, to)), { recursive: true });
    cpSync(join(files, from), join(root, to), { recursive: true });
    if (words.some((word) => word.startsWith("--chown="))) chownSync(join(root, to), IMAGE_USER, IMAGE_USER);
  }
};

/**
 * @typedef {object} ImageRunner
 * @property {string} how in words
 * @property {(args: string[], env: Record<string, string>, mounts?: [string, string][]) => { command: string, args: string[], env: object }} run
 *   the command that runs the image with these arguments; `mounts`: folders of this machine and where they are in the image
 * @property {() => void} cleanUp
 */

/** @param {import("./engine.mjs").Engine} engine @param {string} tag @returns {ImageRunner} */
const byEngine = (engine, tag) => ({
  how: `${engine.name}, image ${tag}`,
  run: (args, env, mounts = []) => {
    const options = ["--rm", "--network", "host", "--read-only", "--cap-drop", "ALL", ...engine.run];
    for (const [name, value] of Object.entries(env)) options.push("--env", `${name}=${value}`);
    for (const [from, to] of mounts) options.push("--volume", `${from}:${to}:ro`);
    return { command: engine.name, args: [...engine.global, "run", ...options, tag, ...args], env: {} };
  },
  cleanUp: () => {
    execFileSync(engine.name, [...engine.global, "rmi", "--force", tag], { env: childEnv(), stdio: "ignore" });
  },
});

/** @param {string} root @returns {ImageRunner} */
const byChroot = (root) => ({
  how: "chroot into an empty folder",
  run: (args, env, mounts = []) => {
    for (const [from, to] of mounts) cpSync(from, join(root, to), { recursive: true });
    const user = `--userspec=${IMAGE_USER}:${IMAGE_USER}`;
    return { command: "chroot", args: [user, root, "/relay-node", ...args], env: { ...imageEnvironment(), ...env } };
  },
  cleanUp: () => {},
});

/**
 * @param {{ engine: import("./engine.mjs").Engine | null, files: string, folder: string, tag: string }} how `files`: those of
 *   `imageFiles`; `folder`: an empty one
 * @returns {Promise<ImageRunner>}
 */
export const imageRunner = async ({ engine, files, folder, tag }) => {
  if (engine !== null) {
    await buildImage({ engine, files, tag });
    return byEngine(engine, tag);
  }
  if (process.getuid?.() !== 0 || which("chroot") === null) {
    throw new Failure(
      "There is no container engine that works here, and only root may run the image's program in an empty folder.",
      ["Debian, Ubuntu: apt-get install podman runc"],
    );
  }
  makeRoot({ files, root: folder });
  return byChroot(folder);
};
