// Who is on a stream: as its relay says, or the edge while no session is open.
//
// What always holds: nothing is asked for, and nobody is listed, unless the caller wished it; what one session said counts
// no longer once that session is over.

import { Ability } from "../wire/frames.ts";
import type { Presence } from "../wire/records.ts";

/** The presence of one connection. */
export class PresenceState {
  readonly #isWanted: boolean;
  readonly #onChange: (presence: Presence | null) => void;
  #isSeen: boolean;
  #latest: Presence | null = null;

  /** `presence` asks for reports; `seen` lets the author be listed in those of others. */
  constructor(wishes: WishedPresence, onChange: (presence: Presence | null) => void) {
    this.#isWanted = wishes.presence ?? false;
    this.#isSeen = wishes.seen ?? false;
    this.#onChange = onChange;
  }

  /** Who was there by the latest report; null while none is known. */
  get latest(): Presence | null {
    return this.#latest;
  }

  /** Whether reports are wanted. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** Bits of the `abilities` frame. */
  get abilities(): number {
    const { secondWelcome, wantsPresence, seen, takesGroups } = Ability;
    return secondWelcome | takesGroups | (this.#isWanted ? wantsPresence : 0) | (this.#isSeen ? seen : 0);
  }

  /** Whether the author may be listed from now on; returns whether that is another wish than before. */
  wishSeen(isSeen: boolean): boolean {
    const isNew = isSeen !== this.#isSeen;
    this.#isSeen = isSeen;
    return isNew;
  }

  /** A report came; null: none counts any more. */
  reported(presence: Presence | null): void {
    if (!this.#isWanted || isSame(presence, this.#latest)) return;
    this.#latest = presence;
    this.#onChange(presence);
  }
}

/** What a caller wishes of presence. */
export interface WishedPresence {
  /** Whether the connection reports how many are on the stream, and who of them wishes to be seen; false by default. */
  readonly presence?: boolean;
  /** Whether this client's author may be listed for those who may read the stream; false by default. */
  readonly seen?: boolean;
}

const isSame = (one: Presence | null, other: Presence | null): boolean =>
  one?.readers === other?.readers &&
  one?.publishers === other?.publishers &&
  one?.authors.join() === other?.authors.join();
