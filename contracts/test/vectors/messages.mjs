// What both files of vectors are made of: streams, the messages that follow from their seqs, leaves and trees.
//
// Every message follows from its seq, so a large case lists only some of its messages and readers derive the rest:
//   time    = 1767225600000 + 7 * seq
//   author  = the last 20 bytes of keccak256(utf8("author " + (seq mod 5)))
//   payload = keccak256(utf8("payload " + seq)), repeated and cut to (37 * seq) mod 200 bytes
//   (numbers in decimal; seq 0 has an empty payload)

import { SimpleMerkleTree } from "@openzeppelin/merkle-tree";
import { concat, encodeAbiParameters, keccak256, slice, stringToBytes } from "viem";

/** @typedef {`0x${string}`} Hex */

/** Whose streams most of the vectors' are. */
export const OWNER = /** @type {Hex} */ ("0x70997970c51812dc3a010c7d01b50e0d17dc79c8");

/** @param {string} text */
export const keccakText = (text) => keccak256(stringToBytes(text));

/**
 * keccak256(bytes.concat(keccak256(abi.encode(values)))), which is what every leaf is.
 * @param {string[]} types
 * @param {unknown[]} values
 */
export const doubleHash = (types, values) =>
  keccak256(
    keccak256(
      encodeAbiParameters(
        types.map((type) => ({ type })),
        values,
      ),
    ),
  );

/**
 * The stream's id: keccak256(abi.encode(owner, keccak256(name))).
 * @param {string} name
 * @param {Hex} [owner]
 */
export const streamOf = (name, owner = OWNER) => {
  const nameHash = keccakText(name);
  const id = keccak256(encodeAbiParameters([{ type: "address" }, { type: "bytes32" }], [owner, nameHash]));
  return { owner, name, nameHash, id, short: slice(id, 0, 20) };
};

/**
 * The message that follows from its seq.
 * @param {number} seq
 * @returns {{ seq: number, time: number, author: Hex, payload: Hex }}
 */
const messageAt = (seq) => {
  const block = keccakText(`payload ${seq}`);
  const length = Number((37n * BigInt(seq)) % 200n);
  const time = 1767225600000 + 7 * seq;
  if (!Number.isSafeInteger(time)) throw new Error(`seq ${seq} is too large for a time that JSON readers agree on`);
  return {
    seq,
    time,
    author: slice(keccakText(`author ${seq % 5}`), 12),
    payload:
      length === 0 ? "0x" : slice(concat(/** @type {Hex[]} */ (Array(Math.ceil(length / 32)).fill(block))), 0, length),
  };
};

/**
 * keccak256(bytes.concat(keccak256(abi.encode(stream, seq, time, author, keccak256(payload))))).
 * @param {Hex} stream
 * @param {ReturnType<typeof messageAt>} message
 */
const leafOf = (stream, { seq, time, author, payload }) =>
  doubleHash(
    ["bytes32", "uint64", "uint64", "address", "bytes32"],
    [stream, BigInt(seq), BigInt(time), author, keccak256(payload)],
  );

/** @param {string[]} leaves */
export const treeOf = (leaves) => SimpleMerkleTree.of(leaves, { sortLeaves: false });

/**
 * A run of messages in segments of these sizes: its segments with their trees, the tree over the segments' roots, and
 * its messages, each with its leaf, its path in the segment and its path in the run.
 * @param {{ id: Hex }} stream
 * @param {number} first
 * @param {number[]} sizes
 */
export const runOf = (stream, first, sizes) => {
  let next = first;
  const segments = sizes.map((count) => {
    const start = next;
    next += count;
    const messages = Array.from({ length: count }, (_, index) => messageAt(start + index));
    const leaves = messages.map((message) => leafOf(stream.id, message));
    return { first: start, count, messages, leaves, tree: treeOf(leaves) };
  });
  const tree = treeOf(segments.map((segment) => segment.tree.root));
  const messages = segments.flatMap((segment, index) =>
    segment.messages.map((message, position) => {
      const segmentProof = segment.tree.getProof(position);
      const proof = [...segmentProof, ...tree.getProof(index)];
      return { ...message, leaf: segment.leaves[position], segment: index, segmentProof, proof };
    }),
  );
  return { first, count: next - first, root: tree.root, segments, messages };
};
