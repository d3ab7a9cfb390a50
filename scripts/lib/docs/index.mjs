// Writes the site of documents beside the documents that the edge serves as they are.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { ROOT } from "../paths.mjs";
import { ask } from "../run.mjs";
import { repositoryOf } from "./links.mjs";
import { buildSite } from "./site.mjs";

/** The repository that the pages link to: what git has as origin. A copy without git has none, whatever folder it is in. */
const repository = () =>
  existsSync(join(ROOT, ".git")) ? repositoryOf(ask("git", ["remote", "get-url", "origin"]) ?? "") : null;

/** The documents of this checkout. @returns {import("./site.mjs").Source} */
export const checkoutDocuments = () => ({
  documents: readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  read: (path) => readFileSync(join(ROOT, path), "utf8"),
  kind: (path) => {
    const at = join(ROOT, path);
    if (!existsSync(at)) return null;
    return statSync(at).isDirectory() ? "folder" : "file";
  },
  repository: repository(),
});

/** @param {string} folder where the documents are served from */
export const buildDocs = async (folder) => {
  const { files, pages } = buildSite(checkoutDocuments());
  for (const [name, text] of files) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  const index = files.get("search.json") ?? "";
  const kib = (/** @type {number} */ bytes) => `${(bytes / 1024).toFixed(0)} KiB`;
  const sizes = `${kib(Buffer.byteLength(index))}, gzipped ${kib(gzipSync(index).length)}`;
  console.log(`web: ${pages} pages of documents; the search index has ${sizes}`);
};
