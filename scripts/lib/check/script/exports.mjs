// Exported symbols of scripts that no other file imports.
//
// - A symbol is used when a file that imports its file has its name.
// - A type is used, too, when its own file names it again: then it is part of what the file's other exports say.
// - `index.ts` and `index.mjs` are faces: what they export is for everybody. A default export is not looked at.

import { commentImports, importedFile, isScript, scriptImports, withoutScriptComments } from "./source.mjs";

const DECLARED =
  /^export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(const|let|var|function\*?|class|interface|type|enum)\s+([A-Za-z_$][\w$]*)/gm;
const LISTED = /^export\s+(?:type\s+)?\{([^}]*)\}(?!\s*from)/gm;

/** @typedef {{ name: string, isType: boolean }} Export */

/** @param {string} names as in `export { a, b as c }` @returns {Export[]} */
const listed = (names) =>
  names
    .split(",")
    .map((each) => each.trim().replace(/^type\s+/, ""))
    .map((each) => ({ name: each.split(/\s+as\s+/).at(-1) ?? "", isType: false }))
    .filter(({ name }) => name !== "");

/**
 * What a file exports by itself; what it passes on from other files isn't among it.
 * @param {string} code without comments
 * @returns {Export[]}
 */
const exportsOf = (code) => [
  ...[...code.matchAll(DECLARED)].map(([, kind = "", name = ""]) => ({
    name,
    isType: /^(?:interface|type)$/.test(kind),
  })),
  ...[...code.matchAll(LISTED)].flatMap(([, names = ""]) => listed(names)),
];

/** @param {string} file */
const isFace = (file) => /(?:^|\/)index\.(?:ts|mjs)$/.test(file);

/** How often a name stands in a text. @param {string} text @param {string} name */
const mentions = (text, name) =>
  [...text.matchAll(new RegExp(`(?<![\\w$])${name.replaceAll("$", "\\$")}(?![\\w$])`, "g"))].length;

/**
 * The files that import each file.
 * @param {import("../tree.mjs").Tree} tree
 * @param {string[]} scripts
 */
const importersOf = (tree, scripts) => {
  const files = new Set(scripts);
  /** @type {Map<string, Set<string>>} */
  const importers = new Map(scripts.map((file) => [file, new Set()]));
  for (const file of scripts) {
    const text = tree.read(file);
    for (const from of [...scriptImports(text).map((each) => each.from), ...commentImports(text)]) {
      const target = importedFile(file, from, files);
      if (target && target !== file) importers.get(target)?.add(file);
    }
  }
  return importers;
};

/**
 * @param {import("../tree.mjs").Tree} tree
 * @param {{ file: RegExp, name: string }[]} allowed what something else than an import uses
 * @returns {string[]} problems
 */
export const unusedExports = (tree, allowed = []) => {
  const scripts = tree.files.filter(isScript);
  return [...importersOf(tree, scripts)].flatMap(([file, importers]) => {
    if (isFace(file)) return [];
    const code = withoutScriptComments(tree.read(file));
    const users = [...importers].map((importer) => tree.read(importer));
    return exportsOf(code)
      .filter(({ name }) => !allowed.some((each) => each.file.test(file) && each.name === name))
      .filter(({ name, isType }) => !(isType && mentions(code, name) > 1))
      .filter(({ name }) => !users.some((text) => mentions(text, name) > 0))
      .map(({ name }) => `${file}: no other file imports ${name}.`);
  });
};
