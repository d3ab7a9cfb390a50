// How far a stream is anchored: `final <= anchored`, each a prefix, because the contract keeps anchors contiguous.

/** How sure an anchor, or an event of the chain, is: in a block, in a final block, or taken back by a reorganisation. */
export type AnchorState = "anchored" | "final" | "reverted";

/** How sure one message is. */
export type MessageState = "live" | "stored" | "anchored" | "final";

/** The anchored and final marks of a stream. */
export class Marks {
  #anchored = 0;
  #final = 0;
  #changes = 0;

  /** Every message below this seq has its anchor's event on the chain. */
  get anchored(): number {
    return this.#anchored;
  }

  /** Every message below this seq has its anchor in a final block. */
  get final(): number {
    return this.#final;
  }

  /** Grows with every anchor, so that an HTTP answer which is older than one can be recognised. */
  get changes(): number {
    return this.#changes;
  }

  /** Applies an anchor; returns whether a mark moved. */
  anchor(first: number, count: number, state: AnchorState): boolean {
    this.#changes++;
    const before = [this.#anchored, this.#final];
    if (state === "reverted") {
      this.#anchored = Math.max(this.#final, Math.min(this.#anchored, first));
    } else {
      this.#anchored = Math.max(this.#anchored, first + count);
      if (state === "final") this.#final = Math.max(this.#final, first + count);
    }
    return before[0] !== this.#anchored || before[1] !== this.#final;
  }

  /**
   * Applies the edge's counts, requested when `changes` was `asOf`; returns whether a mark moved.
   * A lower anchored count is accepted only when no anchor came in between: a reorganisation took the anchor back.
   */
  counts(anchored: number, final: number, asOf: number): boolean {
    const before = [this.#anchored, this.#final];
    this.#final = Math.max(this.#final, final);
    const floor = asOf === this.#changes ? anchored : Math.max(anchored, this.#anchored);
    this.#anchored = Math.max(this.#final, floor);
    return before[0] !== this.#anchored || before[1] !== this.#final;
  }

  /** The stream was made again, with `committed` messages so far. */
  restart(committed: number): void {
    this.#changes++;
    this.#anchored = Math.min(this.#anchored, committed);
    this.#final = Math.min(this.#final, committed);
  }

  /** State of a message that is known to be stored. */
  stateOfStored(seq: number): "stored" | "anchored" | "final" {
    if (seq < this.#final) return "final";
    return seq < this.#anchored ? "anchored" : "stored";
  }
}
