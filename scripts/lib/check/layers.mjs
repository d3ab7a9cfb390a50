// Layers: a crate depends, and a room imports, only what is nearer the core. The order: tables/layers.mjs.

import { crateGraph } from "./rust/graph.mjs";
import { dependenciesOf, readManifests } from "./rust/manifests.mjs";
import { readCrates } from "./rust/modules.mjs";
import { scriptGraph } from "./script/source.mjs";
import { CRATE_LAYERS, ROOM_LAYERS } from "./tables/layers.mjs";

/**
 * @typedef {import("./graph.mjs").Graph} Graph
 * @typedef {import("./tables/layers.mjs").RoomLayers} RoomLayers
 */

/**
 * Dependencies between crates that the table doesn't allow.
 * @param {import("./tree.mjs").Tree} tree
 * @param {Record<string, string[]>} allowed
 */
const crateProblems = (tree, allowed) => {
  const manifests = readManifests(tree);
  const own = new Set(manifests.map(({ name }) => name));
  return manifests.flatMap((manifest) => {
    const may = allowed[manifest.name] ?? [];
    return dependenciesOf(manifest)
      .filter((dependency) => own.has(dependency) && !may.includes(dependency))
      .map((dependency) => `${manifest.file}: ${manifest.name} must not depend on ${dependency}.`);
  });
};

/** The room of a place: its first name, without a file's ending. @param {string[]} place */
const roomOf = (place) => (place[0] ?? "").replace(/\.\w+$/, "");

/**
 * Imports of one graph that go outwards or sideways.
 * @param {Graph} graph
 * @param {RoomLayers} table
 */
const roomProblems = ({ nodes, edges }, { of, layers, complete }) => {
  /** @param {string} room */
  const rank = (room) => layers.findIndex((layer) => layer.includes(room));
  const rooms = new Map(nodes.map(({ id, place }) => [id, roomOf(place)]));
  const unlisted = [...new Set(rooms.values())].filter((room) => complete && rank(room) === -1 && room !== "(root)");
  const problems = unlisted.map((room) => `${of}: the room ${room} is in no layer of tables/layers.mjs.`);
  for (const { from, to, line, what } of edges) {
    const [inner, outer] = [rooms.get(to) ?? "", rooms.get(from) ?? ""];
    if (inner === outer || rank(inner) === -1 || rank(outer) === -1 || rank(inner) < rank(outer)) continue;
    problems.push(`${from}:${line} imports ${what} (${to}): in ${of}, ${inner} is not nearer the core than ${outer}.`);
  }
  return problems;
};

/**
 * The part of a graph inside a folder, with places counted from there.
 * @param {Graph} graph
 * @param {string} folder
 * @returns {Graph}
 */
const inFolder = ({ nodes, edges }, folder) => {
  const depth = folder.split("/").length;
  const inside = nodes.filter(({ id }) => id.startsWith(`${folder}/`));
  const ids = new Set(inside.map(({ id }) => id));
  return {
    nodes: inside.map(({ id, place }) => ({ id, place: place.slice(depth) })),
    edges: edges.filter(({ from, to }) => ids.has(from) && ids.has(to)),
  };
};

/**
 * @param {import("./tree.mjs").Tree} tree
 * @param {{ crates?: Record<string, string[]>, rooms?: RoomLayers[] }} tables
 * @returns {string[]} problems
 */
export const layers = (tree, { crates = CRATE_LAYERS, rooms = ROOM_LAYERS } = {}) => {
  const graphs = new Map(readCrates(tree).map((crate) => [crate.name, crateGraph(crate)]));
  const scripts = scriptGraph(tree);
  const found = rooms.map((table) => roomProblems(graphs.get(table.of) ?? inFolder(scripts, table.of), table));
  return [...crateProblems(tree, crates), ...found.flat()];
};
