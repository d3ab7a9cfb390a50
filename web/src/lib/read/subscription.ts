// A reader of a stream: every message from a seq on, in order, each once.
//
// What always holds: `#cursor` is the next seq to return, and it only grows, except when tentative messages are taken back
// because another relay became the stream's leader. The event `retracted` reports that, and the messages of those seqs
// come again as the stream then has them. With the guarantee "stored" nothing is ever taken back.

import { backoffMs } from "../backoff.ts";
import { StreamChainError } from "../errors.ts";
import { type ListenerOptions, TypedEventTarget } from "../events.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import { HISTORY_BACKOFF, MAX_PAGE_MESSAGES, OFFLINE_POLL_MS } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { StreamMessage } from "../wire/records.ts";
import type { Feed, Guarantee } from "./feed.ts";

/** Where a subscription begins, and which messages it gets. */
export interface SubscribeOptions {
  /** First seq; `"tail"` (the default) begins with the next message. */
  readonly from?: number | "tail";
  /** `"live"` (the default) gets messages at once, `"stored"` only when they cannot be taken back. */
  readonly guarantee?: Guarantee;
}

/** Events of a subscription. */
export interface SubscriptionEvents {
  /** The next message. */
  message: StreamMessage;
  /** Tentative messages from this seq on were taken back; the stream's messages of these seqs follow. */
  retracted: { readonly from: number };
  /** Reading of older messages by HTTP began or ended; `error` when a request failed (it is repeated). */
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
  /** Whether a session or an event stream brings new messages. */
  readonly online: () => boolean;
  /** Resolves when the edge answered a request for a session, which makes a stream that nobody has used, or none did. */
  readonly introduced: Promise<void>;
  /** Whether messages come with the signatures of their authors. */
  readonly signatures: boolean;
  /** The seq that the stream's next message will have; null while it is not known. */
  readonly tail: () => number | null;
}

/** Messages of a stream, as an async iterator or as events; use one of the two. */
export class Subscription extends TypedEventTarget<SubscriptionEvents> implements AsyncIterable<StreamMessage> {
  readonly #source: SubscriptionSource;
  readonly #guarantee: Guarantee;
  readonly #aborter = new AbortController();
  #cursor: number | null;
  #storedBelow = 0; // messages returned below this seq came from history, so they are stored
  #page: StreamMessage[] = [];
  #pageAt = 0;
  #loading = false;
  #historyFailures = 0;
  #wake: (() => void) | null = null;
  /** Cancels the history request that is under way. */
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

  /** The seq of the next message to return; null until the tail is known. */
  get cursor(): number | null {
    return this.#cursor;
  }

  /** A listener for `message` starts the flow of events. */
  override on<Name extends keyof SubscriptionEvents & string>(
    name: Name,
    listener: (detail: SubscriptionEvents[Name]) => void,
  ): () => void {
    const stop = super.on(name, listener);
    if (name === "message") this.#startPump();
    return stop;
  }

  /** A listener for `message` starts the flow of events. */
  override addEventListener<Name extends keyof SubscriptionEvents & string>(
    name: Name,
    listener: (event: CustomEvent<SubscriptionEvents[Name]>) => void,
    options?: ListenerOptions,
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
    await Promise.resolve(); // listeners added in the same turn get every event
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

  /** Ends the subscription and its iterator. */
  close(error?: StreamChainError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    this.#aborter.abort();
    this.changed();
    this.#onClose(this);
    this.emit("end", { error });
  }

  /** Called when the feed changed, or whether the connection is online. */
  changed(): void {
    this.#changes++;
    this.#wake?.();
    // The feed has the message now; the HTTP connection of the request may be dead.
    if (this.#isFed()) this.#reading?.abort();
  }

  /** Whether the feed has the message at the cursor. */
  #isFed(): boolean {
    return this.#cursor !== null && this.#source.feed.read(this.#cursor, this.#guarantee).kind === "message";
  }

  /** Begins at `seq`, the tail, if the subscription waits for it. */
  beginAt(seq: number): void {
    if (this.#cursor === null) this.#cursor = seq;
  }

  /** Takes back tentative messages from `from` on; with `restarted` stored ones too. */
  retract(from: number, restarted: boolean): void {
    if (restarted) {
      this.#storedBelow = Math.min(this.#storedBelow, from);
      this.#page = [];
    }
    const back = Math.max(from, this.#storedBelow);
    if (this.#cursor !== null && this.#cursor > back) {
      this.#cursor = back;
      if (this.#guarantee === "live" || restarted) this.emit("retracted", { from: back });
    }
    this.changed();
  }

  /** The message at the cursor, if the feed or the page of history has it. */
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
    this.#storedBelow = this.#cursor;
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
      const tentative = cursor > feed.committed && cursor > this.#storedBelow;
      if (online() || tentative) return this.#change(seen, Number.POSITIVE_INFINITY);
      if ((await this.#readPage(cursor)) <= 0 && !this.#isFed()) await this.#rest(OFFLINE_POLL_MS);
      return;
    }
    if (feed.next === null || cursor < feed.committed) this.#setLoading(true, undefined);
    const got = await this.#readPage(cursor);
    if (got > 0 || this.#isFed()) return;
    const due = cursor < feed.committed; // stored, but the edge did not answer, or does not have it yet
    if (got === 0 && !due) this.#setLoading(false, undefined);
    const ms = backoffMs(HISTORY_BACKOFF, this.#historyFailures++, 0);
    await this.#until(() => this.#isFed() || (!due && feed.committed > cursor), ms);
  }

  /** Number of messages read, or -1 when that failed. */
  async #readPage(cursor: number): Promise<number> {
    const { edge, stream, signatures } = this.#source;
    const reading = new AbortController();
    this.#reading = reading;
    await this.#source.introduced;
    try {
      const signal = AbortSignal.any([this.#aborter.signal, reading.signal]);
      const page = await edge.messages(stream, cursor, MAX_PAGE_MESSAGES, signal, signatures);
      if (this.#cursor !== cursor) return 0; // messages were taken back meanwhile
      this.#page = page;
      this.#pageAt = cursor;
      if (page.length > 0) this.#historyFailures = 0;
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

  /** Resolves when the condition holds, or after `ms`, so that a busy feed does not cause frequent history requests. */
  async #until(condition: () => boolean, ms: number): Promise<void> {
    const { clock } = this.#source.platform;
    const deadline = clock() + ms;
    while (!this.#closed && !condition() && clock() < deadline) await this.#rest(deadline - clock());
  }
}
