// Joins the declarations of the library's modules into one file without imports.
//
// What always holds: a declaration keeps its text; only what `index.ts` exports is exported. The build fails where two
// modules declare the same name, since one file has one scope.

import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";

const IMPORT = /^import (?:type )?\{[^}]*\} from "([^"]+)";\n/gm;
const REEXPORT = /^export (type )?\{([^}]*)\} from "([^"]+)";\n/gm;
const INLINE = /import\("([^"]+)"\)\./g;
const DECLARED =
  /^(?:export )?(?:declare )?(?:abstract )?(?:class|const|enum|function|interface|let|type|namespace) ([A-Za-z_$][\w$]*)/gm;

/**
 * The path of the declarations of an imported module; null for a package, whose types must not show.
 * @param {string} from @param {string} name
 */
const pathOf = (from, name) => (name.startsWith(".") ? resolve(dirname(from), name.replace(/\.ts$/, ".d.ts")) : null);

/**
 * All modules that a module imports, itself last.
 * @param {string} path @param {Map<string, string>} found
 * @returns {Promise<void>}
 */
const collect = async (path, found) => {
  if (found.has(path)) return;
  found.set(path, "");
  const text = await readFile(path, "utf8");
  const named = [IMPORT, REEXPORT, INLINE].flatMap((form) =>
    [...text.matchAll(form)].map((match) => match.at(-1) ?? ""),
  );
  for (const name of named) {
    const imported = pathOf(path, name);
    if (imported === null) throw new Error(`${path}: the types of the package ${name} show in the library's own`);
    await collect(imported, found);
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
 * The declarations of an index and of all that it needs, in one text.
 * @param {string} index
 */
export const bundledTypes = async (index) => {
  /** @type {Map<string, string>} */
  const modules = new Map();
  await collect(resolve(index), modules);
  /** @type {Map<string, string>} */
  const declared = new Map();
  const bodies = [];
  for (const [path, text] of modules) {
    const body = bodyOf(path, text);
    for (const name of new Set([...body.matchAll(DECLARED)].map(([, name = ""]) => name))) {
      if (declared.has(name)) throw new Error(`${name} is declared in ${declared.get(name)} and in ${path}`);
      declared.set(name, path);
    }
    if (body.trim() !== "") bodies.push(body.trim());
  }
  const exported = [...(modules.get(resolve(index)) ?? "").matchAll(REEXPORT)].flatMap(([, type, names = ""]) =>
    names
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "")
      .map((name) => (type ? `type ${name}` : name)),
  );
  const title = "// Types of client.js, the StreamChain client library.";
  return `${title}\n\n${bodies.join("\n\n")}\n\nexport {\n  ${exported.join(",\n  ")},\n};\n`;
};
