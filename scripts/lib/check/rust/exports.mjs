// Dead public items: what a library crate declares `pub` and nobody outside of the crate uses.
//
// `unreachable_pub` (Cargo.toml) finds the other half: `pub` in a module from which nothing gets out. Outside is every
// other crate of the workspace, the main file of the same package, and its tests, benches and fuzz targets. The search
// is for words, so it may take a dead item with a common name for a used one, never the other way round:
//
// - an item is used when a file outside has its name;
// - it is used, too, when a used item of its crate shows it: in a signature, a field, a bound, an associated type.

import { lineAt } from "../tree.mjs";
import { readManifests } from "./manifests.mjs";
import { readCrate } from "./modules.mjs";
import { closeOf, withoutComments } from "./source.mjs";

/**
 * @typedef {import("../tree.mjs").Tree} Tree
 * @typedef {import("./manifests.mjs").Manifest} Manifest
 *
 * @typedef {object} Item
 * @property {string} name
 * @property {string} file
 * @property {number} line
 * @property {Set<string>} shows the words of its declaration
 */

const ITEM =
  /\bpub\s+(?:(?:const|async|unsafe|extern)\s+(?=(?:async|unsafe|extern|fn)\b))*(fn|struct|enum|union|trait|type|const|static)\s+(?:mut\s+)?([A-Za-z_]\w*)/g;

/** @param {string} text */
const wordsOf = (text) => new Set(text.match(/[A-Za-z_]\w*/g) ?? []);

/**
 * The end of what an item shows: a function's signature, a type's fields and variants.
 * @param {string} code
 * @param {number} start
 * @param {string} kind
 */
const declarationEnd = (code, start, kind) => {
  for (let at = start; at < code.length; at += 1) {
    const character = code[at] ?? "";
    if (character === ";") return at;
    if (character === "{") return kind === "fn" ? at : closeOf(code, at);
    if (character === "(" || character === "[") at = closeOf(code, at) - 1;
  }
  return code.length;
};

/** @param {{ file: string, code: string }} module @returns {Item[]} */
const itemsOf = ({ file, code }) =>
  [...code.matchAll(ITEM)].map(({ 0: all, 1: kind = "", 2: name = "", index }) => ({
    name,
    file,
    line: lineAt(code, index),
    shows: wordsOf(code.slice(index + all.length, declarationEnd(code, index + all.length, kind))),
  }));

/** Associated types, and the bounds of implementations: what traits make public. */
const ASSOCIATED = /\btype\s+[A-Za-z_]\w*\s*=\s*([^;]+);|\bimpl\b[^{;]*\{/g;

/** @param {string} code */
const shownByTraits = (code) =>
  [...code.matchAll(ASSOCIATED)]
    .filter(([, type]) => type)
    .map(([, type]) => type)
    .join(" ");

/** Macros expand in other crates: what they name must be public. @param {string} code */
const shownByMacros = (code) =>
  [...code.matchAll(/#\[macro_export\]\s*macro_rules!\s*\w+\s*/g)]
    .map(({ 0: all, index }) => code.slice(index, closeOf(code, index + all.length)))
    .join(" ");

/** The words of all Rust files that are outside of a crate's library. @param {Tree} tree @param {Set<string>} inside */
const wordsOutside = (tree, inside) => {
  const words = new Set();
  for (const file of tree.files.filter((path) => path.endsWith(".rs") && !inside.has(path))) {
    for (const word of wordsOf(withoutComments(tree.read(file)))) words.add(word);
  }
  return words;
};

/**
 * The files of a package's library: its modules, and the tests in files beside them.
 * @param {Tree} tree
 * @param {Manifest} manifest
 */
const filesOfLibrary = (tree, { folder }) => {
  const prefix = folder === "" ? "src/" : `${folder}/src/`;
  return new Set(
    tree.files.filter(
      (file) => file.startsWith(prefix) && file !== `${prefix}main.rs` && !file.startsWith(`${prefix}bin/`),
    ),
  );
};

/** Code in doc comments is compiled as a crate of its own. @param {string} text */
const docExamples = (text) =>
  text
    .split("\n")
    .filter((line) => /^\s*\/\/[/!]/.test(line))
    .join("\n")
    .split(/\/\/[/!] ?```[^\n]*/)
    .filter((_, index) => index % 2 === 1)
    .join("\n");

/**
 * The items of a library that nobody outside uses.
 * @param {Tree} tree
 * @param {Manifest} manifest
 */
const deadItems = (tree, manifest) => {
  const { name, folder } = manifest;
  const prefix = folder === "" ? "src" : `${folder}/src`;
  const crate = readCrate(tree, { name, folder, root: `${prefix}/lib.rs` });
  const inside = filesOfLibrary(tree, manifest);
  const used = wordsOutside(tree, inside);
  for (const { file, code } of crate.modules.values()) {
    const shown = `${shownByTraits(code)} ${shownByMacros(code)} ${docExamples(tree.read(file))}`;
    for (const word of wordsOf(shown)) used.add(word);
  }
  let waiting = [...crate.modules.values()].flatMap(itemsOf);
  for (let live = waiting; live.length > 0; ) {
    live = waiting.filter((item) => used.has(item.name));
    waiting = waiting.filter((item) => !used.has(item.name));
    for (const item of live) for (const word of item.shows) used.add(word);
  }
  return waiting;
};

/**
 * @param {Tree} tree
 * @param {string[]} packages which ones are looked at
 * @param {string[]} allowed items that may stay: "package Name"
 * @returns {string[]} problems
 */
export const deadPublicItems = (tree, packages, allowed = []) => {
  const files = new Set(tree.files);
  return readManifests(tree)
    .filter(
      ({ name, folder }) => packages.includes(name) && files.has(`${folder === "" ? "" : `${folder}/`}src/lib.rs`),
    )
    .flatMap((manifest) =>
      deadItems(tree, manifest)
        .filter(({ name }) => !allowed.includes(`${manifest.name} ${name}`))
        .map(
          ({ name, file, line }) =>
            `${file}:${line} declares ${name} \`pub\`, and nothing outside of ${manifest.name} uses it.`,
        ),
    );
};
