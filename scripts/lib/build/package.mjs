// The npm package of the client library: web/lib with a module, its source map and its types for each entry, and the
// licences beside web/package.json. Takes about a second; needs no other part of the build.
//
// What always holds: the entries share their modules (lib/chunks), so that an error or a connection of one entry is an
// instance of the other's class; the entries `receipt` and `wallet` contain nothing of WebRTC.

import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { Failure } from "../console.mjs";
import { npmBin, ROOT } from "../paths.mjs";
import { show } from "../run.mjs";
import { bundledTypes, exportedNames, passedOnTypes } from "./types.mjs";

/** The folder of the package's manifest. */
export const PACKAGE = join(ROOT, "web");

const SOURCE = join(PACKAGE, "src");
const OUT = join(PACKAGE, "lib");
const LICENCES = ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT"];

/** The file that each entry of the package is made of. */
const ENTRIES = {
  index: join(SOURCE, "lib", "index.ts"),
  receipt: join(SOURCE, "lib", "receipt.ts"),
  wallet: join(SOURCE, "lib", "wallet.ts"),
  react: join(SOURCE, "react", "index.ts"),
};

/**
 * An import for its effects alone, which esbuild writes to keep the order of modules. No module has effects, and bundlers
 * warn of such an import; its line stays, empty, so that the source map holds.
 */
const BARE_IMPORT = /^import "\.\/[\w./-]+";$/gm;

/** Not minified: whoever bundles does it, and stack traces stay readable. */
const buildModules = async () => {
  const { outputFiles } = await build({
    entryPoints: ENTRIES,
    outdir: OUT,
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    mainFields: ["module"],
    external: ["react"],
    chunkNames: "chunks/[name]-[hash]",
    sourcemap: true,
    legalComments: "inline",
    logLevel: "warning",
    write: false,
  });
  await mkdir(join(OUT, "chunks"), { recursive: true });
  for (const { path, text } of outputFiles) {
    await writeFile(path, path.endsWith(".js") ? text.replace(BARE_IMPORT, "") : text);
  }
};

const buildTypes = async () => {
  const declarations = join(OUT, "declarations");
  const args = ["--project", join(PACKAGE, "tsconfig.package.json"), "--outDir", declarations];
  if ((await show(process.execPath, [npmBin("tsc"), ...args])) !== 0) throw new Failure("The types do not compile.");
  const index = join(declarations, "lib", "index.d.ts");
  const outside = { folder: join(declarations, "lib"), from: "./index.js", names: await exportedNames(index) };
  /** @param {string} entry */
  const title = (entry) => `Types of @streamchain/client${entry}.`;
  const texts = {
    index: await bundledTypes(index, { title: title("") }),
    receipt: await passedOnTypes(join(declarations, "lib", "receipt.d.ts"), title("/receipt"), outside),
    wallet: await passedOnTypes(join(declarations, "lib", "wallet.d.ts"), title("/wallet"), outside),
    react: await bundledTypes(join(declarations, "react", "index.d.ts"), { title: title("/react"), outside }),
  };
  for (const [entry, text] of Object.entries(texts)) await writeFile(join(OUT, `${entry}.d.ts`), text);
  await rm(declarations, { recursive: true });
};

/** Libraries of hash functions that are part of the modules. */
const CONTAINED = ["@noble/hashes", "hash-wasm"];

/** The licences of the project, and those of what is part of the modules. */
const copyLicences = async () => {
  for (const name of LICENCES) await copyFile(join(ROOT, name), join(PACKAGE, name));
  const texts = await Promise.all(
    CONTAINED.map(async (name) => {
      const licence = await readFile(join(ROOT, "node_modules", name, "LICENSE"), "utf8");
      return `Parts of the modules are from ${name}:\n\n${licence.trim()}\n`;
    }),
  );
  await writeFile(join(PACKAGE, "LICENSE-THIRD-PARTY"), texts.join("\n"));
};

/** Builds what the package consists of beside its manifest and documents. */
export const buildPackage = async () => {
  await rm(OUT, { recursive: true, force: true });
  await mkdir(OUT, { recursive: true });
  await Promise.all([buildModules(), buildTypes(), copyLicences()]);
};
