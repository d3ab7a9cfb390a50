// Builds the npm package's files in web/: `npm pack` and `npm publish` run it there (prepack). In a fresh clone it
// installs the npm packages of the checkout first.

import { createRequire } from "node:module";
import { join } from "node:path";
import { main } from "./lib/console.mjs";
import { ROOT } from "./lib/paths.mjs";
import { installNpmPackages } from "./lib/setup/npm.mjs";

const NEEDED = [
  "esbuild",
  "typescript/package.json",
  "@noble/hashes/sha3.js",
  "hash-wasm",
  "@types/react/package.json",
];

const isInstalled = () => {
  const require = createRequire(join(ROOT, "package.json"));
  try {
    for (const name of NEEDED) require.resolve(name);
    return true;
  } catch {
    return false;
  }
};

await main(async () => {
  if (!isInstalled()) {
    delete process.env.npm_config_dry_run; // of `npm pack --dry-run`: it is not meant for this installation
    await installNpmPackages();
  }
  const { buildPackage } = await import("./lib/build/package.mjs");
  await buildPackage();
});
