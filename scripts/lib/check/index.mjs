// The checks of our own: each looks at the tree and returns what is wrong, a text for each fault.

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../paths.mjs";
import { circles } from "./circles.mjs";
import { layers } from "./layers.mjs";
import { length } from "./length.mjs";
import { npmDependencies } from "./npm-dependencies.mjs";
import { deadPublicItems } from "./rust/exports.mjs";
import { unusedExports } from "./script/exports.mjs";
import { ALLOWED_ITEMS, ALLOWED_SYMBOLS, LIBRARY_CRATES } from "./tables/exports.mjs";
import { testNames } from "./test-names.mjs";
import { words } from "./words.mjs";

/** The commands that an installed npm package brings. @param {string} name @returns {string[]} */
const commandsOf = (name) => {
  const manifest = join(ROOT, "node_modules", name, "package.json");
  if (!statSync(manifest, { throwIfNoEntry: false })) return [];
  const { bin } = JSON.parse(readFileSync(manifest, "utf8"));
  return typeof bin === "string" ? [name.split("/").at(-1) ?? name] : Object.keys(bin ?? {});
};

/**
 * @typedef {import("./tree.mjs").Tree} Tree
 * @type {{ name: string, title: string, find: (tree: Tree) => string[] }[]}
 */
export const TREE_CHECKS = [
  { name: "circles", title: "No import circles, in Rust or TypeScript", find: circles },
  { name: "layers", title: "Imports go towards the core only", find: (tree) => layers(tree) },
  {
    name: "dead-items",
    title: "No public Rust item that only its own crate uses",
    find: (tree) => deadPublicItems(tree, LIBRARY_CRATES, ALLOWED_ITEMS),
  },
  {
    name: "dead-exports",
    title: "No exported TypeScript symbol that no other file imports",
    find: (tree) => unusedExports(tree, ALLOWED_SYMBOLS),
  },
  { name: "words", title: "No retired word", find: (tree) => words(tree) },
  {
    name: "length",
    title: "No source file of more than 500 lines, no function of a test of more than 70",
    find: length,
  },
  { name: "test-names", title: "No name of a test of more than 60 characters", find: testNames },
  {
    name: "npm",
    title: "No unused and no undeclared npm package",
    find: (tree) => npmDependencies(tree, commandsOf),
  },
];
