// Moves publications from the outbox to the edge by HTTP, as `Sender` does on a data channel.
//
// What always holds: one request at a time, in the order of `producer_seq`, which is the same on the data channel; so what
// a relay accepted before, or accepts afterwards, is the same message. A publication leaves the outbox only when the edge
// answers that it is stored.

import { Backoff } from "../backoff.ts";
import { asStreamChainError, type ErrorCode, StreamChainError } from "../errors.ts";
import type { Credentials } from "../http/credentials.ts";
import type { Published } from "../http/edge-answers.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import {
  MAX_GROUP_MESSAGES,
  MAX_RETRY_AFTER_MS,
  MAX_UNSTORED_POSTED,
  SIGN_AGAIN_MS,
  UNSTORED_PAUSE_MS,
} from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { Outbox } from "./outbox.ts";
import type { Producer } from "./producer.ts";
import type { Publication, SealedGroup } from "./publication.ts";

/** HTTP statuses that refuse the author or the payload for good. */
const FINAL_STATUSES = [403, 413];

/** The error codes of refusals that concern signatures. */
const CODES: Record<string, ErrorCode> = {
  "bad-signature": "bad-signature",
  "signature-required": "signature-required",
};

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
  /** The edge does not take the key that messages are signed with. */
  readonly onBadKey: () => void;
  /** The edge stored the first waiting publication; `seq` is null when the edge no longer knows it. */
  readonly onStored: (producerSeq: number, seq: number | null) => void;
}

/** A publication to post, or the signed group that it begins; `more` follow it. */
interface Post {
  readonly publication: Publication;
  readonly more: boolean;
  readonly group: SealedGroup | null;
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
  /** What the request under way has. */
  #posting: readonly Publication[] = [];

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

  /**
   * Cancels the request under way: whether the edge has its message shows when it is sent again. Known at once, since the welcome for
   * which it is cancelled may name the message as stored: then it is where the edge put it, not where a relay had it before.
   */
  stop(): void {
    for (const publication of this.#posting) this.#options.outbox.handedOver(publication);
    this.#posting = [];
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
    const { outbox, credentials } = this.#options;
    const first = outbox.waiting[0];
    if (first === undefined || first.producerSeq < 0 || this.#options.producer() === null) return null;
    // What is signed is not known yet: it follows from the author, whom the first post finds out.
    if (!outbox.isReady && credentials.author !== undefined) return null;
    // A group has many messages, so one at a time is enough: the next one is what is published meanwhile.
    if (outbox.signs) return { publication: first, more: false, group: outbox.firstGroup };
    // The seqs of a batch are learned before the next batch is posted, while the edge remembers them.
    if (first.producerSeq > this.#posted) this.#batchEnd = first.producerSeq + MAX_UNSTORED_POSTED;
    const unposted = outbox.firstAbove(this.#posted);
    if (unposted === undefined || unposted.producerSeq >= this.#batchEnd) {
      return { publication: first, more: false, group: null };
    }
    const after = outbox.firstAbove(unposted.producerSeq);
    return { publication: unposted, group: null, more: after !== undefined && after.producerSeq < this.#batchEnd };
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
    const { outbox, credentials } = this.#options;
    let token: string | undefined;
    let sent: readonly Publication[] = [];
    try {
      token = await credentials.needed(run);
      const next = await this.#signed(run); // another author has other messages
      if (run.aborted || next === null) return;
      sent = next.group?.publications ?? [next.publication];
      for (const publication of sent) outbox.markSent(publication);
      this.#posting = sent;
      const answer = await this.#request(next, token, run);
      if (run.aborted) return;
      this.#posting = [];
      this.#backoff.reset();
      credentials.named(token, answer.author);
      await this.#answered(next, sent, answer);
    } catch (cause) {
      if (run.aborted) return;
      this.#posting = [];
      const error = asStreamChainError(cause);
      for (const publication of sent) {
        // Without an answer, the edge may have it.
        if (error.problem === undefined) outbox.handedOver(publication);
        else outbox.refusedOnce(publication);
      }
      await this.#refused(error, token);
    }
  }

  /** What to post next, signed if it must be; null when there is nothing (any more). */
  async #signed(run: AbortSignal): Promise<Post | null> {
    const next = this.#next();
    if (next === null || next.group !== null || !this.#options.outbox.signs) return next;
    const isSigned = await this.#options.outbox.seal(MAX_GROUP_MESSAGES);
    if (isSigned !== true && !run.aborted) await this.#backoff.pause(SIGN_AGAIN_MS);
    const signed = this.#next();
    return signed?.group === null ? null : signed;
  }

  #request({ publication, group, more }: Post, token: string, signal: AbortSignal): Promise<Published> {
    const { edge, stream, producer, outbox } = this.#options;
    const id = producer()?.id ?? new Uint8Array();
    const { payload, producerSeq } = publication;
    if (group === null) {
      return edge.publish(stream, payload, { token, number: { producer: id, seq: producerSeq }, signal, atOnce: more });
    }
    const { previous, signature, publications } = group;
    const payloads = publications.map((one) => one.payload);
    const posted = { producer: id, producerSeq: group.first, payloads, key: outbox.publicKey, previous, signature };
    return edge.publishGroup(stream, posted, { token, signal, atOnce: more });
  }

  async #answered({ more }: Post, sent: readonly Publication[], answer: Published): Promise<void> {
    const { outbox, onStored } = this.#options;
    const numbers = sent.map(({ producerSeq }) => producerSeq);
    this.#posted = Math.max(this.#posted, ...numbers);
    if (answer.stored) {
      numbers.forEach((number, i) => {
        onStored(number, answer.seq === undefined ? null : answer.seq + i);
      });
    } else {
      for (const publication of sent) outbox.handedOver(publication);
      if (!more) await this.#rest();
    }
  }

  /** Pauses when the edge has everything and the stream's leader has not stored it within the edge's own wait. */
  async #rest(): Promise<void> {
    this.#isResting = true;
    await this.#backoff.pause(UNSTORED_PAUSE_MS);
    this.#isResting = false;
  }

  async #refused(error: StreamChainError, token: string | undefined): Promise<void> {
    const { outbox, credentials, onFailed, onBadKey } = this.#options;
    const { slug, status } = error.problem ?? { slug: "", status: 0 };
    const isConflict = slug === "producer-conflict" || slug === "broken-chain";
    if (isConflict) {
      // A conflict on the first message that is not stored means that the edge lost what it had stored.
      if (this.#posted < 0) outbox.renew();
      this.#posted = -1;
    } else if (FINAL_STATUSES.includes(status) || slug === "bad-signature") {
      const code = CODES[slug] ?? (status === 403 ? "not-allowed" : "too-large");
      if (code === "bad-signature") onBadKey();
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
