#!/usr/bin/env node
// Writes merkle.json and rounds.json: Merkle roots and proofs computed by OpenZeppelin's own JavaScript library, for
// every part of StreamChain (Solidity, Rust, TypeScript) to check its arithmetic against; and signed.json and
// forgeries.json: signed messages, and what no verifier may take for one (author-claims.json and wallet-claims.json: as contracts take it).
//
//   node contracts/test/vectors/generate.mjs           writes the files beside this one
//   node contracts/test/vectors/generate.mjs --check   exits 1 when a file differs from what would be written
//
// rounds.mjs explains rounds.json, signed.mjs signed.json, and forgeries.mjs forgeries.json.
//
// In merkle.json a case is one anchor: `segments` are contiguous runs of messages, each with a root over its leaves;
// `root` is the anchor's root over the segment roots. A message's `proof` is its path in the segment followed by the
// segment's path in the anchor; `segmentProof` is the first part alone. Both levels have the shape of
// SimpleMerkleTree.of(leaves, { sortLeaves: false }).
//
// A set is what one call of `anchorStored` stores: `commitment` is the root over the leaves of the runs of some of the
// cases, in the order of `runs`; `setPath` is a run's path in it.

import { readFileSync, writeFileSync } from "node:fs";
import { authorClaims, walletClaims } from "./claims.mjs";
import { forgeries } from "./forgeries.mjs";
import { doubleHash, runOf, streamOf, treeOf } from "./messages.mjs";
import { roundVectors } from "./rounds.mjs";
import { signedVectors } from "./signed.mjs";

/** Cases with at most this many messages list all of them. */
const LIST_ALL_UP_TO = 32;

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

const caseOf = ({ title, name, first, sizes, list }) => {
  const stream = streamOf(name);
  const { count, root, segments, messages } = runOf(stream, first, sizes);
  if (count > LIST_ALL_UP_TO && !list) throw new Error(`${title}: say which messages to list`);
  return {
    title,
    stream,
    first,
    count,
    root,
    segments: segments.map((segment) => ({ first: segment.first, count: segment.count, root: segment.tree.root })),
    messages: list ? list.map((offset) => messages[offset]) : messages,
  };
};

/** keccak256(bytes.concat(keccak256(abi.encode(stream, firstSeq, count, root)))). */
const runLeafOf = ({ stream, first, count, root }) =>
  doubleHash(["bytes32", "uint64", "uint32", "bytes32"], [stream.id, BigInt(first), count, root]);

const setOf = (cases, indices) => {
  const leaves = indices.map((index) => runLeafOf(cases[index]));
  const tree = treeOf(leaves);
  const runs = indices.map((index, at) => ({ case: index, leaf: leaves[at], setPath: tree.getProof(at) }));
  return { commitment: tree.root, runs };
};

/** @param {string} file @param {string} source @param {object} content */
const written = (file, source, content) => {
  const about = `Written by generate.mjs beside this file; ${source} explains the fields, messages.mjs what messages are.`;
  return { file, text: `${JSON.stringify({ about, ...content }, null, 1)}\n` };
};

const cases = CASES.map(caseOf);
const table = await forgeries();
const FILES = [
  written("merkle.json", "it", { cases, sets: SETS.map((indices) => setOf(cases, indices)) }),
  written("rounds.json", "rounds.mjs", roundVectors()),
  written("signed.json", "signed.mjs", signedVectors()),
  written("forgeries.json", "forgeries.mjs", table),
  written("author-claims.json", "forgeries.mjs", authorClaims(table)),
  written("wallet-claims.json", "claims.mjs", walletClaims(table)),
];

for (const { file, text } of FILES) {
  const path = new URL(file, import.meta.url);
  if (!process.argv.includes("--check")) {
    writeFileSync(path, text);
    console.log(`wrote ${file}: ${text.length} bytes`);
  } else if (readFileSync(path, "utf8") !== text) {
    console.error(`${file} differs from what generate.mjs writes: run it without --check and look at the difference.`);
    process.exitCode = 1;
  }
}
