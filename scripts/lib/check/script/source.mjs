// TypeScript and JavaScript: what a file imports and exports. Read by pattern, for the formatter keeps one way of
// writing them.

import { posix } from "node:path";
import { lineAt } from "../tree.mjs";

const SCRIPT = /\.(?:ts|tsx|mts|mjs|js)$/;

/** @param {string} path */
export const isScript = (path) => SCRIPT.test(path) && !path.endsWith(".d.ts");

/** Comments, not inside of strings, as far as one line shows it. */
const COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|[\s;{}()[\],])\/\/[^\n]*/g;

/**
 * Code without comments; line ends stay.
 * @param {string} text
 */
export const withoutScriptComments = (text) => text.replace(COMMENT, (comment) => comment.replace(/[^\n]/g, " "));

const STATIC_IMPORT = /^\s*(?:import|export)\s(?:[^"';]*?\sfrom\s)?\s*"([^"]+)"/gm;
const CALLED_IMPORT = /\bimport\(\s*"([^"]+)"\s*\)/g;
const JSDOC_IMPORT = /\bimport\("([^"]+)"\)/g;

/**
 * @typedef {object} ScriptImport
 * @property {string} from the specifier
 * @property {string} what as written
 * @property {number} at
 */

/**
 * What a file imports: statements, types, re-exports and `import(…)` with a text.
 * @param {string} text
 * @returns {ScriptImport[]}
 */
export const scriptImports = (text) => {
  const code = withoutScriptComments(text);
  return [STATIC_IMPORT, CALLED_IMPORT].flatMap((pattern) =>
    [...code.matchAll(pattern)].map(({ 0: all, 1: from = "", index }) => ({
      from,
      what: from,
      at: index + (all.length - all.trimStart().length),
    })),
  );
};

/**
 * What the comments of a file import as types.
 * @param {string} text
 */
export const commentImports = (text) =>
  [...text.matchAll(COMMENT)].flatMap(([comment]) => [...comment.matchAll(JSDOC_IMPORT)].map(([, from = ""]) => from));

/**
 * The file that a relative specifier means, or undefined when it is none of the tree.
 * @param {string} file
 * @param {string} specifier
 * @param {ReadonlySet<string>} files
 */
export const importedFile = (file, specifier, files) => {
  if (!specifier.startsWith(".")) return undefined;
  const path = posix.normalize(posix.join(posix.dirname(file), specifier));
  return files.has(path) ? path : undefined;
};

/**
 * The import graph of all scripts of a tree.
 * @param {import("../tree.mjs").Tree} tree
 * @returns {import("../graph.mjs").Graph}
 */
export const scriptGraph = (tree) => {
  const scripts = tree.files.filter(isScript);
  const files = new Set(scripts);
  const edges = scripts.flatMap((file) => {
    const text = tree.read(file);
    return scriptImports(text).flatMap(({ from, what, at }) => {
      const to = importedFile(file, from, files);
      return to && to !== file ? [{ from: file, to, line: lineAt(text, at), what }] : [];
    });
  });
  return { nodes: scripts.map((id) => ({ id, place: id.split("/") })), edges };
};
