// The frames of the data channel: CBOR arrays `[kind, …]`, several of them in one data-channel message.
// Decoding is strict about the kinds and elements it knows. It skips unknown kinds, and elements behind the known ones,
// so that an older client works with a newer relay.

import { malformed } from "../errors.ts";
import { MAX_CHANNEL_MESSAGE_BYTES, MAX_GROUP_MESSAGES, MAX_PAYLOAD_BYTES, MAX_PRESENT_AUTHORS } from "../limits.ts";
import type { AnchorState } from "../marks.ts";
import { type Bytes, type Hex, toHex } from "./bytes.ts";
import { type CborItem, decodeSequence, encodeCbor } from "./cbor.ts";
import type { Omitted, Presence } from "./records.ts";

/** States by their number on the wire. */
const ANCHOR_STATES: readonly AnchorState[] = ["anchored", "final", "reverted"];

/** Error codes of the `error` frame. */
export const RelayErrorCode = {
  malformed: 1,
  tooLarge: 2,
  notAllowed: 3,
  producerGap: 4,
  streamMoved: 5,
  goingAway: 6,
  sessionEnded: 7,
  overloaded: 8,
  unexpected: 9,
  rateLimited: 10,
  badSignature: 11,
  signatureRequired: 12,
  brokenChain: 13,
} as const;

/** Frames that a client sends. */
export type ClientFrame =
  /** `key`: the groups of this session are signed with it. */
  | { readonly kind: "hello"; readonly producer: Uint8Array; readonly key?: Uint8Array | undefined }
  | { readonly kind: "publish"; readonly producerSeq: number; readonly payload: Uint8Array }
  | GroupFrame
  /** `signatures`: the relay sends the signatures of groups as well. */
  | { readonly kind: "subscribe"; readonly from: number | null; readonly signatures?: boolean | undefined }
  /** The edge's grant for the stream of a further channel. */
  | { readonly kind: "join"; readonly grant: string }
  /** What this client can do beside what every client can: bits of `Ability`. */
  | { readonly kind: "abilities"; readonly bits: number };

/** The bits of the `abilities` frame. */
export const Ability = {
  /** A second `welcome` on a channel is understood: the stream has another epoch. */
  secondWelcome: 1,
  /** The relay reports who is on the stream. */
  wantsPresence: 2,
  /** The author of this session may be listed in these reports. */
  seen: 4,
  /** A signed group comes as one frame, where signatures are asked for. */
  takesGroups: 8,
} as const;

/** A signed group of messages, whose numbers begin with `producerSeq`. */
export interface GroupFrame {
  readonly kind: "group";
  readonly producerSeq: number;
  readonly previous: Uint8Array;
  readonly signature: Uint8Array;
  readonly payloads: readonly Uint8Array[];
}

/** What a relay announces in its welcome: limits, and the rate limits of this session. */
interface RelayLimits {
  /** Largest payload in bytes. */
  readonly payload: number;
  /** Commit interval of the relay in ms. */
  readonly batchMs: number | undefined;
  /** Messages that the relay's replay buffer holds at most. */
  readonly buffer: number | undefined;
  /** Frames that this session may send in a second. */
  readonly messagesPerS: number | undefined;
  /** Payload bytes that this session may send in a second. */
  readonly bytesPerS: number | undefined;
  /** Messages of one signed group, at most; undefined when the relay takes no groups. */
  readonly groupMessages: number | undefined;
  /** Whether the stream takes signed groups alone. */
  readonly signed: boolean;
}

/** One message as a relay sends it. */
export interface MessageFrame {
  readonly kind: "message";
  readonly epoch: number;
  readonly seq: number;
  /** ms since the Unix epoch, set by the relay. */
  readonly time: number;
  readonly author: Uint8Array;
  readonly payload: Uint8Array;
}

/** The signature of the group whose first message, with this seq, comes next. */
export interface SignatureFrame {
  readonly kind: "signature";
  readonly epoch: number;
  readonly seq: number;
  readonly count: number;
  readonly producer: Uint8Array;
  readonly producerSeq: number;
  readonly previous: Uint8Array;
  readonly key: Uint8Array;
  readonly signature: Uint8Array;
}

/** An anchor of the stream's messages `first .. first + count`. */
export interface AnchoredFrame {
  readonly kind: "anchored";
  readonly first: number;
  readonly count: number;
  readonly root: Uint8Array;
  readonly tx: Uint8Array;
  readonly block: number;
  readonly state: AnchorState;
}

/** An error that a relay reports. */
export interface ErrorFrame {
  readonly kind: "error";
  /** One of `RelayErrorCode`, or a code of a newer relay. */
  readonly code: number;
  readonly text: string;
  /** How long to send nothing, in ms. */
  readonly retryMs: number | undefined;
}

/** The relay's answer to `hello`. */
export interface WelcomeFrame {
  readonly kind: "welcome";
  readonly epoch: number;
  readonly head: number;
  readonly committed: number;
  /** Last stored `producer_seq` of this producer, or null when it has none. */
  readonly stored: number | null;
  readonly limits: RelayLimits;
}

/** An event of the chain: a message published through the contract, or a change of its state. */
export type ChainFrame =
  | {
      readonly kind: "chain";
      readonly block: number;
      readonly logIndex: number;
      readonly author: Uint8Array;
      readonly payload: Uint8Array;
      readonly tx: Uint8Array;
      readonly state: AnchorState;
      /** What is known of a payload that is left out. */
      readonly omitted?: Omitted;
    }
  | {
      readonly kind: "chain-state";
      readonly block: number;
      readonly logIndex: number;
      readonly tx: Uint8Array;
      readonly state: AnchorState;
    };

/** Who is on the stream, as the relay counts them. */
export type PresenceFrame = Presence & { readonly kind: "presence" };

/** Frames that a relay sends. */
export type RelayFrame =
  | WelcomeFrame
  | PresenceFrame
  | MessageFrame
  | SignatureFrame
  /** `count` messages from this number on were accepted; a group has one answer. */
  | { readonly kind: "accepted"; readonly producerSeq: number; readonly seq: number | null; readonly count: number }
  | { readonly kind: "committed"; readonly committed: number }
  | AnchoredFrame
  | ChainFrame
  | { readonly kind: "gap"; readonly from: number; readonly to: number }
  | ErrorFrame;

/** The bytes of one client frame. */
export function encodeFrame(frame: ClientFrame): Bytes {
  switch (frame.kind) {
    case "hello":
      return encodeCbor(frame.key === undefined ? [1, frame.producer] : [1, frame.producer, frame.key]);
    case "publish":
      return encodeCbor([2, frame.producerSeq, frame.payload]);
    case "subscribe":
      return encodeCbor(frame.signatures ? [3, frame.from, 1] : [3, frame.from]);
    case "group":
      return encodeCbor([4, frame.producerSeq, frame.previous, frame.signature, [...frame.payloads]]);
    case "join":
      return encodeCbor([5, frame.grant]);
    case "abilities":
      return encodeCbor([6, frame.bits]);
  }
}

/** Reads the fields of one frame in order and checks each. */
class Fields {
  readonly #kind: string;
  readonly #values: CborItem[];
  #at = 1;

  constructor(kind: string, values: CborItem[], length: number) {
    if (values.length < length) throw malformed(`${kind} frame of ${values.length} elements, ${length} expected`);
    this.#kind = kind;
    this.#values = values;
  }

  #next(): CborItem {
    return this.#values[this.#at++] as CborItem;
  }

  #wrong(what: string): Error {
    return malformed(`${this.#kind} frame: element ${this.#at - 1} is not ${what}`);
  }

  uint(): number {
    const value = this.#next();
    if (typeof value !== "number" || value < 0) throw this.#wrong("an unsigned integer");
    return value;
  }

  uintOrNull(): number | null {
    if (this.#values[this.#at] !== null) return this.uint();
    this.#at++;
    return null;
  }

  /** An integer behind the required elements; undefined when there is none. */
  optionalUint(): number | undefined {
    const value = this.#values[this.#at++];
    return typeof value === "number" && value >= 0 ? value : undefined;
  }

  bytes(length: number): Uint8Array {
    const value = this.#next();
    if (!(value instanceof Uint8Array) || value.length !== length) throw this.#wrong(`${length} bytes`);
    return value;
  }

  /** Bytes behind the required elements; undefined when there are none of this length. */
  optionalBytes(length: number): Uint8Array | undefined {
    const value = this.#values[this.#at++];
    return value instanceof Uint8Array && value.length === length ? value : undefined;
  }

  payload(): Uint8Array {
    return this.#payload(this.#next());
  }

  /** The payloads of a group. */
  payloads(): Uint8Array[] {
    const value = this.#next();
    const isGroup = Array.isArray(value) && value.length >= 1 && value.length <= MAX_GROUP_MESSAGES;
    if (!isGroup) throw this.#wrong(`a list of 1 to ${MAX_GROUP_MESSAGES} payloads`);
    return value.map((payload) => this.#payload(payload));
  }

  #payload(value: CborItem): Uint8Array {
    if (!(value instanceof Uint8Array) || value.length > MAX_PAYLOAD_BYTES) throw this.#wrong("a payload");
    return value;
  }

  /** Addresses of 20 bytes behind the required elements; none when there is no list. */
  optionalAddresses(max: number): Hex[] {
    const value = this.#values[this.#at++];
    if (value === undefined) return [];
    if (!Array.isArray(value) || value.length > max) throw this.#wrong(`a list of at most ${max} addresses`);
    return value.map((address) => {
      if (!(address instanceof Uint8Array) || address.length !== 20) throw this.#wrong("a list of addresses");
      return toHex(address);
    });
  }

  /** Bytes of any length: gas alone bounds what is published on chain. */
  anyBytes(): Uint8Array {
    const value = this.#next();
    if (!(value instanceof Uint8Array)) throw this.#wrong("bytes");
    return value;
  }

  text(): string {
    const value = this.#next();
    if (typeof value !== "string") throw this.#wrong("a text");
    return value;
  }

  /** Checks that `count` messages from `seq` on have numbers. */
  checkSeqs(seq: number, count: number): void {
    if (!Number.isSafeInteger(seq + count)) throw malformed(`${this.#kind} frame: ${count} messages from ${seq} on`);
  }

  /** What stands beside the messages of a signed group. */
  signed(): Pick<SignatureFrame, "producer" | "producerSeq" | "previous" | "key" | "signature"> {
    return {
      producer: this.bytes(16),
      producerSeq: this.uint(),
      previous: this.bytes(32),
      key: this.bytes(33),
      signature: this.bytes(64),
    };
  }

  limits(): RelayLimits {
    const map = this.#next();
    if (!(map instanceof Map)) throw this.#wrong("a map");
    const limit = (key: string): number | undefined => {
      const value = map.get(key);
      if (value === undefined) return undefined;
      if (typeof value !== "number" || value < 0) throw this.#wrong(`a map with an integer at "${key}"`);
      return value;
    };
    return {
      payload: limit("payload") ?? MAX_PAYLOAD_BYTES,
      batchMs: limit("batch_ms"),
      buffer: limit("buffer"),
      messagesPerS: limit("messages_per_s"),
      bytesPerS: limit("bytes_per_s"),
      groupMessages: limit("group_messages"),
      signed: limit("signed") === 1,
    };
  }

  anchorState(): AnchorState {
    const state = ANCHOR_STATES[this.uint()];
    if (state === undefined) throw this.#wrong("an anchor state");
    return state;
  }
}

/** How many items a chain frame with an omitted payload has. */
const CHAIN_WITH_OMITTED = 9;

const RELAY_FRAMES: Record<number, (values: CborItem[]) => RelayFrame | RelayFrame[]> = {
  16: (values) => {
    const f = new Fields("welcome", values, 6);
    return {
      kind: "welcome",
      epoch: f.uint(),
      head: f.uint(),
      committed: f.uint(),
      stored: f.uintOrNull(),
      limits: f.limits(),
    };
  },
  17: (values) => {
    const f = new Fields("message", values, 6);
    return {
      kind: "message",
      epoch: f.uint(),
      seq: f.uint(),
      time: f.uint(),
      author: f.bytes(20),
      payload: f.payload(),
    };
  },
  18: (values) => {
    const f = new Fields("accepted", values, 3);
    return { kind: "accepted", producerSeq: f.uint(), seq: f.uintOrNull(), count: f.optionalUint() ?? 1 };
  },
  19: (values) => ({ kind: "committed", committed: new Fields("committed", values, 2).uint() }),
  20: (values) => {
    const f = new Fields("anchored", values, 7);
    return {
      kind: "anchored",
      first: f.uint(),
      count: f.uint(),
      root: f.bytes(32),
      tx: f.bytes(32),
      block: f.uint(),
      state: f.anchorState(),
    };
  },
  21: (values) => {
    const f = new Fields("chain", values, 7);
    return {
      kind: "chain",
      block: f.uint(),
      logIndex: f.uint(),
      author: f.bytes(20),
      payload: f.anyBytes(),
      tx: f.bytes(32),
      state: f.anchorState(),
      ...(values.length < CHAIN_WITH_OMITTED ? {} : { omitted: { size: f.uint(), digest: toHex(f.bytes(32)) } }),
    };
  },
  22: (values) => {
    const f = new Fields("gap", values, 3);
    const gap = { kind: "gap", from: f.uint(), to: f.uint() } as const;
    if (gap.to < gap.from) throw malformed("gap frame ends before it begins");
    return gap;
  },
  23: (values) => {
    const f = new Fields("error", values, 3);
    return { kind: "error", code: f.uint(), text: f.text(), retryMs: f.optionalUint() };
  },
  24: (values) => {
    const f = new Fields("chain-state", values, 5);
    return { kind: "chain-state", block: f.uint(), logIndex: f.uint(), tx: f.bytes(32), state: f.anchorState() };
  },
  25: (values) => {
    const f = new Fields("signature", values, 9);
    const [epoch, seq, count] = [f.uint(), f.uint(), f.uint()];
    if (count < 1 || count > MAX_GROUP_MESSAGES) throw malformed(`signature frame of a group of ${count} messages`);
    f.checkSeqs(seq, count);
    return { kind: "signature", epoch, seq, count, ...f.signed() };
  },
  26: (values) => {
    const f = new Fields("presence", values, 3);
    const [readers, publishers] = [f.uint(), f.uint()];
    return { kind: "presence", readers, publishers, authors: f.optionalAddresses(MAX_PRESENT_AUTHORS) };
  },
  27: (values) => {
    const f = new Fields("signed group", values, 11);
    const [epoch, seq, time, author] = [f.uint(), f.uint(), f.uint(), f.bytes(20)];
    const [signed, payloads] = [f.signed(), f.payloads()];
    f.checkSeqs(seq, payloads.length);
    return [
      { kind: "signature", epoch, seq, count: payloads.length, ...signed },
      ...payloads.map((payload, at) => ({ kind: "message", epoch, seq: seq + at, time, author, payload }) as const),
    ];
  },
};

/**
 * The frames of one data-channel message, in order, without those of unknown kinds; a signed group as its signature and its
 * messages. Throws `malformed`.
 */
export function decodeRelayMessage(bytes: Uint8Array): RelayFrame[] {
  if (bytes.length > MAX_CHANNEL_MESSAGE_BYTES)
    throw malformed(`data-channel message of ${bytes.length} bytes, limit ${MAX_CHANNEL_MESSAGE_BYTES}`);
  const frames: RelayFrame[] = [];
  for (const item of decodeSequence(bytes)) {
    if (!Array.isArray(item) || typeof item[0] !== "number") throw malformed("frame is not an array with a kind");
    const decode = RELAY_FRAMES[item[0]];
    if (decode === undefined) continue;
    const decoded = decode(item);
    if (Array.isArray(decoded)) frames.push(...decoded);
    else frames.push(decoded);
  }
  return frames;
}

/** A signed group of messages that comes directly from another browser: `[33, …]`. */
export type DirectGroup = Omit<SignatureFrame, "kind" | "epoch" | "seq" | "count"> & {
  readonly payloads: readonly Uint8Array[];
};

/** Kind of the frame on a direct channel that brings a signed group. */
export const DIRECT_GROUP_KIND = 33;

/** The bytes of a signed group on a direct channel. */
export const encodeDirectGroup = (group: DirectGroup): Bytes => {
  const { producer, producerSeq, previous, key, signature, payloads } = group;
  return encodeCbor([DIRECT_GROUP_KIND, producer, producerSeq, previous, key, signature, [...payloads]]);
};

/** Reads a signed group of a direct channel. Throws `malformed`. */
export function readDirectGroup(item: CborItem[]): DirectGroup {
  const f = new Fields("direct group", item, 7);
  return { ...f.signed(), payloads: f.payloads() };
}

/** The client frames of one data-channel message, as a relay (or a test in its place) reads them. */
export function decodeClientMessage(bytes: Uint8Array): ClientFrame[] {
  const frames: ClientFrame[] = [];
  for (const item of decodeSequence(bytes)) {
    if (!Array.isArray(item)) throw malformed("frame is not an array");
    if (item[0] === 1) {
      const f = new Fields("hello", item, 2);
      frames.push({ kind: "hello", producer: f.bytes(16), key: f.optionalBytes(33) });
    }
    if (item[0] === 2) {
      const f = new Fields("publish", item, 3);
      frames.push({ kind: "publish", producerSeq: f.uint(), payload: f.payload() });
    }
    if (item[0] === 3) {
      const f = new Fields("subscribe", item, 2);
      frames.push({ kind: "subscribe", from: f.uintOrNull(), signatures: f.optionalUint() === 1 });
    }
    if (item[0] === 4) {
      const f = new Fields("group", item, 5);
      const [producerSeq, previous, signature] = [f.uint(), f.bytes(32), f.bytes(64)];
      frames.push({ kind: "group", producerSeq, previous, signature, payloads: f.payloads() });
    }
    if (item[0] === 5) frames.push({ kind: "join", grant: new Fields("join", item, 2).text() });
    if (item[0] === 6) frames.push({ kind: "abilities", bits: new Fields("abilities", item, 2).uint() });
  }
  return frames;
}
