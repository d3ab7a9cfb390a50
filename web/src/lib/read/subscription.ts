// A reader of a stream: every message from a position on, in order, each once.
//
// What always holds: `#cursor` is the next seq to hand out, and it only grows, except that messages which were still
// tentative may be taken back when another relay takes the stream over; `retracted` tells it, and they come again as
// the stream then has them. With the guarantee "stored" nothing is ever taken back.

import { StreamChainError } from "../errors.ts";
import { TypedEventTarget } from "../events.ts";
import type { StreamMessage } from "../http/edge-answers.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import { PAGE_MESSAGES } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { Feed, Guarantee } from "./feed.ts";

/** First and largest pause, in ms, before history is asked again for what it did not have or could not give. */
const HISTORY_PAUSE_FIRST_MS = 250;
const HISTORY_PAUSE_MAX_MS = 5_000;

/** How often history is read, in ms, while there is no session to bring news. */
const OFFLINE_POLL_MS = 3_000;

/** Where a subscription begins and what it wants to be sure of. */
export interface SubscribeOptions {
  /** First seq; `"tail"` (the default) begins with the next message. */
  readonly from?: number | "tail";
  /** `"live"` (the default) hands messages out at once, `"stored"` only when they can't be taken back. */
  readonly guarantee?: Guarantee;
}

/** Events of a subscription. */
export interface SubscriptionEvents {
  /** The next message. */
  message: StreamMessage;
  /** Tentative messages from this seq on were taken back; they come again as the stream then has them. */
  retracted: { readonly from: number };
  /** Older messages are being read by HTTP, or no longer; `error` when that fails (it is tried again). */
  history: { readonly loading: boolean; readonly error: StreamChainError | undefined };
  /** The subscription is over. */
  end: { readonly error: StreamChainError | undefined };
}

/** What a subscription needs of its connection. */
export interface SubscriptionSource {
  readonly feed: Feed;
  readonly edge: EdgeClient;
  readonly stream: string;
  readonly platform: Platform;
  /** Whether a session brings news. */
  readonly online: () => boolean;
  /** The seq that the stream's next message will have; null before the relay told. */
  readonly tail: () => number | null;
}

/** Messages of a stream, as an async iterator or as events; use one of the two. */
export class Subscription extends TypedEventTarget<SubscriptionEvents> implements AsyncIterable<StreamMessage> {
  readonly #source: SubscriptionSource;
  readonly #guarantee: Guarantee;
  readonly #aborter = new AbortController();
  #cursor: number | null;
  #sure = 0; // below this, what was handed out came from history: stored
  #page: StreamMessage[] = [];
  #pageAt = 0;
  #loading = false;
  #pause = HISTORY_PAUSE_FIRST_MS;
  #wake: (() => void) | null = null;
  /** Ends the request for a page of history that is under way. */
  #reading: AbortController | null = null;
  #changes = 0;
  #closed = false;
  #error: StreamChainError | undefined;
  #pumping = false;
  readonly #onClose: (subscription: Subscription) => void;

  constructor(source: SubscriptionSource, options: SubscribeOptions, onClose: (subscription: Subscription) => void) {
    super();
    this.#source = source;
    this.#guarantee = options.guarantee ?? "live";
    this.#cursor = typeof options.from === "number" ? options.from : source.tail();
    this.#onClose = onClose;
  }

  /** The seq of the next message to hand out; null until the tail is known. */
  get cursor(): number | null {
    return this.#cursor;
  }

  /** Listening to `message` starts the flow of events. */
  override on<Name extends keyof SubscriptionEvents & string>(
    name: Name,
    listener: (detail: SubscriptionEvents[Name]) => void,
  ): () => void {
    const stop = super.on(name, listener);
    if (name === "message") this.#startPump();
    return stop;
  }

  /** Listening to `message` starts the flow of events. */
  override addEventListener<Name extends keyof SubscriptionEvents & string>(
    name: Name,
    listener: (event: CustomEvent<SubscriptionEvents[Name]>) => void,
    options?: AddEventListenerOptions,
  ): void {
    super.addEventListener(name, listener, options);
    if (name === "message") this.#startPump();
  }

  #startPump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    void this.#pump();
  }

  async #pump(): Promise<void> {
    await Promise.resolve(); // listeners that are added in the same turn hear everything
    for await (const message of this) this.emit("message", message);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamMessage> {
    try {
      while (!this.#closed) {
        const message = this.#ready();
        if (message === null) await this.#more();
        else yield message;
      }
      if (this.#error !== undefined && !this.#pumping) throw this.#error;
    } finally {
      this.close();
    }
  }

  /** Ends the subscription; the iterator finishes. */
  close(error?: StreamChainError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    this.#aborter.abort();
    this.changed();
    this.#onClose(this);
    this.emit("end", { error });
  }

  /** The feed, or whether there is a session, changed. */
  changed(): void {
    this.#changes++;
    this.#wake?.();
    // What the feed has need not be waited for: the connection that was asked for it may be dead.
    if (this.#isFed()) this.#reading?.abort();
  }

  /** Whether the feed has the message at the cursor. */
  #isFed(): boolean {
    return this.#cursor !== null && this.#source.feed.read(this.#cursor, this.#guarantee).kind === "message";
  }

  /** The tail is known: a subscription that waited for it begins there. */
  beginAt(seq: number): void {
    if (this.#cursor === null) this.#cursor = seq;
  }

  /** Tentative messages from `from` on are gone; `restarted` when even stored ones are. */
  retract(from: number, restarted: boolean): void {
    if (restarted) {
      this.#sure = Math.min(this.#sure, from);
      this.#page = [];
    }
    const back = Math.max(from, this.#sure);
    if (this.#cursor !== null && this.#cursor > back) {
      this.#cursor = back;
      if (this.#guarantee === "live" || restarted) this.emit("retracted", { from: back });
    }
    this.changed();
  }

  /** The message at the cursor, if it is at hand. */
  #ready(): StreamMessage | null {
    const { feed } = this.#source;
    if (this.#cursor === null) return null;
    const read = feed.read(this.#cursor, this.#guarantee);
    if (read.kind === "message") {
      this.#leaveHistory();
      this.#cursor++;
      return read.message;
    }
    const index = this.#cursor - this.#pageAt;
    const paged = index >= 0 ? this.#page[index] : undefined;
    if (paged === undefined) return null;
    this.#cursor++;
    this.#sure = this.#cursor;
    return paged;
  }

  #leaveHistory(): void {
    this.#page = [];
    this.#setLoading(false, undefined);
  }

  #setLoading(loading: boolean, error: StreamChainError | undefined): void {
    if (this.#loading === loading && error === undefined) return;
    this.#loading = loading;
    this.emit("history", { loading, error });
  }

  /** Reads a page of history, or waits for the feed. */
  async #more(): Promise<void> {
    const seen = this.#changes;
    const { feed, online } = this.#source;
    const cursor = this.#cursor;
    if (cursor === null) return this.#change(seen, Number.POSITIVE_INFINITY);
    if (feed.read(cursor, this.#guarantee).kind === "end") {
      this.#setLoading(false, undefined);
      const tentative = cursor > feed.committed && cursor > this.#sure;
      if (online() || tentative) return this.#change(seen, Number.POSITIVE_INFINITY);
      if ((await this.#readPage(cursor)) <= 0 && !this.#isFed()) await this.#rest(OFFLINE_POLL_MS);
      return;
    }
    if (feed.next === null || cursor < feed.committed) this.#setLoading(true, undefined);
    const got = await this.#readPage(cursor);
    if (got > 0 || this.#isFed()) return;
    const due = cursor < feed.committed; // the edge does not have it yet, or did not answer
    if (got === 0 && !due) this.#setLoading(false, undefined);
    await this.#until(() => !due && this.#source.feed.committed > cursor, this.#pause);
    this.#pause = Math.min(2 * this.#pause, HISTORY_PAUSE_MAX_MS);
  }

  /** Number of messages read, or -1 when that failed. */
  async #readPage(cursor: number): Promise<number> {
    const { edge, stream } = this.#source;
    const reading = new AbortController();
    this.#reading = reading;
    try {
      const signal = AbortSignal.any([this.#aborter.signal, reading.signal]);
      const page = await edge.messages(stream, cursor, PAGE_MESSAGES, signal);
      if (this.#cursor !== cursor) return 0; // taken back meanwhile
      this.#page = page;
      this.#pageAt = cursor;
      if (page.length > 0) this.#pause = HISTORY_PAUSE_FIRST_MS;
      return page.length;
    } catch (error) {
      if (this.#closed || reading.signal.aborted || !(error instanceof StreamChainError)) return -1;
      if (!error.retryable && error.code === "refused") this.close(error);
      else this.#setLoading(false, error);
      return -1;
    } finally {
      this.#reading = null;
    }
  }

  /** Resolves at the next change since `seen`, or after `ms`. */
  #change(seen: number, ms: number): Promise<void> {
    if (this.#closed || seen !== this.#changes) return Promise.resolve();
    const { platform } = this.#source;
    return new Promise((resolve) => {
      const finish = (): void => {
        if (timer !== null) platform.clearTimer(timer);
        this.#wake = null;
        resolve();
      };
      const timer = Number.isFinite(ms) ? platform.setTimer(finish, ms) : null;
      this.#wake = finish;
    });
  }

  #rest(ms: number): Promise<void> {
    return this.#change(this.#changes, ms);
  }

  /** Resolves when the condition holds, or after `ms`: a busy feed must not make history be asked at its pace. */
  async #until(condition: () => boolean, ms: number): Promise<void> {
    const { clock } = this.#source.platform;
    const deadline = clock() + ms;
    while (!this.#closed && !condition() && clock() < deadline) await this.#rest(deadline - clock());
  }
}
