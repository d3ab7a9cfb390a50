// What this page published to a stream and nobody stored yet, and what failed.

import type { StreamConnection } from "../lib/connection/connection.ts";
import { asStreamChainError, StreamChainError } from "../lib/errors.ts";
import type { Publication } from "../lib/publish/publication.ts";
import { Store, TIMERS, type Timers } from "./store.ts";

/** Failed messages that are kept for display; the older ones are forgotten. */
const MAX_FAILED = 100;

/** A message that failed for good, and why. */
export interface FailedPublication {
  readonly publication: Publication;
  readonly error: StreamChainError;
}

/** The messages of this page that are not stored. */
export interface Unstored {
  /** Messages that wait for storage, oldest first, with those that an earlier page left. */
  readonly unstored: readonly Publication[];
  /** Messages that failed for good, oldest first, until they are dismissed. */
  readonly failed: readonly FailedPublication[];
}

/** The unstored messages of one connection. */
export class PublishStore extends Store<Unstored> {
  readonly #connection: StreamConnection | null;
  #failed: readonly FailedPublication[] = [];
  #unlisten: () => void = () => {};

  constructor(connection: StreamConnection | null, timers: Timers = TIMERS) {
    super({ unstored: [], failed: [] }, timers);
    this.#connection = connection;
  }

  /** Publishes a message. Throws as `StreamConnection.publish`, and `closed` where there is no connection. */
  publish(payload: Uint8Array | string): Publication {
    if (this.#connection === null) throw new StreamChainError("closed", "the component is not mounted");
    const publication = this.#connection.publish(payload);
    this.changed();
    return publication;
  }

  /** Forgets a failed message. */
  dismiss(publication: Publication): void {
    this.#failed = this.#failed.filter((failed) => failed.publication !== publication);
    this.changed();
  }

  protected override start(): void {
    this.#unlisten =
      this.#connection?.on("publication", (publication) => {
        if (publication.state === "failed") void this.#addFailed(publication);
        this.changed();
      }) ?? this.#unlisten;
    this.changed();
  }

  protected override stop(): void {
    this.#unlisten();
  }

  protected override compute(): Unstored {
    return { unstored: [...(this.#connection?.unstored ?? [])], failed: this.#failed };
  }

  async #addFailed(publication: Publication): Promise<void> {
    const error = await publication.stored.then(() => undefined, asStreamChainError);
    if (error === undefined || this.#failed.some((failed) => failed.publication === publication)) return;
    this.#failed = [...this.#failed, { publication, error }].slice(-MAX_FAILED);
    this.changed();
  }
}
