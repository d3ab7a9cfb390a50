// The relay's image: containers/Dockerfile with a program that is compiled already, root certificates, and nothing else.

import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../console.mjs";
import { ROOT } from "../paths.mjs";
import { show } from "../run.mjs";

/** Where systems have the root certificates in one file. */
const CERTIFICATES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
  "/opt/homebrew/etc/ca-certificates/cert.pem",
];

/** The user and the group that the relay has in its image: the usual ones of images without a user database. */
export const IMAGE_USER = 65_532;

/**
 * Puts the files of the image into an empty folder: what the Dockerfile's stage `relay-files` has.
 * @param {{ program: string, folder: string }} how `program`: a static relay-node
 */
export const imageFiles = ({ program, folder }) => {
  const certificates = CERTIFICATES.find((path) => existsSync(path));
  if (certificates === undefined) {
    throw new Failure("There are no root certificates on this machine.", [
      "Debian, Ubuntu: apt-get install ca-certificates",
    ]);
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "state"), { recursive: true });
  copyFileSync(certificates, join(folder, "ca-certificates.crt"));
  copyFileSync(program, join(folder, "relay-node"));
  chmodSync(join(folder, "relay-node"), 0o755);
};

/**
 * Builds the image with an engine, under this name.
 * @param {{ engine: import("./engine.mjs").Engine, files: string, tag: string }} how `files`: the folder of `imageFiles`
 */
export const buildImage = async ({ engine, files, tag }) => {
  const dockerfile = join(ROOT, "containers", "Dockerfile");
  const args = ["build", ...engine.build, "-f", dockerfile, "--target", "relay"];
  args.push("--build-context", `relay-files=${files}`, "-t", tag, files);
  if ((await show(engine.name, [...engine.global, ...args])) !== 0) throw new Failure("The image could not be built.");
};

/** Writes the image to a file that `docker load` and `podman load` read. @param {{ engine: import("./engine.mjs").Engine, tag: string, file: string }} how */
export const saveImage = async ({ engine, tag, file }) => {
  rmSync(file, { force: true });
  if ((await show(engine.name, [...engine.global, "save", "-o", file, tag])) !== 0) {
    throw new Failure("The image could not be saved.");
  }
};
