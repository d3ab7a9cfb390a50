// Notices that nobody is at the other end any more, within seconds, even when nothing is being said.
//
// ICE alone can't tell: a relay that was started again answers connectivity checks for a session that it knows nothing
// of. So an idle client sends a frame of no kind now and then; a living SCTP association acknowledges it, and the bytes
// received grow. Only a session that stays silent over several of these is given up.

import { encodeCbor } from "./cbor.ts";
import { LIVENESS_CHECK_MS, LIVENESS_MISSES } from "./limits.ts";
import type { Platform } from "./platform.ts";

/** A frame of a kind that does not exist: it is passed over, and acknowledged by SCTP like any other. */
export const KEEP_ALIVE = encodeCbor([0]);

/** What liveness needs of a session. */
export interface LivenessOptions {
  readonly platform: Platform;
  /** Bytes that the path brought so far; undefined where the browser does not say: then nothing is concluded. */
  readonly bytesReceived: () => Promise<number | undefined>;
  readonly keepAlive: () => void;
  readonly onDead: () => void;
}

/** Watches one session. */
export class Liveness {
  readonly #options: LivenessOptions;
  #timer: unknown;
  #heard = false;
  #bytes = -1;
  #misses = 0;
  #stopped = false;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#plan();
  }

  /** The relay said something: it lives. */
  heard(): void {
    this.#heard = true;
  }

  /** The session is over. */
  stop(): void {
    this.#stopped = true;
    this.#options.platform.clearTimer(this.#timer);
  }

  #plan(): void {
    this.#timer = this.#options.platform.setTimer(() => void this.#check(), LIVENESS_CHECK_MS);
  }

  async #check(): Promise<void> {
    const { bytesReceived, keepAlive, onDead } = this.#options;
    const heard = this.#heard;
    this.#heard = false;
    const bytes = heard ? undefined : await bytesReceived().catch(() => undefined);
    if (this.#stopped) return;
    const silent = bytes !== undefined && bytes === this.#bytes;
    if (bytes !== undefined) this.#bytes = bytes;
    this.#misses = silent ? this.#misses + 1 : 0;
    if (this.#misses > LIVENESS_MISSES) {
      onDead();
      return;
    }
    if (!heard) keepAlive();
    this.#plan();
  }
}
