// What an attack tried, and what of it got through.

/** Keeps the count of one attack. */
export class Tally {
  tried = 0;
  /** What got through, a line each. @type {string[]} */
  through = [];
  /** What the attack wants to say beside its count, a line each. @type {string[]} */
  notes = [];

  /**
   * Counts one try.
   * @param {string} what what was tried
   * @param {boolean} held whether the system withstood it
   * @param {string} [found] what was seen, for one that got through
   */
  check(what, held, found = "") {
    this.tried += 1;
    if (!held) this.through.push(found === "" ? what : `${what}: ${found}`);
  }

  /** @param {string} line */
  note(line) {
    this.notes.push(line);
  }
}

/**
 * One attack. It runs against a running edge as a stranger would, and leaves nothing running behind it.
 * @typedef {object} Attack
 * @property {string} name as on the command line; it begins with the point that it is about
 * @property {string} title what is tried, in one sentence
 * @property {("chain" | "relay" | "master")[]} needs `chain`: a development chain, whose accounts have ether; `relay`:
 *   a relay whose UDP port is reached from here; `master`: the edge's master secret, for a relay's keys
 * @property {string[]} [known] what gets through today, in the order in which it is tried; docs/SECURITY.md names it
 * @property {(target: import("./target.mjs").Target, tally: Tally) => Promise<void>} run
 */
