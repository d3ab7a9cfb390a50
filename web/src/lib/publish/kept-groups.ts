// How the storage keeps what producers signed, and whose ids are.
//
// A group is one record: how many messages it has, the digest of the group before it, its signature, its own digest, and its
// payloads. A record without payloads has each message in an entry of its own, written before the signature was there.

import type { TextStorage } from "../platform.ts";
import { NO_GROUP } from "../signed/group.ts";
import { type Bytes, fromBase64, type Hex, toBase64 } from "../wire/bytes.ts";

/** A group that was signed, without its messages. */
export interface SealedHeader {
  /** The `producer_seq` of its first message. */
  readonly first: number;
  readonly count: number;
  readonly previous: Bytes;
  readonly signature: Bytes;
}

/** The end of a producer's chain of groups. */
export interface ChainEnd {
  /** The `producer_seq` that the next group begins with. */
  readonly next: number;
  /** The digest of the last group. */
  readonly digest: Bytes;
}

/** The end of a chain without groups. */
export const START: ChainEnd = { next: 0, digest: NO_GROUP };

/** Where the author of an id is kept; `key` is where its next number is. */
export const authorKey = (key: string): string => `${key}:author`;

/** Where the end of the chain is kept. */
export const chainKey = (key: string): string => `${key}:chain`;

/** Where the group is kept that begins with this number. */
export const groupKey = (key: string, first: number | ""): string => `${key}:g${first}`;

const DIGEST_BYTES = 32;
const SIGNATURE_BYTES = 64;

/** Bytes of a kept text; undefined when it is not of this length. */
function keptBytes(text: string | undefined, length: number): Bytes | undefined {
  try {
    const bytes = fromBase64(text ?? "");
    return bytes.length === length ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** Where the chain ends: behind the last group that is kept, or where it was written that it does. */
export function chainIn(storage: TextStorage | null, key: string): ChainEnd {
  const [text, digestText] = (storage?.getItem(chainKey(key)) ?? "").split(" ");
  const digest = keptBytes(digestText, DIGEST_BYTES);
  const written = Number.isSafeInteger(Number(text)) && digest !== undefined ? { next: Number(text), digest } : START;
  const last = groupsIn(storage, key).at(-1);
  const end = last?.digest === undefined ? START : { next: last.first + last.count, digest: last.digest };
  return end.next > written.next ? end : written;
}

/** A group as it is kept. */
export interface KeptGroup extends SealedHeader {
  /** Missing in what an earlier version kept, which wrote the end of the chain with each group. */
  readonly digest: Bytes | undefined;
  /** The payloads of its messages; undefined when these are kept by themselves. */
  readonly payloads: readonly Bytes[] | undefined;
}

/** The record of a group; without payloads when its messages are kept by themselves. */
export const groupRecord = (
  { count, previous, signature }: SealedHeader,
  digest: Bytes,
  payloads: readonly Uint8Array[],
): string => [String(count), ...[previous, signature, digest, ...payloads].map(toBase64)].join(" ");

/** The groups that are kept, in order. */
export function groupsIn(storage: TextStorage | null, key: string): KeptGroup[] {
  const prefix = groupKey(key, "");
  return keysOf(storage)
    .filter((name) => name.startsWith(prefix))
    .flatMap((name) => readGroup(Number(name.slice(prefix.length)), storage?.getItem(name) ?? "") ?? [])
    .sort((a, b) => a.first - b.first);
}

function readGroup(first: number, kept: string): KeptGroup | undefined {
  const [size, before, signed, own, ...texts] = kept.split(" ");
  const count = Number(size);
  const [previous, signature] = [keptBytes(before, DIGEST_BYTES), keptBytes(signed, SIGNATURE_BYTES)];
  const isWhole = Number.isSafeInteger(first) && Number.isSafeInteger(count) && count > 0;
  if (!isWhole || previous === undefined || signature === undefined) return undefined;
  const payloads = texts.length === count ? readPayloads(texts) : undefined;
  return { first, count, previous, signature, digest: keptBytes(own, DIGEST_BYTES), payloads };
}

function readPayloads(texts: readonly string[]): Bytes[] | undefined {
  try {
    return texts.map((text) => fromBase64(text));
  } catch {
    return undefined;
  }
}

/** The author that an id is kept with; undefined for one that an earlier version kept. */
export function authorIn(storage: TextStorage | null, key: string): Hex | undefined {
  const author = storage?.getItem(authorKey(key)) ?? "";
  return /^0x[0-9a-f]{40}$/.test(author) ? (author as Hex) : undefined;
}

/** All keys of the storage; none where it is forbidden. */
export function keysOf(storage: TextStorage | null): string[] {
  if (storage === null) return [];
  try {
    return Array.from({ length: storage.length }, (_, i) => storage.key(i) ?? "");
  } catch {
    return [];
  }
}
