// Import circles, in Rust and in TypeScript. What counts as one: graph.mjs. Types count as much as values, test code of
// crates doesn't count (a test may well use what uses it).

import { circlesIn } from "./graph.mjs";
import { crateGraph } from "./rust/graph.mjs";
import { readCrates } from "./rust/modules.mjs";
import { scriptGraph } from "./script/source.mjs";

/**
 * @param {import("./tree.mjs").Tree} tree
 * @returns {string[]} problems
 */
export const circles = (tree) => [
  ...readCrates(tree).flatMap((crate) => circlesIn(crateGraph(crate)).map((circle) => `${crate.name}: ${circle}`)),
  ...circlesIn(scriptGraph(tree)),
];
