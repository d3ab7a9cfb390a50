// Retired words in code, file names and documents. The table: tables/words.mjs. Names on the wire stay: a line with
// `rename = "…"` or `alias = "…"` (serde, clap) or an `operationId` may have any word.

import { RETIRED_WORDS } from "./tables/words.mjs";
import { lineAt } from "./tree.mjs";

/** Texts that record what was, are not ours, or list the words themselves. */
const EXEMPT =
  /^CHANGELOG\.md$|(?:^|\/)(?:package-lock\.json|Cargo\.lock|LICENSE[^/]*)$|^bench\/results\/|^scripts\/lib\/check\/tables\/words\.mjs$|^tests\/scripts\/check-words\.spec\.ts$|\.(?:png|svg|ico)$/;

const WIRE_NAME = /\b(?:rename|alias|visible_alias)\s*=\s*"|"operationId":/;

/** @param {string} text @param {number} at */
const lineOf = (text, at) => {
  const end = text.indexOf("\n", at);
  return text.slice(text.lastIndexOf("\n", at - 1) + 1, end === -1 ? text.length : end);
};

/**
 * @param {string} file @param {string} text
 * @param {import("./tables/words.mjs").RetiredWord} retired
 */
const problemsOf = (file, text, { word, pattern, path, instead, only, except }) => {
  if ((only && !only.test(file)) || except?.test(file)) return [];
  const problems = path?.test(file) ? [`${file}: the file's name has "${word}"; say: ${instead}`] : [];
  for (const match of text.matchAll(new RegExp(pattern, [...new Set(`${pattern.flags}g`)].join("")))) {
    const at = match.index + (match[0].length - match[0].trimStart().length);
    if (WIRE_NAME.test(lineOf(text, at))) continue;
    problems.push(`${file}:${lineAt(text, at)} has "${match[0].trim()}" (${word}); say: ${instead}`);
  }
  return problems;
};

/**
 * @param {import("./tree.mjs").Tree} tree
 * @param {import("./tables/words.mjs").RetiredWord[]} table
 * @returns {string[]} problems
 */
export const words = (tree, table = RETIRED_WORDS) =>
  tree.files
    .filter((file) => !EXEMPT.test(file))
    .flatMap((file) => {
      const text = tree.read(file);
      return table.flatMap((retired) => problemsOf(file, text, retired));
    });
