// The messages that this page published: they wait here, in order, until they are stored, and are sent again after a
// reconnect.
//
// What always holds: `#waiting` is ordered by `producer_seq` and holds exactly the messages not known to be stored. A
// message leaves it by the relay's committed mark (same epoch), by the stored mark of a welcome, by an answer of the edge,
// or when its promises reject; then its kept copy is gone too. The relay and the edge drop what they already have, by
// `producer_seq`, so sending again is safe.

import { StreamChainError } from "../errors.ts";
import {
  MAX_COALESCED_BYTES,
  MAX_FOLLOWED_PUBLICATIONS,
  MAX_OUTBOX_BYTES,
  MAX_OUTBOX_MESSAGES,
  MAX_PAYLOAD_BYTES,
  MAX_UNANSWERED_MESSAGES,
} from "../limits.ts";
import type { Marks } from "../marks.ts";
import type { Bytes } from "../wire/bytes.ts";
import { encodeFrame } from "../wire/frames.ts";
import type { Producer } from "./producer.ts";
import { Publication } from "./publication.ts";

/** The outcome of a welcome for the producer. */
export type WelcomeOutcome =
  /** Relay and page agree on what is stored: send what waits. */
  | "in-step"
  /** They disagree: the page has a new producer id, and must send `hello` again. */
  | "renewed";

/** The messages that wait for storage, and the stored ones that are followed to their anchor. */
export class Outbox {
  readonly #roomWaiters: (() => void)[] = [];
  readonly #marks: Marks;
  readonly #onChange: (publication: Publication) => void;
  #producer: Producer | null = null;
  #waiting: Publication[] = [];
  #bytes = 0;
  #sent = 0; // the first #sent of #waiting were sent in this session
  #answered = 0; // the first #answered of #waiting were answered in this session
  #followed: Publication[] = [];
  #payloadLimit = MAX_PAYLOAD_BYTES;
  /** Whether it is known what is stored of the producer: a relay named it, or nothing is. */
  #storedKnown = false;

  constructor(marks: Marks, onChange: (publication: Publication) => void) {
    this.#marks = marks;
    this.#onChange = onChange;
  }

  /** Messages that are not stored yet. */
  get waiting(): readonly Publication[] {
    return this.#waiting;
  }

  /** Whether `publish` would take a message of this size now. */
  hasRoom(bytes = 0): boolean {
    return this.#waiting.length < MAX_OUTBOX_MESSAGES && this.#bytes + bytes <= MAX_OUTBOX_BYTES;
  }

  /** Resolves when there is room for another message. */
  room(): Promise<void> {
    if (this.hasRoom()) return Promise.resolve();
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Resolves the promises of `room`, when there is room or never will be. */
  giveRoom(closed = false): void {
    if (!closed && !this.hasRoom()) return;
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }

  /** Whether stored messages wait for their anchor. */
  get following(): boolean {
    return this.#followed.length > 0;
  }

  /** Adds a message. Throws `too-large` or `queue-full`. */
  publish(payload: Bytes): Publication {
    if (payload.length > this.#payloadLimit) {
      throw new StreamChainError("too-large", `payload of ${payload.length} bytes, limit ${this.#payloadLimit}`);
    }
    if (!this.hasRoom(payload.length)) {
      throw new StreamChainError("queue-full", `${this.#waiting.length} messages wait for storage`, {
        retryable: true,
      });
    }
    const publication = new Publication(payload);
    this.#assignSeq(publication, this.#waiting.at(-1));
    this.#push(publication);
    return publication;
  }

  /** A message is kept only behind one that is kept: a page that finds a gap could not tell what was sent. */
  #assignSeq(publication: Publication, before: Publication | undefined): void {
    if (this.#producer === null) return;
    const { producerSeq, kept } = this.#producer.take(publication.payload, before?.kept ?? true);
    publication.control.producerSeq = producerSeq;
    publication.control.kept = kept;
  }

  #push(publication: Publication): void {
    this.#waiting.push(publication);
    this.#bytes += publication.payload.length;
  }

  /** Takes the page's producer. Its kept messages come before those published meanwhile; returns the kept ones. */
  attach(producer: Producer): Publication[] {
    this.#producer = producer;
    const early = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    const kept = producer.kept();
    this.#storedKnown = kept.length > 0; // their numbers follow those that the earlier page knew to be stored
    const restored = kept.map(({ producerSeq, payload }) => {
      const publication = new Publication(payload);
      publication.control.producerSeq = producerSeq;
      publication.control.kept = true;
      publication.control.restored = true;
      publication.control.inDoubt = true; // the earlier page may have sent it
      this.#push(publication);
      return publication;
    });
    for (const publication of early) {
      this.#assignSeq(publication, this.#waiting.at(-1));
      this.#push(publication);
    }
    this.bound();
    return restored;
  }

  /** The producer has an author, under whom the messages are sent: they stay kept only if the storage says so. */
  bound(): void {
    const producer = this.#producer;
    if (producer === null || producer.keeps) return;
    for (const { control } of this.#waiting) {
      producer.drop(control.producerSeq);
      control.kept = false;
    }
  }

  /** Sets the largest payload that the session takes, in bytes. */
  limitPayload(bytes: number): void {
    this.#payloadLimit = Math.min(MAX_PAYLOAD_BYTES, bytes);
  }

  /** Applies a welcome: `stored` is the last stored `producer_seq`, and its message is below `head`. */
  welcome(stored: number | null, head: number, sameEpoch: boolean): WelcomeOutcome {
    const expected = stored === null ? 0 : stored + 1;
    while (this.#waiting[0] !== undefined && this.#waiting[0].producerSeq < expected) {
      this.#store(this.#waiting[0], head);
    }
    this.#rewind(sameEpoch);
    this.#storedKnown = true;
    const producer = this.#producer as Producer;
    if (this.#waiting.length === 0) producer.skipTo(expected);
    if ((this.#waiting[0]?.producerSeq ?? producer.next) === expected) return "in-step";
    this.renew();
    return "renewed";
  }

  /** Gives the waiting messages a new producer id and new numbers, since the messages of the old ones are not known. */
  renew(): void {
    this.#storedKnown = true;
    this.#producer?.renew();
    this.#waiting.forEach((publication, index) => {
      this.#assignSeq(publication, this.#waiting[index - 1]);
    });
  }

  /**
   * Prepares for sending by HTTP, where no welcome names what is stored of the producer. Unless that is known, the storage
   * may have forgotten some of its numbers, and a number used twice would count as the same message: the id is renewed.
   */
  prepareForHttp(): void {
    if (this.#producer !== null && !this.#storedKnown) this.renew();
  }

  /** The first waiting message with a higher `producer_seq`. */
  firstAbove(producerSeq: number): Publication | undefined {
    return this.#waiting.find((publication) => publication.producerSeq > producerSeq);
  }

  /** A message is being sent by HTTP. */
  markSent({ control }: Publication): void {
    control.inFlight = true;
    if (control.state === "queued") control.state = "sent";
  }

  /** The edge answered a request with an error: it did not store the message of it. */
  refusedOnce({ control }: Publication): void {
    control.inFlight = false;
  }

  /** The edge stored the first waiting message. */
  storedAt(producerSeq: number, seq: number | null, head: number): void {
    const publication = this.#waiting[0];
    if (publication?.producerSeq !== producerSeq) return;
    publication.control.seq = seq ?? publication.control.seq;
    this.#store(publication, head);
  }

  /** The edge has the message, or may have it: its seq can differ from the one that a relay gave it. */
  handedOver({ control }: Publication): void {
    control.inDoubt = true;
    control.seq = null;
    control.formerSeq = null;
  }

  /** The stream has another epoch: the seqs of messages that are not stored are void. */
  forgetSeqs(): void {
    for (const { control } of this.#waiting) {
      control.formerSeq = control.seq ?? control.formerSeq;
      control.seq = null;
      if (control.state === "live") control.state = "sent";
    }
  }

  /** Everything that is not stored is sent again. */
  #rewind(keepSeqs: boolean): void {
    this.#sent = 0;
    this.#answered = 0;
    for (const { control } of this.#waiting) {
      control.state = "queued";
      control.formerSeq = null;
      if (!keepSeqs) control.seq = null;
    }
  }

  /** The session is over: what was sent in it may be stored. */
  channelLost(): void {
    for (const { control } of this.#waiting) {
      control.inDoubt ||= control.inFlight;
      control.inFlight = false;
    }
  }

  /** Makes `nextMessage` begin again at the first message without an answer. */
  resendUnanswered(): void {
    this.#sent = this.#answered;
  }

  /** The next data-channel message of at most `maxFrames` publish frames, or null when there is nothing to send now. */
  nextMessage(maxFrames = Number.POSITIVE_INFINITY): Uint8Array[] | null {
    const frames: Uint8Array[] = [];
    let size = 0;
    while (this.#sent < this.#waiting.length && this.#sent - this.#answered < MAX_UNANSWERED_MESSAGES) {
      if (frames.length >= maxFrames) break;
      const publication = this.#waiting[this.#sent] as Publication;
      if (publication.producerSeq < 0) break;
      const frame = encodeFrame({
        kind: "publish",
        producerSeq: publication.producerSeq,
        payload: publication.payload,
      });
      if (size > 0 && size + frame.length > MAX_COALESCED_BYTES) break;
      frames.push(frame);
      size += frame.length;
      this.#sent++;
      publication.control.inFlight = true;
      if (publication.control.state === "queued") publication.control.state = "sent";
    }
    return frames.length === 0 ? null : frames;
  }

  /** The relay accepted a message; `seq` is null when it was stored before and the relay forgot its seq. */
  accepted(producerSeq: number, seq: number | null, head: number): void {
    const index = producerSeq - (this.#waiting[0]?.producerSeq ?? 0);
    const publication = this.#waiting[index];
    if (publication === undefined || publication.producerSeq !== producerSeq) return;
    this.#answered = Math.max(this.#answered, index + 1);
    if (seq === null) {
      for (const earlier of this.#waiting.slice(0, index + 1)) this.#store(earlier, head);
      return;
    }
    const { control } = publication;
    control.seq = seq;
    control.bound = seq + 1;
    control.inDoubt = true;
    control.state = "live";
    control.live.resolve(seq);
    this.#onChange(publication);
  }

  /** Everything below `committed` that the relay of this epoch accepted is stored. */
  committed(committed: number): void {
    while (this.#waiting[0]?.seq != null && this.#waiting[0].seq < committed) {
      this.#store(this.#waiting[0], committed);
    }
  }

  /** Removes the first waiting message, as stored. */
  #store(publication: Publication, bound: number): void {
    this.#waiting.shift();
    this.#bytes -= publication.payload.length;
    this.#sent = Math.max(0, this.#sent - 1);
    this.#answered = Math.max(0, this.#answered - 1);
    this.#producer?.drop(publication.producerSeq);
    const { control } = publication;
    control.seq ??= control.formerSeq;
    control.bound = control.seq === null ? bound : control.seq + 1;
    control.state = "stored";
    control.live.resolve(control.seq);
    control.stored.resolve(control.seq);
    this.#followed.push(publication);
    if (this.#followed.length > MAX_FOLLOWED_PUBLICATIONS) {
      const dropped = this.#followed.shift() as Publication;
      const error = new StreamChainError(
        "closed",
        `more than ${MAX_FOLLOWED_PUBLICATIONS} publications wait for their anchor`,
      );
      dropped.control.anchored.reject(error);
      dropped.control.final.reject(error);
    }
    this.#onChange(publication);
  }

  /** Applies the marks of the stream to the stored messages. */
  marksMoved(): void {
    const remaining: Publication[] = [];
    for (const publication of this.#followed) {
      const { control } = publication;
      const state = this.#marks.stateOfStored(control.bound - 1);
      const moved = state !== control.state;
      control.state = state;
      if (state !== "stored") control.anchored.resolve(control.seq);
      if (state === "final") control.final.resolve(control.seq);
      else remaining.push(publication);
      if (moved) this.#onChange(publication);
    }
    this.#followed = remaining;
  }

  /** The relay or the edge refused what was sent last: the waiting messages fail. */
  refused(error: StreamChainError): void {
    this.#failAll(error, ({ control }) => control.inDoubt);
  }

  /** No message that waits can be sent any more. Those of an earlier page, whose caller is gone, are left to a later one. */
  fail(error: StreamChainError): void {
    this.#waiting = this.#waiting.filter(({ control }) => !(control.restored && control.kept));
    this.#failAll(error, ({ control }) => control.inDoubt || control.inFlight);
  }

  /** The connection is closed by its caller: kept messages are left to a later page, the others fail. */
  leave(error: StreamChainError): void {
    this.#waiting = this.#waiting.filter(({ kept }) => !kept);
    this.fail(error);
  }

  /** Stored messages are not followed to their anchor any more. */
  unfollow(error: StreamChainError): void {
    for (const { control } of this.#followed.splice(0)) {
      control.anchored.reject(error);
      control.final.reject(error);
    }
  }

  /** Messages that are published now wait for another producer. */
  detach(): void {
    this.#producer = null;
  }

  #failAll(error: StreamChainError, mayBeStored: (publication: Publication) => boolean): void {
    const failed = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    this.#sent = 0;
    this.#answered = 0;
    const text = `${error.message}; the message was sent before, and may be stored`;
    const unknown = new StreamChainError("outcome-unknown", text, { cause: error });
    for (const publication of failed) {
      this.#producer?.drop(publication.producerSeq);
      publication.control.fail(mayBeStored(publication) ? unknown : error);
      this.#onChange(publication);
    }
    this.giveRoom();
  }
}
