// Moves publications from the outbox to a session's channel, as fast as the channel drains and the relay agrees.

import type { ErrorCode } from "../errors.ts";
import { OVERLOAD_PAUSE_MS, RATE_PAUSE_MAX_MS } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { Session } from "../session/session.ts";
import { concat } from "../wire/bytes.ts";
import { RelayErrorCode } from "../wire/frames.ts";
import type { Outbox } from "./outbox.ts";
import { Pace, type Rates } from "./pacer.ts";

/** Pauses in a row grow up to this power of two. */
const MAX_PAUSE_DOUBLINGS = 4;

/** A relay that misses earlier messages after this many pauses in a row will miss them for good. */
const MAX_HOLDS = 4;

/** Sends while a session is there and nobody asked to hold. */
export class Sender {
  readonly #outbox: Outbox;
  readonly #platform: Platform;
  #session: Session | null = null;
  readonly #pace = new Pace();
  #holdTimer: unknown = null;
  #paceTimer: unknown = null;
  #holds = 0;
  #planned = false;

  constructor(outbox: Outbox, platform: Platform) {
    this.#outbox = outbox;
    this.#platform = platform;
  }

  /** The session has greeted: what waits goes out. */
  start(session: Session): void {
    this.#session = session;
    this.#holds = 0;
    this.plan();
  }

  /** What the relay told of its rates, before the session starts. */
  pace(rates: Rates): void {
    this.#pace.begin(rates);
  }

  /** The session is over. */
  stop(): void {
    this.#session = null;
    this.#platform.clearTimer(this.#holdTimer);
    this.#platform.clearTimer(this.#paceTimer);
    this.#holdTimer = null;
    this.#paceTimer = null;
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

  /** Sends as much as the channel and the relay's rates take. */
  flush(): void {
    if (this.#holdTimer !== null || this.#paceTimer !== null) return;
    while (this.#session?.writable) {
      const now = this.#platform.clock();
      const waitMs = this.#pace.wait(now);
      if (waitMs > 0) {
        this.#paceTimer = this.#platform.setTimer(() => {
          this.#paceTimer = null;
          this.flush();
        }, waitMs);
        return;
      }
      const frames = this.#outbox.nextMessage(this.#pace.together);
      if (frames === null) return;
      const message = concat(frames);
      this.#pace.spend(frames.length, message.length, now);
      this.#session.send(message);
    }
  }

  /** The relay took a message. */
  answered(): void {
    this.#holds = 0;
  }

  /**
   * The relay did not take a message: pauses, longer each time in a row unless the relay said how long, then sends again
   * what was not answered. Returns why the session can't go on, or null when it can.
   */
  refused(code: number, retryMs: number | undefined): ErrorCode | null {
    if (code === RelayErrorCode.producerGap && this.#holds > MAX_HOLDS) return "malformed";
    if (code === RelayErrorCode.rateLimited && retryMs === undefined) return "rate-limited";
    if (this.#holdTimer !== null) return null;
    const ms = retryMs ?? OVERLOAD_PAUSE_MS * 2 ** Math.min(this.#holds++, MAX_PAUSE_DOUBLINGS);
    this.#holdTimer = this.#platform.setTimer(
      () => {
        this.#holdTimer = null;
        this.#outbox.resendUnanswered();
        this.flush();
      },
      Math.min(ms, RATE_PAUSE_MAX_MS),
    );
    return null;
  }
}
