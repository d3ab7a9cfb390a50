// One message on its way from this page to the chain.

import type { StreamChainError } from "../errors.ts";
import type { MessageState } from "../marks.ts";
import type { Bytes } from "../wire/bytes.ts";

/** Where a publication is: waiting here, sent to the relay, or as a message's state. */
export type PublicationState = "queued" | "sent" | MessageState | "failed";

interface Deferred<Value> {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value) => void;
  readonly reject: (error: StreamChainError) => void;
}

function deferred<Value>(): Deferred<Value> {
  let resolve: (value: Value) => void = () => {};
  let reject: (error: StreamChainError) => void = () => {};
  const promise = new Promise<Value>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  promise.catch(() => {}); // a state that nobody waits for must not count as an unhandled rejection
  return { promise, resolve, reject };
}

/**
 * A published message. Each promise resolves once, with the message's seq, when its state is first reached, and
 * rejects with a `StreamChainError` when it can't be. `live` is tentative: when a relay dies before it stored the
 * message, another one may give it another seq; from `stored` on the seq stays. It is null only when an earlier
 * session already stored the message and the relay no longer knows where.
 */
export class Publication {
  readonly payload: Bytes;
  readonly live: Promise<number | null>;
  readonly stored: Promise<number | null>;
  readonly anchored: Promise<number | null>;
  readonly final: Promise<number | null>;
  /** The outbox's side of this object. */
  readonly control: PublicationControl;

  constructor(payload: Bytes) {
    this.payload = payload;
    this.control = new PublicationControl();
    this.live = this.control.live.promise;
    this.stored = this.control.stored.promise;
    this.anchored = this.control.anchored.promise;
    this.final = this.control.final.promise;
  }

  /** Position in the stream; null until the relay gave one. */
  get seq(): number | null {
    return this.control.seq;
  }

  /** Number of the message among this producer's; -1 until the producer is known. */
  get producerSeq(): number {
    return this.control.producerSeq;
  }

  get state(): PublicationState {
    return this.control.state;
  }

  /** Whether a copy is kept in the browser's storage until it is stored. */
  get kept(): boolean {
    return this.control.kept;
  }
}

/** What only the outbox changes. */
export class PublicationControl {
  readonly live = deferred<number | null>();
  readonly stored = deferred<number | null>();
  readonly anchored = deferred<number | null>();
  readonly final = deferred<number | null>();
  seq: number | null = null;
  /** Where a relay had it under an earlier epoch: its place if it was stored then, and nowhere else since. */
  formerSeq: number | null = null;
  producerSeq = -1;
  state: PublicationState = "queued";
  kept = false;
  /** The message is surely below this mark of the stream. */
  bound = 0;

  /** Gives up, with the reason. */
  fail(error: StreamChainError): void {
    this.state = "failed";
    for (const promise of [this.live, this.stored, this.anchored, this.final]) promise.reject(error);
  }
}
