// What is published through the contract: found by block, log index and transaction, for it has no seq.

import { type Bytes, fromHex, type Hex, toHex } from "../wire/bytes.ts";
import type { RelayFrame } from "../wire/frames.ts";
import type { JsonObject } from "../wire/json.ts";

/** How sure an event of the chain is: in a block, in a final block, or taken back by a reorg. */
export type ChainState = "anchored" | "final" | "reverted";

/** Something that was published on chain, or news of its state alone. */
export interface ChainEvent {
  readonly block: number;
  readonly logIndex: number;
  readonly tx: Hex;
  readonly state: ChainState;
  /** Undefined where only the state is new. */
  readonly author: Hex | undefined;
  /** Undefined where only the state is new. */
  readonly payload: Bytes | undefined;
}

/** What names an event: a transaction that a reorg moves to another block makes another event. */
export const chainEventKey = ({ block, logIndex, tx }: ChainEvent): string => `${block}/${logIndex}/${tx}`;

/** The event of a relay's frame. */
export function chainEventOf(frame: RelayFrame & { readonly kind: "chain" | "chain-state" }): ChainEvent {
  const isNew = frame.kind === "chain";
  return {
    block: frame.block,
    logIndex: frame.logIndex,
    tx: toHex(frame.tx),
    state: frame.state,
    author: isNew ? toHex(frame.author) : undefined,
    payload: isNew ? (frame.payload.slice() as Bytes) : undefined,
  };
}

/** The event in a JSON answer of the edge. */
export function readChainEvent(json: JsonObject): ChainEvent {
  const state = json.text("state");
  return {
    block: json.uint("block"),
    logIndex: json.uint("logIndex"),
    tx: json.hex("tx", 32),
    state: state === "final" || state === "reverted" ? state : "anchored",
    author: json.has("author") ? json.hex("author", 20) : undefined,
    payload: json.has("payload") ? fromHex(json.hex("payload")) : undefined,
  };
}

/** The events of a stream as they come, in the order of the chain; those taken back stay, marked so. */
export class ChainEvents {
  readonly #held = new Map<string, ChainEvent>();
  readonly #most: number;

  /** Keeps the newest `most` events. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Takes news; whether anything changed. */
  take(news: ChainEvent): boolean {
    const key = chainEventKey(news);
    const before = this.#held.get(key);
    if (before === undefined && news.payload === undefined) return false; // older than what is held
    const next: ChainEvent = {
      ...news,
      author: news.author ?? before?.author,
      payload: news.payload ?? before?.payload,
    };
    if (before?.state === next.state || (before?.state === "final" && next.state === "anchored")) return false;
    this.#held.set(key, next);
    const surplus = this.#held.size - this.#most;
    for (const old of surplus > 0 ? this.toArray().slice(0, surplus) : []) this.#held.delete(chainEventKey(old));
    return true;
  }

  /** All that is held, in the order of the chain. */
  toArray(): ChainEvent[] {
    return [...this.#held.values()].sort((a, b) => a.block - b.block || a.logIndex - b.logIndex);
  }
}
