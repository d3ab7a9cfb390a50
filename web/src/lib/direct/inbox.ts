// What came from another browser directly, before the relay told it.
//
// What always holds: each direct message is told once, as tentative, and settled by the relay's own frame of the same
// author and payload, which alone has a seq; it is not told at all when the relay was faster. One that the relay never
// tells is taken back. (A relay's frame names no producer, so the content matches the two; equal messages of one author
// are matched in their order, and it makes no difference which is which.)

import { keccak } from "../chain/merkle.ts";
import { DIRECT_LIFE_MS, DIRECT_PENDING, DIRECT_PRODUCERS, DIRECT_REMEMBERED } from "../limits.ts";
import type { Platform } from "../platform.ts";
import { type Bytes, type Hex, toHex } from "../wire/bytes.ts";

/** News of a message that came directly. */
export interface DirectMessage {
  /** The same for all news of one message. */
  readonly id: string;
  readonly author: Hex;
  readonly payload: Bytes;
  /** Told by its author alone; told by the relay under `seq`; or never told by the relay. */
  readonly state: "tentative" | "settled" | "dropped";
  readonly seq: number | undefined;
}

interface Pending {
  readonly id: string;
  readonly key: string;
  readonly author: Hex;
  readonly payload: Bytes;
  readonly expires: number;
}

/** The direct messages of one stream. */
export class DirectInbox {
  readonly #platform: Platform;
  readonly #tell: (message: DirectMessage) => void;
  /** The highest number from each producer. */
  readonly #last = new Map<string, number>();
  #pending: Pending[] = [];
  /** What the relay told and nobody has told directly, the oldest first. */
  #relayed: { readonly key: string; readonly expires: number }[] = [];
  #timer: unknown = null;

  constructor(platform: Platform, tell: (message: DirectMessage) => void) {
    this.#platform = platform;
    this.#tell = tell;
  }

  /** A direct message; false when it is no news. */
  arrived(author: Hex, producer: Uint8Array, producerSeq: number, payload: Bytes): boolean {
    const from = `${author}:${toHex(producer)}`;
    if (producerSeq <= (this.#last.get(from) ?? -1)) return false;
    this.#last.delete(from);
    this.#last.set(from, producerSeq);
    if (this.#last.size > DIRECT_PRODUCERS) this.#last.delete(this.#last.keys().next().value as string);
    const key = keyOf(author, payload);
    const known = this.#relayed.findIndex((entry) => entry.key === key);
    if (known >= 0) {
      this.#relayed.splice(known, 1);
      return false;
    }
    if (this.#pending.length >= DIRECT_PENDING) return false; // the relay brings it all the same
    const expires = this.#platform.clock() + DIRECT_LIFE_MS;
    const pending = { id: `${from}:${producerSeq}`, key, author, payload, expires };
    this.#pending.push(pending);
    this.#tell({ ...pending, state: "tentative", seq: undefined });
    this.#plan();
    return true;
  }

  /** The relay told a message. */
  relayed(author: Hex, payload: Uint8Array, seq: number): void {
    const key = keyOf(author, payload);
    const at = this.#pending.findIndex((pending) => pending.key === key);
    if (at < 0) {
      this.#relayed.push({ key, expires: this.#platform.clock() + DIRECT_LIFE_MS });
      if (this.#relayed.length > DIRECT_REMEMBERED) this.#relayed.shift();
      return;
    }
    const [pending] = this.#pending.splice(at, 1);
    if (pending !== undefined) this.#tell({ ...pending, state: "settled", seq });
  }

  /** No more comes directly: what is not settled by now is left to the relay. */
  close(): void {
    this.#platform.clearTimer(this.#timer);
    for (const pending of this.#pending.splice(0)) this.#tell({ ...pending, state: "dropped", seq: undefined });
    this.#relayed = [];
  }

  #plan(): void {
    this.#platform.clearTimer(this.#timer);
    const first = this.#pending[0];
    if (first === undefined) return;
    this.#timer = this.#platform.setTimer(() => this.#expire(), Math.max(0, first.expires - this.#platform.clock()));
  }

  #expire(): void {
    const now = this.#platform.clock();
    const late = this.#pending.filter(({ expires }) => expires <= now);
    this.#pending = this.#pending.filter(({ expires }) => expires > now);
    this.#relayed = this.#relayed.filter(({ expires }) => expires > now);
    for (const pending of late) this.#tell({ ...pending, state: "dropped", seq: undefined });
    this.#plan();
  }
}

function keyOf(author: Hex, payload: Uint8Array): string {
  return `${author}:${toHex(keccak(payload))}`;
}
