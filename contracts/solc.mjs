#!/usr/bin/env node
// The Solidity compiler for forge, from the npm package `solc` (the compiler as WebAssembly), so that building needs
// no download and no native compiler. It speaks the part of the native compiler's command line that forge uses:
//   solc.mjs --version
//   solc.mjs --standard-json [--base-path DIR] [--allow-paths DIR,DIR]
//                                JSON on standard input, JSON on standard output
// A source that the input lacks is read from a file, relative to the base path, if that file is in the base path or
// in an allowed one: forge names a package's file by its full path where an import in that package is relative.

import { readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve, sep } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";

const USAGE = "usage: solc.mjs --version | --standard-json [--base-path DIR] [--allow-paths DIR,DIR]";

const fail = (message) => {
  console.error(`solc.mjs: ${message}`);
  process.exit(1);
};

const requirePackage = (path) => {
  try {
    return createRequire(import.meta.url)(path);
  } catch (cause) {
    return fail(
      `cannot load the npm package \`solc\` (${cause.message}): run \`npm ci\` in the folder above contracts.`,
    );
  }
};

const readOptions = () => {
  try {
    return parseArgs({
      options: {
        version: { type: "boolean" },
        "standard-json": { type: "boolean" },
        "base-path": { type: "string", default: "." },
        "allow-paths": { type: "string", default: "" },
      },
    }).values;
  } catch (cause) {
    return fail(`${cause.message}\n${USAGE}`);
  }
};

/** What solc asks for a source it was not given: `{ contents }` or `{ error }`. */
const sourceReader = (basePath, allowPaths) => {
  // Real paths, since node_modules may be a link.
  const allowed = [basePath, ...allowPaths.split(",").filter(Boolean)].map((path) => realpathSync(path));
  return (name) => {
    try {
      const path = realpathSync(resolve(basePath, name));
      if (allowed.some((folder) => path.startsWith(folder + sep))) return { contents: readFileSync(path, "utf8") };
      return { error: `${path} is outside the allowed paths` };
    } catch (cause) {
      return { error: cause.message };
    }
  };
};

const options = readOptions();
if (options.version) {
  const { version } = requirePackage("solc/package.json");
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (options["standard-json"]) {
  const reader = sourceReader(options["base-path"], options["allow-paths"]);
  // As a stream: forge's pipe does not block, so reading it as a file fails when it is empty for a moment.
  const input = await text(process.stdin);
  const output = requirePackage("solc").compile(input, { import: reader });
  // An exit before the pipe is drained would cut the answer off.
  process.stdout.write(output, () => process.exit(0));
} else {
  fail(USAGE);
}
