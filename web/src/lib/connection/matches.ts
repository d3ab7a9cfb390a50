// Every stream whose name matches a pattern, as one subscription: those that are there, and those that come.
//
// What always holds: each stream has one connection, which is that of any other; streams are connected to only as the edge
// lists them for these credentials; there are at most `max` at a time, of which a few are being opened.

import { Backoff } from "../backoff.ts";
import { asStreamChainError, type StreamChainError } from "../errors.ts";
import { TypedEventTarget } from "../events.ts";
import type { TokenOption } from "../http/credentials.ts";
import { EdgeClient } from "../http/edge-client.ts";
import { MATCH_LIST_MS, MATCH_PAUSE_MS, MATCH_WAIT_S, MAX_MATCHED_STREAMS, MAX_OPENING_MATCHES } from "../limits.ts";
import { browserPlatform, type Platform, pageOrigin } from "../platform.ts";
import type { SubscribeOptions } from "../read/subscription.ts";
import type { Hex } from "../wire/bytes.ts";
import type { StreamMessage } from "../wire/records.ts";
import { connect, type StreamConnection } from "./connection.ts";
import type { ConnectOptions } from "./types.ts";

/** How to reach the streams of a pattern; `from` and `guarantee` are for those that are there at the beginning. */
export interface MatchOptions extends Omit<ConnectOptions, "stream">, SubscribeOptions {
  /** Whose streams they are, 20 bytes; the operator's by default. */
  readonly owner?: Hex;
  /** Streams at a time, at most; 100 by default. */
  readonly max?: number;
}

/** A message of one of the streams. */
export interface MatchedMessage {
  /** The name of its stream. */
  readonly stream: string;
  readonly message: StreamMessage;
}

/** A stream that came or went. */
export interface MatchedStream {
  readonly stream: string;
  readonly connection: StreamConnection;
}

/** Events of the streams of a pattern. */
export interface MatchEvents {
  /** A message of one of the streams; those of one stream come in order. */
  message: MatchedMessage;
  /** Messages of a stream from a seq on are taken back, as in `Subscription`. */
  retracted: { readonly stream: string; readonly from: number };
  /** A stream matches, and its connection begins. */
  joined: MatchedStream;
  /** A stream's connection ended for good: the right to read it did, for example. */
  left: MatchedStream & { readonly error: StreamChainError | undefined };
  /** The streams are not listed now; the list is asked for again unless the error can't be retried. */
  error: StreamChainError;
}

/** A stream as the edge lists it. */
interface Listed {
  readonly id: Hex;
  readonly name: string;
}

/** Follows every stream whose name begins as the pattern does: `sub("sensors.*")`. */
export const sub = (pattern: string, options: MatchOptions = {}): StreamMatches => new StreamMatches(pattern, options);

/** The streams of one pattern. */
export class StreamMatches extends TypedEventTarget<MatchEvents> {
  readonly pattern: string;
  readonly #options: MatchOptions;
  readonly #platform: Platform;
  readonly #edge: EdgeClient;
  readonly #backoff: Backoff;
  readonly #aborter = new AbortController();
  readonly #connections = new Map<Hex, MatchedStream>();
  /** Streams that wait to be connected to, with whether they came after the beginning. */
  readonly #waiting = new Map<Hex, { readonly listed: Listed; readonly isNew: boolean }>();
  #opening = 0;
  #isFull = false;

  constructor(pattern: string, options: MatchOptions) {
    super();
    this.pattern = pattern;
    this.#options = options;
    this.#platform = { ...browserPlatform(options.webrtc), ...options.platform };
    this.#edge = new EdgeClient(options.edge ?? pageOrigin(), this.#platform.fetch);
    this.#backoff = new Backoff(this.#platform);
    void this.#run();
  }

  /** The connections by the names of their streams. */
  get streams(): ReadonlyMap<string, StreamConnection> {
    return new Map([...this.#connections.values()].map(({ stream, connection }) => [stream, connection]));
  }

  /** Whether streams match that are left out, since there are `max` already. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Ends all connections. */
  close(): void {
    this.#aborter.abort();
    this.#backoff.skip();
    this.#waiting.clear();
    const connections = [...this.#connections.values()];
    this.#connections.clear();
    for (const { connection } of connections) connection.close();
  }

  get #isClosed(): boolean {
    return this.#aborter.signal.aborted;
  }

  /** Reads the list, and then what is new, until it is closed; from time to time the whole list again, for changed rights. */
  async #run(): Promise<void> {
    let isFirst = true;
    while (!this.#isClosed) {
      try {
        await this.#list(isFirst);
        isFirst = false;
      } catch (cause) {
        const error = asStreamChainError(cause);
        if (this.#isClosed) return;
        this.emit("error", error);
        if (!error.retryable) return;
        await this.#backoff.pause(this.#backoff.next(error));
      }
    }
  }

  async #list(isFirst: boolean): Promise<void> {
    const until = this.#platform.clock() + MATCH_LIST_MS;
    let after: string | undefined;
    this.#isFull = false;
    for (let isNew = !isFirst; !this.#isClosed && this.#platform.clock() < until; ) {
      const page = await this.#edge.matches(this.pattern, {
        owner: this.#options.owner,
        token: await tokenOf(this.#options.token),
        after,
        waitS: MATCH_WAIT_S,
        signal: this.#aborter.signal,
      });
      this.#backoff.reset();
      for (const listed of page.streams) this.#found(listed, isNew);
      after = page.after;
      if (isNew) await this.#backoff.pause(MATCH_PAUSE_MS);
      isNew ||= !page.more;
    }
  }

  #found(listed: Listed, isNew: boolean): void {
    if (this.#isClosed || this.#connections.has(listed.id) || this.#waiting.has(listed.id)) return;
    const max = this.#options.max ?? MAX_MATCHED_STREAMS;
    if (this.#connections.size + this.#waiting.size >= max) {
      this.#isFull = true;
      return;
    }
    this.#waiting.set(listed.id, { listed, isNew });
    this.#openNext();
  }

  /** Connects to those that wait, a few at a time. */
  #openNext(): void {
    for (const [id, { listed, isNew }] of this.#waiting) {
      if (this.#opening >= MAX_OPENING_MATCHES) return;
      this.#waiting.delete(id);
      this.#open(listed, isNew);
    }
  }

  #open({ id, name }: Listed, isNew: boolean): void {
    const { from, guarantee, owner, max: _, ...how } = this.#options;
    // The operator's streams are called by their names, so that what is signed for them is signed under these.
    const connection = connect({ ...how, stream: owner === undefined ? name : id });
    const matched: MatchedStream = { stream: name, connection };
    this.#connections.set(id, matched);
    this.#opening++;
    let isOpening = true;
    connection.on("state", ({ state, error }) => {
      if (isOpening && state !== "connecting") {
        isOpening = false;
        this.#opening--;
        this.#openNext();
      }
      if (state !== "closed" || !this.#connections.delete(id)) return;
      this.emit("left", { ...matched, error });
    });
    this.emit("joined", matched);
    // Of a stream that came since, nothing is left out.
    const start = isNew ? 0 : from;
    const subscription = connection.subscribe({
      ...(start === undefined ? {} : { from: start }),
      ...(guarantee === undefined ? {} : { guarantee }),
    });
    subscription.on("message", (message) => this.emit("message", { stream: name, message }));
    subscription.on("retracted", ({ from }) => this.emit("retracted", { stream: name, from }));
  }
}

const tokenOf = async (token: TokenOption | undefined): Promise<string | undefined> =>
  typeof token === "function" ? token() : token;
