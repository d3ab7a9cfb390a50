// Turns of a page's event responses from one edge. Over HTTP/1.1 a browser opens six connections to a host at most, for all of its
// tabs, and an event response holds one as long as it lives: a page that followed many streams at once could request nothing else,
// not even the session that ends the need for it. Over HTTP/2 there is no such bound, and nobody takes turns.
//
// What always holds: at most MAX_EVENT_RESPONSES responses are under way; turns are given in the order in which they were asked for,
// and one that nobody waits for never has to end.

import { StreamChainError } from "../errors.ts";
import { MAX_EVENT_RESPONSES } from "../limits.ts";
import { SharedByPage } from "../shared-by-page.ts";

/** The turns of those who share an edge in one page. */
export class EventTurns {
  readonly #max: number;
  #taken = 0;
  #waiting: (() => void)[] = [];

  constructor(max = MAX_EVENT_RESPONSES) {
    this.#max = max;
  }

  /** Whether somebody waits for a turn. */
  get isWanted(): boolean {
    return this.#waiting.length > 0;
  }

  /** Resolves once it is the caller's turn, which `release` ends. Rejects when the signal aborts before that. */
  take(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#taken < this.#max) {
        this.#taken++;
        resolve();
        return;
      }
      const begin = (): void => {
        signal.removeEventListener("abort", aborted);
        resolve();
      };
      const aborted = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== begin);
        reject(new StreamChainError("closed", "the stream is not followed any more"));
      };
      signal.addEventListener("abort", aborted, { once: true });
      this.#waiting.push(begin);
    });
  }

  /** A turn is over: it is the next one's. */
  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken--;
    else next();
  }
}

const PAGES = new SharedByPage(() => new EventTurns());

/** The turns at an edge of the page that `page` stands for. */
export const eventTurns = (page: object, origin: string): EventTurns => PAGES.of(page, origin);
