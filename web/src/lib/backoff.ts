// The pause before the next attempt: drawn evenly below a bound that doubles, so that clients of a relay that died do
// not come back all at once.

import type { StreamChainError } from "./errors.ts";
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS, RETRY_AFTER_MAX_MS, STABLE_SESSION_MS } from "./limits.ts";
import type { Platform } from "./platform.ts";

/** Pauses of one connection. */
export class Backoff {
  readonly #platform: Platform;
  #failures = 0;
  #skip: (() => void) | null = null;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /**
   * Length of the next pause in ms, at least what the edge asked for.
   * `openMs` is how long the session lived, 0 when none was opened.
   */
  next(error: StreamChainError, openMs: number): number {
    this.#failures = openMs >= STABLE_SESSION_MS ? 0 : this.#failures + 1;
    const bound = Math.min(BACKOFF_FIRST_MS * 2 ** this.#failures, BACKOFF_MAX_MS);
    const asked = Math.min(error.retryAfterMs ?? 0, RETRY_AFTER_MAX_MS);
    return Math.max(asked, this.#platform.random() * bound);
  }

  /** Resolves after `ms`, or when `skip` is called. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#platform.clearTimer(timer);
        this.#skip = null;
        resolve();
      };
      const timer = this.#platform.setTimer(finish, ms);
      this.#skip = finish;
    });
  }

  /** Ends a pause that is under way. */
  skip(): void {
    this.#skip?.();
  }
}
