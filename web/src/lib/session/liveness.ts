// Detects within about a second that the relay no longer has this session, even when there is no traffic.
//
// ICE alone is not enough: it takes many seconds to call a path lost, and a restarted relay answers connectivity checks
// for sessions that it does not have. But a living SCTP association acknowledges whatever it gets. So:
// - An idle client sends a keep-alive frame of no known kind every `LIVENESS_IDLE_MS`.
// - While something is unacknowledged, the received bytes are checked every `LIVENESS_CHECK_MS`.
// - After a short silence another path is searched, which costs no request.
// - When checks are answered and still nothing is received, the session ends half a second later.
// - When not even checks are answered, a new session would not open either, and a relay that only pauses must not get
//   new sessions from all its clients at once; so the session ends later.
//
// Silence is counted in checks, never taken from a clock: a page that slept was not waiting.

import {
  LIVENESS_CHECK_MS,
  LIVENESS_DEAD_MS,
  LIVENESS_IDLE_MS,
  LIVENESS_SEEK_MS,
  LIVENESS_UNANSWERED_MS,
} from "../limits.ts";
import type { Platform } from "../platform.ts";
import { encodeCbor } from "../wire/cbor.ts";
import type { Counts, PathSigns } from "./path-stats.ts";

/** A frame of a kind that does not exist: the relay skips it, and SCTP acknowledges it like any other. */
export const KEEP_ALIVE = encodeCbor([0]);

const grew = (before: Counts, now: Counts): boolean =>
  [...now].some(([pair, count]) => count > (before.get(pair) ?? 0));

/** What liveness needs of a session. */
export interface LivenessOptions {
  readonly platform: Platform;
  readonly signs: () => Promise<PathSigns | undefined>;
  /** Sends `KEEP_ALIVE`. */
  readonly keepAlive: () => void;
  /** The path is silent: search for another one. Called once in a silence. */
  readonly onSilent: () => void;
  /** The path was silent for too long. */
  readonly onDead: () => void;
}

/** Watches the path of one session. */
export class Liveness {
  readonly #options: LivenessOptions;
  #timer: unknown;
  /** Something was sent since the latest bytes of the relay. */
  #waiting = false;
  /** Received bytes at the latest check; null when they were not read since the latest bytes of the relay. */
  #bytes: Counts | null = null;
  #answers: Counts = new Map();
  /** A connectivity check was answered in this silence. */
  #answered = false;
  #silentMs = 0;
  #rttMs = 0;
  #idleMs = 0;
  #sought = false;
  #stopped = false;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#plan();
  }

  /** A data-channel message arrived. */
  received(): void {
    this.#bytes = null;
    this.#alive();
  }

  /** Something was sent that SCTP acknowledges. */
  sent(): void {
    this.#waiting = true;
  }

  /** The session is over. */
  stop(): void {
    this.#stopped = true;
    this.#options.platform.clearTimer(this.#timer);
  }

  #alive(): void {
    this.#waiting = false;
    this.#answered = false;
    this.#silentMs = 0;
    this.#idleMs = 0;
    this.#sought = false;
  }

  #plan(): void {
    this.#timer = this.#options.platform.setTimer(() => void this.#check(), LIVENESS_CHECK_MS);
  }

  async #check(): Promise<void> {
    if (this.#waiting) await this.#readSigns();
    else this.#idleMs += LIVENESS_CHECK_MS;
    if (this.#stopped) return;
    const patience = this.#answered ? LIVENESS_DEAD_MS : LIVENESS_UNANSWERED_MS;
    if (this.#silentMs >= patience + 6 * this.#rttMs) {
      this.#options.onDead();
      return;
    }
    // In a silence too: after one lost packet the next one brings an acknowledgement.
    if (this.#silentMs > 0 || this.#idleMs >= LIVENESS_IDLE_MS) {
      this.#options.keepAlive();
      this.#idleMs = 0;
    }
    this.#plan();
  }

  /** Checks whether the path brought anything since the check before. */
  async #readSigns(): Promise<void> {
    const before = this.#bytes;
    const signs = await this.#options.signs().catch(() => undefined);
    if (signs === undefined || signs.bytesReceived.size === 0 || !this.#waiting) return; // not counted by this browser, or received meanwhile
    this.#bytes = signs.bytesReceived;
    const answered = grew(this.#answers, signs.checksAnswered);
    this.#answers = signs.checksAnswered;
    if (before === null) return;
    if (grew(before, signs.bytesReceived)) {
      this.#alive();
      return;
    }
    this.#answered ||= answered;
    this.#silentMs += LIVENESS_CHECK_MS;
    this.#rttMs = signs.rttMs ?? this.#rttMs;
    if (this.#sought || this.#silentMs < LIVENESS_SEEK_MS + 2 * this.#rttMs) return;
    this.#sought = true;
    this.#options.onSilent();
  }
}
