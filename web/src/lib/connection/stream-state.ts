// The state of one stream in this page, whichever channel brings it: a relay's frames and the edge's events feed the same
// messages, marks and publications, and the same readers.
//
// What always holds: the feed is contiguous whichever channel a message came by; readers are notified of every change; a
// publication is stored by the committed mark of the epoch that gave its seq, or by an answer of the edge.

import type { FollowedState } from "../http/event-follower.ts";
import type { Outbox } from "../publish/outbox.ts";
import type { WelcomeOutcome } from "../publish/welcome.ts";
import { Feed } from "../read/feed.ts";
import type { Progress } from "../read/progress.ts";
import { type SubscribeOptions, Subscription, type SubscriptionSource } from "../read/subscription.ts";
import { toHex } from "../wire/bytes.ts";
import type { AnchoredFrame, MessageFrame, SignatureFrame, WelcomeFrame } from "../wire/frames.ts";
import type { AnchorRef, StreamMessage } from "../wire/records.ts";

/** What the state consists of beside its feed, and what it notifies. */
interface StreamStateOptions {
  readonly progress: Progress;
  readonly outbox: Outbox;
  readonly onMarks: () => void;
  readonly onAnchor: (anchor: AnchorRef) => void;
  /** Whether messages come with the signatures of their authors. */
  readonly signatures?: boolean;
}

/** The state of one stream in this page. */
export class StreamState {
  readonly feed: Feed;
  readonly subscriptions = new Set<Subscription>();
  readonly #options: StreamStateOptions;
  #head: number | null = null;

  constructor(options: StreamStateOptions) {
    this.#options = options;
    this.feed = new Feed({ signatures: options.signatures ?? false });
  }

  /** The seq that the stream's next message will have, as far as this page knows. */
  get head(): number | null {
    return this.#head;
  }

  /** Where the edge continues: behind the messages that are stored for certain, without leaving any out. */
  get resumeSeq(): number | null {
    const { next, committed } = this.feed;
    return next === null ? null : Math.min(next, committed);
  }

  /** Adds a reader, until it is closed. */
  subscribe(source: Omit<SubscriptionSource, "feed" | "tail">, options: SubscribeOptions): Subscription {
    const all = { ...source, feed: this.feed, tail: () => this.#head };
    const subscription = new Subscription(all, options, (closed) => this.subscriptions.delete(closed));
    this.subscriptions.add(subscription);
    return subscription;
  }

  /** A relay's welcome; `atTail` is whether it was asked for new messages only. */
  welcome(frame: WelcomeFrame, atTail: boolean): WelcomeOutcome {
    const { outbox } = this.#options;
    const sameEpoch = frame.epoch === this.feed.epoch;
    this.#begin(frame.epoch, frame.head, frame.committed, atTail);
    const outcome = outbox.welcome(frame.stored, frame.head, sameEpoch, {
      groups: (frame.limits.groupMessages ?? 0) > 0,
      signedOnly: frame.limits.signed,
    });
    if (sameEpoch) outbox.committed(frame.committed);
    this.#stored();
    return outcome;
  }

  /** The edge's counts: everything that it counts is stored. */
  counts({ epoch, stored, anchored, final }: FollowedState): void {
    const { outbox, progress } = this.#options;
    const sameEpoch = epoch === this.feed.epoch;
    this.#begin(epoch, stored, stored, true);
    this.#raiseHead(this.feed.next ?? 0); // tentative messages of this epoch's relay still stand
    if (sameEpoch) outbox.committed(stored);
    else outbox.forgetSeqs();
    if (progress.marks.counts(anchored, final, progress.marks.changes)) outbox.marksMoved();
    this.#stored();
  }

  #begin(epoch: number, head: number, committed: number, atTail: boolean): void {
    this.#head = head;
    this.beginTails(head);
    const isRestart = this.feed.isRestart(epoch, head, committed);
    if (isRestart) this.#options.progress.restart(committed);
    this.#retract(this.feed.begin(epoch, head, committed, atTail), isRestart);
  }

  /** A message of a relay; `atTail` as for `welcome`. */
  message(frame: MessageFrame, atTail: boolean): void {
    if (atTail) this.beginTails(frame.seq);
    this.#retract(this.feed.message(frame));
    this.#raiseHead(frame.seq + 1);
  }

  /** A relay sent the signature of the group that follows. */
  signature(frame: SignatureFrame): void {
    this.feed.signature(frame);
  }

  /** A stored message of the edge. */
  storedMessage(message: StreamMessage): void {
    this.#retract(this.feed.stored(message));
    this.#raiseHead(message.seq + 1);
    this.#options.onMarks();
  }

  /** A relay accepted a publication, or a group of `count`. */
  accepted(producerSeq: number, seq: number | null, count = 1): void {
    if (seq !== null) this.#raiseHead(seq + count);
    this.#options.outbox.accepted(producerSeq, seq, this.#head ?? 0, count);
  }

  /** The edge stored a publication that came by HTTP. */
  posted(producerSeq: number, seq: number | null): void {
    if (seq !== null) this.#raiseHead(seq + 1);
    this.#options.outbox.storedAt(producerSeq, seq, this.#head ?? 0);
    this.#options.outbox.marksMoved();
    this.#stored();
  }

  /** A relay raised its committed mark. */
  committed(mark: number): void {
    this.feed.commit(mark);
    this.#options.outbox.committed(mark);
    this.#stored();
  }

  /** A relay reported an anchor, or its new state. */
  anchored({ first, count, root, tx, block, state }: AnchoredFrame): void {
    this.anchor({ first, count, root: toHex(root), tx: toHex(tx), block, state });
  }

  /** An anchor was reported, or its new state. */
  anchor(anchor: AnchorRef): void {
    if (this.#options.progress.anchor(anchor)) this.marksMoved();
    this.#options.onAnchor(anchor);
  }

  /** The anchored or final mark changed. */
  marksMoved(): void {
    this.#options.outbox.marksMoved();
    this.#options.onMarks();
  }

  #raiseHead(head: number): void {
    this.#head = Math.max(this.#head ?? 0, head);
  }

  /** Subscriptions that wait for the tail begin at `seq`. */
  beginTails(seq: number): void {
    for (const subscription of this.subscriptions) subscription.beginAt(seq);
  }

  /** Notifies the readers that the feed changed. */
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
