// The edge's list of streams that match a pattern: names that a test adds, in pages, and a wait for new ones.

import { streamId } from "../../src/lib/chain/merkle.ts";
import { fromHex, type Hex, toHex } from "../../src/lib/wire/bytes.ts";
import type { VirtualClock } from "./surroundings.ts";

const OWNER: Hex = `0x${"22".repeat(20)}`;

/** The list. */
export class Listing {
  readonly names: string[] = [];
  /** Streams on a page, at most. */
  page = 2;
  /** Answers taken from the front; empty: it works. */
  answers: (() => Response)[] = [];
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  /** Answers `GET /v1/streams?match=`. */
  async answer(url: URL, signal: AbortSignal | null | undefined): Promise<Response> {
    const failure = this.answers.shift();
    if (failure !== undefined) return failure();
    const prefix = (url.searchParams.get("match") ?? "").slice(0, -1);
    const after = Number(url.searchParams.get("after")?.split(":")[0] ?? 0);
    const until = this.#clock.now + 1_000 * Number(url.searchParams.get("wait") ?? 0);
    const atFirst = Number(url.searchParams.get("after")?.split(":")[1] ?? this.names.length);
    const isFirst = after < atFirst;
    const found = (): string[] => this.names.slice(after).filter((name) => name.startsWith(prefix));
    while (!isFirst && found().length === 0 && this.#clock.now < until && !signal?.aborted) {
      await new Promise<void>((resolve) => this.#clock.setTimer(resolve, 100));
    }
    const end = Math.min(after + this.page, isFirst ? atFirst : this.names.length);
    const names = this.names.slice(after, end).filter((name) => name.startsWith(prefix));
    const streams = names.map((name) => ({ id: toHex(streamId(fromHex(OWNER, 20), name)), name, owner: OWNER }));
    return Response.json({ streams, after: `${end}:${atFirst}`, ...(end < atFirst ? { more: true } : {}) });
  }
}
