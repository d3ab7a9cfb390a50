// CBOR (RFC 8949) as far as the frames need it: unsigned and negative integers, byte and text strings, arrays, maps
// with text keys, booleans and null; definite lengths and shortest forms only (RFC 8949 §4.2.1). Tags, floats and other
// simple values are decoded as `OPAQUE`, so that a newer relay may use them in elements that this client does not read.
// The decoder never allocates more than the input holds: a length is checked against the bytes left before it is used.

import { malformed } from "../errors.ts";
import { MAX_CBOR_DEPTH, MAX_CBOR_ELEMENTS } from "../limits.ts";
import { type Bytes, concat, utf8Bytes } from "./bytes.ts";

/** Takes the place of an item whose value no known frame uses. */
export const OPAQUE: unique symbol = Symbol("opaque CBOR item");

/** An item to encode. */
export type CborValue = number | string | boolean | null | Uint8Array | CborValue[] | Map<string, CborValue>;

/** A decoded item. */
export type CborItem =
  | number
  | string
  | boolean
  | null
  | Uint8Array
  | typeof OPAQUE
  | CborItem[]
  | Map<string, CborItem>;

const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;

/** Bytes that follow the initial byte of a simple value or float, by its short argument. */
const SIMPLE_SIZES: Record<number, number> = { 24: 1, 25: 2, 26: 4, 27: 8 };

const TWO_32 = 0x1_0000_0000;

/** The head of an item: its major type, and its argument in the shortest form. */
function head(major: number, argument: number): Bytes {
  const type = major << 5;
  if (argument < 24) return Uint8Array.of(type | argument);
  if (argument < 0x100) return Uint8Array.of(type | 24, argument);
  if (argument < 0x1_0000) return Uint8Array.of(type | 25, argument >> 8, argument & 0xff);
  const bytes = new Uint8Array(argument < TWO_32 ? 5 : 9);
  const view = new DataView(bytes.buffer);
  if (argument < TWO_32) {
    bytes[0] = type | 26;
    view.setUint32(1, argument);
  } else {
    bytes[0] = type | 27;
    view.setUint32(1, Math.floor(argument / TWO_32));
    view.setUint32(5, argument % TWO_32);
  }
  return bytes;
}

function encodeInto(value: CborValue, parts: Uint8Array[]): void {
  if (value === null) {
    parts.push(Uint8Array.of(0xf6));
  } else if (typeof value === "boolean") {
    parts.push(Uint8Array.of(value ? 0xf5 : 0xf4));
  } else if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw malformed("only integers below 2^53 can be encoded");
    parts.push(value >= 0 ? head(UNSIGNED, value) : head(NEGATIVE, -1 - value));
  } else if (typeof value === "string") {
    const text = utf8Bytes(value);
    parts.push(head(TEXT, text.length), text);
  } else if (value instanceof Uint8Array) {
    parts.push(head(BYTES, value.length), value);
  } else if (Array.isArray(value)) {
    parts.push(head(ARRAY, value.length));
    for (const element of value) encodeInto(element, parts);
  } else {
    parts.push(head(MAP, value.size));
    for (const [key, element] of value) {
      encodeInto(key, parts);
      encodeInto(element, parts);
    }
  }
}

/** The CBOR bytes of one item. */
export function encodeCbor(value: CborValue): Bytes {
  const parts: Uint8Array[] = [];
  encodeInto(value, parts);
  return concat(parts);
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  #take(size: number): number {
    if (size > this.#bytes.length - this.#at) throw malformed("CBOR item is cut short");
    const start = this.#at;
    this.#at += size;
    return start;
  }

  #argument(short: number): number {
    if (short < 24) return short;
    if (short === 24) return this.#shortest(this.#view.getUint8(this.#take(1)), 24);
    if (short === 25) return this.#shortest(this.#view.getUint16(this.#take(2)), 0x100);
    if (short === 26) return this.#shortest(this.#view.getUint32(this.#take(4)), 0x1_0000);
    if (short === 27) {
      const start = this.#take(8);
      const value = this.#view.getUint32(start) * TWO_32 + this.#view.getUint32(start + 4);
      if (value > Number.MAX_SAFE_INTEGER) throw malformed("CBOR integer of 2^53 or more");
      return this.#shortest(value, TWO_32);
    }
    throw malformed("CBOR indefinite length or reserved argument");
  }

  #shortest(value: number, least: number): number {
    if (value < least) throw malformed("CBOR argument not in its shortest form");
    return value;
  }

  #string(size: number): Uint8Array {
    const start = this.#take(size);
    return this.#bytes.subarray(start, start + size);
  }

  #text(size: number): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.#string(size));
    } catch (error) {
      if (error instanceof TypeError) throw malformed("CBOR text is not UTF-8");
      throw error;
    }
  }

  #elements(size: number): number {
    if (size > MAX_CBOR_ELEMENTS) throw malformed(`CBOR array or map of ${size} elements, limit ${MAX_CBOR_ELEMENTS}`);
    return size;
  }

  #map(size: number, depth: number): Map<string, CborItem> {
    const map = new Map<string, CborItem>();
    for (let i = 0; i < size; i++) {
      const key = this.item(depth);
      if (typeof key !== "string") throw malformed("CBOR map key is not a text");
      if (map.has(key)) throw malformed("CBOR map has a key twice");
      map.set(key, this.item(depth));
    }
    return map;
  }

  #simple(short: number): CborItem {
    if (short === 22) return null;
    if (short === 20 || short === 21) return short === 21;
    if (short > 27) throw malformed("CBOR break or reserved simple value");
    this.#take(SIMPLE_SIZES[short] ?? 0);
    return OPAQUE;
  }

  item(depth: number): CborItem {
    if (depth === 0) throw malformed(`CBOR nested more than ${MAX_CBOR_DEPTH} deep`);
    const initial = this.#view.getUint8(this.#take(1));
    const major = initial >> 5;
    if (major > TAG) return this.#simple(initial & 0x1f);
    const argument = this.#argument(initial & 0x1f);
    switch (major) {
      case UNSIGNED:
        return argument;
      case NEGATIVE:
        return -1 - argument;
      case BYTES:
        return this.#string(argument);
      case TEXT:
        return this.#text(argument);
      case ARRAY:
        return Array.from({ length: this.#elements(argument) }, () => this.item(depth - 1));
      case MAP:
        return this.#map(this.#elements(argument), depth - 1);
      default:
        this.item(depth - 1); // the item that is tagged
        return OPAQUE;
    }
  }
}

/** The items of a CBOR sequence (RFC 8742), one by one. Byte strings are views into `bytes`. Throws `malformed`. */
export function* decodeSequence(bytes: Uint8Array): Generator<CborItem> {
  const reader = new Reader(bytes);
  while (!reader.done) yield reader.item(MAX_CBOR_DEPTH);
}
