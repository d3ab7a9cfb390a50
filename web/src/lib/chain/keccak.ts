// keccak256 of short inputs, of which each signed message waits for several: the sponge around the library's permutation,
// with one state for all hashes. The library's own hash makes a new state, and checks of it, for each.

import { keccak_256, keccakP } from "@noble/hashes/sha3.js";
import { isLE } from "@noble/hashes/utils.js";
import type { Bytes } from "../wire/bytes.ts";

/** Bytes that one permutation takes in. */
const RATE = 136;

const ROUNDS = 24;

/** The state as the library has it, and its bytes; no hash is under way between two calls. */
const words = new Uint32Array(50);
const state = new Uint8Array(words.buffer);

/** keccak256 of bytes (32 bytes). */
export function keccak(bytes: Uint8Array): Bytes {
  // The bytes of a word are in another order on few machines, where the library turns them.
  if (!isLE) return keccak_256(bytes) as Bytes;
  words.fill(0);
  let at = 0;
  for (const byte of bytes) {
    state[at] = (state[at] as number) ^ byte;
    at++;
    if (at < RATE) continue;
    keccakP(words, ROUNDS);
    at = 0;
  }
  // The padding: a bit behind the input, and the last bit of the block.
  state[at] = (state[at] as number) ^ 0x01;
  state[RATE - 1] = (state[RATE - 1] as number) ^ 0x80;
  keccakP(words, ROUNDS);
  return state.slice(0, 32);
}
