// The name of a test is a sentence that a runner shows in one line.

import { lineAt } from "./tree.mjs";

const MAX_NAME_CHARS = 60;

/** By the ending of a file, how its tests begin; the name is the last group. */
const KINDS = [
  { files: /\.rs$/, test: /#\[(?:tokio::)?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)/g },
  { files: /\.(?:spec|test)\.ts$/, test: /\b(?:test|it)\(\s*(?:"((?:\\.|[^"\\])*)"|`((?:\\.|[^`\\])*)`)/g },
  { files: /\.t\.sol$/, test: /\bfunction (test\w+)/g },
];

/** What stands for a value in a template counts as one character. @param {string} name */
const shown = (name) => name.replace(/\$\{[^}]*\}/g, "…");

/**
 * @param {import("./tree.mjs").Tree} tree
 * @returns {string[]} problems
 */
export const testNames = (tree) =>
  tree.files.flatMap((file) =>
    KINDS.filter(({ files }) => files.test(file)).flatMap(({ test }) => {
      const text = tree.read(file);
      return [...text.matchAll(test)].flatMap(({ index, 1: first, 2: second }) => {
        const { length } = shown(first ?? second ?? "");
        const where = `${file}:${lineAt(text, index + 1)}`;
        return length > MAX_NAME_CHARS
          ? [`${where}: the test's name has ${length} characters; ${MAX_NAME_CHARS} are allowed.`]
          : [];
      });
    }),
  );
