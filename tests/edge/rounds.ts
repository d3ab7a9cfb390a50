// The hashes of rounds, computed apart from the product.

import assert from "node:assert/strict";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { SimpleMerkleTree } from "@openzeppelin/merkle-tree";
import { type Edge, OPERATOR } from "./harness.ts";

export const ZERO = `0x${"00".repeat(32)}`;

export interface Run {
  stream: string;
  first: number;
  count: number;
  root: string;
  previous: string;
}
export interface BucketRoot {
  runs: number;
  root: string;
}
/** A bucket's number, and what it has. */
export type Roots = [number, BucketRoot][];

export const digits = (value: string) => value.replace("0x", "");
const keccak = (...parts: string[]) =>
  Buffer.from(keccak_256(Buffer.from(parts.map(digits).join(""), "hex"))).toString("hex");
const word = (value: number | string) =>
  (typeof value === "number" ? value.toString(16) : digits(value)).padStart(64, "0");

export const runLeaf = ({ stream, first, count, root, previous }: Run) =>
  `0x${keccak(keccak(stream, word(first), word(count), root, previous))}`;
export const bucketLeaf = (round: number, bucket: number, { runs, root }: BucketRoot) =>
  `0x${keccak(keccak(word(round), word(bucket), word(runs), root))}`;
export const rangeLeaf = (round: number, root: string) => `0x${keccak(keccak(roundsStream(), word(round), root))}`;
export const roundsStream = () => `0x${keccak(word(OPERATOR), keccak(Buffer.from("_rounds").toString("hex")))}`;
export const merkleRoot = (leaves: string[]) => SimpleMerkleTree.of(leaves, { sortLeaves: false }).root;
export const fold = (leaf: string, proof: string[]) =>
  proof
    .map(digits)
    .reduce((hash, sibling) => (hash < sibling ? keccak(hash, sibling) : keccak(sibling, hash)), digits(leaf));

export const roundRoot = (round: number, roots: Roots) => {
  const empty = { runs: 0, root: ZERO };
  const all = new Map(roots);
  return merkleRoot(Array.from({ length: 256 }, (_, bucket) => bucketLeaf(round, bucket, all.get(bucket) ?? empty)));
};

/** What the database and the archive have of a list. */
export const listOf = (runs: Run[]): Buffer =>
  Buffer.concat(
    runs.map(({ stream, first, count, root, previous }) => {
      const numbers = word(first).slice(-16) + word(count).slice(-8);
      return Buffer.from(digits(stream) + numbers + digits(root) + digits(previous), "hex");
    }),
  );

/** What the database and the archive have of the buckets of a round. */
export const bucketsOf = (roots: Roots): Buffer => {
  const buckets = Buffer.alloc(256 * 36);
  for (const [bucket, of] of roots) {
    buckets.writeUInt32BE(of.runs, bucket * 36);
    buckets.write(digits(of.root), bucket * 36 + 4, "hex");
  }
  return buckets;
};

/** Two batchers (`BATCHERS`): their first buckets. */
export const GROUPS = [0, 128] as const;

export const TX = `0x${"aa".repeat(32)}`;
export const BLOCK_HASH = `0x${"bb".repeat(32)}`;

export interface Closed {
  roots: Roots;
  more: boolean;
}

/** What a batcher has of the roots of a round. */
export const partOf = (round: number, group: number, roots: Roots) => ({
  round,
  first_bucket: group,
  roots: roots.filter(([bucket]) => (group === 0 ? bucket < 128 : bucket >= 128)),
});

/**
 * Asks the batchers as the Anchorer asks them, and enters rounds as it and the Listener enter them. Rounds are one after the
 * other, whatever the test.
 */
export class RoundDriver {
  readonly #edge: () => Edge;
  /** The number of the next round. */
  next = 0;
  /** The roots of the newest one. */
  newest: Roots = [];
  /** What the batchers closed for the next one, until it is fixed. */
  #closed: Roots | undefined;
  /** In which round a batcher was left out, until it closes another one. */
  readonly #leftOut = new Map<number, number>();

  constructor(edge: () => Edge) {
    this.#edge = edge;
  }

  async close(group: number, round: number, previous: unknown = null): Promise<Closed> {
    const answer = await this.#edge().ask("BATCHER", `${group}`, "CloseRound", round, previous);
    assert.equal(answer.status, 200, answer.text);
    return JSON.parse(answer.text) as Closed;
  }

  /** Offers a run, as a Stream object does. */
  async offer(run: Omit<Run, "previous">, owner: string, watched = false): Promise<[number, string | null]> {
    const { stream, first, count, root } = run;
    const group = Number.parseInt(digits(stream).slice(0, 2), 16) < 128 ? "0" : "128";
    const answer = await this.#edge().ask("BATCHER", group, "OfferRun", stream, owner, first, count, root, watched);
    assert.equal(answer.status, 200, answer.text);
    return JSON.parse(answer.text) as [number, string | null];
  }

  /** What the Anchorer does with what the batchers have; the round's root. */
  async fix(round: number, roots: Roots): Promise<string> {
    for (const group of GROUPS) {
      const answer = await this.#edge().ask("BATCHER", `${group}`, "FixRound", partOf(round, group, roots));
      assert.equal(answer.status, 200, answer.text);
    }
    return this.store(round, roots);
  }

  /** Writes the row of a round; its root. */
  async store(round: number, roots: Roots): Promise<string> {
    const root = roundRoot(round, roots);
    const runs = roots.reduce((sum, [, of]) => sum + of.runs, 0);
    const database = await this.#edge().database();
    await database
      .prepare(
        "INSERT OR REPLACE INTO rounds (round, root, runs, buckets, fixed) VALUES (?, ?, ?, unhex(?), 1700000000000)",
      )
      .bind(round, root, runs, bucketsOf(roots).toString("hex"))
      .run();
    return root;
  }

  /**
   * The next round, closed and fixed. Asked again after a failure, it goes on where that came: what was closed is fixed as it is.
   * Only the batchers that are `asked` have runs in it; `without` this one it is fixed anew, although that one wrote its list.
   */
  async make({ asked = GROUPS, without }: { asked?: readonly number[]; without?: number } = {}): Promise<{
    round: number;
    root: string;
    roots: Roots;
  }> {
    const round = this.next;
    const previous = (group: number) => {
      const leftOut = this.#leftOut.get(group);
      if (leftOut !== undefined) return partOf(leftOut, group, []);
      return round === 0 ? null : partOf(round - 1, group, this.newest);
    };
    if (this.#closed === undefined) {
      const roots: Roots = [];
      for (const group of asked) roots.push(...(await this.close(group, round, previous(group))).roots);
      this.#closed = roots;
      for (const group of asked) this.#leftOut.delete(group);
    }
    let roots = this.#closed;
    let root = await this.fix(round, roots);
    if (without !== undefined) {
      const left = partOf(round, without, roots).roots;
      roots = roots.filter((one) => !left.includes(one));
      root = await this.store(round, roots);
      this.#leftOut.set(without, round);
    }
    [this.next, this.newest, this.#closed] = [round + 1, roots, undefined];
    return { round, root, roots };
  }

  /** Enters the anchor of a round. */
  async enter(round: number, root: string, state = "anchored"): Promise<void> {
    const database = await this.#edge().database();
    await database
      .prepare(
        `INSERT OR REPLACE INTO anchors (stream, first, count, root, tx, block, block_hash, log_index, state)
         VALUES (?, ?, 1, ?, ?, 12, ?, 3, ?)`,
      )
      .bind(roundsStream(), round, root, TX, BLOCK_HASH, state)
      .run();
  }
}
