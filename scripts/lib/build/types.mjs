// Joins the declarations of the library's modules into one file, which has no imports but those that it is told.
//
// What always holds: a declaration keeps its text; only what the index exports is exported, and what no export needs is
// left out. The build fails where two modules declare the same name, since one file has one scope.

import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";

const IMPORT = /^import (?:type )?\{([^}]*)\} from "([^"]+)";\n/gm;
const REEXPORT = /^export (type )?\{([^}]*)\} from "([^"]+)";\n/gm;
const INLINE = /import\("([^"]+)"\)\./g;
/** The first line of a declaration. */
const DECLARED =
  /^(?:export )?(?:declare )?(?:abstract )?(?:class|const|enum|function|interface|let|type|namespace) ([A-Za-z_$][\w$]*)/;
/** A line of a comment before a declaration. */
const COMMENT_LINE = /^(?:\/\*\*| \*|\/\/)/;

/**
 * The types of another file, for the declarations in its folder.
 * @typedef {{ folder: string, from: string, names: readonly string[] }} Outside
 *
 * @typedef {{ title?: string, outside?: Outside }} BundleOptions `title` is the file's first comment
 */

/**
 * The path of the declarations of an imported module; null for a package, whose types must not show.
 * @param {string} from @param {string} name
 */
const pathOf = (from, name) => (name.startsWith(".") ? resolve(dirname(from), name.replace(/\.ts$/, ".d.ts")) : null);

/** The names in the braces of an import or export. @param {string} list */
const namesOf = (list) =>
  list
    .split(",")
    .map((name) => name.trim().replace(/^type /, ""))
    .filter((name) => name !== "");

/**
 * All modules that a module imports, itself last; and the names that come from outside.
 * @param {string} path @param {Map<string, string>} found
 * @param {Outside | undefined} outside @param {Set<string>} outer
 * @returns {Promise<void>}
 */
const collect = async (path, found, outside, outer) => {
  if (found.has(path)) return;
  found.set(path, "");
  const text = await readFile(path, "utf8");
  const named = [
    ...[...text.matchAll(IMPORT)].map(([, names = "", from = ""]) => ({ names, from })),
    ...[...text.matchAll(REEXPORT)].map(([, , names = "", from = ""]) => ({ names, from })),
    ...[...text.matchAll(INLINE)].map(([, from = ""]) => ({ names: "", from })),
  ];
  for (const { names, from } of named) {
    const imported = pathOf(path, from);
    if (imported === null) throw new Error(`${path}: the types of the package ${from} show in the library's own`);
    if (outside === undefined || !imported.startsWith(`${resolve(outside.folder)}/`)) {
      await collect(imported, found, outside, outer);
    } else for (const name of namesOf(names)) outer.add(name);
  }
  found.delete(path);
  found.set(path, text);
};

/**
 * What a module declares, without its imports and exports.
 * @param {string} path @param {string} text
 */
const bodyOf = (path, text) => {
  if (/^import .* as |^import \* /m.test(text)) throw new Error(`${path}: an import under another name`);
  return text
    .replace(IMPORT, "")
    .replace(REEXPORT, "")
    .replace(INLINE, "")
    .replace(/^export \{\};\n/gm, "")
    .replace(/^export (declare |interface |type |abstract )/gm, "$1")
    .replace(/^(class|const|function) /gm, "declare $1 ");
};

/**
 * The declarations of a module, each with the comment before it. What is before the first one is about the file.
 * @param {string} body
 * @returns {{ name: string, text: string }[]}
 */
const declarationsOf = (body) => {
  const lines = body.split("\n");
  const starts = lines.flatMap((line, at) => {
    const name = line.match(DECLARED)?.[1];
    if (name === undefined) return [];
    let first = at;
    while (first > 0 && COMMENT_LINE.test(lines[first - 1] ?? "")) first -= 1;
    return [{ name, first }];
  });
  return starts.map(({ name, first }, i) => ({
    name,
    text: lines
      .slice(first, starts[i + 1]?.first)
      .join("\n")
      .trim(),
  }));
};

/** The names in a declaration, outside of its comments. @param {string} text */
const wordsOf = (text) => new Set(text.replace(/\/\*[\s\S]*?\*\//g, "").match(/[A-Za-z_$][\w$]*/g) ?? []);

/**
 * The names that are needed for these, themselves included.
 * @param {readonly string[]} names @param {Map<string, Set<string>>} words the names in each declaration
 */
const reachable = (names, words) => {
  const needed = new Set(names);
  for (const name of needed) for (const word of words.get(name) ?? []) needed.add(word);
  return needed;
};

/**
 * What an index exports: its lists of names, as they are written.
 * @param {string} text
 */
const exportsOf = (text) =>
  [...text.matchAll(REEXPORT)].flatMap(([, type, names = ""]) =>
    names
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "")
      .map((name) => (type ? `type ${name}` : name)),
  );

/** The name that an exported one has inside, or outside. @param {string} exported @param {0 | -1} end */
const nameOf = (exported, end) =>
  exported
    .replace(/^type /, "")
    .split(" as ")
    .at(end) ?? "";

/** The names that importers of an index see. @param {string} index the path of its declarations */
export const exportedNames = async (index) =>
  exportsOf(await readFile(index, "utf8")).map((exported) => nameOf(exported, -1));

/** @param {readonly string[]} exported */
const exportList = (exported) => `export {\n  ${exported.join(",\n  ")},\n}`;

/**
 * The types of an entry whose names are all exported by another file.
 * @param {string} entry the path of its declarations @param {string} title @param {Outside} outside
 */
export const passedOnTypes = async (entry, title, { from, names }) => {
  const exported = exportsOf(await readFile(entry, "utf8"));
  const missing = exported.map((one) => nameOf(one, -1)).filter((name) => !names.includes(name));
  if (missing.length > 0) throw new Error(`${entry}: ${from} does not export ${missing.join(", ")}`);
  return `// ${title}\n\n${exportList(exported)} from "${from}";\n`;
};

/**
 * The declarations of an index and of all that it needs, in one text.
 * @param {string} index
 * @param {BundleOptions} [options]
 */
export const bundledTypes = async (
  index,
  { title = "Types of client.js, the StreamChain client library.", outside } = {},
) => {
  /** @type {Map<string, string>} */
  const modules = new Map();
  /** @type {Set<string>} */
  const outer = new Set();
  await collect(resolve(index), modules, outside, outer);
  /** @type {Map<string, string>} */
  const declared = new Map();
  /** @type {{ name: string, text: string }[]} */
  const all = [];
  for (const [path, text] of modules) {
    const declarations = declarationsOf(bodyOf(path, text));
    for (const name of new Set(declarations.map((one) => one.name))) {
      if (declared.has(name)) throw new Error(`${name} is declared in ${declared.get(name)} and in ${path}`);
      declared.set(name, path);
    }
    all.push(...declarations);
  }
  const exported = exportsOf(modules.get(resolve(index)) ?? "");
  /** @type {Map<string, Set<string>>} */
  const words = new Map();
  for (const { name, text } of all) words.set(name, new Set([...(words.get(name) ?? []), ...wordsOf(text)]));
  const needed = reachable(
    exported.map((one) => nameOf(one, 0)),
    words,
  );
  const imported = [...outer].filter((name) => needed.has(name)).sort();
  const missing = imported.filter((name) => !outside?.names.includes(name));
  if (missing.length > 0) throw new Error(`${index}: ${outside?.from} does not export ${missing.join(", ")}`);
  const imports = imported.length === 0 ? "" : `import type { ${imported.join(", ")} } from "${outside?.from}";\n\n`;
  const bodies = all.filter(({ name }) => needed.has(name)).map(({ text }) => text);
  return `// ${title}\n\n${imports}${bodies.join("\n\n")}\n\n${exportList(exported)};\n`;
};
