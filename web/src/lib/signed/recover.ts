// Who signed a text by EIP-191: the account whose key made a secp256k1 signature. Only public values go in, so the time
// that it takes tells nobody anything.

import { keccak } from "../chain/keccak.ts";
import { concat, fromHex, type Hex, toHex, utf8Bytes } from "../wire/bytes.ts";
import { power } from "./point.ts";

const P = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2fn;
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const G: Point = [
  0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
];

/** An affine point; null is the point at infinity. */
type Point = readonly [x: bigint, y: bigint] | null;

const mod = (value: bigint, modulus: bigint): bigint => ((value % modulus) + modulus) % modulus;

/** The inverse modulo `modulus` (extended Euclid). */
function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [mod(value, modulus), modulus, 1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [x, y] = [y - quotient * x, x];
  }
  return mod(x, modulus);
}

function add(a: Point, b: Point): Point {
  if (a === null || b === null) return a ?? b;
  const [[ax, ay], [bx, by]] = [a, b];
  if (ax === bx && ay !== by) return null;
  const slope = ax === bx ? 3n * ax * ax * inverse(2n * ay, P) : (by - ay) * inverse(bx - ax, P);
  const x = mod(slope * slope - ax - bx, P);
  return [x, mod(slope * (ax - x) - ay, P)];
}

function multiply(point: Point, factor: bigint): Point {
  let [result, doubled]: [Point, Point] = [null, point];
  for (let rest = factor; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = add(result, doubled);
    doubled = add(doubled, doubled);
  }
  return result;
}

/** The hash that a wallet signs for a text (EIP-191, `personal_sign`). */
export function textHash(text: string): Uint8Array {
  const bytes = utf8Bytes(text);
  return keccak(concat([utf8Bytes(`\x19Ethereum Signed Message:\n${bytes.length}`), bytes]));
}

const word = (bytes: Uint8Array): bigint => BigInt(toHex(bytes));

/**
 * The account that made a signature (r, s, v: 65 bytes) of a hash; undefined when it is a signature of nobody's. The high one of
 * the two values of s is none, as for transactions (EIP-2): wallets make the low one.
 */
export function recoverAccount(hash: Uint8Array, signature: Uint8Array): Hex | undefined {
  if (signature.length !== 65) return undefined;
  const [r, s] = [word(signature.subarray(0, 32)), word(signature.subarray(32, 64))];
  const last = signature[64] as number;
  const parity = last >= 27 ? last - 27 : last;
  if (r === 0n || r >= N || s === 0n || s > N / 2n || parity > 1) return undefined;
  const square = mod(r * r * r + 7n, P);
  const root = power(square, (P + 1n) / 4n, P);
  if ((root * root) % P !== square) return undefined;
  const point: Point = [r, Number(root & 1n) === parity ? root : P - root];
  const ofR = inverse(r, N);
  const key = add(multiply(point, mod(s * ofR, N)), multiply(G, mod(-word(hash) * ofR, N)));
  if (key === null) return undefined;
  const digits = key.map((value) => value.toString(16).padStart(64, "0")).join("");
  return toHex(keccak(fromHex(`0x${digits}`)).subarray(-20));
}
