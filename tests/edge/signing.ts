// Keys, proofs and signed groups as a page makes them with WebCrypto, written apart from the product's own code.

import { createHash, randomBytes, webcrypto } from "node:crypto";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { SimpleMerkleTree } from "@openzeppelin/merkle-tree";
import type { Message } from "./harness.ts";

const { subtle } = webcrypto;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
const ZERO = new Uint8Array(32);

/** A key pair, and what is made of its public half. */
export interface Key {
  sign(message: Uint8Array): Promise<Buffer>;
  /** The compressed point. */
  point: Buffer;
  /** The point in headers and resources. */
  text: string;
  /** The point in JSON. */
  hex: string;
  /** The author that the key is. */
  author: string;
}

const keccak = (...parts: Uint8Array[]): Buffer => Buffer.from(keccak_256(Buffer.concat(parts)));
const uint = (value: number, bytes: number): Buffer => Buffer.from(value.toString(16).padStart(2 * bytes, "0"), "hex");
export const bytes = (hex: string): Buffer => Buffer.from(hex.replace(/^0x/, ""), "hex");
export const hex = (given: Uint8Array): string => `0x${Buffer.from(given).toString("hex")}`;

export const newKey = async (): Promise<Key> => {
  const pair = await subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const raw = Buffer.from(await subtle.exportKey("raw", pair.publicKey));
  const [x, y] = [raw.subarray(1, 33), raw.subarray(33)];
  const point = Buffer.concat([Buffer.of(2 + ((y.at(-1) ?? 0) & 1)), x]);
  return {
    sign: async (message) =>
      Buffer.from(await subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, message)),
    point,
    text: point.toString("base64url"),
    hex: hex(point),
    author: hex(keccak(Buffer.from("streamchain/author/v1"), x, y).subarray(12)),
  };
};

/** The headers by which a request is its key's. */
export const proofOf = async (
  key: Key,
  host: string,
  seconds = Math.floor(Date.now() / 1_000),
): Promise<Record<string, string>> => {
  const name = Buffer.from(host);
  const domain = Buffer.from("streamchain/key-proof/v1");
  const preimage = Buffer.concat([domain, uint(name.length, 2), name, key.point, uint(seconds, 8)]);
  const signature = await key.sign(preimage);
  return { "streamchain-key": key.text, "streamchain-key-proof": `${seconds}.${signature.toString("base64url")}` };
};

/** A signed group, and in which forms it is sent. */
export interface Group {
  digest: string;
  previous: string;
  signature: Buffer;
  producer: string;
  first: number;
  payloads: Buffer[];
  /** As headers, for a group of one. */
  headers: Record<string, string>;
  /** As a JSON body. */
  json: Record<string, unknown>;
  /** As messages of a relay's batch. */
  messages: Message[];
}

export interface Wanted {
  stream: string;
  key: Key;
  author?: string;
  producer?: string;
  first?: number;
  previous?: string;
  texts: string[];
}

export const newProducer = (): string => randomBytes(16).toString("hex");

/** Signs a group. */
export const groupOf = async ({
  stream,
  key,
  author,
  producer,
  first = 0,
  previous,
  texts,
}: Wanted): Promise<Group> => {
  const [whose, numbered] = [author ?? key.author, producer ?? newProducer()];
  const payloads = texts.map((text) => Buffer.from(text));
  const leaves = payloads.map((payload, index) => hex(keccak(keccak(uint(first + index, 32), keccak(payload)))));
  const { root } = SimpleMerkleTree.of(leaves, { sortLeaves: false });
  const before = previous ?? hex(ZERO);
  const preimage = Buffer.concat([
    Buffer.from("streamchain/group/v1"),
    bytes(stream),
    bytes(whose),
    bytes(numbered),
    uint(first, 8),
    uint(payloads.length, 4),
    bytes(before),
    bytes(root),
  ]);
  const signature = await key.sign(preimage);
  const header = [payloads.length, bytes(before), key.point, signature];
  return {
    digest: hex(createHash("sha256").update(preimage).digest()),
    previous: before,
    signature,
    producer: numbered,
    first,
    payloads,
    headers: {
      "streamchain-producer": numbered,
      "streamchain-producer-seq": String(first),
      "streamchain-key": key.text,
      "streamchain-previous": before,
      "streamchain-signature": signature.toString("base64url"),
    },
    json: {
      messages: payloads.map((payload) => ({ payload: hex(payload) })),
      key: key.hex,
      previous: before,
      signature: hex(signature),
      producer: numbered,
      producerSeq: first,
    },
    messages: payloads.map((payload, index) => ({
      author: bytes(whose),
      producer: bytes(numbered),
      number: first + index,
      payload,
      ...(index === 0 ? { group: header } : {}),
    })),
  };
};
