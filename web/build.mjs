// Builds web/dist: the app (index.html, app.js, app.css, favicon.svg, _headers) and the library as one ES module.
//
//   node web/build.mjs            builds once
//   node web/build.mjs --types    checks the types as well
//
// File names are fixed: the assets server sends an ETag for each, and `_headers` makes browsers ask for it.

import { execFileSync } from "node:child_process";
import { cp, mkdir, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = here("dist/");

if (process.argv.includes("--types")) {
  const tsc = createRequire(import.meta.url)
    .resolve("typescript/package.json")
    .replace("package.json", "bin/tsc");
  execFileSync(process.execPath, [tsc, "--project", here("tsconfig.json")], { stdio: "inherit" });
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const shared = { bundle: true, format: "esm", target: "es2022", minify: true, sourcemap: true, logLevel: "warning" };
await Promise.all([
  build({ ...shared, entryPoints: { app: here("src/app/main.ts") }, outdir: out }),
  build({ ...shared, entryPoints: { client: here("src/lib/index.ts") }, outdir: out }),
  build({ ...shared, entryPoints: { app: here("src/app/styles/app.css") }, outdir: out }),
  cp(here("static"), out, { recursive: true }),
]);
console.log("web: built web/dist");
