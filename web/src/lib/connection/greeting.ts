// The requests that a client sends to a relay: `hello` at the start of a session, and once in a session `subscribe`, for
// the messages from where the feed is.
//
// What always holds: before the welcome a relay is asked for messages only where its frames are taken before the welcome.

import type { SendChannel } from "../publish/sender.ts";
import type { Feed } from "../read/feed.ts";
import { type Bytes, concat } from "../wire/bytes.ts";
import { encodeFrame } from "../wire/frames.ts";

/** The requests of one connection. */
export class Greeting {
  readonly #feed: Feed;
  /** Whether the relay is asked for the signatures of messages. */
  readonly #signatures: boolean;
  /** Bits of the `abilities` frame. */
  readonly #abilities: () => number;
  #wanted: { readonly from: number | null } | null = null;
  #subscribed = false;
  #isEarly = false;

  constructor(feed: Feed, signatures: boolean, abilities: () => number) {
    this.#feed = feed;
    this.#signatures = signatures;
    this.#abilities = abilities;
  }

  /** Whether the relay's frames count before its welcome: neither a session nor the edge brought anything of the stream before. */
  get isEarly(): boolean {
    return this.#isEarly;
  }

  /** Whether the relay is asked for new messages only. */
  get isAtTail(): boolean {
    return this.#wanted?.from === null;
  }

  /** Whether the relay of this session was asked for new messages only. */
  get subscribedAtTail(): boolean {
    return this.#subscribed && this.isAtTail;
  }

  /** Asks for messages from a seq on, or for new ones; returns whether nothing was asked for before. */
  want(from: number | null): boolean {
    if (this.#wanted !== null) return false;
    this.#wanted = { from };
    return true;
  }

  /**
   * Sends `abilities` and `hello`; `key` signs what the producer sends. `subscribe` goes along unless the edge is followed
   * (`isFollowed`) or the feed has an epoch: then that of the welcome is needed first.
   */
  hello(channel: SendChannel, isFollowed: boolean, producer: Uint8Array, key?: Uint8Array): void {
    channel.send(concat([this.#abilitiesFrame(), encodeFrame({ kind: "hello", producer, key })]));
    this.#isEarly = this.#feed.epoch === null && !isFollowed;
    if (this.#isEarly) this.subscribe(channel);
  }

  /** Sends `abilities` again, with other wishes than before. */
  wish(channel: SendChannel): void {
    channel.send(this.#abilitiesFrame());
  }

  #abilitiesFrame(): Bytes {
    return encodeFrame({ kind: "abilities", bits: this.#abilities() });
  }

  /** Sends `subscribe`, unless nothing is wanted or it was sent in this session. */
  subscribe(channel: SendChannel): void {
    if (this.#subscribed || this.#wanted === null) return;
    this.#subscribed = true;
    const from = this.#feed.next ?? this.#wanted.from;
    if (from !== null) this.#feed.beginAt(from);
    channel.send(encodeFrame({ kind: "subscribe", from, signatures: this.#signatures }));
  }

  /** The session is over. */
  ended(): void {
    this.#subscribed = false;
    this.#isEarly = false;
  }
}
