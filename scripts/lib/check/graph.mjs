// Import graphs and the circles in them.
//
// A circle is a way from a file along its imports back to it. Folders count as well: two siblings of one folder (files,
// or folders with all that is in them) must not import each other, even when no single file gets back to itself, for
// then neither of the two can be understood without the other. A folder's own file (`mod.rs`, `index.ts`) against the
// files inside is judged file by file only.

/**
 * @typedef {object} Node
 * @property {string} id the file's path
 * @property {string[]} place its place in the tree of rooms, e.g. `["wire", "frame", "kind"]`
 *
 * @typedef {object} Edge
 * @property {string} from
 * @property {string} to
 * @property {number} line where in `from`
 * @property {string} what as written
 *
 * @typedef {object} Graph
 * @property {Node[]} nodes
 * @property {Edge[]} edges
 */

/**
 * The shortest way from a node back to itself, as edges; undefined when there is none.
 * @param {Map<string, Map<string, Edge>>} next the edges by where they begin and where they end
 * @param {string} start
 * @returns {Edge[] | undefined}
 */
const shortestCircle = (next, start) => {
  /** @type {{ at: string, way: Edge[] }[]} */
  const queue = [{ at: start, way: [] }];
  const seen = new Set();
  for (let step = queue.shift(); step; step = queue.shift()) {
    for (const [to, edge] of next.get(step.at) ?? []) {
      if (to === start) return [...step.way, edge];
      if (seen.has(to)) continue;
      seen.add(to);
      queue.push({ at: to, way: [...step.way, edge] });
    }
  }
  return undefined;
};

/**
 * Circles of a graph whose nodes are found by `groupOf`: each as the names on its way and the edges that make it. A node
 * that is on a circle already reported starts no other.
 * @param {Edge[]} edges
 * @param {(file: string) => string | undefined} groupOf
 */
const circlesBetween = (edges, groupOf) => {
  /** @type {Map<string, Map<string, Edge>>} */
  const next = new Map();
  for (const edge of edges) {
    const [from, to] = [groupOf(edge.from), groupOf(edge.to)];
    if (from === undefined || to === undefined || from === to) continue;
    const known = next.get(from) ?? new Map();
    next.set(from, known);
    if (!known.has(to)) known.set(to, edge);
  }
  const reported = new Set();
  /** @type {{ names: string[], edges: Edge[] }[]} */
  const circles = [];
  for (const start of [...next.keys()].sort()) {
    if (reported.has(start)) continue;
    const way = shortestCircle(next, start);
    if (!way) continue;
    const names = way.map((edge) => groupOf(edge.from) ?? "");
    for (const name of names) reported.add(name);
    circles.push({ names, edges: way });
  }
  return circles;
};

/** The folders of a graph: every place that has something inside. @param {Node[]} nodes */
const foldersOf = (nodes) => {
  const folders = new Set([""]);
  for (const { place } of nodes) {
    for (let depth = 1; depth < place.length; depth += 1) folders.add(place.slice(0, depth).join("/"));
  }
  return [...folders].sort();
};

/**
 * The sibling inside `folder` that a place belongs to; undefined when it isn't inside.
 * @param {string[]} place
 * @param {string} folder
 */
const siblingOf = (place, folder) => {
  const depth = folder === "" ? 0 : folder.split("/").length;
  if (place.length <= depth || place.slice(0, depth).join("/") !== folder) return undefined;
  return place.slice(0, depth + 1).join("/");
};

/** @param {{ names: string[], edges: Edge[] }} circle */
const described = ({ names, edges }) => {
  const way = [...names, names[0]].join(" → ");
  return [way, ...edges.map(({ from, to, line, what }) => `    ${from}:${line} imports ${what} (${to})`)].join("\n");
};

/**
 * The circles of a graph, each as a text with its way.
 * @param {Graph} graph
 * @returns {string[]}
 */
export const circlesIn = ({ nodes, edges }) => {
  const places = new Map(nodes.map(({ id, place }) => [id, place]));
  const found = circlesBetween(edges, (file) => file);
  const onFileCircle = new Set(found.flatMap((circle) => circle.edges));
  for (const folder of foldersOf(nodes)) {
    const circles = circlesBetween(edges, (file) => siblingOf(places.get(file) ?? [], folder));
    found.push(...circles.filter((circle) => !circle.edges.every((edge) => onFileCircle.has(edge))));
  }
  return found.map(described);
};
