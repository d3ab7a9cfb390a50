// No source file is longer than a reader keeps in mind, and no function of a test.
//
// The functions of everything else have linters of their own (clippy's too_many_lines, biome's
// noExcessiveLinesPerFunction). Those take a group of tests (`describe`, or a function around one) for one long function,
// so tests are measured here: by their indentation, which the formatter keeps.

import { lineAt } from "./tree.mjs";

export const MAX_FILE_LINES = 500;
export const MAX_FUNCTION_LINES = 70;

const SOURCE = /\.(?:rs|ts|mjs|js|py|sol|css|sql)$/;
const TEST = /\.(?:spec|test)\.ts$/;

/** @param {import("./tree.mjs").Tree} tree */
const longFiles = (tree) =>
  tree.files
    .filter((file) => SOURCE.test(file))
    .map((file) => ({ file, lines: tree.read(file).trimEnd().split("\n").length }))
    .filter(({ lines }) => lines > MAX_FILE_LINES)
    .map(({ file, lines }) => `${file} has ${lines} lines; ${MAX_FILE_LINES} are allowed.`);

const FUNCTION =
  /^([ \t]*)(?!describe|suite)(?=\S)[^\n]*(?:=> \{|\bfunction\b[^\n]*\{|^[ \t]*(?:async )?#?\w+\([^\n]*\) \{)$/gm;

/** @param {string} file @param {string} text */
const longFunctions = (file, text) =>
  [...text.matchAll(FUNCTION)].flatMap(({ 1: indent = "", index }) => {
    const body = text.slice(index).split("\n").slice(1);
    const end = body.findIndex((line) => line.startsWith(`${indent}}`));
    if (body[0]?.trim().startsWith("describe(")) return [];
    const lines = body.slice(0, end).filter((line) => line.trim() !== "").length;
    const where = `${file}:${lineAt(text, index + 1)}`;
    return lines > MAX_FUNCTION_LINES
      ? [`${where}: the function has ${lines} lines; ${MAX_FUNCTION_LINES} are allowed.`]
      : [];
  });

/**
 * @param {import("./tree.mjs").Tree} tree
 * @returns {string[]} problems
 */
export const length = (tree) => [
  ...longFiles(tree),
  ...tree.files.filter((file) => TEST.test(file)).flatMap((file) => longFunctions(file, tree.read(file))),
];
