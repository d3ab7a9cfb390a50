// The publisher's side: messages wait here until they are stored, in order, and are sent again after a reconnect.
//
// What always holds: `#waiting` is ordered by producer_seq and holds exactly the messages not known to be stored; a
// message leaves it only by the relay's committed mark (same epoch) or by the stored mark of a welcome. The relay and
// the edge drop what they have already, by producer_seq, so sending again is safe.

import { StreamChainError } from "../errors.ts";
import {
  COALESCE_BYTES,
  FOLLOWED_PUBLICATIONS,
  MAX_PAYLOAD_BYTES,
  OUTBOX_BYTES,
  OUTBOX_MESSAGES,
  UNANSWERED_MESSAGES,
} from "../limits.ts";
import type { Marks } from "../marks.ts";
import type { Bytes } from "../wire/bytes.ts";
import { encodeFrame } from "../wire/frames.ts";
import type { Producer } from "./producer.ts";
import { Publication } from "./publication.ts";

/** What a welcome means for the producer. */
export type WelcomeOutcome =
  /** Go on sending. */
  | "in-step"
  /** Relay and page disagree on the producer's past: the id was renewed, greet again. */
  | "renewed";

/** Messages on their way to storage, and then followed to the chain. */
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
  /** Whether the producer's past is known: a relay told of it, or it has none. */
  #pastKnown = false;

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
    return this.#waiting.length < OUTBOX_MESSAGES && this.#bytes + bytes <= OUTBOX_BYTES;
  }

  /** Resolves when there is room for another message. */
  room(): Promise<void> {
    if (this.hasRoom()) return Promise.resolve();
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Tells those who wait for room that there is some, or that there never will be. */
  giveRoom(closed = false): void {
    if (!closed && !this.hasRoom()) return;
    for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }

  /** Whether stored messages wait for their anchors. */
  get following(): boolean {
    return this.#followed.length > 0;
  }

  /** Takes a message, or throws `too-large` or `queue-full`. */
  publish(payload: Bytes): Publication {
    if (payload.length > this.#payloadLimit) {
      throw new StreamChainError("too-large", `${payload.length} bytes; a message has at most ${this.#payloadLimit}`);
    }
    if (!this.hasRoom(payload.length)) {
      throw new StreamChainError("queue-full", `${this.#waiting.length} messages wait for storage`, {
        retryable: true,
      });
    }
    const publication = new Publication(payload);
    this.#number(publication);
    this.#push(publication);
    return publication;
  }

  #number(publication: Publication): void {
    if (this.#producer === null) return;
    const { producerSeq, kept } = this.#producer.take(publication.payload);
    publication.control.producerSeq = producerSeq;
    publication.control.kept = kept;
  }

  #push(publication: Publication): void {
    this.#waiting.push(publication);
    this.#bytes += publication.payload.length;
  }

  /** The page's producer is known: what it kept goes first, then what was published meanwhile. Returns the former. */
  attach(producer: Producer): Publication[] {
    this.#producer = producer;
    const early = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    const kept = producer.kept();
    this.#pastKnown = kept.length > 0; // numbered behind what that page was told
    const restored = kept.map(({ producerSeq, payload }) => {
      const publication = new Publication(payload);
      publication.control.producerSeq = producerSeq;
      publication.control.kept = true;
      this.#push(publication);
      return publication;
    });
    for (const publication of early) {
      this.#number(publication);
      this.#push(publication);
    }
    return restored;
  }

  /** Largest payload that the path takes, in bytes. */
  limitPayload(bytes: number): void {
    this.#payloadLimit = Math.min(MAX_PAYLOAD_BYTES, bytes);
  }

  /** The relay's greeting: `stored` is this producer's last stored number, `head` bounds where it can be. */
  welcome(stored: number | null, head: number, sameEpoch: boolean): WelcomeOutcome {
    const expected = stored === null ? 0 : stored + 1;
    while (this.#waiting[0] !== undefined && this.#waiting[0].producerSeq < expected) {
      this.#store(this.#waiting[0], head);
    }
    this.#rewind(sameEpoch);
    this.#pastKnown = true;
    const producer = this.#producer as Producer;
    if (this.#waiting.length === 0) producer.skipTo(expected);
    if ((this.#waiting[0]?.producerSeq ?? producer.next) === expected) return "in-step";
    this.renew();
    return "renewed";
  }

  /** What waits gets a new producer and new numbers: nobody knows of the old ones what they stood for. */
  renew(): void {
    this.#pastKnown = true;
    this.#producer?.renew();
    for (const publication of this.#waiting) this.#number(publication);
  }

  /**
   * Publications will go where nobody tells what is stored of the producer. One whose past no relay told to this page
   * may be older than this storage remembers, and a number twice would be taken for the same message: it is renewed.
   */
  sendUngreeted(): void {
    if (this.#producer !== null && !this.#pastKnown) this.renew();
  }

  /** The first that waits with a number above this one. */
  firstAbove(producerSeq: number): Publication | undefined {
    return this.#waiting.find((publication) => publication.producerSeq > producerSeq);
  }

  /** A publication is on its way. */
  posted({ control }: Publication): void {
    if (control.state === "queued") control.state = "sent";
  }

  /** The edge stored the first that waits. */
  storedAt(producerSeq: number, seq: number | null, head: number): void {
    const publication = this.#waiting[0];
    if (publication?.producerSeq !== producerSeq) return;
    publication.control.seq = seq ?? publication.control.seq;
    this.#store(publication, head);
  }

  /** The edge has it, or may have it: it can be stored elsewhere than where a relay had it. */
  handedOver({ control }: Publication): void {
    control.seq = null;
    control.formerSeq = null;
  }

  /** The stream is under another epoch: the seqs of messages that are not stored mean nothing there. */
  forgetPlaces(): void {
    for (const { control } of this.#waiting) {
      control.formerSeq = control.seq ?? control.formerSeq;
      control.seq = null;
      if (control.state === "live") control.state = "sent";
    }
  }

  /** Everything that is not stored will be sent again. */
  #rewind(keepSeqs: boolean): void {
    this.#sent = 0;
    this.#answered = 0;
    for (const { control } of this.#waiting) {
      control.state = "queued";
      control.formerSeq = null;
      if (!keepSeqs) control.seq = null;
    }
  }

  /** Sends again from the first message that the relay has not answered. */
  resendUnanswered(): void {
    this.#sent = this.#answered;
  }

  /** The next data-channel message of at most so many publish frames, or null when there is none to send now. */
  nextMessage(most = Number.POSITIVE_INFINITY): Uint8Array[] | null {
    const frames: Uint8Array[] = [];
    let size = 0;
    while (this.#sent < this.#waiting.length && this.#sent - this.#answered < UNANSWERED_MESSAGES) {
      if (frames.length >= most) break;
      const publication = this.#waiting[this.#sent] as Publication;
      if (publication.producerSeq < 0) break;
      const frame = encodeFrame({
        kind: "publish",
        producerSeq: publication.producerSeq,
        payload: publication.payload,
      });
      if (size > 0 && size + frame.length > COALESCE_BYTES) break;
      frames.push(frame);
      size += frame.length;
      this.#sent++;
      if (publication.control.state === "queued") publication.control.state = "sent";
    }
    return frames.length === 0 ? null : frames;
  }

  /** The relay took a message; `seq` is null when it was stored before and its place is forgotten. */
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
    control.state = "live";
    control.live.resolve(seq);
    this.#onChange(publication);
  }

  /** Everything below `committed` that this epoch's relay took is stored. */
  committed(committed: number): void {
    while (this.#waiting[0]?.seq != null && this.#waiting[0].seq < committed) {
      this.#store(this.#waiting[0], committed);
    }
  }

  /** Takes the first waiting message out as stored. */
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
    if (this.#followed.length > FOLLOWED_PUBLICATIONS) {
      const dropped = this.#followed.shift() as Publication;
      const error = new StreamChainError("closed", "too many publications wait for their anchor");
      dropped.control.anchored.reject(error);
      dropped.control.final.reject(error);
    }
    this.#onChange(publication);
  }

  /** The stream's marks moved. */
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

  /** Gives up on everything; `forget` also deletes what is kept, else it stays there for a later page. */
  fail(error: StreamChainError, forget: boolean): void {
    for (const { control } of this.#followed) {
      control.anchored.reject(error);
      control.final.reject(error);
    }
    for (const publication of this.#waiting) {
      if (forget) this.#producer?.drop(publication.producerSeq);
      publication.control.fail(error);
      this.#onChange(publication);
    }
    this.#waiting = [];
    this.#followed = [];
    this.#bytes = 0;
    this.#sent = 0;
    this.#answered = 0;
  }
}
