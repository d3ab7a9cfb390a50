// Checks the npm package of the client library as npm would publish it: builds and packs it, looks at what is in it, has
// publint and are-the-types-wrong look at it, and prints the size of each entry beside its limit.
//
//   npm run check -- package

import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { buildPackage, PACKAGE } from "./lib/build/package.mjs";
import { Failure, main } from "./lib/console.mjs";
import { childEnv } from "./lib/paths.mjs";
import { show } from "./lib/run.mjs";
import { installPackageTools, packageTool } from "./lib/setup/package-tools.mjs";

/**
 * What an entry may add to a page, in bytes, minified and gzipped, without React: up to a tenth above what it was when this
 * was written: keccak256 in WebAssembly came last, 5 KB. A quarter of them is what signs messages and checks signatures, a
 * wallet's on secp256k1 with them. An entry that grows past its limit imports too much.
 */
const MAX_GZIPPED_BYTES = { index: 63_000, receipt: 14_500, wallet: 8_000, react: 61_000 };

/** Words that the entries for receipts and wallets must not contain: they are for places without WebRTC. */
const WEBRTC = /RTCPeerConnection|createDataChannel|RTCDataChannel/;
const WITHOUT_WEBRTC = ["receipt", "wallet"];

/** What the package may consist of. */
const EXPECTED =
  /^(?:package\.json|README\.md|CHANGELOG\.md|LICENSE(?:-[A-Z-]+)?|lib\/(?:index|receipt|wallet|react)\.(?:js|js\.map|d\.ts)|lib\/chunks\/[\w-]+\.js(?:\.map)?)$/;
const REQUIRED = ["README.md", "CHANGELOG.md", "LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "LICENSE-THIRD-PARTY"];

/** Packs the package into a folder; returns the archive's path and the names of the files in it. @param {string} folder */
const pack = (folder) => {
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
  const [answer] = JSON.parse(execFileSync("npm", args, { cwd: PACKAGE, env: childEnv(), encoding: "utf8" }));
  const files = answer.files.map((/** @type {{ path: string }} */ { path }) => path);
  return { archive: join(folder, answer.filename), files, bytes: answer.size, unpacked: answer.unpackedSize };
};

/** @param {string[]} files */
const checkFiles = (files) => {
  const strange = files.filter((path) => !EXPECTED.test(path));
  const missing = [...REQUIRED, ...Object.keys(MAX_GZIPPED_BYTES).map((entry) => `lib/${entry}.d.ts`)].filter(
    (path) => !files.includes(path),
  );
  return [...strange.map((path) => `${path} is packed`), ...missing.map((path) => `${path} is not packed`)];
};

/** An entry as a page's bundler makes it. @param {string} entry */
const bundled = async (entry) => {
  const { outputFiles } = await build({
    entryPoints: [join(PACKAGE, "lib", `${entry}.js`)],
    bundle: true,
    minify: true,
    format: "esm",
    external: ["react"],
    legalComments: "none",
    write: false,
  });
  return outputFiles[0]?.contents ?? new Uint8Array();
};

const checkSizes = async () => {
  const problems = [];
  for (const [entry, max] of Object.entries(MAX_GZIPPED_BYTES)) {
    const bytes = gzipSync(await bundled(entry), { level: 9 }).length;
    console.log(`    ${entry.padEnd(8)} ${`${bytes}`.padStart(7)} bytes gzipped, limit ${max}`);
    if (bytes > max) problems.push(`${entry} has ${bytes} bytes gzipped, limit ${max}`);
  }
  return problems;
};

/** @param {string} entry */
const checkWithoutWebrtc = async (entry) =>
  WEBRTC.test(Buffer.from(await bundled(entry)).toString()) ? [`${entry} contains code for WebRTC`] : [];

/** The README names each entry's limit, in KB, in the last cell of its row. */
const checkReadme = async () => {
  const readme = await readFile(join(PACKAGE, "README.md"), "utf8");
  return Object.entries(MAX_GZIPPED_BYTES).flatMap(([entry, max]) => {
    const name = `@streamchain/client${entry === "index" ? "" : `/${entry}`}`;
    const row = readme.split("\n").find((line) => line.startsWith(`| \`${name}\` |`));
    return row?.endsWith(`| ${max / 1_000} KB |`) ? [] : [`README.md does not say ${max / 1_000} KB for ${name}`];
  });
};

const checkDirective = async () =>
  /^"use client";/.test(await readFile(join(PACKAGE, "lib", "react.js"), "utf8"))
    ? []
    : ['lib/react.js does not begin with "use client"'];

await main(async () => {
  const folder = await mkdtemp(join(tmpdir(), "streamchain-package-"));
  try {
    await installPackageTools();
    await buildPackage();
    const { archive, files, bytes, unpacked } = pack(folder);
    console.log(`    ${files.length} files, ${bytes} bytes packed, ${unpacked} unpacked`);
    const problems = [
      ...checkFiles(files),
      ...(await checkSizes()),
      ...(await checkReadme()),
      ...(await checkDirective()),
    ];
    for (const entry of WITHOUT_WEBRTC) problems.push(...(await checkWithoutWebrtc(entry)));
    const node = process.execPath;
    if ((await show(node, [packageTool("publint"), "run", archive, "--strict"])) !== 0) problems.push("publint failed");
    if ((await show(node, [packageTool("attw"), archive, "--profile", "esm-only", "--no-emoji"])) !== 0) {
      problems.push("are-the-types-wrong failed");
    }
    if (problems.length > 0) throw new Failure("The npm package is not as it should be.", problems);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
