// What a stream consists of, as every channel and every HTTP answer brings it.

import { malformed } from "../errors.ts";
import type { AnchorState } from "../marks.ts";
import { type Bytes, type Hex, sameBytes } from "./bytes.ts";
import type { JsonObject } from "./json.ts";

/** What is known of a payload that is not there. */
export interface Omitted {
  /** Its size in bytes. */
  readonly size: number;
  /** Its keccak256 hash. */
  readonly digest: Hex;
}

/** The signature of an author over a group of messages, of which one is the message that has it. */
export interface MessageSignature {
  /** The seq of the group's first message. */
  readonly seq: number;
  readonly count: number;
  /** 16 bytes. */
  readonly producer: Hex;
  /** The `producer_seq` of the group's first message. */
  readonly producerSeq: number;
  /** Digest of the producer's group before this one; zeros at first. */
  readonly previous: Hex;
  /** The public key, 33 bytes. */
  readonly key: Hex;
  /** 64 bytes. */
  readonly signature: Hex;
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
  /**
   * Whether its author signed it. Undefined when that is not known: a connection without `signatures` reads messages from a
   * relay and from history without them.
   */
  readonly signed?: boolean;
  /** The signature, where the connection asks for them. It is not checked: `verifyAuthor` does that. */
  readonly signature?: MessageSignature;
}

/** Whether two messages of one seq are the same one: relays of two epochs may give a seq to different messages. */
export const isSameMessage = (a: StreamMessage, b: StreamMessage): boolean =>
  a.time === b.time && a.author === b.author && sameBytes(a.payload, b.payload);

/** Who is on a stream. */
export interface Presence {
  /** Sessions that follow the stream. */
  readonly readers: number;
  /** Sessions that may publish to it; one may be a reader too. */
  readonly publishers: number;
  /** Authors among both who wish to be seen, by address; at most `MAX_PRESENT_AUTHORS`. */
  readonly authors: readonly Hex[];
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

/** What a message has of the latest signature before it: nothing when it is not of that group. */
export const signedBy = (
  signature: MessageSignature | undefined,
  seq: number,
): { readonly signed: boolean; readonly signature?: MessageSignature } =>
  signature !== undefined && seq >= signature.seq && seq < signature.seq + signature.count
    ? { signed: true, signature }
    : { signed: false };

/** A producer's id, which JSON has with or without `0x`. */
function readProducer(json: JsonObject): Hex {
  const text = json.text("producer").toLowerCase();
  const id = text.startsWith("0x") ? text : `0x${text}`;
  if (!/^0x[0-9a-f]{32}$/.test(id)) throw malformed("the producer of a signature is not 16 bytes in hex");
  return id as Hex;
}

/** Reads the signature of a group. */
export function readSignature(json: JsonObject): MessageSignature {
  return {
    seq: json.uint("seq"),
    count: json.uint("count"),
    producer: readProducer(json),
    producerSeq: json.uint("producerSeq"),
    previous: json.hex("previous", 32),
    key: json.hex("key", 33),
    signature: json.hex("signature", 64),
  };
}
