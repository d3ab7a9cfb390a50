// What a module's `use` items bring in, and the paths that its code names.

/**
 * @typedef {object} Import
 * @property {string[]} path as written, e.g. `["crate", "wire", "Frame"]`; ends with "*" for a glob
 * @property {string} name what it is called in the module; "*" for a glob
 * @property {boolean} isPublic whether it is a `pub use`, of whatever reach
 * @property {number} at where its `use` is
 */

/** Splits `a, b::{c, d}, e` at its outer commas. @param {string} text */
const branches = (text) => {
  /** @type {string[]} */
  const parts = [];
  let depth = 0;
  let part = "";
  for (const character of text) {
    if (character === "{") depth += 1;
    if (character === "}") depth -= 1;
    if (character === "," && depth === 0) {
      parts.push(part);
      part = "";
    } else part += character;
  }
  return [...parts, part].map((each) => each.trim()).filter((each) => each !== "");
};

/** @param {string} path */
const segments = (path) =>
  path
    .split("::")
    .map((segment) => segment.trim().replace(/^r#/, ""))
    .filter((segment) => segment !== "");

/**
 * The paths of a use tree, each with its name.
 * @param {string} tree e.g. `crate::{a::B, c as d}`
 * @param {string[]} before what stands before it
 * @returns {{ path: string[], name: string }[]}
 */
const useTree = (tree, before = []) => {
  const open = tree.indexOf("{");
  if (open !== -1) {
    const prefix = [...before, ...segments(tree.slice(0, open))];
    return branches(tree.slice(open + 1, tree.lastIndexOf("}"))).flatMap((branch) => useTree(branch, prefix));
  }
  const [written = "", alias] = tree.split(/\s+as\s+/);
  const path = [...before, ...segments(written)];
  if (path.at(-1) === "self" && path.length > 1) path.pop();
  return [{ path, name: alias?.trim() ?? path.at(-1) ?? "" }];
};

const USE = /\b(pub(?:\s*\([^)]*\))?\s+)?use\s+([^;]+);/g;

/**
 * @param {string} code without comments and strings
 * @returns {Import[]}
 */
export const importsOf = (code) =>
  [...code.matchAll(USE)].flatMap(({ 1: visibility, 2: tree = "", index }) =>
    useTree(tree).map((each) => ({ ...each, isPublic: visibility !== undefined, at: index })),
  );

const PATH = /(?<![\w:.$])(?:::)?([A-Za-z_]\w*)((?:\s*::\s*[A-Za-z_]\w*)+)/g;

/**
 * The paths of at least two segments that the code names outside its `use` items.
 * @param {string} code
 * @returns {{ path: string[], at: number }[]}
 */
export const pathsIn = (code) =>
  [...code.replace(USE, (text) => " ".repeat(text.length)).matchAll(PATH)].map(({ 0: text, index }) => ({
    path: segments(text),
    at: index,
  }));

const DEFINITION =
  /\b(?:fn|struct|enum|union|trait|type|const|static|mod)\s+(?:mut\s+)?([A-Za-z_]\w*)|\bmacro_rules!\s*([a-z_]\w*)/g;

/**
 * The names that the code defines.
 * @param {string} code
 */
export const definitionsIn = (code) =>
  new Set([...code.matchAll(DEFINITION)].map(([, name, macro]) => name ?? macro ?? ""));
