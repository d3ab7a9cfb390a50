// The pause before the next attempt: drawn evenly below a bound that doubles, so that clients of a relay that died do
// not come back all at once.

import type { StreamChainError } from "./errors.ts";
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS, RETRY_AFTER_MAX_MS, STABLE_SESSION_MS } from "./limits.ts";
import type { Platform } from "./platform.ts";

/** Between what the pauses are drawn, in ms. */
export interface BackoffBounds {
  /** Upper bound of the pause before there was a failure; it doubles with each. */
  readonly firstMs: number;
  /** The bound grows no further. */
  readonly maxMs: number;
  /** The share of the bound that a pause has at least. */
  readonly least: number;
}

const RECONNECT: BackoffBounds = { firstMs: BACKOFF_FIRST_MS, maxMs: BACKOFF_MAX_MS, least: 0 };

/** Pauses of one connection. */
export class Backoff {
  readonly #platform: Pick<Platform, "random" | "setTimer" | "clearTimer">;
  #failures = 0;
  #skip: (() => void) | null = null;

  constructor(platform: Pick<Platform, "random" | "setTimer" | "clearTimer">) {
    this.#platform = platform;
  }

  /**
   * Length of the next pause in ms, at least what the edge asked for.
   * `openMs` is how long the session lived, 0 when none was opened.
   */
  next(error: StreamChainError, openMs = 0, bounds = RECONNECT): number {
    this.#failures = openMs >= STABLE_SESSION_MS ? 0 : this.#failures + 1;
    const { firstMs, maxMs, least } = bounds;
    const bound = Math.min(firstMs * 2 ** this.#failures, maxMs);
    const asked = Math.min(error.retryAfterMs ?? 0, RETRY_AFTER_MAX_MS);
    return Math.max(asked, (least + this.#platform.random() * (1 - least)) * bound);
  }

  /** What failed before counts no longer. */
  reset(): void {
    this.#failures = 0;
  }

  /** Resolves after `ms`, or when `skip` is called; by that alone when `ms` is infinite. */
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

  /** Ends a pause that is under way. */
  skip(): void {
    this.#skip?.();
  }
}
