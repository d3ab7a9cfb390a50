// The parts of a first start, read from what `npm start` prints. Pure: times are arguments.

/** The lines that begin a part, in their order; each part ends where the next begins. */
const PARTS = [
  { name: "npm packages, edge-bindgen and the Worker's compilation, side by side", begins: /^/ },
  { name: "contracts", begins: /^Building the contracts/ },
  { name: "web app", begins: /^Building the web app/ },
  { name: "edge Worker: JavaScript and the rest", begins: /^Building the edge Worker/ },
  { name: "starting chain, contract and edge", begins: /^Starting$/ },
  { name: "relay, while the page is used", begins: /The page works\./ },
  { name: "", begins: /^The relay works too/ },
];

/** How many parts there are before the page works. */
const BEFORE_PAGE = 5;

/** Lines that say what a part was spent on. */
const DETAILS = [
  { name: "npm", pattern: /^\s*✓ npm packages .*\(([^()]+)\)$/ },
  { name: "edge-bindgen", pattern: /^\s*✓ edge-bindgen .*\(([^()]+)\)$/ },
];

/** @typedef {{ wallMs: number, cpuMs: number }} Spent since the start */
/** @typedef {{ name: string, wallMs: number, cpuMs: number, details: string[] }} Part */

export class FirstStart {
  /** @type {Spent[]} */
  #begins = [];
  /** @type {string[][]} */
  #details = [];

  /** Takes the next line that was printed. @param {string} line @param {() => Spent} spent asked where a part begins */
  line(line, spent) {
    const next = PARTS[this.#begins.length];
    if (next?.begins.test(line)) {
      this.#begins.push(spent());
      this.#details.push([]);
    }
    for (const { name, pattern } of DETAILS) {
      const [, time] = pattern.exec(line) ?? [];
      if (time) this.#details.at(-1)?.push(`${name} ${time}`);
    }
  }

  get isOver() {
    return this.#begins.length === PARTS.length;
  }

  /** The part that was reached last. */
  get current() {
    return PARTS[this.#begins.length - 1]?.name ?? "";
  }

  /** @returns {Part[]} the parts that are over */
  get parts() {
    return this.#begins.slice(1).map((end, at) => {
      const start = at === 0 ? { wallMs: 0, cpuMs: 0 } : (this.#begins[at] ?? end);
      const name = PARTS[at]?.name ?? "";
      return {
        name,
        wallMs: end.wallMs - start.wallMs,
        cpuMs: end.cpuMs - start.cpuMs,
        details: this.#details[at] ?? [],
      };
    });
  }

  /** What it took until the page works, and until everything is there. */
  get totals() {
    const [page, everything] = [this.#begins[BEFORE_PAGE], this.#begins.at(-1)];
    if (!this.isOver || !page || !everything) throw new Error(`The start did not come further than: ${this.current}`);
    return { page, everything };
  }
}
