// Events of the contract that are not anchors: found by block, log index and transaction, since they have no seq.

import { type Bytes, fromHex, toHex } from "../wire/bytes.ts";
import type { ChainFrame } from "../wire/frames.ts";
import type { JsonObject } from "../wire/json.ts";
import { type ChainEvent, readOmitted } from "../wire/records.ts";

/** Identifies an event: a transaction that a reorganisation moves to another block makes another event. */
export const chainEventKey = ({ block, logIndex, tx }: ChainEvent): string => `${block}/${logIndex}/${tx}`;

/** The event of a relay's frame. */
export function chainEventOf(frame: ChainFrame): ChainEvent {
  const isNew = frame.kind === "chain";
  return {
    block: frame.block,
    logIndex: frame.logIndex,
    tx: toHex(frame.tx),
    state: frame.state,
    author: isNew ? toHex(frame.author) : undefined,
    payload: isNew ? (frame.payload.slice() as Bytes) : undefined,
    ...(isNew && frame.omitted ? { omitted: frame.omitted } : {}),
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
    ...readOmitted(json, "omitted"),
  };
}

/** The events of a stream as they come, in the order of the chain. Those taken back stay, as `reverted`. */
export class ChainEvents {
  readonly #held = new Map<string, ChainEvent>();
  readonly #max: number;

  /** Keeps the newest `max` events. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Adds an event or a change of its state; returns whether anything changed. */
  take(update: ChainEvent): boolean {
    const key = chainEventKey(update);
    const before = this.#held.get(key);
    if (before === undefined && update.payload === undefined) return false; // of an event older than those held
    // A payload that was left out on one way may come on another, and never goes again.
    const isWhole = before?.payload !== undefined && before.omitted === undefined;
    const content = update.payload === undefined || (update.omitted !== undefined && isWhole) ? before : update;
    const isFilled = before?.omitted !== undefined && content !== undefined && content.omitted === undefined;
    const next = {
      ...update,
      author: update.author ?? before?.author,
      payload: content?.payload,
      omitted: content?.omitted,
      state: before?.state === "final" && update.state === "anchored" ? before.state : update.state,
    };
    if (before?.state === next.state && !isFilled) return false;
    this.#held.set(key, next);
    const surplus = this.#held.size - this.#max;
    for (const old of surplus > 0 ? this.toArray().slice(0, surplus) : []) this.#held.delete(chainEventKey(old));
    return true;
  }

  /** All events held, in the order of the chain. */
  toArray(): ChainEvent[] {
    return [...this.#held.values()].sort((a, b) => a.block - b.block || a.logIndex - b.logIndex);
  }
}
