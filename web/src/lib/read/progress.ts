// How far a stream has come, from two sources: the relay's frames, and the edge's counts when no frame may have come.

import type { AnchorNews } from "../connection/types.ts";
import type { StreamInfo } from "../http/edge-answers.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import { MARKS_POLL_MS, REMEMBERED_ANCHORS } from "../limits.ts";
import { Marks } from "../marks.ts";
import type { Platform } from "../platform.ts";

/** The progress of one stream. */
export class Progress {
  readonly marks = new Marks();
  readonly #edge: EdgeClient;
  readonly #stream: string;
  readonly #anchors: AnchorNews[] = [];
  #stored = 0;

  constructor(edge: EdgeClient, stream: string) {
    this.#edge = edge;
    this.#stream = stream;
  }

  /** Messages that the edge counts as stored; says nothing of which message is at a seq. */
  get stored(): number {
    return this.#stored;
  }

  /** The latest anchors heard of, oldest first. */
  get anchors(): readonly AnchorNews[] {
    return this.#anchors;
  }

  /** Takes an anchor's news; returns whether a mark moved. */
  anchor(news: AnchorNews): boolean {
    this.#anchors.push(news);
    if (this.#anchors.length > REMEMBERED_ANCHORS) this.#anchors.shift();
    return this.marks.anchor(news.first, news.count, news.state);
  }

  /** The stream was started afresh with `committed` messages. */
  restart(committed: number): void {
    this.marks.restart(committed);
    this.#stored = committed;
  }

  /** Asks the edge; `moved` tells whether a count changed. */
  async refresh(): Promise<{ info: StreamInfo | undefined; moved: boolean }> {
    const asOf = this.marks.changes;
    const info = await this.#edge.stream(this.#stream);
    if (info === undefined) return { info, moved: false };
    const more = info.stored > this.#stored;
    this.#stored = info.stored;
    return { info, moved: this.marks.counts(info.anchored, info.final, asOf) || more };
  }
}

/** Calls `ask` every `MARKS_POLL_MS` until the signal aborts. */
export function pollUntil(signal: AbortSignal, platform: Platform, ask: () => void): void {
  let timer: unknown;
  const again = (): void => {
    timer = platform.setTimer(() => {
      ask();
      again();
    }, MARKS_POLL_MS);
  };
  again();
  signal.addEventListener("abort", () => platform.clearTimer(timer), { once: true });
}
