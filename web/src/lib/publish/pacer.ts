// How fast this page may send: as much as the relay said in its welcome, a burst first.
//
// What always holds: what was sent in any span is at most the rate times that span and the burst, which is smaller than
// the relay's own, so that a page that paces itself is never refused for its own speed.

import { PACE_BURST_MS } from "../limits.ts";

/** Rates that a relay told; undefined or 0 where it has none. */
export interface Rates {
  /** Frames in a second. */
  readonly messagesPerS: number | undefined;
  /** Payload bytes in a second. */
  readonly bytesPerS: number | undefined;
}

/** Counts what was sent against the rates. Times are ms of a clock that never jumps. */
export class Pace {
  #msPerMessage = 0;
  #msPerByte = 0;
  #messagesPaidAt = 0;
  #bytesPaidAt = 0;

  /** The rates of a new session, which begins with a full burst. */
  begin(rates: Rates): void {
    this.#msPerMessage = rates.messagesPerS ? 1_000 / rates.messagesPerS : 0;
    this.#msPerByte = rates.bytesPerS ? 1_000 / rates.bytesPerS : 0;
    this.#messagesPaidAt = 0;
    this.#bytesPaidAt = 0;
  }

  /** How many messages may go together, so that one data-channel message is no burst of its own. */
  get together(): number {
    if (this.#msPerMessage === 0) return Number.POSITIVE_INFINITY;
    return Math.max(1, Math.floor(PACE_BURST_MS / 4 / this.#msPerMessage));
  }

  /** How long to wait before sending more, in ms; 0 when it may go now. */
  wait(now: number): number {
    return Math.max(0, Math.ceil(Math.max(this.#messagesPaidAt, this.#bytesPaidAt) - now - PACE_BURST_MS));
  }

  /** So much was sent. */
  spend(messages: number, bytes: number, now: number): void {
    this.#messagesPaidAt = Math.max(this.#messagesPaidAt, now) + messages * this.#msPerMessage;
    this.#bytesPaidAt = Math.max(this.#bytesPaidAt, now) + bytes * this.#msPerByte;
  }
}
