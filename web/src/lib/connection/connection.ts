// A connection to one stream: the public face of the library, over the parts that `StreamClient` joins.

import { StreamChainError } from "../errors.ts";
import { TypedEventTarget } from "../events.ts";
import type { StreamInfo } from "../http/edge-answers.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import type { MessageState } from "../marks.ts";
import type { Publication } from "../publish/publication.ts";
import type { SubscribeOptions, Subscription } from "../read/subscription.ts";
import type { Attempt } from "../session/attempt-log.ts";
import type { ConnectionPath } from "../session/path-stats.ts";
import type { NodeToAsk } from "../signed/contract-wallet.ts";
import { type Bytes, type Hex, utf8Bytes } from "../wire/bytes.ts";
import type { AnchorRef, Presence, StreamMessage } from "../wire/records.ts";
import type { AuthorCheck } from "./author-verifier.ts";
import { StreamClient } from "./stream-client.ts";
import type { ConnectionEvents, ConnectOptions, StateChange, StreamMarks } from "./types.ts";

/** Opens a connection; it connects and reconnects by itself until `close`. */
export const connect = (options: ConnectOptions): StreamConnection => new StreamConnection(options);

/** A connection to one stream. */
export class StreamConnection extends TypedEventTarget<ConnectionEvents> {
  readonly stream: string;
  /** The edge's HTTP interface. */
  readonly edge: EdgeClient;
  readonly #client: StreamClient;

  constructor(options: ConnectOptions) {
    super();
    this.stream = options.stream;
    this.#client = new StreamClient(options, (name, detail) => this.emit(name, detail));
    this.edge = this.#client.edge;
    this.#client.start();
  }

  /** Where the connection is now. */
  get state(): StateChange {
    return this.#client.shown;
  }

  /** Address of this client as author; undefined until it is known. A change is an `author` event. */
  get author(): Hex | undefined {
    return this.#client.author;
  }

  /** Whether what is published is signed, as far as this page knows. */
  get signs(): boolean {
    return this.#client.outbox.signs;
  }

  /** The seq that the stream's next message will have, as far as this page knows; null before the first welcome. */
  get head(): number | null {
    return this.#client.state.head;
  }

  /** Counts of the stream, as far as this page knows. */
  get marks(): StreamMarks {
    return this.#client.marks;
  }

  /** Who is on the stream, where the connection asks for it; null while that is not known. A change is a `presence` event. */
  get presence(): Presence | null {
    return this.#client.presence.latest;
  }

  /** Whether this client's author may be listed for those who may read the stream, from now on. */
  showPresence(isSeen: boolean): void {
    this.#client.showPresence(isSeen);
  }

  /** Authors of the browsers with a direct channel to this one. */
  get peers(): readonly Hex[] {
    return this.#client.direct.peers;
  }

  /** The latest attempts to open a session, oldest first. */
  get attempts(): readonly Attempt[] {
    return this.#client.loop.attempts;
  }

  /** The latest anchors reported to this page, oldest first. */
  get anchors(): readonly AnchorRef[] {
    return this.#client.progress.anchors;
  }

  /** Publications that are not stored yet, with those that an earlier page left. */
  get unstored(): readonly Publication[] {
    return this.#client.outbox.waiting;
  }

  /** The state of a message that a subscription returned. */
  stateOf(seq: number): MessageState {
    const { committed, next } = this.#client.state.feed;
    const isTentative = seq >= committed && seq < (next ?? 0);
    return isTentative ? "live" : this.#client.progress.marks.stateOfStored(seq);
  }

  /**
   * Publishes a message. It is sent when a session is open, by HTTP while none opens, and again after a reconnect, until
   * it is stored. A text is sent as UTF-8. Throws `too-large`, `queue-full` or `closed`.
   */
  publish(payload: Uint8Array | string): Publication {
    if (this.#client.isClosed) throw new StreamChainError("closed", "the connection is closed");
    const bytes = typeof payload === "string" ? utf8Bytes(payload) : (payload.slice() as Bytes);
    return this.#client.publish(bytes);
  }

  /**
   * Checks who wrote a message that a subscription returned: whether its author signed it, with which key, and who vouches
   * for the key. A live message whose group is still arriving is waited for. A wallet that is a contract is asked by `node`;
   * without one its messages are `unknown`. Never rejects.
   */
  verifyAuthor(message: StreamMessage, node?: NodeToAsk): Promise<AuthorCheck> {
    return this.#client.authors.check(message, node);
  }

  /** Resolves when `publish` has room. */
  readonly writable = (): Promise<void> => (this.#client.isClosed ? Promise.resolve() : this.#client.outbox.room());

  /** Reads the stream from a seq on. */
  subscribe(options: SubscribeOptions = {}): Subscription {
    return this.#client.subscribe(options);
  }

  /** The path of the session's packets, or undefined while there is no session. */
  async getPath(): Promise<ConnectionPath | undefined> {
    return this.#client.loop.session?.path();
  }

  /** Ends the pause before the next attempt. */
  retryNow(): void {
    this.#client.loop.retryNow();
  }

  /**
   * Requests the stream's counts from the edge; relays report them too, but not to a page that was away. Resolves with the
   * answer, or undefined when the stream does not exist yet.
   */
  async refreshMarks(): Promise<StreamInfo | undefined> {
    return this.#client.refreshMarks();
  }

  /**
   * Resolves when everything published so far is stored; rejects when a message cannot be, or when the connection is closed
   * before.
   */
  async drain(): Promise<void> {
    const stored = this.#client.outbox.waiting.map((publication) => publication.stored);
    let stop = (): void => {};
    const closed = new Promise<never>((_, reject) => {
      stop = this.on("state", ({ state, error }) => {
        if (state === "closed") reject(error ?? new StreamChainError("closed", "the connection was closed"));
      });
    });
    await Promise.race([Promise.all(stored), closed]).finally(stop);
  }

  /**
   * Ends the session and all subscriptions. Unstored messages that the browser's storage keeps stay there for a later page
   * of the same author; the others fail.
   */
  close(): void {
    this.#client.close(undefined);
  }
}
