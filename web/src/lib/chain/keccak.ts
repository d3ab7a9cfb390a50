// keccak256, of which each signed message waits for several: in WebAssembly once that is there, and else in JavaScript, which
// takes some eight times as long. Pages whose Content-Security-Policy has no 'wasm-unsafe-eval' go on in JavaScript.

import { keccak_256 } from "@noble/hashes/sha3.js";
import type { Bytes } from "../wire/bytes.ts";

/** keccak256 of bytes (32 bytes of the caller's own). */
type Hash = (bytes: Uint8Array) => Uint8Array;

let hash: Hash = keccak_256;

/** keccak256 of bytes (32 bytes). */
export const keccak = (bytes: Uint8Array): Bytes => hash(bytes) as Bytes;

/** Hashes by this from now on. */
export function hashBy(faster: Hash): void {
  hash = faster;
}
