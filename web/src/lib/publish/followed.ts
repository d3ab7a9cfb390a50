// Stored publications on their way to their final anchor.

import { StreamChainError } from "../errors.ts";
import { MAX_FOLLOWED_PUBLICATIONS } from "../limits.ts";
import type { Marks } from "../marks.ts";
import type { Publication } from "./publication.ts";

/** The stored publications that are followed, at most `MAX_FOLLOWED_PUBLICATIONS`. */
export class Followed {
  readonly #marks: Marks;
  readonly #onChange: (publication: Publication) => void;
  #publications: Publication[] = [];

  constructor(marks: Marks, onChange: (publication: Publication) => void) {
    this.#marks = marks;
    this.#onChange = onChange;
  }

  get isEmpty(): boolean {
    return this.#publications.length === 0;
  }

  /** Follows a publication that is stored now. */
  add(publication: Publication): void {
    this.#publications.push(publication);
    if (this.#publications.length <= MAX_FOLLOWED_PUBLICATIONS) return;
    const dropped = this.#publications.shift() as Publication;
    const error = new StreamChainError(
      "closed",
      `more than ${MAX_FOLLOWED_PUBLICATIONS} publications wait for their anchor`,
    );
    dropped.control.anchored.reject(error);
    dropped.control.final.reject(error);
  }

  /** Applies the marks of the stream. */
  marksMoved(): void {
    const remaining: Publication[] = [];
    for (const publication of this.#publications) {
      const { control } = publication;
      const state = this.#marks.stateOfStored(control.bound - 1);
      const moved = state !== control.state;
      control.state = state;
      if (state !== "stored") control.anchored.resolve(control.seq);
      if (state === "final") control.final.resolve(control.seq);
      else remaining.push(publication);
      if (moved) this.#onChange(publication);
    }
    this.#publications = remaining;
  }

  /** Ends it: their anchors are not known any more. */
  end(error: StreamChainError): void {
    for (const { control } of this.#publications.splice(0)) {
      control.anchored.reject(error);
      control.final.reject(error);
    }
  }
}
