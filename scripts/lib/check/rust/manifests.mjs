// The Cargo.toml files of the tree, as far as the checks ask: names and the tables of dependencies.

import { posix } from "node:path";

/**
 * @typedef {object} Manifest
 * @property {string} name
 * @property {string} file
 * @property {string} folder "" for the package at the root
 * @property {string} text
 */

const PACKAGE_NAME = /^\[package\]\n(?:(?!\[).*\n)*?name\s*=\s*"([^"]+)"/m;

/**
 * @param {import("../tree.mjs").Tree} tree
 * @returns {Manifest[]}
 */
export const readManifests = (tree) =>
  tree.files
    .filter((file) => posix.basename(file) === "Cargo.toml")
    .flatMap((file) => {
      const text = tree.read(file);
      const name = text.match(PACKAGE_NAME)?.[1];
      const folder = posix.dirname(file) === "." ? "" : posix.dirname(file);
      return name === undefined ? [] : [{ name, file, folder, text }];
    });

const SECTION = /^\[(.+)\]$/;
const KEY = /^([A-Za-z0-9_-]+)\s*[.=]/;

/**
 * The names in a manifest's `[dependencies]`, those of single targets included.
 * @param {Manifest} manifest
 */
export const dependenciesOf = ({ text }) => {
  const names = [];
  let isInside = false;
  for (const line of text.split("\n")) {
    const section = line.match(SECTION)?.[1];
    if (section !== undefined)
      isInside = section === "dependencies" || (section.endsWith(".dependencies") && !section.startsWith("workspace"));
    const key = isInside ? line.match(KEY)?.[1] : undefined;
    if (key) names.push(key);
  }
  return names;
};
