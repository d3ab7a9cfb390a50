// What a stream consists of, as every channel and every HTTP answer brings it.

import type { AnchorState } from "../marks.ts";
import type { Bytes, Hex } from "./bytes.ts";
import type { JsonObject } from "./json.ts";

/** What is known of a payload that is not there. */
export interface Omitted {
  /** Its size in bytes. */
  readonly size: number;
  /** Its keccak256 hash. */
  readonly digest: Hex;
}

/** One message of a stream. */
export interface StreamMessage {
  readonly seq: number;
  /** ms since the Unix epoch, set by the relay. */
  readonly time: number;
  /** 20-byte address of the author. */
  readonly author: Hex;
  /** Empty when it was erased. */
  readonly payload: Bytes;
  /** What is known of the payload, if it was erased: its leaf, and so every proof, is still the same. */
  readonly erased?: Omitted;
}

/** Where the messages `first .. first + count` are anchored, and how sure that is. */
export interface AnchorRef {
  readonly first: number;
  readonly count: number;
  readonly root: Hex;
  readonly tx: Hex;
  readonly block: number;
  readonly state: AnchorState;
}

/** Something that was published on chain, or a change of its state alone. */
export interface ChainEvent {
  readonly block: number;
  readonly logIndex: number;
  readonly tx: Hex;
  readonly state: AnchorState;
  /** Undefined when only the state is new. */
  readonly author: Hex | undefined;
  /** Undefined when only the state is new; empty when it is left out. */
  readonly payload: Bytes | undefined;
  /** What is known of a payload that is left out since it is larger than messages are. */
  readonly omitted?: Omitted | undefined;
}

/** Reads the member of this name, if it is there. */
export function readOmitted<Name extends string>(json: JsonObject, name: Name): { readonly [key in Name]?: Omitted } {
  if (!json.has(name)) return {};
  const omitted = json.object(name);
  return { [name]: { size: omitted.uint("size"), digest: omitted.hex("digest", 32) } } as { [key in Name]: Omitted };
}
