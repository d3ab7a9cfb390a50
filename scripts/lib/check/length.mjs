// No source file is longer than a reader keeps in mind. (Functions: clippy's too_many_lines and biome's
// noExcessiveLinesPerFunction, with a limit of 70 lines each.)

export const MAX_FILE_LINES = 500;

const SOURCE = /\.(?:rs|ts|mjs|js|py|sol|css|sql)$/;

/**
 * @param {import("./tree.mjs").Tree} tree
 * @returns {string[]} problems
 */
export const fileLength = (tree) =>
  tree.files
    .filter((file) => SOURCE.test(file))
    .map((file) => ({ file, lines: tree.read(file).trimEnd().split("\n").length }))
    .filter(({ lines }) => lines > MAX_FILE_LINES)
    .map(({ file, lines }) => `${file} has ${lines} lines; ${MAX_FILE_LINES} are allowed.`);
