// Moves publications from the outbox to the edge by HTTP: what `Sender` does on a data channel.
//
// What always holds: one request at a time, in the order of the numbers, which are those of the data channel; so what a
// relay had taken before, or takes afterwards, is the same message. A publication leaves the outbox only when the edge
// says that it is stored.

import { Backoff } from "../backoff.ts";
import type { Intake } from "../connection/stream-state.ts";
import { asStreamChainError, StreamChainError } from "../errors.ts";
import type { Credentials } from "../http/credentials.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import { RETRY_AFTER_MAX_MS, UNSTORED_PAUSE_MS, UNSTORED_POSTED } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { Hex } from "../wire/bytes.ts";
import type { Outbox } from "./outbox.ts";
import type { Producer } from "./producer.ts";
import type { Publication } from "./publication.ts";

/** HTTP statuses that say no for as long as this page lives: to its author, or to this payload. */
const REFUSED_FOR_GOOD = [403, 413];

/** What a sender needs. */
export interface HttpSenderOptions {
  readonly platform: Platform;
  readonly edge: EdgeClient;
  readonly stream: string;
  readonly outbox: Outbox;
  readonly credentials: Credentials;
  readonly intake: Intake;
  readonly producer: () => Producer | null;
  /** Who this client is. */
  readonly onAuthor: (author: Hex) => void;
}

/** Sends while it is started. */
export class HttpSender {
  readonly #options: HttpSenderOptions;
  readonly #backoff: Backoff;
  #run: AbortController | null = null;
  /** The edge has the messages up to this number: stored, or waiting for the stream's relay. */
  #taken = -1;
  /** Those from this number on wait until the ones before are stored. */
  #batchEnd = 0;
  #wake: (() => void) | null = null;
  #isResting = false;
  readonly #onStored: () => void;

  /** `onStored`: the edge stored a publication, so the stream is there. */
  constructor(options: HttpSenderOptions, onStored: () => void) {
    this.#options = options;
    this.#onStored = onStored;
    this.#backoff = new Backoff(options.platform);
  }

  /** Begins with the first publication that is not stored. */
  start(): void {
    if (this.#run !== null) return;
    this.#run = new AbortController();
    this.#taken = -1;
    this.#options.outbox.sendUngreeted();
    void this.#send(this.#run.signal);
  }

  /** Gives up the request under way: the edge has its message or not, and is asked again or told by a relay. */
  stop(): void {
    this.#run?.abort();
    this.#run = null;
    this.plan();
    this.#backoff.skip();
  }

  /** Something was published. */
  plan(): void {
    this.#wake?.();
    if (this.#isResting) this.#backoff.skip();
  }

  /** The network is another one: a pause is over. */
  hurry(): void {
    this.#backoff.reset();
    this.#backoff.skip();
  }

  async #send(run: AbortSignal): Promise<void> {
    while (!run.aborted) {
      const next = this.#next();
      if (next === null) await this.#published();
      else await this.#post(next, run);
    }
  }

  /**
   * What to send: the first that the edge has not; then again the first that is not known to be stored, for its seq.
   * `more` wait behind it.
   */
  #next(): { publication: Publication; more: boolean } | null {
    const { outbox } = this.#options;
    const first = outbox.waiting[0];
    if (first === undefined || first.producerSeq < 0) return null;
    // The seqs of some are learned before the next are posted: so long the edge remembers them.
    if (first.producerSeq > this.#taken) this.#batchEnd = first.producerSeq + UNSTORED_POSTED;
    const untaken = outbox.firstAbove(this.#taken);
    if (untaken === undefined || untaken.producerSeq >= this.#batchEnd) return { publication: first, more: false };
    const after = outbox.firstAbove(untaken.producerSeq);
    return { publication: untaken, more: after !== undefined && after.producerSeq < this.#batchEnd };
  }

  #published(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = null;
        resolve();
      };
    });
  }

  async #post({ publication, more }: { publication: Publication; more: boolean }, run: AbortSignal): Promise<void> {
    const { edge, stream, outbox, intake, producer, onAuthor } = this.#options;
    const { payload, producerSeq } = publication;
    const id = producer()?.id;
    if (id === undefined) return this.#published();
    try {
      const token = await this.#token(run);
      if (run.aborted) return;
      outbox.posted(publication);
      const number = { producer: id, seq: producerSeq };
      const answer = await edge.publish(stream, payload, { token, number, signal: run, atOnce: more });
      if (run.aborted) return;
      this.#backoff.reset();
      this.#taken = Math.max(this.#taken, producerSeq);
      onAuthor(answer.author);
      if (!answer.stored) {
        outbox.handedOver(publication);
        if (!more) await this.#rest();
        return;
      }
      // Those before it are stored too, and tell their seqs when they are asked for.
      intake.posted(producerSeq, answer.seq ?? null);
      this.#onStored();
    } catch (cause) {
      const error = asStreamChainError(cause);
      if (error.problem === undefined) outbox.handedOver(publication); // it may have got there
      if (!run.aborted) await this.#refused(error);
    }
  }

  /** Everything is at the edge, and it was waited for the relay as long as the edge does. */
  async #rest(): Promise<void> {
    this.#isResting = true;
    await this.#backoff.pause(UNSTORED_PAUSE_MS);
    this.#isResting = false;
  }

  async #token(run: AbortSignal): Promise<string> {
    const { credentials, edge, onAuthor } = this.#options;
    if (credentials.token !== undefined) return credentials.token;
    const { token, author } = await edge.guest(run);
    credentials.keep(token);
    onAuthor(author);
    return token;
  }

  async #refused(error: StreamChainError): Promise<void> {
    const { outbox, credentials } = this.#options;
    const { slug, status } = error.problem ?? { slug: "", status: 0 };
    const isConflict = slug === "producer-conflict";
    if (isConflict) {
      // From the first that is not stored; should even that leave a number out, the edge lost what it had stored.
      if (this.#taken < 0) outbox.renew();
      this.#taken = -1;
    } else if (REFUSED_FOR_GOOD.includes(status)) {
      const code = status === 403 ? "not-allowed" : "too-large";
      outbox.fail(new StreamChainError(code, error.message, { cause: error }), true);
      return;
    } else if (credentials.forgetIfRefused(error)) {
      return;
    }
    // What is refused for another reason may be refused to a session as well, which then ends the connection.
    const ms = error.retryable || isConflict ? this.#backoff.next(error) : RETRY_AFTER_MAX_MS;
    await this.#backoff.pause(ms);
  }
}
