// What a stream consists of, as every channel and every HTTP answer brings it.

import type { AnchorState } from "../marks.ts";
import type { Bytes, Hex } from "./bytes.ts";

/** One message of a stream. */
export interface StreamMessage {
  readonly seq: number;
  /** ms since the Unix epoch, set by the relay. */
  readonly time: number;
  /** 20-byte address of the author. */
  readonly author: Hex;
  readonly payload: Bytes;
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

/** A payload that is above a limit, or does not fit a data-channel message: it is left out. */
export interface OmittedPayload {
  /** Its length in bytes. */
  readonly size: number;
  /** Its keccak256. */
  readonly digest: Hex;
}

/** Something that was published on chain, or a change of its state alone. */
export interface ChainEvent {
  readonly block: number;
  readonly logIndex: number;
  readonly tx: Hex;
  readonly state: AnchorState;
  /** Undefined when only the state is new. */
  readonly author: Hex | undefined;
  /** Undefined when only the state is new; empty when it is omitted. */
  readonly payload: Bytes | undefined;
  /** What is left out of the event, if its payload is. */
  readonly omitted?: OmittedPayload | undefined;
}
