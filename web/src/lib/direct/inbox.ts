// Messages that came from another browser directly, before the relay sent them.
//
// What always holds: each direct message is reported once, as tentative, and settled by the relay's frame with the same
// author and payload, which alone has a seq. It is not reported when the relay was faster, and dropped when the relay
// never sends it. (A relay's frame names no producer, so the two are matched by their content; equal messages of one
// author are matched in their order.)

import { keccak } from "../chain/keccak.ts";
import { DIRECT_LIFE_MS, MAX_DIRECT_PENDING, MAX_DIRECT_PRODUCERS, MAX_DIRECT_REMEMBERED } from "../limits.ts";
import type { Platform } from "../platform.ts";
import { type Bytes, type Hex, toHex } from "../wire/bytes.ts";

/** A message that came directly, or its new state. */
export interface DirectMessage {
  /** The same for all states of one message. */
  readonly id: string;
  readonly author: Hex;
  readonly payload: Bytes;
  /** Sent by its author alone; sent by the relay too, under `seq`; or never sent by the relay. */
  readonly state: "tentative" | "settled" | "dropped";
  readonly seq: number | undefined;
  /** Whether its author signed it, and the signature was checked. */
  readonly signed: boolean;
}

interface Pending {
  readonly signed: boolean;
  readonly id: string;
  readonly key: string;
  readonly author: Hex;
  readonly payload: Bytes;
  readonly expires: number;
}

/** The direct messages of one stream. */
export class DirectInbox {
  readonly #platform: Platform;
  readonly #notify: (message: DirectMessage) => void;
  /** The highest `producer_seq` of each producer. */
  readonly #last = new Map<string, number>();
  #pending: Pending[] = [];
  /** Messages that the relay sent and that did not come directly, oldest first. */
  #relayed: { readonly key: string; readonly expires: number }[] = [];
  #timer: unknown = null;

  constructor(platform: Platform, notify: (message: DirectMessage) => void) {
    this.#platform = platform;
    this.#notify = notify;
  }

  /** Adds a direct message; returns whether it is new. */
  arrived(author: Hex, producer: Uint8Array, producerSeq: number, payload: Bytes, signed = false): boolean {
    const from = `${author}:${toHex(producer)}`;
    if (producerSeq <= (this.#last.get(from) ?? -1)) return false;
    this.#last.delete(from);
    this.#last.set(from, producerSeq);
    if (this.#last.size > MAX_DIRECT_PRODUCERS) this.#last.delete(this.#last.keys().next().value as string);
    const key = keyOf(author, payload);
    const known = this.#relayed.findIndex((entry) => entry.key === key);
    if (known >= 0) {
      this.#relayed.splice(known, 1);
      return false;
    }
    if (this.#pending.length >= MAX_DIRECT_PENDING) return false; // the relay sends it too
    const expires = this.#platform.clock() + DIRECT_LIFE_MS;
    const pending = { id: `${from}:${producerSeq}`, key, author, payload, expires, signed };
    this.#pending.push(pending);
    this.#notify({ ...pending, state: "tentative", seq: undefined });
    this.#plan();
    return true;
  }

  /** The relay sent a message. */
  relayed(author: Hex, payload: Uint8Array, seq: number): void {
    const key = keyOf(author, payload);
    const at = this.#pending.findIndex((pending) => pending.key === key);
    if (at < 0) {
      this.#relayed.push({ key, expires: this.#platform.clock() + DIRECT_LIFE_MS });
      if (this.#relayed.length > MAX_DIRECT_REMEMBERED) this.#relayed.shift();
      return;
    }
    const [pending] = this.#pending.splice(at, 1);
    if (pending !== undefined) this.#notify({ ...pending, state: "settled", seq });
  }

  /** Ends direct messages: those not settled are dropped. */
  close(): void {
    this.#platform.clearTimer(this.#timer);
    for (const pending of this.#pending.splice(0)) this.#notify({ ...pending, state: "dropped", seq: undefined });
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
    const expired = this.#pending.filter(({ expires }) => expires <= now);
    this.#pending = this.#pending.filter(({ expires }) => expires > now);
    this.#relayed = this.#relayed.filter(({ expires }) => expires > now);
    for (const pending of expired) this.#notify({ ...pending, state: "dropped", seq: undefined });
    this.#plan();
  }
}

function keyOf(author: Hex, payload: Uint8Array): string {
  return `${author}:${toHex(keccak(payload))}`;
}
