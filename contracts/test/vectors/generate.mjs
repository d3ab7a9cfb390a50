#!/usr/bin/env node
// Writes merkle.json: Merkle roots and proofs computed by OpenZeppelin's own JavaScript library, for every part of
// StreamChain (Solidity, Rust, TypeScript) to check its arithmetic against.
//
//   node contracts/test/vectors/generate.mjs           writes merkle.json beside this file
//   node contracts/test/vectors/generate.mjs --check   exits 1 when the file differs from what would be written
//
// A case is one anchor: `segments` are contiguous runs of messages, each with a root over its leaves; `root` is the
// anchor's root over the segment roots. A message's `proof` is its path in the segment followed by the segment's path
// in the anchor; `segmentProof` is the first part alone. Both levels have the shape of
// SimpleMerkleTree.of(leaves, { sortLeaves: false }).
//
// A set is what one call of `anchorStored` stores: `commitment` is the root over the leaves of the runs of some of the
// cases, in the order of `runs`; `setPath` is a run's path in it.
//
// Every message follows from its seq, so a large case lists only some of its messages and readers derive the rest:
//   time    = 1767225600000 + 7 * seq
//   author  = the last 20 bytes of keccak256(utf8("author " + (seq mod 5)))
//   payload = keccak256(utf8("payload " + seq)), repeated and cut to (37 * seq) mod 200 bytes
//   (numbers in decimal; seq 0 has an empty payload)

import { readFileSync, writeFileSync } from "node:fs";
import { SimpleMerkleTree } from "@openzeppelin/merkle-tree";
import { concat, encodeAbiParameters, keccak256, slice, stringToBytes } from "viem";

const FILE = new URL("merkle.json", import.meta.url);

/** Cases with at most this many messages list all of them. */
const LIST_ALL_UP_TO = 32;

const OWNER = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

const CASES = [
  { title: "one message", name: "demo", first: 0, sizes: [1] },
  { title: "two messages", name: "demo", first: 1, sizes: [2] },
  { title: "three messages", name: "demo", first: 3, sizes: [3] },
  { title: "five messages", name: "a-b.c_9", first: 0, sizes: [5] },
  { title: "a thousand messages", name: "demo", first: 6, sizes: [1000], list: [0, 1, 2, 487, 488, 511, 512, 999] },
  { title: "two segments", name: "demo", first: 0, sizes: [1, 1] },
  { title: "segments of 3, 1 and 5", name: "demo", first: 10, sizes: [3, 1, 5] },
  { title: "five segments", name: "_audit", first: 2, sizes: [4, 2, 7, 1, 3] },
  { title: "large sequence numbers", name: "demo", first: 2 ** 50 - 5, sizes: [2, 4, 3] },
  {
    title: "a thousand messages between small segments",
    name: "demo",
    first: 100,
    sizes: [2, 1000, 1],
    list: [0, 1, 2, 3, 490, 1001, 1002],
  },
];

/** The cases, by index, whose anchors go into one set; each set could follow the contract's deployment. */
const SETS = [[0], [0, 1], [0, 3, 1], [0, 1, 2, 3, 4]];

const keccakText = (text) => keccak256(stringToBytes(text));

/** The stream's id: keccak256(abi.encode(owner, keccak256(name))). */
const streamOf = (name) => {
  const nameHash = keccakText(name);
  const id = keccak256(encodeAbiParameters([{ type: "address" }, { type: "bytes32" }], [OWNER, nameHash]));
  return { owner: OWNER, name, nameHash, id, short: slice(id, 0, 20) };
};

const messageAt = (seq) => {
  const block = keccakText(`payload ${seq}`);
  const length = Number((37n * BigInt(seq)) % 200n);
  const time = 1767225600000 + 7 * seq;
  if (!Number.isSafeInteger(time)) throw new Error(`seq ${seq} is too large for a time that JSON readers agree on`);
  return {
    seq,
    time,
    author: slice(keccakText(`author ${seq % 5}`), 12),
    payload: length === 0 ? "0x" : slice(concat(Array(Math.ceil(length / 32)).fill(block)), 0, length),
  };
};

/** keccak256(bytes.concat(keccak256(abi.encode(stream, seq, time, author, keccak256(payload))))). */
const leafOf = (stream, { seq, time, author, payload }) =>
  keccak256(
    keccak256(
      encodeAbiParameters(
        [{ type: "bytes32" }, { type: "uint64" }, { type: "uint64" }, { type: "address" }, { type: "bytes32" }],
        [stream, BigInt(seq), BigInt(time), author, keccak256(payload)],
      ),
    ),
  );

const treeOf = (leaves) => SimpleMerkleTree.of(leaves, { sortLeaves: false });

const caseOf = ({ title, name, first, sizes, list }) => {
  const stream = streamOf(name);
  let next = first;
  const segments = sizes.map((count) => {
    const start = next;
    next += count;
    const messages = Array.from({ length: count }, (_, index) => messageAt(start + index));
    const leaves = messages.map((message) => leafOf(stream.id, message));
    return { first: start, count, messages, leaves, tree: treeOf(leaves) };
  });
  const anchor = treeOf(segments.map((segment) => segment.tree.root));
  const all = segments.flatMap((segment, index) =>
    segment.messages.map((message, position) => {
      const segmentProof = segment.tree.getProof(position);
      const proof = [...segmentProof, ...anchor.getProof(index)];
      return { ...message, leaf: segment.leaves[position], segment: index, segmentProof, proof };
    }),
  );
  const count = next - first;
  if (count > LIST_ALL_UP_TO && !list) throw new Error(`${title}: say which messages to list`);
  return {
    title,
    stream,
    first,
    count,
    root: anchor.root,
    segments: segments.map((segment) => ({ first: segment.first, count: segment.count, root: segment.tree.root })),
    messages: list ? list.map((offset) => all[offset]) : all,
  };
};

/** keccak256(bytes.concat(keccak256(abi.encode(stream, firstSeq, count, root)))). */
const runLeafOf = ({ stream, first, count, root }) =>
  keccak256(
    keccak256(
      encodeAbiParameters(
        [{ type: "bytes32" }, { type: "uint64" }, { type: "uint32" }, { type: "bytes32" }],
        [stream.id, BigInt(first), count, root],
      ),
    ),
  );

const setOf = (cases, indices) => {
  const leaves = indices.map((index) => runLeafOf(cases[index]));
  const tree = treeOf(leaves);
  const runs = indices.map((index, at) => ({ case: index, leaf: leaves[at], setPath: tree.getProof(at) }));
  return { commitment: tree.root, runs };
};

const cases = CASES.map(caseOf);
const text = `${JSON.stringify(
  {
    about:
      "Written by generate.mjs beside this file, which explains the fields and how unlisted messages follow from seq.",
    cases,
    sets: SETS.map((indices) => setOf(cases, indices)),
  },
  null,
  1,
)}\n`;

if (process.argv.includes("--check")) {
  if (readFileSync(FILE, "utf8") !== text) {
    console.error(
      "merkle.json differs from what generate.mjs writes: run it without --check and look at the difference.",
    );
    process.exit(1);
  }
} else {
  writeFileSync(FILE, text);
  console.log(`wrote ${CASES.length} cases, ${SETS.length} sets, ${text.length} bytes`);
}
