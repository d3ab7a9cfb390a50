// Publication groups: what one signature of an author covers. One producer's messages in a row, their payloads, their
// numbers, their stream, and the producer's group before them.

import { sha256 } from "@noble/hashes/sha2.js";
import { keccak } from "../chain/keccak.ts";
import { hashPair, merkleRoot } from "../chain/merkle.ts";
import { type Bytes, concat, fromHex, type Hex, toWord, utf8Bytes } from "../wire/bytes.ts";

/** The digest that stands for "no group before this one". */
export const NO_GROUP: Bytes = new Uint8Array(32);

const DOMAIN = utf8Bytes("streamchain/group/v1");

/** What a signature covers. */
export interface GroupParts {
  /** 32 bytes. */
  readonly stream: Uint8Array;
  /** 20 bytes. */
  readonly author: Uint8Array;
  /** 16 bytes. */
  readonly producer: Uint8Array;
  /** The `producer_seq` of the first message. */
  readonly first: number;
  readonly count: number;
  /** Digest of the producer's group before this one on the stream. */
  readonly previous: Uint8Array;
  /** Root over the leaves. */
  readonly root: Uint8Array;
}

/** The leaf of a message of a group. */
export const groupLeaf = (producerSeq: number, payloadHash: Uint8Array): Bytes =>
  keccak(keccak(concat([toWord(producerSeq), payloadHash])));

/** The root over messages that begin with the `producer_seq` `first`. */
export const groupRoot = (first: number, payloadHashes: readonly Uint8Array[]): Uint8Array =>
  merkleRoot(payloadHashes.map((hash, i) => groupLeaf(first + i, hash)));

/** The root that a leaf and its proof lead to. */
export const rootOfProof = (leaf: Uint8Array, proof: readonly Hex[]): Uint8Array =>
  proof.reduce<Uint8Array>((node, sibling) => hashPair(node, fromHex(sibling, 32)), leaf);

/** The bytes that are signed; SHA-256 of them is the group's digest. */
export function groupPreimage({ stream, author, producer, first, count, previous, root }: GroupParts): Bytes {
  const numbers = new Uint8Array(12);
  const view = new DataView(numbers.buffer);
  view.setBigUint64(0, BigInt(first));
  view.setUint32(8, count);
  return concat([DOMAIN, stream, author, producer, numbers, previous, root]);
}

/** The digest of a group, which the next one names. Computed here: WebCrypto's would come a turn of the page later. */
export const groupDigest = (preimage: Uint8Array): Bytes => sha256(preimage) as Bytes;
