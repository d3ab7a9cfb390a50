// One message of this page, from `publish` to its final anchor.

import type { StreamChainError } from "../errors.ts";
import type { MessageState } from "../marks.ts";
import type { Bytes } from "../wire/bytes.ts";
import type { SealedHeader } from "./kept-groups.ts";

/** State of a publication: queued here, sent to the relay, the state of the message, or failed. */
export type PublicationState = "queued" | "sent" | MessageState | "failed";

/** A signed group with its messages. */
export interface SealedGroup extends SealedHeader {
  readonly publications: readonly Publication[];
}

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
  promise.catch(() => {}); // a promise that nobody awaits must not be an unhandled rejection
  return { promise, resolve, reject };
}

/**
 * A published message. Each promise resolves once, with the seq of the message, when its state is first reached, and
 * rejects with a `StreamChainError` when it cannot be reached. A message whose promises rejected is never sent again, also not
 * by a later page; it is not stored, unless the code is `outcome-unknown`. When the connection is closed by its caller, a
 * message that the browser's storage keeps (`kept`) is left to a later page, and its promises stay open; so is, whatever ends
 * the connection, one that an earlier page left. `live` is tentative: when a relay stops before the message
 * is stored, another relay may give it another seq; from `stored` on the seq stays. The seq is null only where it is not known:
 * an earlier session stored the message, or the edge took it by HTTP, and who said that it is stored did not say where.
 */
export class Publication {
  readonly payload: Bytes;
  readonly live: Promise<number | null>;
  readonly stored: Promise<number | null>;
  readonly anchored: Promise<number | null>;
  readonly final: Promise<number | null>;
  /** The part that only the outbox changes. */
  readonly control: PublicationControl;
  /** Has the storage keep what is to be kept. */
  readonly #keep: () => void;

  constructor(payload: Bytes, keep: () => void = () => {}) {
    this.payload = payload;
    this.#keep = keep;
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

  /** The `producer_seq` of the message; -1 until the producer is known. */
  get producerSeq(): number {
    return this.control.producerSeq;
  }

  get state(): PublicationState {
    return this.control.state;
  }

  /** Whether it is signed; undefined until it is sent. */
  get signed(): boolean | undefined {
    if (this.control.group !== null) return true;
    return this.control.state === "queued" ? undefined : false;
  }

  /** Whether the browser's storage keeps a copy until the message is stored. */
  get kept(): boolean {
    this.#keep();
    return this.control.kept;
  }
}

/** The part of a publication that only the outbox changes. */
class PublicationControl {
  readonly live = deferred<number | null>();
  readonly stored = deferred<number | null>();
  readonly anchored = deferred<number | null>();
  readonly final = deferred<number | null>();
  seq: number | null = null;
  /** The seq that a relay gave it under an earlier epoch: its seq, if it was stored then and nowhere else since. */
  formerSeq: number | null = null;
  producerSeq = -1;
  state: PublicationState = "queued";
  /** Whether the storage keeps it, or is to once it is written. */
  kept = false;
  /** The signed group that it is sent in. */
  group: SealedGroup | null = null;
  /** An earlier page published it. */
  restored = false;
  /** It was sent in this session or request, and has no answer. */
  inFlight = false;
  /** It was sent before, and may be stored although nobody said so. */
  inDoubt = false;
  /** The message is known to be below this seq. */
  bound = 0;

  /** Rejects all promises, once. */
  fail(error: StreamChainError): void {
    this.state = "failed";
    for (const promise of [this.live, this.stored, this.anchored, this.final]) promise.reject(error);
  }
}
