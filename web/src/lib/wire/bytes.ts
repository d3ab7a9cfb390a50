// Bytes and their text forms. Hex is lower case with 0x, as everywhere in the protocol.

import { malformed } from "../errors.ts";

/** Bytes that own a plain ArrayBuffer, which is what data channels and fetch take. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** A `0x…` text in lower case. */
export type Hex = `0x${string}`;

const DIGITS = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, "0"));

/** `0x` and two lower-case digits for each byte. */
export function toHex(bytes: Uint8Array): Hex {
  let text = "0x";
  for (const byte of bytes) text += DIGITS[byte];
  return text as Hex;
}

/** Bytes of a `0x…` text; `length` (in bytes) is checked when given. Throws `malformed`. */
export function fromHex(text: unknown, length?: number): Bytes {
  if (typeof text !== "string" || !/^0x(?:[0-9a-fA-F]{2})*$/.test(text)) {
    throw malformed("not a 0x-hex text of whole bytes");
  }
  const size = (text.length - 2) / 2;
  if (length !== undefined && size !== length) throw malformed(`${size} bytes, ${length} expected`);
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = Number.parseInt(text.slice(2 + 2 * i, 4 + 2 * i), 16);
  return bytes;
}

/** One array holding all parts in order. */
export function concat(parts: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Whether two arrays hold the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Order of two equally long byte strings, as unsigned big-endian numbers: negative, 0 or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** A non-negative integer as a 32-byte big-endian word (Solidity ABI). */
export function toWord(value: number): Bytes {
  if (!Number.isSafeInteger(value) || value < 0) throw malformed("not an unsigned integer below 2^53");
  const word = new Uint8Array(32);
  let rest = value;
  for (let i = 31; rest > 0; i--) {
    word[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return word;
}

/** The number in a 32-byte big-endian word; throws `malformed` at 2^53 and above. */
export function fromWord(word: Uint8Array): number {
  let value = 0;
  for (const byte of word) {
    value = value * 256 + byte;
    if (value > Number.MAX_SAFE_INTEGER) throw malformed("integer of 2^53 or more");
  }
  return value;
}

/** Bytes left-padded with zeros to a 32-byte word (how the Solidity ABI writes an address). */
export function padLeft(bytes: Uint8Array): Bytes {
  const word = new Uint8Array(32);
  word.set(bytes, 32 - bytes.length);
  return word;
}

const utf8 = new TextEncoder();

/** UTF-8 bytes of a text. */
export function utf8Bytes(text: string): Bytes {
  return utf8.encode(text) as Bytes;
}

/** Base64 of bytes, for text-only storage. */
export function toBase64(bytes: Uint8Array): string {
  const native = (bytes as { toBase64?: () => string }).toBase64;
  if (native !== undefined) return native.call(bytes);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Bytes of a base64 text; throws `malformed`. */
export function fromBase64(text: string): Bytes {
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    throw malformed("not base64");
  }
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** Base64url of bytes, without padding (RFC 4648 §5). */
export function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Bytes of a base64url text without padding; throws `malformed`. */
export function fromBase64Url(text: string): Bytes {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw malformed("not base64url");
  return fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
}
