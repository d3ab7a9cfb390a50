// Moves publications from the outbox to a session's data channel, as fast as the channel drains and the relay's rate
// limits allow.

import { backoffMs } from "../backoff.ts";
import type { ErrorCode } from "../errors.ts";
import { MAX_OVERLOAD_PAUSES, MAX_RATE_LIMIT_PAUSE_MS, OVERLOAD_BACKOFF, SIGN_AGAIN_MS } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { Bytes } from "../wire/bytes.ts";
import { RelayErrorCode } from "../wire/frames.ts";
import type { Outbox } from "./outbox.ts";
import { Pacer, type RateLimits } from "./pacer.ts";

/** What the sender needs of a session. */
export interface SendChannel {
  /** Whether the channel takes more without queueing too much. */
  readonly writable: boolean;
  /** Sends one data-channel message. */
  send(bytes: Bytes): void;
}

/** Sends while there is a session and no pause. */
export class Sender {
  readonly #outbox: Outbox;
  readonly #platform: Platform;
  readonly #pacer = new Pacer();
  #channel: SendChannel | null = null;
  #overloadTimer: unknown = null;
  #pacerTimer: unknown = null;
  /** Pauses in a row because of an overloaded relay. */
  #overloadPauses = 0;
  #planned = false;
  #signAgainTimer: unknown = null;

  constructor(outbox: Outbox, platform: Platform) {
    this.#outbox = outbox;
    this.#platform = platform;
  }

  /** Begins to send on the channel of a session that has its welcome. */
  start(channel: SendChannel, limits: RateLimits): void {
    this.#pacer.begin(limits);
    this.#channel = channel;
    this.#overloadPauses = 0;
    this.plan();
  }

  /** Stops at the end of the session. */
  stop(): void {
    this.#channel = null;
    this.#platform.clearTimer(this.#overloadTimer);
    this.#platform.clearTimer(this.#pacerTimer);
    this.#overloadTimer = null;
    this.#pacerTimer = null;
  }

  /** Sends at the end of this turn, so that what is published in one turn shares data-channel messages. */
  plan(): void {
    if (this.#planned || this.#channel === null) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      this.flush();
    });
  }

  /** Sends as much as the channel and the rate limits take. */
  flush(): void {
    if (this.#overloadTimer !== null || this.#pacerTimer !== null) return;
    while (this.#channel?.writable) {
      const now = this.#platform.clock();
      const waitMs = this.#pacer.wait(now);
      if (waitMs > 0) {
        this.#pacerTimer = this.#platform.setTimer(() => {
          this.#pacerTimer = null;
          this.flush();
        }, waitMs);
        return;
      }
      const { maxTogether } = this.#pacer;
      const message = this.#outbox.nextMessage(maxTogether);
      if (message === null) {
        this.#seal(maxTogether);
        return;
      }
      this.#pacer.spend(message.count, message.bytes.length, now);
      this.#channel.send(message.bytes);
    }
  }

  /** Signs what is to be sent next, and then sends it. */
  #seal(maxMessages: number): void {
    if (this.#signAgainTimer !== null || !this.#outbox.awaitsSignature) return;
    for (;;) {
      const sealing = this.#outbox.beginSeal(maxMessages);
      if (sealing === null) return;
      void sealing.then((isSigned) => {
        if (isSigned) this.flush();
        else this.#signAgain();
      });
    }
  }

  #signAgain(): void {
    this.#signAgainTimer ??= this.#platform.setTimer(() => {
      this.#signAgainTimer = null;
      this.flush();
    }, SIGN_AGAIN_MS);
  }

  /** The relay accepted a message, so it is not overloaded. */
  answered(): void {
    this.#overloadPauses = 0;
  }

  /**
   * The relay refused a message: pauses, longer each time in a row unless the relay said how long, then sends again from
   * the first message that has no answer. Returns why the session cannot go on, or null when it can.
   */
  refused(code: number, retryMs: number | undefined): ErrorCode | null {
    if (code === RelayErrorCode.producerGap && this.#overloadPauses > MAX_OVERLOAD_PAUSES) return "malformed";
    if (code === RelayErrorCode.rateLimited && retryMs === undefined) return "rate-limited";
    if (this.#overloadTimer !== null) return null;
    const ms = retryMs ?? backoffMs(OVERLOAD_BACKOFF, this.#overloadPauses++, 0);
    this.#overloadTimer = this.#platform.setTimer(
      () => {
        this.#overloadTimer = null;
        this.#outbox.resendUnanswered();
        this.flush();
      },
      Math.min(ms, MAX_RATE_LIMIT_PAUSE_MS),
    );
    return null;
  }
}
