// The messages that this page published: they wait here, in order, until they are stored, and are sent again after a
// reconnect.
//
// What always holds: `#waiting` is ordered by `producer_seq` and holds exactly the messages not known to be stored. A
// message leaves it by the relay's committed mark (same epoch), by the stored mark of a welcome, by an answer of the edge,
// or when its promises reject; then its kept copy is gone too. The relay and the edge drop what they already have, by
// `producer_seq`, so sending again is safe.
//
// What is to be kept is written before it is sent; where a signature takes longer than the turn, while the browser signs it.
//
// Where the producer signs, messages are sent in groups as they were signed: the signed ones come first among `#waiting`,
// whole groups, and a group that is sent again is the same bytes.

import { StreamChainError } from "../errors.ts";
import {
  MAX_GROUP_MESSAGES,
  MAX_OUTBOX_BYTES,
  MAX_OUTBOX_MESSAGES,
  MAX_PAYLOAD_BYTES,
  MAX_UNANSWERED_MESSAGES,
} from "../limits.ts";
import type { Marks } from "../marks.ts";
import type { Bytes } from "../wire/bytes.ts";
import { endOfTurn } from "./end-of-turn.ts";
import { Followed } from "./followed.ts";
import { groupMessage, type NextMessage, publishMessages } from "./next-message.ts";
import type { Producer } from "./producer.ts";
import { Publication, type SealedGroup } from "./publication.ts";
import { isChained, restoreMessages } from "./restore.ts";
import { Sealer, type Signing, unsignedError } from "./sealer.ts";
import type { TakenMessages, WelcomeOutcome } from "./welcome.ts";

/** The messages that wait for storage, and the stored ones that are followed to their anchor. */
export class Outbox {
  readonly #roomWaiters: (() => void)[] = [];
  readonly #onChange: (publication: Publication) => void;
  readonly #onSealed: (group: SealedGroup, producer: Uint8Array) => void;
  readonly #sealer: Sealer;
  readonly #followed: Followed;
  #producer: Producer | null = null;
  #waiting: Publication[] = [];
  #bytes = 0;
  #sent = 0; // the first #sent of #waiting were sent in this session
  #answered = 0; // the first #answered of #waiting were answered in this session
  readonly #planKeep = endOfTurn(() => this.keep());
  #payloadLimit = MAX_PAYLOAD_BYTES;
  /** The text of the key that is to sign what is published. */
  #key: string | undefined;
  /** Why nothing can be published to the stream by this relay. */
  #refusal: StreamChainError | null = null;
  /** Whether it is known what is stored of the producer: a relay named it, or nothing is. */
  #storedKnown = false;

  constructor(
    marks: Marks,
    onChange: (publication: Publication) => void,
    onSealed: (group: SealedGroup, producer: Uint8Array) => void = () => {},
  ) {
    this.#onChange = onChange;
    this.#onSealed = onSealed;
    this.#followed = new Followed(marks, onChange);
    this.#sealer = new Sealer({
      unsealed: (skipped) => this.#unsealed(skipped),
      producer: () => this.#producer,
      sealed: (group, digest) => this.#sealed(group, digest),
    });
  }

  /** Whether what is published is signed. */
  get signs(): boolean {
    return this.#producer?.key !== undefined;
  }

  /** The public key of what is signed; empty while nothing can be. */
  get publicKey(): Uint8Array {
    return this.#sealer.publicKey;
  }

  /** Whether what waits can be sent: nothing is signed, or all is known that is signed. */
  get isReady(): boolean {
    return !this.signs || this.#sealer.isReady;
  }

  /** Signs with this key from now on (its text; undefined: with none), and with `signing` once all of it is known. */
  signWith(key: string | undefined, signing: Signing | null): void {
    const isOther = key !== this.#key;
    this.#key = key;
    this.#sealer.use(signing);
    const isInDoubt = this.#waiting.some(({ control }) => control.inDoubt || control.inFlight);
    if (isOther && this.#producer !== null && this.#producer.key !== key && !isInDoubt) this.#renewAs(key);
  }

  /** Signs the next group of at most so many messages; resolves to whether that worked, or null when there is none. */
  seal(maxMessages: number): Promise<boolean> | null {
    return this.#sealer.seal(maxMessages);
  }

  /** Begins to sign another group, beside what is being signed; null when there is none, or enough is being signed. */
  beginSeal(maxMessages: number): Promise<boolean> | null {
    return this.#sealer.begin(maxMessages);
  }

  #unsealed(skipped: number): readonly Publication[] {
    const first = this.#waiting.findIndex(({ control }) => control.group === null) + skipped;
    return first < skipped ? [] : this.#waiting.slice(first, first + MAX_GROUP_MESSAGES);
  }

  #sealed(group: SealedGroup, digest: Bytes): void {
    const producer = this.#producer as Producer;
    const isKept = group.publications.every(({ control }) => control.kept);
    this.#unkeepFrom(producer.sealed(group, digest, isKept));
    for (const { control } of group.publications) control.group = group;
    this.#onSealed(group, producer.id);
  }

  /** Has the storage keep what was published; what it has no room for is not kept, nor is what comes behind. */
  keep(): void {
    this.#unkeepFrom(this.#producer?.write());
  }

  #unkeepFrom(from: number | undefined): void {
    if (from !== undefined) this.#unkeep(this.#waiting.filter(({ producerSeq }) => producerSeq >= from));
  }

  /** Nothing of these is kept any longer. */
  #unkeep(publications: readonly Publication[]): void {
    for (const { control } of publications) {
      this.#producer?.drop(control.producerSeq);
      control.kept = false;
    }
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
    return !this.#followed.isEmpty;
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
    const publication = new Publication(payload, () => this.keep());
    this.#assignSeq(publication, this.#waiting.at(-1));
    this.#push(publication);
    return publication;
  }

  /** A message is kept only behind one that is kept: a page that finds a gap could not tell what was sent. */
  #assignSeq(publication: Publication, before: Publication | undefined): void {
    if (this.#producer === null) return;
    const wasKept = before?.control.kept ?? true;
    const { producerSeq, kept } = this.#producer.take(publication.payload, wasKept);
    if (before !== undefined && wasKept && !this.#producer.keeps) this.#unkeep(this.#waiting);
    publication.control.producerSeq = producerSeq;
    publication.control.kept = kept;
    this.#planKeep();
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
    const restored = restoreMessages(producer);
    this.#storedKnown = restored.length > 0; // their numbers follow those that the earlier page knew to be stored
    for (const publication of restored) this.#push(publication);
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
    if (producer !== null && !producer.keeps) this.#unkeep(this.#waiting);
  }

  /** Sets the largest payload that the session takes, in bytes. */
  limitPayload(bytes: number): void {
    this.#payloadLimit = Math.min(MAX_PAYLOAD_BYTES, bytes);
  }

  /** Applies a welcome: `stored` is the last stored `producer_seq`, and its message is below `head`. */
  welcome(
    stored: number | null,
    head: number,
    sameEpoch: boolean,
    takes: TakenMessages = { groups: false, signedOnly: false },
  ): WelcomeOutcome {
    const expected = stored === null ? 0 : stored + 1;
    while (this.#waiting[0] !== undefined && this.#waiting[0].producerSeq < expected) {
      this.#store(this.#waiting[0], head);
    }
    this.#rewind(sameEpoch);
    this.#storedKnown = true;
    const producer = this.#producer as Producer;
    const key = takes.groups ? this.#key : undefined;
    this.#refusal = takes.signedOnly && key === undefined ? unsignedError() : null;
    if (producer.key !== key) {
      const outcome = this.#changeKey(key, stored);
      if (outcome !== null) return outcome;
    }
    if (this.#waiting.length === 0) producer.skipTo(expected);
    if ((this.#waiting[0]?.producerSeq ?? producer.next) !== expected) {
      this.renew();
      return "renewed";
    }
    if (!this.signs || isChained(this.#waiting, expected, producer)) return "in-step";
    this.#failInDoubt(new StreamChainError("bad-signature", "a group before this one is lost"));
    this.renew();
    return "renewed";
  }

  /** The relay takes what is signed with another key, or nothing signed. Null: what is in doubt is sent as it was. */
  #changeKey(key: string | undefined, stored: number | null): WelcomeOutcome | null {
    const producer = this.#producer as Producer;
    const isInDoubt = this.#waiting.some(({ control }) => control.inDoubt);
    if (isInDoubt && producer.key === undefined) return null;
    this.#failInDoubt(new StreamChainError("bad-signature", "the relay takes no signed messages"));
    // The relay heard of an id that it has nothing of, without a key: the same id serves for what is not signed.
    const isUnused = key === undefined && stored === null && producer.chain.next === 0;
    this.#renewAs(key, isUnused ? producer.id : undefined);
    return isUnused ? "in-step" : "renewed";
  }

  /** Gives the waiting messages new numbers under a new producer id, since the messages of the old one are not known. */
  renew(): void {
    this.#renewAs(this.#producer?.key);
  }

  /** As `renew`, for what this key signs; under the same id if it is given, which then nobody has used. */
  #renewAs(key: string | undefined, id?: Uint8Array): void {
    this.#storedKnown = true;
    this.#producer?.renew(key, id);
    this.#waiting.forEach((publication, index) => {
      publication.control.group = null;
      this.#assignSeq(publication, this.#waiting[index - 1]);
    });
  }

  /**
   * Prepares for sending by HTTP, where no welcome names what is stored of the producer. Unless that is known, the storage
   * may have forgotten some of its numbers, and a number used twice would count as the same message: the id is renewed.
   */
  prepareForHttp(): void {
    const producer = this.#producer;
    if (producer === null) return;
    if (!this.#storedKnown) {
      this.renew();
    } else if (this.signs && !isChained(this.#waiting, this.#waiting[0]?.producerSeq ?? producer.next, producer)) {
      this.#failInDoubt(new StreamChainError("bad-signature", "a group before this one is lost"));
      this.renew();
    }
  }

  /** The first waiting message with a higher `producer_seq`. */
  firstAbove(producerSeq: number): Publication | undefined {
    return this.#waiting.find((publication) => publication.producerSeq > producerSeq);
  }

  /** The group of the first waiting message; null when it is not signed yet. */
  get firstGroup(): SealedGroup | null {
    return this.#waiting[0]?.control.group ?? null;
  }

  /** A message is about to be sent. */
  markSent({ control }: Publication): void {
    this.keep();
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

  /** The next data-channel message with at most so many messages, or null when there is nothing to send now. */
  nextMessage(maxMessages = Number.POSITIVE_INFINITY): NextMessage | null {
    if (this.#refusal !== null && this.#waiting.length > 0) this.refused(this.#refusal);
    const next = this.#next(maxMessages);
    if (next === null) return null;
    for (const publication of this.#waiting.slice(this.#sent, this.#sent + next.count)) this.markSent(publication);
    this.#sent += next.count;
    return next;
  }

  /** Whether messages wait to be signed before they are sent. */
  get awaitsSignature(): boolean {
    return this.signs && this.#hasRoomInFlight && this.#waiting[this.#sent]?.control.group === null;
  }

  get #hasRoomInFlight(): boolean {
    return this.#sent < this.#waiting.length && this.#sent - this.#answered < MAX_UNANSWERED_MESSAGES;
  }

  #next(maxMessages: number): NextMessage | null {
    if (!this.#hasRoomInFlight) return null;
    if (!this.signs) {
      const room = Math.min(maxMessages, MAX_UNANSWERED_MESSAGES - (this.#sent - this.#answered));
      return publishMessages(this.#waiting.slice(this.#sent, this.#sent + room), room);
    }
    const group = this.#waiting[this.#sent]?.control.group ?? null;
    return group === null ? null : groupMessage(group);
  }

  /** The place of a number; -1 when it does not wait. Numbers can be missing: an earlier page's that were not kept. */
  #indexOf(producerSeq: number): number {
    const near = producerSeq - (this.#waiting[0]?.producerSeq ?? 0);
    if (this.#waiting[near]?.producerSeq === producerSeq) return near;
    return this.#waiting.findIndex((publication) => publication.producerSeq === producerSeq);
  }

  /** The relay accepted `count` messages; `seq` is null when they were stored before and the relay forgot their seqs. */
  accepted(producerSeq: number, seq: number | null, head: number, count = 1): void {
    const index = this.#indexOf(producerSeq);
    if (index < 0) return;
    const accepted = this.#waiting.slice(index, index + count);
    this.#answered = Math.max(this.#answered, index + accepted.length);
    if (seq === null) {
      for (const earlier of this.#waiting.slice(0, index + accepted.length)) this.#store(earlier, head);
      return;
    }
    accepted.forEach((publication, i) => {
      const { control } = publication;
      control.seq = seq + i;
      control.bound = seq + i + 1;
      control.inDoubt = true;
      control.state = "live";
      control.live.resolve(seq + i);
      this.#onChange(publication);
    });
  }

  /** Everything below `committed` that the relay of this epoch accepted is stored. */
  committed(committed: number): void {
    for (let first = this.#waiting[0]; first?.seq != null && first.seq < committed; first = this.#waiting[0])
      this.#store(first, committed);
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
    this.#followed.add(publication);
    this.#onChange(publication);
  }

  /** Applies the marks of the stream to the stored messages. */
  marksMoved(): void {
    this.#followed.marksMoved();
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
    this.keep();
    this.#waiting = this.#waiting.filter(({ control }) => !control.kept);
    this.fail(error);
  }

  /** Stored messages are not followed to their anchor any more. */
  unfollow(error: StreamChainError): void {
    this.#followed.end(error);
  }

  /** Messages that are published now wait for another producer. */
  detach(): void {
    this.keep();
    this.#producer = null;
  }

  /** Of the messages that are in doubt nothing more can be known: they fail, and the others wait on. */
  #failInDoubt(error: StreamChainError): void {
    const others = this.#waiting.filter(({ control }) => !control.inDoubt);
    if (others.length === this.#waiting.length) return;
    this.#waiting = this.#waiting.filter(({ control }) => control.inDoubt);
    this.#failAll(error, () => true);
    for (const publication of others) this.#push(publication);
  }

  #failAll(error: StreamChainError, mayBeStored: (publication: Publication) => boolean): void {
    const failed = this.#waiting;
    [this.#waiting, this.#bytes, this.#sent, this.#answered] = [[], 0, 0, 0];
    // What was not signed was not sent: its numbers are given again, or the next group would not follow the last.
    if (this.signs) this.#producer?.rewindTo(this.#producer.chain.next);
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
