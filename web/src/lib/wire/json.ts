// Typed reading of JSON from outside: every field is checked once, here, and an error names the path of the wrong one.

import { malformed } from "../errors.ts";
import type { Hex } from "./bytes.ts";

/** A JSON object whose fields are read with checks. All readers throw `malformed`. */
export class JsonObject {
  readonly #path: string;
  readonly #fields: Record<string, unknown>;

  constructor(value: unknown, path: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw malformed(`${path} is not an object`);
    }
    this.#path = path;
    this.#fields = value as Record<string, unknown>;
  }

  #at(key: string): string {
    return `${this.#path}.${key}`;
  }

  /** Whether the field is there and not null. */
  has(key: string): boolean {
    return this.#fields[key] !== undefined && this.#fields[key] !== null;
  }

  /** Whether the field is there, and null. */
  isNull(key: string): boolean {
    return this.#fields[key] === null;
  }

  /** A field that the caller reads. */
  value(key: string): unknown {
    return this.#fields[key];
  }

  object(key: string): JsonObject {
    return new JsonObject(this.#fields[key], this.#at(key));
  }

  objects(key: string): JsonObject[] {
    return this.list(key).map((value, i) => new JsonObject(value, `${this.#at(key)}[${i}]`));
  }

  list(key: string): unknown[] {
    const value = this.#fields[key];
    if (!Array.isArray(value)) throw malformed(`${this.#at(key)} is not a list`);
    return value;
  }

  text(key: string): string {
    const value = this.#fields[key];
    if (typeof value !== "string") throw malformed(`${this.#at(key)} is not a text`);
    return value;
  }

  textOr<T>(key: string, otherwise: T): string | T {
    return this.has(key) ? this.text(key) : otherwise;
  }

  /** An integer from 0 to 2^53 - 1. */
  uint(key: string): number {
    const value = this.#fields[key];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw malformed(`${this.#at(key)} is not an unsigned integer`);
    }
    return value;
  }

  uintOr<T>(key: string, otherwise: T): number | T {
    return this.has(key) ? this.uint(key) : otherwise;
  }

  flag(key: string): boolean {
    const value = this.#fields[key];
    if (typeof value !== "boolean") throw malformed(`${this.#at(key)} is not true or false`);
    return value;
  }

  /** A 0x-hex text, lower-cased; of `length` bytes when given. */
  hex(key: string, length?: number): Hex {
    return checkHex(this.#fields[key], this.#at(key), length);
  }

  hexes(key: string, length: number): Hex[] {
    return this.list(key).map((value, i) => checkHex(value, `${this.#at(key)}[${i}]`, length));
  }
}

function checkHex(value: unknown, path: string, length?: number): Hex {
  if (typeof value !== "string" || !/^0x(?:[0-9a-fA-F]{2})*$/.test(value)) throw malformed(`${path} is not 0x-hex`);
  const size = (value.length - 2) / 2;
  if (length !== undefined && size !== length) throw malformed(`${path} has ${size} bytes, ${length} expected`);
  return value.toLowerCase() as Hex;
}
