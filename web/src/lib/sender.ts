// Moves publications from the outbox to a session's channel, as fast as the channel drains and the relay agrees.

import { concat } from "./bytes.ts";
import { OVERLOAD_PAUSE_MS } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import type { Platform } from "./platform.ts";
import type { Session } from "./session.ts";

/** Pauses in a row grow up to this power of two. */
const MAX_PAUSE_DOUBLINGS = 4;

/** Sends while a session is there and nobody asked to hold. */
export class Sender {
  readonly #outbox: Outbox;
  readonly #platform: Platform;
  #session: Session | null = null;
  #holdTimer: unknown = null;
  #holds = 0;
  #planned = false;

  constructor(outbox: Outbox, platform: Platform) {
    this.#outbox = outbox;
    this.#platform = platform;
  }

  /** How often the relay asked to hold since it last took a message. */
  get holds(): number {
    return this.#holds;
  }

  /** The session has greeted: what waits goes out. */
  start(session: Session): void {
    this.#session = session;
    this.#holds = 0;
    this.plan();
  }

  /** The session is over. */
  stop(): void {
    this.#session = null;
    this.#platform.clearTimer(this.#holdTimer);
    this.#holdTimer = null;
  }

  /** Sends at the end of this turn, so that what is published in one turn goes out together. */
  plan(): void {
    if (this.#planned || this.#session === null) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      this.flush();
    });
  }

  /** Sends as much as the channel takes. */
  flush(): void {
    if (this.#holdTimer !== null) return;
    while (this.#session?.writable) {
      const frames = this.#outbox.nextMessage();
      if (frames === null) return;
      this.#session.send(concat(frames));
    }
  }

  /** The relay took a message. */
  answered(): void {
    this.#holds = 0;
  }

  /** The relay can't keep up: pauses, longer each time in a row, then sends again what was not answered. */
  hold(): void {
    if (this.#holdTimer !== null) return;
    const ms = OVERLOAD_PAUSE_MS * 2 ** Math.min(this.#holds++, MAX_PAUSE_DOUBLINGS);
    this.#holdTimer = this.#platform.setTimer(() => {
      this.#holdTimer = null;
      this.#outbox.resendUnanswered();
      this.flush();
    }, ms);
  }
}
