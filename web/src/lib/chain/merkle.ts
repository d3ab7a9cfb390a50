// Hashes of StreamChain: stream ids, leaves and proofs, as the contract and OpenZeppelin's StandardMerkleTree make them.
// `seq` in a message's leaf fixes its position, so inner nodes hash their children in sorted order.

import { type Bytes, compareBytes, concat, padLeft, toWord, utf8Bytes } from "../wire/bytes.ts";
import { keccak } from "./keccak.ts";

/** `keccak256(abi.encode(owner, keccak256(name)))`: the id of a stream. `owner` has 20 bytes. */
export function streamId(owner: Uint8Array, name: string): Bytes {
  return keccak(concat([padLeft(owner), keccak(utf8Bytes(name))]));
}

/** What a leaf commits to. */
interface LeafInputs {
  /** 32 bytes. */
  readonly stream: Uint8Array;
  readonly seq: number;
  /** ms since the Unix epoch. */
  readonly time: number;
  /** 20 bytes. */
  readonly author: Uint8Array;
  readonly payload: Uint8Array;
  /** The hash of a payload that is not there. */
  readonly payloadHash?: Bytes;
}

/** The hashes from a message to its leaf. */
interface LeafHashes {
  /** `keccak256(payload)`. */
  readonly payloadHash: Bytes;
  /** `abi.encode(stream, seq, time, author, payloadHash)`: 160 bytes. */
  readonly encoded: Bytes;
  /** `keccak256(keccak256(encoded))`. */
  readonly leaf: Bytes;
}

/** The leaf of a message, hashed twice so that no inner node can pass as a leaf. */
export function leafHashes(inputs: LeafInputs): LeafHashes {
  const payloadHash = inputs.payloadHash ?? keccak(inputs.payload);
  const encoded = concat([inputs.stream, toWord(inputs.seq), toWord(inputs.time), padLeft(inputs.author), payloadHash]);
  return { payloadHash, encoded, leaf: keccak(keccak(encoded)) };
}

/** The parent of two nodes: the hash of the sorted pair. */
export function hashPair(a: Uint8Array, b: Uint8Array): Bytes {
  return keccak(compareBytes(a, b) <= 0 ? concat([a, b]) : concat([b, a]));
}

/** One step of a proof: `parent = hashPair(node, sibling)`. */
export interface ProofStep {
  readonly node: Uint8Array;
  readonly sibling: Uint8Array;
  readonly parent: Bytes;
}

/** The steps from a leaf to its root; the last parent (or the leaf, without steps) is the root. */
export function climb(leaf: Uint8Array, proof: readonly Uint8Array[]): ProofStep[] {
  const steps: ProofStep[] = [];
  let node = leaf;
  for (const sibling of proof) {
    const parent = hashPair(node, sibling);
    steps.push({ node, sibling, parent });
    node = parent;
  }
  return steps;
}

/**
 * Root of a tree over leaves in their given order, shaped as OpenZeppelin's
 * `SimpleMerkleTree.of(leaves, { sortLeaves: false })`. Throws RangeError on no leaves.
 */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) throw new RangeError("a tree needs at least one leaf");
  const tree: Uint8Array[] = new Array(2 * leaves.length - 1);
  leaves.forEach((leaf, i) => {
    tree[tree.length - 1 - i] = leaf;
  });
  for (let i = leaves.length - 2; i >= 0; i--) {
    tree[i] = hashPair(tree[2 * i + 1] as Uint8Array, tree[2 * i + 2] as Uint8Array);
  }
  return tree[0] as Uint8Array;
}
