// The modules of a crate: which files it has, by following `mod x;` from its root file. Inline modules belong to their
// file. Modules that exist in tests only are left out.

import { posix } from "node:path";
import { readManifests } from "./manifests.mjs";
import { withoutComments, withoutTests } from "./source.mjs";

/**
 * @typedef {object} Module
 * @property {string} file
 * @property {string[]} path from the crate's root: `["core", "shard"]`, and `[]` for the root itself
 * @property {string} code without comments, strings and tests
 *
 * @typedef {object} Crate
 * @property {string} name
 * @property {string} folder from the root of the tree; "" for the package at the root
 * @property {Map<string, Module>} modules by path, joined with "::"
 */

const MODULE = /\bmod\s+([a-z_]\w*)\s*;/g;

/** @param {string[]} path */
export const keyOf = (path) => path.join("::");

/**
 * Where `mod name;` of a file may be.
 * @param {string} file
 * @param {boolean} isRoot whether it is the crate's root file
 * @param {string} name
 */
const candidates = (file, isRoot, name) => {
  const folder = posix.dirname(file);
  const base = posix.basename(file, ".rs");
  const inside = isRoot || base === "mod" ? folder : posix.join(folder, base);
  return [posix.join(inside, `${name}.rs`), posix.join(inside, name, "mod.rs")];
};

/**
 * @param {import("../tree.mjs").Tree} tree
 * @param {{ name: string, folder: string, root: string }} crate `root` is the path of its root file
 * @returns {Crate}
 */
export const readCrate = (tree, { name, folder, root }) => {
  const files = new Set(tree.files);
  /** @type {Map<string, Module>} */
  const modules = new Map();
  /** @param {string} file @param {string[]} path */
  const visit = (file, path) => {
    const code = withoutTests(withoutComments(tree.read(file)));
    modules.set(keyOf(path), { file, path, code });
    for (const [, child] of code.matchAll(MODULE)) {
      if (child === undefined) continue;
      const found = candidates(file, path.length === 0, child).find((candidate) => files.has(candidate));
      if (found) visit(found, [...path, child]);
    }
  };
  visit(root, []);
  return { name, folder, modules };
};

/**
 * The crates of the tree: each library and each main file with its modules. A package that has both gives two.
 * @param {import("../tree.mjs").Tree} tree
 */
export const readCrates = (tree) => {
  const files = new Set(tree.files);
  return readManifests(tree).flatMap(({ name, folder }) => {
    const library = { name, folder, root: posix.join(folder, "src/lib.rs") };
    const main = { name: `${name} (main)`, folder, root: posix.join(folder, "src/main.rs") };
    return [library, main].filter((crate) => files.has(crate.root)).map((crate) => readCrate(tree, crate));
  });
};
