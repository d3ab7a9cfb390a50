// Judges the signed groups of a stream: every message is in one, each is whole and holds, and each producer's follow each other. Pure,
// so that tests can give it a record with any fault.

import { p256 } from "@noble/curves/nist.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes, keccak256 } from "viem";
import { doubleHash, treeOf } from "../../contracts/test/vectors/messages.mjs";
import { preimageOf, ZERO } from "../../contracts/test/vectors/signed.mjs";

/**
 * @typedef {import("../../contracts/test/vectors/messages.mjs").Hex} Hex
 * @typedef {{ seq: number, count: number, producer: string, producerSeq: number, previous: Hex, key: Hex, signature: Hex }} Group
 * @typedef {{ stream: string, id: Hex, messages: { author: Hex, payload: Hex }[], groups: Group[] }} SignedStream
 * @typedef {Map<string, { next: number, digest: Hex }>} Chains how far each producer is
 */

/** @param {string} producer 32 digits, with or without `0x` @returns {Hex} */
const hexOf = (producer) => /** @type {Hex} */ (producer.startsWith("0x") ? producer : `0x${producer}`);

/** @param {Group} group @param {Hex[]} payloads */
const rootOf = ({ producerSeq }, payloads) => {
  const leaves = payloads.map((payload, index) =>
    doubleHash(["uint64", "bytes32"], [BigInt(producerSeq + index), keccak256(payload)]),
  );
  return /** @type {Hex} */ (treeOf(leaves).root);
};

/**
 * What is wrong with one group; its producer's chain goes on behind it.
 * @param {SignedStream} stream
 * @param {Group} group
 * @param {Chains} chains
 */
const faultOf = ({ id, messages }, group, chains) => {
  const { seq, count, producerSeq: first, previous, key, signature } = group;
  const own = messages.slice(seq, seq + count);
  const author = own[0]?.author;
  if (author === undefined || own.length < count) return `has ${own.length} of ${count} messages`;
  if (own.some((message) => message.author !== author)) return "has messages of several authors";
  const producer = hexOf(group.producer);
  const name = `${author} ${producer}`;
  const before = chains.get(name) ?? { next: 0, digest: ZERO };
  const root = rootOf(
    group,
    own.map(({ payload }) => payload),
  );
  const preimage = preimageOf({ stream: id, author, producer, first, count, previous, root });
  chains.set(name, { next: first + count, digest: bytesToHex(sha256(hexToBytes(preimage))) });
  if (first !== before.next) return `begins at number ${first}, and ${before.next} is next`;
  if (previous !== before.digest) return "does not follow the group before it";
  const holds = p256.verify(hexToBytes(signature), hexToBytes(preimage), hexToBytes(key), { lowS: false });
  return holds ? undefined : "has a signature that does not hold";
};

/**
 * A line for each fault.
 * @param {SignedStream} stream
 * @returns {string[]}
 */
export const groupFaults = (stream) => {
  /** @type {Chains} */
  const chains = new Map();
  const faults = [];
  let covered = 0;
  let unsigned = 0;
  for (const group of [...stream.groups].sort((a, b) => a.seq - b.seq)) {
    const where = `group: ${stream.stream} ${group.seq}`;
    if (group.seq < covered) faults.push(`${where} begins inside another one`);
    unsigned += Math.max(0, group.seq - covered);
    covered = Math.max(covered, group.seq + group.count);
    const fault = faultOf(stream, group, chains);
    if (fault !== undefined) faults.push(`${where} ${fault}`);
  }
  unsigned += Math.max(0, stream.messages.length - covered);
  if (unsigned > 0) faults.push(`unsigned: ${unsigned} messages of ${stream.stream} are in no group`);
  return faults;
};
