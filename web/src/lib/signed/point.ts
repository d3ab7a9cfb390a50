// Public keys: points of P-256, as 33 bytes (compressed SEC1) on the wire, and the author that a key is by itself.

import { keccak } from "../chain/keccak.ts";
import { malformed } from "../errors.ts";
import { type Bytes, concat, fromBase64Url, fromHex, type Hex, toBase64Url, toHex, utf8Bytes } from "../wire/bytes.ts";

/** Bytes of a compressed public key. */
const KEY_BYTES = 33;

const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const WORD_BYTES = 32;
const EVEN = 2;
const UNCOMPRESSED = 4;
const DOMAIN = utf8Bytes("streamchain/author/v1");

const toNumber = (bytes: Uint8Array): bigint => BigInt(toHex(bytes));

const toBytes = (value: bigint): Bytes => fromHex(`0x${value.toString(16).padStart(2 * WORD_BYTES, "0")}`);

/** The power of a number modulo `modulus`. */
export function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let [result, factor] = [1n, base % modulus];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * factor) % modulus;
    factor = (factor * factor) % modulus;
  }
  return result;
}

/** The compressed form of a point of 65 bytes. */
export function compress(point: Uint8Array): Bytes {
  const isOdd = (point[2 * WORD_BYTES] as number) % 2;
  return concat([Uint8Array.of(EVEN + isOdd), point.subarray(1, 1 + WORD_BYTES)]);
}

/** The point, as 65 bytes, of a compressed public key. Throws `malformed` when it is none of the curve. */
export function decompress(key: Uint8Array): Bytes {
  const [sign = 0] = key;
  const x = key.length === KEY_BYTES ? toNumber(key.subarray(1)) : P;
  if ((sign !== EVEN && sign !== EVEN + 1) || x >= P) throw malformed("the public key is no compressed point");
  const square = (x * x * x - 3n * x + B) % P;
  const residue = (square + P) % P;
  const root = power(residue, (P + 1n) / 4n, P); // P is 3 modulo 4
  if ((root * root) % P !== residue) throw malformed("the public key is no point of P-256");
  const y = Number(root & 1n) === sign - EVEN ? root : P - root;
  return concat([Uint8Array.of(UNCOMPRESSED), key.subarray(1), toBytes(y)]);
}

/** The author that a key is without any account behind it; `point` has 65 bytes. */
export const authorOf = (point: Uint8Array): Hex => toHex(keccak(concat([DOMAIN, point.subarray(1)])).subarray(-20));

/** The text form of a compressed key, in headers and in sign-in messages. */
export const keyText = (key: Uint8Array): string => toBase64Url(key);

/** The compressed key of such a text. Throws `malformed`. */
export function keyOfText(text: string): Bytes {
  const key = fromBase64Url(text);
  if (key.length !== KEY_BYTES) throw malformed(`public key of ${key.length} bytes, ${KEY_BYTES} expected`);
  return key;
}
