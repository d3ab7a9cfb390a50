// What a connection attempt tried and how far it got, for a person who asks why it failed.

import type { ErrorCode } from "./errors.ts";

/** The steps of an attempt, in order. */
export type AttemptStepId = "offer" | "http" | "answer" | "ice" | "dtls" | "channel" | "welcome";

/** The steps, in the order in which they happen. */
export const ATTEMPT_STEPS: readonly AttemptStepId[] = ["offer", "http", "answer", "ice", "dtls", "channel", "welcome"];

/** One step of an attempt. */
export interface AttemptStep {
  readonly id: AttemptStepId;
  readonly outcome: "ok" | "failed" | "not-reached";
  /** Time that the step took, in ms; undefined when it was not reached. */
  readonly tookMs: number | undefined;
}

/** One attempt to reach a relay. */
export interface Attempt {
  /** When it began, ms since the Unix epoch. */
  readonly startedAt: number;
  readonly steps: readonly AttemptStep[];
  /** Addresses that the edge offered, as in the answer's candidates: `udp 203.0.113.7:7100`. */
  readonly relayAddresses: readonly string[];
  /** Why it ended; undefined while it runs or when the session is open. */
  readonly error: { readonly code: ErrorCode; readonly message: string } | undefined;
}

/** Notes the steps of one attempt as they happen. */
export class AttemptLog {
  readonly #startedAt: number;
  readonly #clock: () => number;
  readonly #done = new Map<AttemptStepId, number>();
  #failed: AttemptStepId | null = null;
  #last: number;
  #error: Attempt["error"];
  #addresses: string[] = [];

  constructor(startedAt: number, clock: () => number) {
    this.#startedAt = startedAt;
    this.#clock = clock;
    this.#last = clock();
  }

  /** A step is done. A step that happened twice keeps its first time. */
  done(id: AttemptStepId): void {
    if (this.#done.has(id)) return;
    const now = this.#clock();
    this.#done.set(id, now - this.#last);
    this.#last = now;
  }

  /** The candidates of an SDP answer. */
  answered(sdp: string): void {
    this.#addresses = [...sdp.matchAll(/^a=candidate:\S+ \d+ (\S+) \d+ (\S+) (\d+)/gm)].map(
      ([, transport, address, port]) => `${transport?.toLowerCase()} ${address}:${port}`,
    );
  }

  /** The attempt ended at the first step that is not done. */
  failed(code: ErrorCode, message: string): void {
    if (this.#error !== undefined) return;
    this.#error = { code, message };
    this.#failed = ATTEMPT_STEPS.find((id) => !this.#done.has(id)) ?? null;
    if (this.#failed !== null) this.#done.set(this.#failed, this.#clock() - this.#last);
  }

  /** The attempt as it is now. */
  get attempt(): Attempt {
    return {
      startedAt: this.#startedAt,
      steps: ATTEMPT_STEPS.map((id) => ({
        id,
        outcome: this.#failed === id ? "failed" : this.#done.has(id) ? "ok" : "not-reached",
        tookMs: this.#done.get(id),
      })),
      relayAddresses: this.#addresses,
      error: this.#error,
    };
  }
}
