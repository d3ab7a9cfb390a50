// The hashes of rounds, computed apart from the product.

import { keccak_256 } from "@noble/hashes/sha3.js";
import { SimpleMerkleTree } from "@openzeppelin/merkle-tree";
import { OPERATOR } from "./harness.ts";

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
export const keccak = (...parts: string[]) =>
  Buffer.from(keccak_256(Buffer.from(parts.map(digits).join(""), "hex"))).toString("hex");
export const word = (value: number | string) =>
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
