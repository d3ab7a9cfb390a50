// The files that the checks look at: what git tracks or would track, so that a file that was moved or is new is found by
// itself. A check gets a `Tree` and returns problems; tests hand it a tree made of texts.

import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {object} Tree
 * @property {string[]} files paths from the root, with forward slashes, sorted
 * @property {(path: string) => string} read the text of one of `files`
 */

const MAX_GIT_OUTPUT_BYTES = 64 * 1024 * 1024;

/** @param {string} path */
const isFile = (path) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;

/**
 * The working tree of a checkout, new files included, ignored ones not.
 * @param {string} root
 * @returns {Tree}
 */
export const workingTree = (root) => {
  const output = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: MAX_GIT_OUTPUT_BYTES,
  });
  const files = [...new Set(output.split("\0"))].filter((path) => path !== "" && isFile(join(root, path))).sort();
  /** @type {Map<string, string>} */
  const texts = new Map();
  /** @param {string} path */
  const read = (path) => {
    const known = texts.get(path);
    if (known !== undefined) return known;
    const text = readFileSync(join(root, path), "utf8");
    texts.set(path, text);
    return text;
  };
  return { files, read };
};

/**
 * A tree of texts.
 * @param {Record<string, string>} texts by path
 * @returns {Tree}
 */
export const treeOf = (texts) => ({
  files: Object.keys(texts).sort(),
  read: (path) => {
    const text = texts[path];
    if (text === undefined) throw new Error(`${path} is not in this tree.`);
    return text;
  },
});

/**
 * The line number of a position in a text, from 1.
 * @param {string} text
 * @param {number} at
 */
export const lineAt = (text, at) => {
  let line = 1;
  for (let next = text.indexOf("\n"); next !== -1 && next < at; next = text.indexOf("\n", next + 1)) line += 1;
  return line;
};
