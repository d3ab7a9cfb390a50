// npm packages that nothing uses, and imports of packages that no package.json names.
//
// A package is used when a script imports it, or when some text of the tree (scripts, settings, foundry.toml) names it
// in quotes or as `node_modules/NAME`, or names one of its commands in quotes (`npmBin("tsc")`); a package of types is
// used when a tsconfig lists it.

import { builtinModules } from "node:module";
import { posix } from "node:path";
import { isScript, scriptImports } from "./script/source.mjs";

/** @typedef {import("./tree.mjs").Tree} Tree */

const TEXT = /\.(?:ts|tsx|mjs|js|json|toml|sol|py)$|(?:^|\/)\.ci\/run$/;
const NO_USE = /(?:^|\/)package(?:-lock)?\.json$/;
const TYPES = "@types/";

/**
 * The package of an import's specifier; undefined for files and for what Node brings.
 * @param {string} specifier
 */
const packageOf = (specifier) => {
  if (/^(?:[./]|node:|cloudflare:)/.test(specifier) || builtinModules.includes(specifier)) return undefined;
  const [first = "", second] = specifier.split("/");
  return first.startsWith("@") && second ? `${first}/${second}` : first;
};

/** @param {string} text */
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/**
 * Whether a text names a package or one of its commands.
 * @param {string} text @param {string} name @param {string[]} commands
 */
const isNamedIn = (text, name, commands) =>
  commands.some((command) => text.includes(`"${command}"`)) ||
  (text.includes(name) && new RegExp(`["']${escaped(name)}["'/]|node_modules/${escaped(name)}\\b`).test(text));

/**
 * @param {Tree} tree
 * @returns {{ file: string, names: string[] }[]}
 */
const manifestsOf = (tree) =>
  tree.files
    .filter((file) => posix.basename(file) === "package.json")
    .map((file) => {
      const { dependencies = {}, devDependencies = {} } = JSON.parse(tree.read(file));
      return { file, names: Object.keys({ ...dependencies, ...devDependencies }) };
    });

/**
 * @param {Tree} tree
 * @param {(name: string) => string[]} commandsOf the commands that an installed package brings
 * @returns {string[]} problems
 */
export const npmDependencies = (tree, commandsOf = () => []) => {
  const manifests = manifestsOf(tree);
  const texts = tree.files.filter((file) => TEXT.test(file) && !NO_USE.test(file));
  const problems = [];
  const contents = texts.map((path) => tree.read(path));
  for (const { file, names } of manifests) {
    for (const name of names) {
      const [wanted, commands] = name.startsWith(TYPES) ? [name.slice(TYPES.length), []] : [name, commandsOf(name)];
      if (!contents.some((text) => isNamedIn(text, wanted, commands))) problems.push(`${file}: nothing uses ${name}.`);
    }
  }
  const known = new Set(manifests.flatMap(({ names }) => names));
  for (const file of tree.files.filter(isScript)) {
    for (const { from } of scriptImports(tree.read(file))) {
      const name = packageOf(from);
      if (name && !known.has(name)) problems.push(`${file}: imports ${name}, which no package.json names.`);
    }
  }
  return problems;
};
