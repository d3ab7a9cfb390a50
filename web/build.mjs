// Builds web/dist: the app (index.html, app.js, app.css, favicon.svg, _headers), the library as one ES module with its types
// (client.js, client.d.ts and types/), and the documents (docs/).
//
//   node web/build.mjs            builds once
//   node web/build.mjs --types    checks the types as well
//
// File names are fixed: the assets server sends an ETag for each, and `_headers` makes browsers ask for it.

import { execFileSync } from "node:child_process";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here("dist/");

const tsc = (...options) => {
  const command = createRequire(import.meta.url)
    .resolve("typescript/package.json")
    .replace("package.json", "bin/tsc");
  execFileSync(process.execPath, [command, ...options], { stdio: "inherit" });
};

/** Writes the library's types: a folder as the sources have it, and client.d.ts beside client.js. */
const writeTypes = async () => {
  const types = join(out, "types");
  tsc("--project", here("tsconfig.types.json"), "--outDir", types);
  for (const file of await readdir(types, { recursive: true })) {
    if (!file.endsWith(".d.ts")) continue;
    // The sources name each other by `.ts`; a declaration is found by the name of the module that it declares.
    const text = await readFile(join(types, file), "utf8");
    await writeFile(join(types, file), text.replaceAll(/(?<=["']\.[^"'\n]*)\.ts(?=["'])/g, ".js"));
  }
  await writeFile(join(out, "client.d.ts"), 'export * from "./types/index.js";\n');
};

if (process.argv.includes("--types")) tsc("--project", here("tsconfig.json"));

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const shared = { bundle: true, format: "esm", target: "es2022", minify: true, sourcemap: true, logLevel: "warning" };
await Promise.all([
  build({ ...shared, entryPoints: { app: here("src/app/main.ts") }, outdir: out }),
  build({ ...shared, entryPoints: { client: here("src/lib/index.ts") }, outdir: out }),
  build({ ...shared, entryPoints: { app: here("src/app/styles/app.css") }, outdir: out }),
  cp(here("static"), out, { recursive: true }),
  cp(here("../docs"), join(out, "docs"), { recursive: true }),
  writeTypes(),
]);
console.log("web: built web/dist");
