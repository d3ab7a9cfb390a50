// Keeps a page within the rate limits that the relay named in its welcome.
//
// What always holds: what is sent in any span of time is at most the rate times that span, plus a burst that is smaller
// than the relay's own. So a page that paces itself is never refused for its rate.

import { PACER_BURST_MS } from "../limits.ts";

/** The rate limits of a session; undefined or 0 where there is none. */
export interface RateLimits {
  /** Frames in a second. */
  readonly messagesPerS: number | undefined;
  /** Payload bytes in a second. */
  readonly bytesPerS: number | undefined;
}

/** Counts what was sent against the rate limits. Times are ms of a monotonic clock. */
export class Pacer {
  #msPerMessage = 0;
  #msPerByte = 0;
  #messagesDueAt = 0;
  #bytesDueAt = 0;

  /** Takes the rate limits of a new session, which begins with a full burst. */
  begin(limits: RateLimits): void {
    this.#msPerMessage = limits.messagesPerS ? 1_000 / limits.messagesPerS : 0;
    this.#msPerByte = limits.bytesPerS ? 1_000 / limits.bytesPerS : 0;
    this.#messagesDueAt = 0;
    this.#bytesDueAt = 0;
  }

  /** Messages that may share one data-channel message, so that it is a part of a burst at most. */
  get maxTogether(): number {
    if (this.#msPerMessage === 0) return Number.POSITIVE_INFINITY;
    return Math.max(1, Math.floor(PACER_BURST_MS / 4 / this.#msPerMessage));
  }

  /** How long to wait before sending more, in ms; 0 to send now. */
  wait(now: number): number {
    return Math.max(0, Math.ceil(Math.max(this.#messagesDueAt, this.#bytesDueAt) - now - PACER_BURST_MS));
  }

  /** Counts what was sent. */
  spend(messages: number, bytes: number, now: number): void {
    this.#messagesDueAt = Math.max(this.#messagesDueAt, now) + messages * this.#msPerMessage;
    this.#bytesDueAt = Math.max(this.#bytesDueAt, now) + bytes * this.#msPerByte;
  }
}
