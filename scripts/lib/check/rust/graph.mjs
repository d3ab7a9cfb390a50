// Which module of a crate imports which. An import goes to the module that defines the item: what a room hands on with
// `use` is followed to where it comes from, so a room's `mod.rs` that only re-exports imports nothing and is imported
// by nobody. A `pub use` of what lies inside the module itself is such a re-export and no import.

import { lineAt } from "../tree.mjs";
import { keyOf } from "./modules.mjs";
import { definitionsIn, importsOf, pathsIn } from "./use.mjs";

/**
 * @typedef {import("./modules.mjs").Crate} Crate
 * @typedef {import("./modules.mjs").Module} Module
 * @typedef {Module & { imports: import("./use.mjs").Import[], definitions: Set<string> }} Scope
 * @typedef {import("../graph.mjs").Graph} Graph
 */

/** A chain of re-exports that is longer goes round. */
const MAX_RE_EXPORTS = 16;

/** @param {Crate} crate @returns {Map<string, Scope>} */
const scopesOf = ({ modules }) =>
  new Map(
    [...modules].map(([key, module]) => [
      key,
      { ...module, imports: importsOf(module.code), definitions: definitionsIn(module.code) },
    ]),
  );

/** Finds the modules that define what paths name. @param {Map<string, Scope>} scopes */
const resolver = (scopes) => {
  /** @param {string[]} path */
  const get = (path) => scopes.get(keyOf(path));

  /**
   * The module that a name of a module leads to; undefined when it leads out of the crate.
   * @param {Scope} scope @param {string} name @param {number} steps @returns {Scope | undefined}
   */
  const named = (scope, name, steps) => {
    const child = get([...scope.path, name]);
    if (child) return child;
    if (scope.definitions.has(name)) return scope;
    const imported = scope.imports.find((each) => each.name === name);
    if (imported) return resolve(scope, imported.path, steps + 1);
    for (const { path } of scope.imports.filter((each) => each.name === "*")) {
      const target = resolve(scope, path.slice(0, -1), steps + 1);
      const found = target && target !== scope ? named(target, name, steps + 1) : undefined;
      if (found) return found;
    }
    return undefined;
  };

  /** @param {Scope} scope @param {string[]} path @param {number} steps @returns {Scope | undefined} */
  const resolve = (scope, path, steps = 0) => {
    if (steps > MAX_RE_EXPORTS) return undefined;
    const [first = "", ...rest] = path;
    /** @type {Scope | undefined} */
    let current = first === "crate" ? get([]) : first === "self" ? scope : undefined;
    if (first === "super") current = get(scope.path.slice(0, -1));
    if (!current) current = named(scope, first, steps);
    for (const segment of rest) {
      if (!current || segment === "*") break;
      if (segment === "super") current = get(current.path.slice(0, -1));
      else if (segment !== "self") {
        const next = named(current, segment, steps);
        if (!next) break;
        current = next;
      }
    }
    return current;
  };
  return resolve;
};

/** @param {string[]} inner @param {string[]} outer */
const isInside = (inner, outer) => inner.length > outer.length && outer.every((name, at) => inner[at] === name);

/** Where a file stands in the tree of modules; a room's own file is a leaf of its own. @param {Module} module */
const placeOf = ({ path }) => (path.length === 0 ? ["(root)"] : path);

/**
 * The import graph of a crate.
 * @param {Crate} crate
 * @returns {Graph}
 */
export const crateGraph = (crate) => {
  const scopes = scopesOf(crate);
  const resolve = resolver(scopes);
  const nodes = [...scopes.values()].map((scope) => ({ id: scope.file, place: placeOf(scope) }));
  /** @type {Graph["edges"]} */
  const edges = [];
  for (const scope of scopes.values()) {
    /** @param {string[]} path @param {number} at @param {boolean} isReExport */
    const add = (path, at, isReExport) => {
      const target = resolve(scope, path);
      if (!target || target === scope || (isReExport && isInside(target.path, scope.path))) return;
      edges.push({ from: scope.file, to: target.file, line: lineAt(scope.code, at), what: path.join("::") });
    };
    for (const { path, at, isPublic } of scope.imports) add(path, at, isPublic);
    for (const { path, at } of pathsIn(scope.code)) add(path, at, false);
  }
  return { nodes, edges };
};
