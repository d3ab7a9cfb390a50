// What a stream's ways bring, joined into one: a relay's frames and the edge's events feed the same messages, marks and
// publications, and the same readers.
//
// What always holds: the feed is contiguous whichever way a message came; readers are told of every change; a
// publication is stored by the committed mark of the epoch that gave its seq, or by the edge's own word.

import type { StreamMessage } from "../http/edge-answers.ts";
import type { FollowedState } from "../http/event-follower.ts";
import type { Outbox, WelcomeOutcome } from "../publish/outbox.ts";
import { Feed } from "../read/feed.ts";
import type { Progress } from "../read/progress.ts";
import { type SubscribeOptions, Subscription, type SubscriptionSource } from "../read/subscription.ts";
import { toHex } from "../wire/bytes.ts";
import type { AnchoredFrame, MessageFrame, RelayFrame } from "../wire/frames.ts";
import type { AnchorNews } from "./types.ts";

type WelcomeFrame = Extract<RelayFrame, { kind: "welcome" }>;

/** What the intake feeds, and whom it tells. */
export interface IntakeOptions {
  readonly progress: Progress;
  readonly outbox: Outbox;
  readonly onMarks: () => void;
  readonly onAnchor: (news: AnchorNews) => void;
}

/** The state of one stream in this page. */
export class Intake {
  readonly feed = new Feed();
  readonly subscriptions = new Set<Subscription>();
  readonly #options: IntakeOptions;
  #head: number | null = null;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** The seq that the stream's next message will have, as far as this page knows. */
  get head(): number | null {
    return this.#head;
  }

  /** Where the edge is to go on: behind the messages that are known for good, without leaving any out. */
  get place(): number | null {
    const { next, committed } = this.feed;
    return next === null ? null : Math.min(next, committed);
  }

  /** A new reader, until it is closed. */
  subscribe(source: Omit<SubscriptionSource, "feed" | "tail">, options: SubscribeOptions): Subscription {
    const all = { ...source, feed: this.feed, tail: () => this.#head };
    const subscription = new Subscription(all, options, (closed) => this.subscriptions.delete(closed));
    this.subscriptions.add(subscription);
    return subscription;
  }

  /** A relay's greeting; `atTail`: it was asked for what comes from now on. */
  welcome(frame: WelcomeFrame, atTail: boolean): WelcomeOutcome {
    const { outbox } = this.#options;
    const sameEpoch = frame.epoch === this.feed.epoch;
    this.#begin(frame.epoch, frame.head, frame.committed, atTail);
    const outcome = outbox.welcome(frame.stored, frame.head, sameEpoch);
    if (sameEpoch) outbox.committed(frame.committed);
    this.#stored();
    return outcome;
  }

  /** The edge's word on how far the stream is: all that it counts is stored. */
  told({ epoch, stored, anchored, final }: FollowedState): void {
    const { outbox, progress } = this.#options;
    const sameEpoch = epoch === this.feed.epoch;
    this.#begin(epoch, stored, stored, true);
    this.#raiseHead(this.feed.next ?? 0); // what a relay of this epoch told tentatively still stands
    if (sameEpoch) outbox.committed(stored);
    else outbox.forgetPlaces();
    if (progress.marks.counts(anchored, final, progress.marks.changes)) outbox.marksMoved();
    this.#stored();
  }

  #begin(epoch: number, head: number, committed: number, atTail: boolean): void {
    this.#head = head;
    this.placeTails(head);
    const isRestart = this.feed.isRestart(epoch, head, committed);
    if (isRestart) this.#options.progress.restart(committed);
    this.#retract(this.feed.welcome(epoch, head, committed, atTail), isRestart);
  }

  /** A message as a relay tells it; `atTail` as for `welcome`. */
  message(frame: MessageFrame, atTail: boolean): void {
    if (atTail) this.placeTails(frame.seq);
    this.#retract(this.feed.message(frame));
    this.#raiseHead(frame.seq + 1);
  }

  /** A message as the edge has stored it. */
  storedMessage(message: StreamMessage): void {
    this.#retract(this.feed.stored(message));
    this.#raiseHead(message.seq + 1);
    this.#options.onMarks();
  }

  /** A relay took a publication. */
  accepted(producerSeq: number, seq: number | null): void {
    if (seq !== null) this.#raiseHead(seq + 1);
    this.#options.outbox.accepted(producerSeq, seq, this.#head ?? 0);
  }

  /** The edge stored a publication that came by HTTP. */
  posted(producerSeq: number, seq: number | null): void {
    if (seq !== null) this.#raiseHead(seq + 1);
    this.#options.outbox.storedAt(producerSeq, seq, this.#head ?? 0);
    this.#options.outbox.marksMoved();
    this.#stored();
  }

  /** A relay's committed mark. */
  committed(mark: number): void {
    this.feed.commit(mark);
    this.#options.outbox.committed(mark);
    this.#stored();
  }

  /** A relay's news of an anchor. */
  anchored({ first, count, root, tx, block, state }: AnchoredFrame): void {
    this.anchor({ first, count, root: toHex(root), tx: toHex(tx), block, state });
  }

  /** News of an anchor. */
  anchor(news: AnchorNews): void {
    if (this.#options.progress.anchor(news)) this.marksMoved();
    this.#options.onAnchor(news);
  }

  /** A count of what is anchored or final changed. */
  marksMoved(): void {
    this.#options.outbox.marksMoved();
    this.#options.onMarks();
  }

  #raiseHead(head: number): void {
    this.#head = Math.max(this.#head ?? 0, head);
  }

  /** Subscriptions that wait for the tail begin at `seq`. */
  placeTails(seq: number): void {
    for (const subscription of this.subscriptions) subscription.beginAt(seq);
  }

  /** Readers look again. */
  changed(): void {
    for (const subscription of this.subscriptions) subscription.changed();
  }

  #stored(): void {
    this.#options.outbox.giveRoom();
    this.#options.onMarks();
  }

  #retract(from: number | null, restarted = false): void {
    if (from === null) return;
    for (const subscription of this.subscriptions) subscription.retract(from, restarted);
  }
}
