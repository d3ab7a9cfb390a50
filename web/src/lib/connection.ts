// A connection to one stream: keeps a session open, and ties feed, outbox and marks to it.
//
// What always holds: one session at a time; its frames are handled in order and only while it is the current one; the
// feed is subscribed from where it is, so nothing is skipped over a reconnect.

import { Backoff } from "./backoff.ts";
import { type Bytes, type Hex, toHex, utf8Bytes } from "./bytes.ts";
import { chainEventOf } from "./chain-events.ts";
import { reactionTo } from "./complaints.ts";
import type {
  AnchorNews,
  ConnectionEvents,
  ConnectionState,
  ConnectOptions,
  StateChange,
  StreamMarks,
} from "./connection-types.ts";
import { Credentials } from "./credentials.ts";
import { type Attempt, AttemptLog } from "./diagnosis.ts";
import { Direct } from "./direct.ts";
import { EdgeClient } from "./edge.ts";
import type { StreamInfo } from "./edge-answers.ts";
import { asStreamChainError, passing, StreamChainError } from "./errors.ts";
import { TypedEventTarget } from "./events.ts";
import { Feed } from "./feed.ts";
import {
  type AnchoredFrame,
  decodeRelayMessage,
  type ErrorFrame,
  encodeFrame,
  type MessageFrame,
  type RelayFrame,
} from "./frames.ts";
import * as limits from "./limits.ts";
import type { MessageState } from "./marks.ts";
import { Outbox } from "./outbox.ts";
import { PathMemory } from "./path-memory.ts";
import { browserPlatform, type Platform } from "./platform.ts";
import { claimProducer, type Producer } from "./producer.ts";
import { Progress, pollUntil } from "./progress.ts";
import type { Publication } from "./publication.ts";
import { Sender } from "./sender.ts";
import { type ConnectionPath, openSession, type Session } from "./session.ts";
import { type SubscribeOptions, Subscription } from "./subscription.ts";

/** Opens a connection; it connects and reconnects by itself until `close`. */
export const connect = (options: ConnectOptions): StreamConnection => new StreamConnection(options);

/** A stream's connection. */
export class StreamConnection extends TypedEventTarget<ConnectionEvents> {
  readonly stream: string;
  /** The edge's HTTP interface. */
  readonly edge: EdgeClient;
  readonly #platform: Platform;
  readonly #options: ConnectOptions;
  readonly #feed = new Feed();
  readonly #progress: Progress;
  readonly #outbox: Outbox;
  readonly #sender: Sender;
  readonly #backoff: Backoff;
  readonly #credentials: Credentials;
  readonly #memory: PathMemory;
  readonly #direct: Direct;
  readonly #subscriptions = new Set<Subscription>();
  readonly #attempts: AttemptLog[] = [];
  readonly #aborter = new AbortController();
  #change: StateChange = { state: "connecting", error: undefined, retryAt: undefined };
  #session: Session | null = null;
  #producer: Producer | null = null;
  #author: Hex | undefined;
  #openedAt = 0;
  #wanted: { from: number | null } | null = null;
  #subscribed = false;
  #greeted = false; // in this session
  #firstSession = true; // no earlier session has told this page anything of the stream
  #head: number | null = null; // the seq that the stream's next message will have, as far as this page knows
  #welcomed: (() => void) | null = null;
  #ended: ((error: StreamChainError) => void) | null = null;

  constructor(options: ConnectOptions) {
    super();
    this.#options = options;
    this.#platform = { ...browserPlatform(), ...options.platform };
    this.stream = options.stream;
    this.edge = new EdgeClient(options.edge ?? globalThis.location.origin, this.#platform.fetch);
    this.#progress = new Progress(this.edge, this.stream);
    this.#outbox = new Outbox(this.#progress.marks, (publication) => this.emit("publication", publication));
    this.#sender = new Sender(this.#outbox, this.#platform);
    this.#backoff = new Backoff(this.#platform);
    this.#credentials = new Credentials(this.#platform, this.edge.origin, options.token);
    this.#memory = new PathMemory(this.#platform, this.edge.origin);
    this.#direct = new Direct({
      platform: this.#platform,
      edge: this.edge,
      token: () => this.#credentials.token,
      onMessage: (message) => this.emit("direct", message),
      onPeers: () => this.emit("peers", this.peers),
    });
    void this.#run();
  }

  /** Where the connection is now. */
  get state(): StateChange {
    return this.#change;
  }

  /** Address of this client as author; undefined before the first session. */
  get author(): Hex | undefined {
    return this.#author;
  }

  /** The seq that the stream's next message will have, as far as this page knows; null before the first welcome. */
  get head(): number | null {
    return this.#head;
  }

  /** How far the stream is, as far as this page knows. */
  get marks(): StreamMarks {
    const { anchored, final } = this.#progress.marks;
    return { committed: Math.max(this.#feed.committed, this.#progress.stored), anchored, final };
  }

  /** Authors of the browsers that there is a direct channel to. */
  get peers(): readonly Hex[] {
    return this.#direct.peers;
  }

  /** The latest attempts to connect, oldest first. */
  get attempts(): readonly Attempt[] {
    return this.#attempts.map((log) => log.attempt);
  }

  /** The latest anchors heard of in this page, oldest first. */
  get anchors(): readonly AnchorNews[] {
    return this.#progress.anchors;
  }

  /** Publications that are not stored yet, those that an earlier page left included. */
  get unstored(): readonly Publication[] {
    return this.#outbox.waiting;
  }

  /** What is known of a message that a subscription handed out. */
  stateOf(seq: number): MessageState {
    const tentative = seq >= this.#feed.committed && seq < (this.#feed.next ?? 0);
    return tentative ? "live" : this.#progress.marks.stateOfStored(seq);
  }

  /**
   * Publishes a message. It is sent when there is a session, and again after a reconnect, until it is stored.
   * A text is sent as UTF-8. Throws `too-large`, `queue-full` or `closed`.
   */
  publish(payload: Uint8Array | string): Publication {
    if (this.#change.state === "closed") throw new StreamChainError("closed", "the connection is closed");
    const bytes = typeof payload === "string" ? utf8Bytes(payload) : (payload.slice() as Bytes);
    const publication = this.#outbox.publish(bytes);
    this.#sender.plan();
    this.#direct.published(this.#producer?.id, publication.producerSeq, bytes);
    return publication;
  }

  /** Resolves when `publish` has room. */
  readonly writable = (): Promise<void> => (this.#isClosed() ? Promise.resolve() : this.#outbox.room());

  /** Reads the stream from a position on. */
  subscribe(options: SubscribeOptions = {}): Subscription {
    const subscription = new Subscription(
      {
        feed: this.#feed,
        edge: this.edge,
        stream: this.stream,
        platform: this.#platform,
        online: () => this.#change.state === "open",
        tail: () => this.#head,
      },
      options,
      (closed) => this.#subscriptions.delete(closed),
    );
    if (this.#isClosed()) {
      subscription.close(this.#change.error);
      return subscription;
    }
    this.#subscriptions.add(subscription);
    if (this.#wanted === null) {
      this.#wanted = { from: typeof options.from === "number" ? options.from : null };
      if (this.#change.state === "open") this.#sendSubscribe();
    }
    return subscription;
  }

  /** The path of the session's packets, or undefined while there is none. */
  async getPath(): Promise<ConnectionPath | undefined> {
    return this.#session?.path();
  }

  /** Tries again at once when waiting. */
  retryNow(): void {
    this.#backoff.skip();
  }

  /**
   * Asks the edge for the stream's counts; frames bring them too, this is for when none may have come.
   * Resolves with what the edge said, undefined when nobody has made the stream yet.
   */
  async refreshMarks(): Promise<StreamInfo | undefined> {
    const { info, moved } = await this.#progress.refresh();
    if (info !== undefined) {
      this.emit("info", info);
      this.#direct.follow(info.p2p && !this.#isClosed(), this.#session?.answer);
    }
    if (moved) this.#marksMoved();
    return info;
  }

  /** Resolves when everything published so far is stored, rejects when something can't be. */
  async drain(): Promise<void> {
    await Promise.all(this.#outbox.waiting.map((publication) => publication.stored));
  }

  /** Ends the session and all subscriptions. Unstored messages stay in the browser's storage for a later page. */
  close(): void {
    this.#finish(undefined);
  }

  #finish(error: StreamChainError | undefined): void {
    if (this.#change.state === "closed") return;
    const location = this.#session?.answer.location;
    this.#session?.close();
    this.#session = null;
    this.#direct.stop();
    this.#aborter.abort();
    if (location !== undefined) this.edge.endSession(location, this.#credentials.token).catch(() => {}); // it also lapses
    this.#setState("closed", error);
    const reason = error ?? new StreamChainError("closed", "the connection was closed");
    this.#outbox.fail(reason, false);
    for (const subscription of [...this.#subscriptions]) subscription.close(error);
    this.#outbox.giveRoom(true);
    this.#ended?.(reason);
    this.#backoff.skip();
    this.#producer?.release();
  }

  async #run(): Promise<void> {
    const producer = claimProducer(this.#platform, this.edge.origin, this.stream).then((claimed) => {
      this.#producer = claimed;
      for (const restored of this.#outbox.attach(claimed)) this.emit("publication", restored);
      if (this.#change.state === "closed") claimed.release();
    });
    const stopWatching = this.#platform.onNetworkChange(() => this.#networkChanged());
    pollUntil(this.#aborter.signal, this.#platform, () => this.#pollMarks());
    while (this.#change.state !== "closed") {
      const error = await this.#live(producer);
      const openMs = this.#change.state === "open" ? this.#platform.clock() - this.#openedAt : 0;
      this.#sender.stop();
      this.#session = null;
      this.#subscribed = false;
      this.#greeted = false;
      if (this.#feed.epoch !== null) this.#firstSession = false; // though it ended before its welcome
      if (this.#isClosed()) break;
      if (!error.retryable) this.#finish(error);
      else await this.#pauseAfter(error, openMs);
    }
    stopWatching();
  }

  /** A living session looks for a path on the new network; a pause between attempts is over. */
  #networkChanged(): void {
    this.#memory.networkChanged();
    this.#session?.seekPath();
    this.retryNow();
  }

  readonly #isClosed = (): boolean => this.#change.state === "closed";

  /** Connects and lives with the session until it ends; the answer is the reason. */
  async #live(producer: Promise<void>): Promise<StreamChainError> {
    const log = new AttemptLog(this.#platform.now(), this.#platform.clock);
    this.#setState("connecting", undefined);
    const over = new Promise<StreamChainError>((resolve) => {
      this.#ended = resolve;
    });
    try {
      await this.#open(log, producer, over);
    } catch (cause) {
      const error = asStreamChainError(cause);
      log.failed(error.code, error.message);
      this.#remember(log);
      this.#session?.close();
      if (!this.#credentials.forgetIfRefused(error)) return error;
      return new StreamChainError(error.code, error.message, { retryable: true, cause: error });
    }
    this.#remember(log);
    this.#openedAt = this.#platform.clock();
    this.#setState("open", undefined);
    if (this.#session !== null) this.#sender.start(this.#session);
    if (this.#outbox.following || this.#subscriptions.size > 0) this.refreshMarks().catch(() => {});
    return over;
  }

  async #open(log: AttemptLog, producer: Promise<void>, over: Promise<StreamChainError>): Promise<void> {
    const session = await openSession({
      platform: this.#platform,
      edge: this.edge,
      stream: this.stream,
      token: this.#credentials.token,
      rtc: this.#options.rtc ?? {},
      memory: this.#memory,
      log,
      signal: this.#aborter.signal,
      onPath: () => this.emit("attempt", log.attempt),
      events: {
        onMessage: (bytes) => this.#receive(bytes),
        onWritable: () => this.#sender.flush(),
        onEnd: (error) => this.#ended?.(error),
      },
    });
    this.#session = session;
    this.#author = session.answer.author ?? this.#author;
    this.#credentials.keep(session.answer.token);
    await producer;
    this.#outbox.limitPayload(session.maxMessageSize - 16); // the frame around a payload has at most 16 bytes
    await this.#greet(session, over);
    log.done("welcome");
  }

  /** Says hello and waits for the welcome. On the first session the subscription goes along. */
  async #greet(session: Session, over: Promise<StreamChainError>): Promise<void> {
    const producer = this.#producer as Producer;
    const welcome = new Promise<null>((resolve) => {
      this.#welcomed = () => resolve(null);
    });
    session.send(encodeFrame({ kind: "hello", producer: producer.id }));
    if (this.#firstSession) this.#sendSubscribe();
    let timer: unknown;
    const late = new Promise<StreamChainError>((resolve) => {
      const error = passing("no-welcome", "the relay does not answer the greeting");
      timer = this.#platform.setTimer(() => resolve(error), limits.WELCOME_TIMEOUT_MS);
    });
    const error = await Promise.race([welcome, over, late]);
    this.#platform.clearTimer(timer);
    this.#welcomed = null;
    if (error !== null) throw error;
    this.#sendSubscribe();
  }

  #sendSubscribe(): void {
    if (this.#subscribed || this.#wanted === null || this.#session === null) return;
    this.#subscribed = true;
    const from = this.#feed.next ?? this.#wanted.from;
    if (from !== null) this.#feed.beginAt(from);
    this.#session.send(encodeFrame({ kind: "subscribe", from }));
  }

  #remember(log: AttemptLog): void {
    this.#attempts.push(log);
    if (this.#attempts.length > limits.REMEMBERED_ATTEMPTS) this.#attempts.shift();
    this.emit("attempt", log.attempt);
  }

  #setState(state: ConnectionState, error: StreamChainError | undefined, retryAt?: number): void {
    this.#change = { state, error, retryAt };
    this.emit("state", this.#change);
    for (const subscription of this.#subscriptions) subscription.changed();
  }

  async #pauseAfter(error: StreamChainError, openMs: number): Promise<void> {
    const ms = this.#backoff.next(error, openMs);
    this.#setState("waiting", error, this.#platform.now() + ms);
    await this.#backoff.pause(ms);
  }

  #receive(bytes: Uint8Array): void {
    try {
      for (const frame of decodeRelayMessage(bytes)) this.#handle(frame);
    } catch (cause) {
      this.#endSession(passing("malformed", `the relay sent what is no frame: ${(cause as Error).message}`));
      if (!(cause instanceof StreamChainError)) throw cause;
      return;
    }
    this.#sender.plan();
    for (const subscription of this.#subscriptions) subscription.changed();
  }

  #endSession(error: StreamChainError): void {
    this.#greeted = false; // what else this session's last data-channel message holds is not for us
    this.#session?.close();
    this.#ended?.(error);
  }

  #handle(frame: RelayFrame): void {
    // What a relay says before it names its epoch can't be joined to what an earlier session brought.
    const known = this.#greeted || this.#firstSession || frame.kind === "welcome" || frame.kind === "error";
    if (!known) return;
    switch (frame.kind) {
      case "welcome":
        this.#handleWelcome(frame);
        break;
      case "message":
        this.#handleMessage(frame);
        break;
      case "gap":
        this.#feed.gap(frame.to);
        break;
      case "accepted":
        this.#sender.answered();
        if (frame.seq !== null) this.#raiseHead(frame.seq + 1);
        this.#outbox.accepted(frame.producerSeq, frame.seq, this.#head ?? 0);
        break;
      case "committed":
        this.#feed.commit(frame.committed);
        this.#outbox.committed(frame.committed);
        this.#outbox.giveRoom();
        this.emit("marks", this.marks);
        break;
      case "anchored":
        this.#handleAnchored(frame);
        break;
      case "chain":
      case "chain-state":
        this.emit("chain", chainEventOf(frame));
        break;
      case "error":
        this.#handleError(frame);
        break;
    }
  }

  #handleWelcome(frame: Extract<RelayFrame, { kind: "welcome" }>): void {
    const sameEpoch = frame.epoch === this.#feed.epoch;
    this.#greeted = true;
    this.#firstSession = false;
    this.#head = frame.head;
    this.#placeTails(frame.head);
    const restarted = frame.committed < this.#feed.committed;
    if (restarted) this.#progress.restart(frame.committed);
    const atTail = this.#subscribed && this.#wanted?.from === null;
    this.#retract(this.#feed.welcome(frame.epoch, frame.head, frame.committed, atTail), restarted);
    this.#sender.pace(frame.limits);
    this.#outbox.limitPayload(Math.min(frame.limits.payload, (this.#session?.maxMessageSize ?? 0) - 16));
    const outcome = this.#outbox.welcome(frame.stored, frame.head, sameEpoch);
    if (sameEpoch) this.#outbox.committed(frame.committed);
    this.#outbox.giveRoom();
    this.emit("marks", this.marks);
    if (outcome === "renewed") this.#endSession(passing("no-welcome", "the producer id was renewed"));
    else this.#welcomed?.();
  }

  #handleMessage(frame: MessageFrame): void {
    if (this.#greeted && frame.epoch > (this.#feed.epoch ?? 0)) {
      this.#endSession(passing("relay-unreachable", "the stream moved to another relay")); // greet again under its epoch
      return;
    }
    if (this.#wanted?.from === null) this.#placeTails(frame.seq);
    this.#retract(this.#feed.message(frame));
    this.#raiseHead(frame.seq + 1);
    this.#direct.relayed(frame.author, frame.payload, frame.seq);
  }

  #raiseHead(head: number): void {
    this.#head = Math.max(this.#head ?? 0, head);
  }

  /** Subscriptions that wait for the tail begin at `seq`. */
  #placeTails(seq: number): void {
    for (const subscription of this.#subscriptions) subscription.beginAt(seq);
  }

  #retract(from: number | null, restarted = false): void {
    if (from === null) return;
    for (const subscription of this.#subscriptions) subscription.retract(from, restarted);
  }

  #handleAnchored(frame: AnchoredFrame): void {
    const { first, count, block, state } = frame;
    const news = { first, count, root: toHex(frame.root), tx: toHex(frame.tx), block, state };
    if (this.#progress.anchor(news)) this.#marksMoved();
    this.emit("anchor", news);
  }

  #marksMoved(): void {
    this.#outbox.marksMoved();
    this.emit("marks", this.marks);
  }

  #handleError({ code, text, retryMs }: ErrorFrame): void {
    this.emit("complaint", { code, text });
    const reaction = reactionTo(code, text);
    const end = reaction.kind === "refused" ? this.#sender.refused(code, retryMs) : null;
    if (end !== null) this.#endSession(passing(end, text));
    else if (reaction.kind === "end") this.#endSession(reaction.error);
    else if (reaction.kind === "fail") this.#outbox.fail(reaction.error, true);
  }

  #pollMarks(): void {
    const { committed, final } = this.marks;
    const blind = this.#change.state !== "open" && this.#subscriptions.size > 0;
    if (final < committed || this.#outbox.following || blind) this.refreshMarks().catch(() => {}); // asked again next time
  }
}
