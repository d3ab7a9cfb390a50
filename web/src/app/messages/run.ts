// The messages that the page has: contiguous, and bounded by dropping the oldest.

import type { StreamMessage } from "../../lib/index.ts";

/** Messages kept at most; older ones can be read again. */
export const MAX_HELD_MESSAGES = 20_000;

/** A contiguous run of a stream's messages. */
export class MessageRun {
  #first = 0;
  #messages: StreamMessage[] = [];

  /** Seq of the oldest message. */
  get first(): number {
    return this.#first;
  }

  /** Seq after the newest message. */
  get end(): number {
    return this.#first + this.#messages.length;
  }

  get length(): number {
    return this.#messages.length;
  }

  /** The message at a seq, if the run has it. */
  at(seq: number): StreamMessage | undefined {
    return this.#messages[seq - this.#first];
  }

  /** All messages from `first` to `end`, oldest first. */
  toArray(): StreamMessage[] {
    return [...this.#messages];
  }

  /** Adds the next message. A message that does not follow the last one starts a new run. */
  push(message: StreamMessage): void {
    if (message.seq !== this.end) {
      this.#messages = [];
      this.#first = message.seq;
    }
    this.#messages.push(message);
    if (this.#messages.length > MAX_HELD_MESSAGES + 1_000) {
      this.#messages.splice(0, this.#messages.length - MAX_HELD_MESSAGES); // rarely, so that it is cheap on average
      this.#first = (this.#messages[0] as StreamMessage).seq;
    }
  }

  /** Adds older messages in front; they must end where the run begins. */
  unshift(older: readonly StreamMessage[]): void {
    const last = older.at(-1);
    if (last === undefined || last.seq + 1 !== this.#first) return;
    this.#messages.unshift(...older);
    this.#first -= older.length;
  }

  /** Drops everything from `seq` on. */
  truncate(seq: number): void {
    this.#messages.length = Math.max(0, Math.min(this.#messages.length, seq - this.#first));
  }
}
