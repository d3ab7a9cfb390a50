// Notices within about a second that nobody is at the other end any more, even when nothing is being said.
//
// ICE alone can't tell: it takes many seconds to call a path lost, and a relay that was started again answers
// connectivity checks for a session that it knows nothing of. But a living SCTP association acknowledges whatever it
// gets. So an idle client sends a frame of no kind now and then, and as long as something is unacknowledged it looks
// several times a second whether the path brought anything. First the silence is a reason to look for another path,
// which costs no request. When that finds the relay, and still nothing comes of what it owes, the session is given up
// for a new one half a second later. Where not even a check is answered a new session would be no better off, and a
// relay that only pauses must not find all its clients at the door at once: then it is given more time.
//
// Silence is counted in looks, never taken from a clock: a page that slept has not been waiting for anybody.

import {
  LIVENESS_DEAD_MS,
  LIVENESS_IDLE_MS,
  LIVENESS_LOOK_MS,
  LIVENESS_SEEK_MS,
  LIVENESS_UNANSWERED_MS,
} from "../limits.ts";
import type { Platform } from "../platform.ts";
import { encodeCbor } from "../wire/cbor.ts";

/** A frame of a kind that does not exist: it is passed over, and acknowledged by SCTP like any other. */
export const KEEP_ALIVE = encodeCbor([0]);

/** Counts that only grow, by the ids of candidate pairs; these come and go. */
export type Counts = ReadonlyMap<string, number>;

const grew = (before: Counts, now: Counts): boolean =>
  [...now].some(([pair, count]) => count > (before.get(pair) ?? 0));

/** What the browser tells of a path. */
export interface PathSigns {
  /** Bytes that each candidate pair brought so far; none where the browser does not say: then nothing is concluded. */
  readonly bytesReceived: Counts;
  /** Connectivity checks that were answered on each so far; none where the browser does not say. */
  readonly checksAnswered: Counts;
  readonly rttMs: number | undefined;
}

/** What liveness needs of a session. */
export interface LivenessOptions {
  readonly platform: Platform;
  readonly signs: () => Promise<PathSigns | undefined>;
  /** Sends `KEEP_ALIVE`. */
  readonly keepAlive: () => void;
  /** The path is silent: look for another one. Once in a silence. */
  readonly onSilent: () => void;
  /** It has been silent for too long. */
  readonly onDead: () => void;
}

/** Watches one session. */
export class Liveness {
  readonly #options: LivenessOptions;
  #timer: unknown;
  /** Something was sent since the relay was last heard. */
  #waiting = false;
  /** At the latest look that nothing was said since; null: not read since the relay was last heard. */
  #bytes: Counts | null = null;
  #answers: Counts = new Map();
  /** In this silence a check was answered. */
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

  /** The relay said something: it lives. */
  heard(): void {
    this.#bytes = null;
    this.#alive();
  }

  /** Something was sent that the relay acknowledges. */
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
    this.#timer = this.#options.platform.setTimer(() => void this.#look(), LIVENESS_LOOK_MS);
  }

  async #look(): Promise<void> {
    if (this.#waiting) await this.#listen();
    else this.#idleMs += LIVENESS_LOOK_MS;
    if (this.#stopped) return;
    const patience = this.#answered ? LIVENESS_DEAD_MS : LIVENESS_UNANSWERED_MS;
    if (this.#silentMs >= patience + 6 * this.#rttMs) {
      this.#options.onDead();
      return;
    }
    // Into a silence too: one lost packet then is no silence, for the next brings an acknowledgement.
    if (this.#silentMs > 0 || this.#idleMs >= LIVENESS_IDLE_MS) {
      this.#options.keepAlive();
      this.#idleMs = 0;
    }
    this.#plan();
  }

  /** Whether the path brought anything since the look before. */
  async #listen(): Promise<void> {
    const before = this.#bytes;
    const signs = await this.#options.signs().catch(() => undefined);
    if (signs === undefined || signs.bytesReceived.size === 0 || !this.#waiting) return; // unknown, or heard meanwhile
    this.#bytes = signs.bytesReceived;
    const answered = grew(this.#answers, signs.checksAnswered);
    this.#answers = signs.checksAnswered;
    if (before === null) return;
    if (grew(before, signs.bytesReceived)) {
      this.#alive();
      return;
    }
    this.#answered ||= answered;
    this.#silentMs += LIVENESS_LOOK_MS;
    this.#rttMs = signs.rttMs ?? this.#rttMs;
    if (this.#sought || this.#silentMs < LIVENESS_SEEK_MS + 2 * this.#rttMs) return;
    this.#sought = true;
    this.#options.onSilent();
  }
}
