// The pause before the next attempt. It is drawn below a bound that doubles with each failure, so that the clients of a
// relay that stopped do not all come back at the same moment.

import type { StreamChainError } from "./errors.ts";
import { type BackoffBounds, MAX_RETRY_AFTER_MS, RECONNECT_BACKOFF, STABLE_SESSION_MS } from "./limits.ts";
import type { Platform } from "./platform.ts";

/** Length of a pause in ms, after so many failures in a row; `random` is in [0, 1). */
export function backoffMs({ firstMs, maxMs, least }: BackoffBounds, failures: number, random: number): number {
  return (least + random * (1 - least)) * Math.min(firstMs * 2 ** failures, maxMs);
}

/** Counts the failures of one caller, and waits between its attempts. */
export class Backoff {
  readonly #platform: Pick<Platform, "random" | "setTimer" | "clearTimer">;
  #failures = 0;
  #skip: (() => void) | null = null;

  constructor(platform: Pick<Platform, "random" | "setTimer" | "clearTimer">) {
    this.#platform = platform;
  }

  /**
   * Counts a failure and returns the length of the next pause in ms, at least what the edge's `Retry-After` says.
   * `openMs` is how long the session lived, 0 when none was opened.
   */
  next(error: StreamChainError, openMs = 0, bounds = RECONNECT_BACKOFF): number {
    this.#failures = openMs >= STABLE_SESSION_MS ? 0 : this.#failures + 1;
    const retryAfterMs = Math.min(error.retryAfterMs ?? 0, MAX_RETRY_AFTER_MS);
    return Math.max(retryAfterMs, backoffMs(bounds, this.#failures, this.#platform.random()));
  }

  /** Forgets the failures so far. */
  reset(): void {
    this.#failures = 0;
  }

  /** Resolves after `ms`, or when `skip` is called; an infinite pause ends by `skip` alone. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#platform.clearTimer(timer);
        this.#skip = null;
        resolve();
      };
      const timer = Number.isFinite(ms) ? this.#platform.setTimer(finish, ms) : null;
      this.#skip = finish;
    });
  }

  /** Ends the pause that is under way, if there is one. */
  skip(): void {
    this.#skip?.();
  }
}
