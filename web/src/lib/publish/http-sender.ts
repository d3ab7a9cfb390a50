// Moves publications from the outbox to the edge by HTTP, as `Sender` does on a data channel.
//
// What always holds: one request at a time, in the order of `producer_seq`, which is the same on the data channel; so what
// a relay accepted before, or accepts afterwards, is the same message. A publication leaves the outbox only when the edge
// answers that it is stored.

import { Backoff } from "../backoff.ts";
import { asStreamChainError, StreamChainError } from "../errors.ts";
import type { Credentials } from "../http/credentials.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import { MAX_RETRY_AFTER_MS, MAX_UNSTORED_POSTED, UNSTORED_PAUSE_MS } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { Outbox } from "./outbox.ts";
import type { Producer } from "./producer.ts";
import type { Publication } from "./publication.ts";

/** HTTP statuses that refuse the author or the payload for good. */
const FINAL_STATUSES = [403, 413];

/** What a sender needs. */
export interface HttpSenderOptions {
  readonly platform: Platform;
  readonly edge: EdgeClient;
  readonly stream: string;
  readonly outbox: Outbox;
  readonly credentials: Credentials;
  readonly producer: () => Producer | null;
  /** The edge refused the author for good. */
  readonly onFailed: (error: StreamChainError) => void;
  /** The edge stored the first waiting publication; `seq` is null when the edge no longer knows it. */
  readonly onStored: (producerSeq: number, seq: number | null) => void;
}

/** A publication to post; `more` follow it. */
interface Post {
  readonly publication: Publication;
  readonly more: boolean;
}

/** Sends between `start` and `stop`. */
export class HttpSender {
  readonly #options: HttpSenderOptions;
  readonly #backoff: Backoff;
  #run: AbortController | null = null;
  /** The edge has the messages up to this `producer_seq`: stored, or waiting for the stream's leader. */
  #posted = -1;
  /** Messages from this `producer_seq` on wait until those before are stored. */
  #batchEnd = 0;
  #wake: (() => void) | null = null;
  #isResting = false;

  constructor(options: HttpSenderOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.platform);
  }

  /** Begins with the first publication that is not stored. */
  start(): void {
    if (this.#run !== null) return;
    this.#run = new AbortController();
    this.#posted = -1;
    this.#options.outbox.prepareForHttp();
    void this.#send(this.#run.signal);
  }

  /** Cancels the request under way: whether the edge has its message shows when it is sent again. */
  stop(): void {
    this.#run?.abort();
    this.#run = null;
    this.plan();
    this.#backoff.skip();
  }

  /** Sends what was published. */
  plan(): void {
    this.#wake?.();
    if (this.#isResting) this.#backoff.skip();
  }

  /** Ends the present pause, as when the network changed. */
  retryNow(): void {
    this.#backoff.reset();
    this.#backoff.skip();
  }

  async #send(run: AbortSignal): Promise<void> {
    while (!run.aborted) {
      if (this.#next() === null) await this.#published();
      else await this.#post(run);
    }
  }

  /** The first message that the edge does not have; else again the first one that is not stored, to learn its seq. */
  #next(): Post | null {
    const { outbox } = this.#options;
    const first = outbox.waiting[0];
    if (first === undefined || first.producerSeq < 0 || this.#options.producer() === null) return null;
    // The seqs of a batch are learned before the next batch is posted, while the edge remembers them.
    if (first.producerSeq > this.#posted) this.#batchEnd = first.producerSeq + MAX_UNSTORED_POSTED;
    const unposted = outbox.firstAbove(this.#posted);
    if (unposted === undefined || unposted.producerSeq >= this.#batchEnd) return { publication: first, more: false };
    const after = outbox.firstAbove(unposted.producerSeq);
    return { publication: unposted, more: after !== undefined && after.producerSeq < this.#batchEnd };
  }

  #published(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = null;
        resolve();
      };
    });
  }

  async #post(run: AbortSignal): Promise<void> {
    const { edge, stream, outbox, producer, credentials, onStored } = this.#options;
    let token: string | undefined;
    let publication: Publication | undefined;
    try {
      token = await credentials.needed(run);
      const next = this.#next(); // another author has other messages
      const id = producer()?.id;
      if (run.aborted || next === null || id === undefined) return;
      const { more } = next;
      publication = next.publication;
      const { payload, producerSeq } = publication;
      outbox.markSent(publication);
      const number = { producer: id, seq: producerSeq };
      const answer = await edge.publish(stream, payload, { token, number, signal: run, atOnce: more });
      if (run.aborted) return;
      this.#backoff.reset();
      this.#posted = Math.max(this.#posted, producerSeq);
      credentials.named(token, answer.author);
      if (answer.stored) {
        onStored(producerSeq, answer.seq ?? null);
      } else {
        outbox.handedOver(publication);
        if (!more) await this.#rest();
      }
    } catch (cause) {
      const error = asStreamChainError(cause);
      if (publication !== undefined) {
        // Without an answer, the edge may have it.
        if (error.problem === undefined) outbox.handedOver(publication);
        else outbox.refusedOnce(publication);
      }
      if (!run.aborted) await this.#refused(error, token);
    }
  }

  /** Pauses when the edge has everything and the stream's leader has not stored it within the edge's own wait. */
  async #rest(): Promise<void> {
    this.#isResting = true;
    await this.#backoff.pause(UNSTORED_PAUSE_MS);
    this.#isResting = false;
  }

  async #refused(error: StreamChainError, token: string | undefined): Promise<void> {
    const { outbox, credentials, onFailed } = this.#options;
    const { slug, status } = error.problem ?? { slug: "", status: 0 };
    const isConflict = slug === "producer-conflict";
    if (isConflict) {
      // A conflict on the first message that is not stored means that the edge lost what it had stored.
      if (this.#posted < 0) outbox.renew();
      this.#posted = -1;
    } else if (FINAL_STATUSES.includes(status)) {
      const code = status === 403 ? "not-allowed" : "too-large";
      outbox.refused(new StreamChainError(code, error.message, { cause: error }));
      return;
    } else if (status === 401) {
      if (!credentials.refused(error, token)) return onFailed(error);
      await this.#backoff.pause(this.#backoff.next(error));
      return;
    } else if (credentials.isOver(error)) {
      return onFailed(error);
    }
    // Other refusals may meet a session request as well, which then ends the connection.
    const ms = error.retryable || isConflict ? this.#backoff.next(error) : MAX_RETRY_AFTER_MS;
    await this.#backoff.pause(ms);
  }
}
