// Makes signed.json: keys, groups of signed messages and single signatures, for WebCrypto, Rust (p256, aws-lc-rs) and Solidity to agree on.
//
// `keys`: a key in all its forms, and the author that it is. `badKeys` are refused. `groups` are signed; those of one producer
// follow each other. The leaf of message i is keccak256(keccak256(abi.encode(uint64 first + i, bytes32 keccak256(payload)))),
// `root` is SimpleMerkleTree.of(leaves, { sortLeaves: false }).root, `proofs` lists some paths by index. A signature is over
// SHA-256 of `preimage`, and `digest` is that hash. `signatures` are single ones, of which `holds` says whether they verify.

import { p256 } from "@noble/curves/nist.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, concat, hexToBytes, keccak256, numberToHex, slice, stringToHex } from "viem";
import { doubleHash, keccakText, streamOf, treeOf } from "./messages.mjs";

/** @typedef {import("./messages.mjs").Hex} Hex */

export const ZERO = /** @type {Hex} */ (`0x${"00".repeat(32)}`);
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** @param {Hex} hex */
export const base64url = (hex) => Buffer.from(hexToBytes(hex)).toString("base64url");

/**
 * The key whose secret is keccak256 of a text.
 * @param {string} text
 */
export const keyOf = (text) => {
  const secret = keccakText(text);
  const key = bytesToHex(p256.getPublicKey(hexToBytes(secret), true));
  const point = bytesToHex(p256.getPublicKey(hexToBytes(secret), false));
  const [x, y] = [slice(point, 1, 33), slice(point, 33)];
  const author = slice(keccak256(concat([stringToHex("streamchain/author/v1"), x, y])), 12);
  return { secret, key, base64url: base64url(key), x, y, author };
};

/**
 * The coordinates of a compressed point.
 * @param {Hex} key
 */
export const pointOf = (key) => {
  const { x, y } = p256.Point.fromHex(slice(key, 0).slice(2)).toAffine();
  return { x: numberToHex(x, { size: 32 }), y: numberToHex(y, { size: 32 }) };
};

/**
 * A deterministic signature (RFC 6979), r and s; with `turned` the other one of its two forms.
 * @param {Hex} secret @param {Hex} message @param {boolean} [turned]
 */
export const sign = (secret, message, turned = false) => {
  const raw = bytesToHex(p256.sign(hexToBytes(message), hexToBytes(secret), { lowS: false }));
  return turned ? turnedAround(raw) : raw;
};

/** @param {Hex} signature */
const turnedAround = (signature) =>
  concat([slice(signature, 0, 32), numberToHex(N - BigInt(slice(signature, 32)), { size: 32 })]);

/**
 * A group of payloads by a producer, signed.
 * @param {{ stream: Hex, author: Hex, producer: Hex, first: number, payloads: Hex[], previous: Hex, secret: Hex, turned?: boolean }} given
 */
export const groupOf = ({ secret, turned, payloads, ...given }) => {
  const { stream, author, producer, first, previous } = given;
  const leaves = payloads.map((payload, index) =>
    doubleHash(["uint64", "bytes32"], [BigInt(first + index), keccak256(payload)]),
  );
  const tree = treeOf(leaves);
  const root = /** @type {Hex} */ (tree.root);
  const count = payloads.length;
  const preimage = preimageOf({ stream, author, producer, first, count, previous, root });
  return {
    ...given,
    payloads,
    count,
    root,
    tree,
    preimage,
    digest: bytesToHex(sha256(hexToBytes(preimage))),
    signature: sign(secret, preimage, turned),
  };
};

/** @param {{ stream: Hex, author: Hex, producer: Hex, first: number, count: number, previous: Hex, root: Hex }} group */
export const preimageOf = ({ stream, author, producer, first, count, previous, root }) =>
  concat([
    stringToHex("streamchain/group/v1"),
    stream,
    author,
    producer,
    numberToHex(first, { size: 8 }),
    numberToHex(count, { size: 4 }),
    previous,
    root,
  ]);

const SIZES = [
  { title: "one message", sizes: [1], list: [0] },
  { title: "three messages", sizes: [3], list: [0, 1, 2] },
  { title: "256 messages", sizes: [256], list: [0, 1, 127, 255] },
];

/** Groups of one producer, one behind the other, and one whose numbers are large. */
const groups = () => {
  const own = keyOf("key 0");
  const stream = streamOf("demo").id;
  const producer = slice(keccakText("producer 0"), 0, 16);
  let [first, previous] = [0, ZERO];
  const payloadAt = (/** @type {number} */ number) => stringToHex(number === 0 ? "" : `message ${number}`);
  const listed = SIZES.map(({ title, sizes: [count = 0], list }) => {
    const payloads = Array.from({ length: count }, (_, index) => payloadAt(first + index));
    const group = groupOf({ stream, author: own.author, producer, first, payloads, previous, secret: own.secret });
    [first, previous] = [first + count, group.digest];
    return { title, group, list };
  });
  const late = { stream, author: keyOf("key 1").author, producer, first: 2 ** 53 - 10, previous: keccakText("before") };
  const large = groupOf({
    ...late,
    payloads: [payloadAt(1), payloadAt(2)],
    secret: keyOf("key 1").secret,
    turned: true,
  });
  listed.push({ title: "large numbers, and the other s", group: large, list: [0, 1] });
  return listed.map(({ title, group: { tree, ...group }, list }) => ({
    title,
    key: keyOf(title.startsWith("large") ? "key 1" : "key 0").key,
    ...pointOf(keyOf(title.startsWith("large") ? "key 1" : "key 0").key),
    ...group,
    proofs: list.map((index) => ({ index, proof: tree.getProof(index) })),
  }));
};

const signatures = () => {
  const [own, other] = [keyOf("key 0"), keyOf("key 1")];
  const preimage = stringToHex("any bytes");
  const good = sign(own.secret, preimage);
  const [r, s] = [slice(good, 0, 32), slice(good, 32)];
  const order = numberToHex(N, { size: 32 });
  const flipped = (/** @type {Hex} */ hex) => numberToHex(BigInt(hex) ^ 1n, { size: 32 });
  const one = numberToHex(1, { size: 32 });
  return [
    { title: "as signed", key: own.key, signature: good, holds: true },
    { title: "the other s", key: own.key, signature: turnedAround(good), holds: true },
    { title: "another key", key: other.key, signature: good, holds: false },
    {
      title: "the key's other y",
      key: concat([own.key.startsWith("0x02") ? "0x03" : "0x02", own.x]),
      signature: good,
      holds: false,
    },
    { title: "a bit of r", key: own.key, signature: concat([flipped(r), s]), holds: false },
    { title: "a bit of s", key: own.key, signature: concat([r, flipped(s)]), holds: false },
    { title: "r and s exchanged", key: own.key, signature: concat([s, r]), holds: false },
    { title: "r zero", key: own.key, signature: concat([ZERO, s]), holds: false },
    { title: "s zero", key: own.key, signature: concat([r, ZERO]), holds: false },
    { title: "both zero", key: own.key, signature: concat([ZERO, ZERO]), holds: false },
    { title: "both one", key: own.key, signature: concat([one, one]), holds: false },
    { title: "r the order", key: own.key, signature: concat([order, s]), holds: false },
    { title: "s the order", key: own.key, signature: concat([r, order]), holds: false },
    { title: "all bits", key: own.key, signature: `0x${"ff".repeat(64)}`, holds: false },
  ].map((one) => ({ ...one, ...pointOf(one.key), preimage }));
};

const BAD_KEYS = [
  { title: "no point has this x", key: `0x02${"00".repeat(31)}01` },
  { title: "x is the prime", key: "0x02ffffffff00000001000000000000000000000000ffffffffffffffffffffffff" },
  { title: "x is above the prime", key: `0x03${"ff".repeat(32)}` },
  { title: "not compressed", key: `0x04${"11".repeat(32)}` },
  { title: "the point at infinity", key: `0x00${"00".repeat(32)}` },
];

/** What signed.json has beside its explanation. */
export const signedVectors = () => ({
  keys: Array.from({ length: 8 }, (_, index) => keyOf(`key ${index}`)),
  badKeys: BAD_KEYS,
  groups: groups(),
  signatures: signatures(),
});
