// The progress of a stream, from two sources: anchors as they are reported, and the edge's counts, which also cover what
// was not reported to this page.

import type { StreamInfo } from "../http/edge-answers.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import { MARKS_POLL_MS, MAX_REMEMBERED_ANCHORS } from "../limits.ts";
import { Marks } from "../marks.ts";
import type { Platform } from "../platform.ts";
import type { AnchorRef } from "../wire/records.ts";

/** The progress of one stream. */
export class Progress {
  readonly marks = new Marks();
  readonly #edge: EdgeClient;
  readonly #stream: string;
  readonly #anchors: AnchorRef[] = [];
  #stored = 0;

  constructor(edge: EdgeClient, stream: string) {
    this.#edge = edge;
    this.#stream = stream;
  }

  /** Messages that the edge counts as stored; it does not say which message has which seq. */
  get stored(): number {
    return this.#stored;
  }

  /** The latest anchors reported to this page, oldest first. */
  get anchors(): readonly AnchorRef[] {
    return this.#anchors;
  }

  /** Adds an anchor, or its new state; returns whether a mark moved. */
  anchor(anchor: AnchorRef): boolean {
    this.#anchors.push(anchor);
    if (this.#anchors.length > MAX_REMEMBERED_ANCHORS) this.#anchors.shift();
    return this.marks.anchor(anchor.first, anchor.count, anchor.state);
  }

  /** The stream was made again, with `committed` messages so far. */
  restart(committed: number): void {
    this.marks.restart(committed);
    this.#stored = committed;
  }

  /** Requests the edge's counts; `moved` is whether one changed. */
  async refresh(): Promise<{ info: StreamInfo | undefined; moved: boolean }> {
    const asOf = this.marks.changes;
    const info = await this.#edge.stream(this.#stream);
    if (info === undefined) return { info, moved: false };
    const more = info.stored > this.#stored;
    this.#stored = info.stored;
    return { info, moved: this.marks.counts(info.anchored, info.final, asOf) || more };
  }
}

/** Calls `poll` every `MARKS_POLL_MS` until the signal aborts. */
export function pollMarks(signal: AbortSignal, platform: Platform, poll: () => void): void {
  let timer: unknown;
  const again = (): void => {
    timer = platform.setTimer(() => {
      poll();
      again();
    }, MARKS_POLL_MS);
  };
  again();
  signal.addEventListener("abort", () => platform.clearTimer(timer), { once: true });
}
