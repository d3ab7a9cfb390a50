// Builds web/dist: the app (index.html, app.js, app.css, favicon.svg, _headers), the operator's page (operator.html,
// operator.js, operator.css), the library as one ES module with its types (client.js, client.d.ts), the contract's interface
// (abi.json), for which the contracts are built first, and the documents: as they are and as pages (docs/, docs.js, docs.css).
//
//   node web/build.mjs            builds once
//   node web/build.mjs --types    checks the types as well
//
// File names are fixed: the assets server sends an ETag for each, and `_headers` makes browsers ask for it.

import { execFileSync } from "node:child_process";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { bundledTypes } from "../scripts/lib/build/types.mjs";
import { buildDocs } from "../scripts/lib/docs/index.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here("dist/");
const declarations = here("dist/declarations/");
const artifact = here("../contracts/out/StreamChain.sol/StreamChain.json");

const tsc = (args) => {
  const command = createRequire(import.meta.url)
    .resolve("typescript/package.json")
    .replace("package.json", "bin/tsc");
  execFileSync(process.execPath, [command, ...args], { stdio: "inherit" });
};

/** The types of the library in one file, beside the module. */
const buildTypes = async () => {
  tsc(["--project", here("tsconfig.types.json"), "--outDir", declarations]);
  await writeFile(`${out}client.d.ts`, await bundledTypes(`${declarations}index.d.ts`));
  await rm(declarations, { recursive: true });
};

/** The contract's functions, events and errors, as compilers write them: an event says of each argument if it is indexed. */
const buildInterface = async () => {
  const text = await readFile(artifact, "utf8").catch(() => {
    throw new Error("the contract is not compiled: npm run build compiles it first");
  });
  await writeFile(`${out}abi.json`, `${JSON.stringify(JSON.parse(text).abi, null, 2)}\n`);
};

if (process.argv.includes("--types")) tsc(["--project", here("tsconfig.json")]);

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const shared = { bundle: true, format: "esm", target: "es2022", minify: true, sourcemap: true, logLevel: "warning" };
await Promise.all([
  build({ ...shared, entryPoints: { app: here("src/app/main.ts") }, outdir: out }),
  build({ ...shared, entryPoints: { operator: here("src/app/operator/main.ts") }, outdir: out }),
  build({ ...shared, entryPoints: { client: here("src/lib/index.ts") }, outdir: out }),
  // A classic script, so that the theme is there before the page is drawn.
  build({ ...shared, format: "iife", entryPoints: { docs: here("src/app/docs/main.ts") }, outdir: out }),
  build({
    ...shared,
    entryPoints: {
      app: here("src/app/styles/app.css"),
      operator: here("src/app/styles/operator.css"),
      docs: here("src/app/styles/docs.css"),
    },
    outdir: out,
  }),
  cp(here("static"), out, { recursive: true }),
  buildTypes(),
  buildInterface(),
  cp(here("../docs"), `${out}docs`, { recursive: true }).then(() => buildDocs(`${out}docs`)),
]);
console.log("web: built web/dist");
