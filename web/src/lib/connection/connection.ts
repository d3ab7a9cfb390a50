// A connection to one stream: keeps a session open, and ties intake and outbox to it.
//
// What always holds: one session at a time; its frames are handled in order and only while it is the current one; the
// feed is subscribed from where it is, so nothing is skipped over a reconnect. While no session opens the same feed and
// outbox are served by HTTP, until a relay's greeting.

import { Backoff } from "../backoff.ts";
import { chainEventOf } from "../chain/chain-events.ts";
import { Direct } from "../direct/direct-channels.ts";
import { asStreamChainError, passing, StreamChainError } from "../errors.ts";
import { TypedEventTarget } from "../events.ts";
import { authorOf, Credentials } from "../http/credentials.ts";
import type { SessionAnswer, StreamInfo } from "../http/edge-answers.ts";
import { EdgeClient } from "../http/edge-client.ts";
import * as limits from "../limits.ts";
import type { MessageState } from "../marks.ts";
import { browserPlatform, type Platform } from "../platform.ts";
import { Outbox } from "../publish/outbox.ts";
import { claimProducer, type Producer } from "../publish/producer.ts";
import type { Publication } from "../publish/publication.ts";
import { Sender } from "../publish/sender.ts";
import { Progress, pollUntil } from "../read/progress.ts";
import type { SubscribeOptions, Subscription } from "../read/subscription.ts";
import { type Attempt, AttemptLog, Attempts } from "../session/attempt-log.ts";
import { PathMemory } from "../session/path-memory.ts";
import { type ConnectionPath, openSession, type Session } from "../session/session.ts";
import { type Bytes, type Hex, utf8Bytes } from "../wire/bytes.ts";
import {
  decodeRelayMessage,
  type ErrorFrame,
  encodeFrame,
  type MessageFrame,
  type RelayFrame,
} from "../wire/frames.ts";
import { HttpPath } from "./http-fallback.ts";
import { reactionTo } from "./relay-errors.ts";
import { Intake } from "./stream-state.ts";
import type {
  AnchorNews,
  ConnectionEvents,
  ConnectionState,
  ConnectOptions,
  StateChange,
  StreamMarks,
} from "./types.ts";

/** Opens a connection; it connects and reconnects by itself until `close`. */
export const connect = (options: ConnectOptions): StreamConnection => new StreamConnection(options);

/** A stream's connection. */
export class StreamConnection extends TypedEventTarget<ConnectionEvents> {
  readonly stream: string;
  /** The edge's HTTP interface. */
  readonly edge: EdgeClient;
  readonly #platform: Platform;
  readonly #options: ConnectOptions;
  readonly #progress: Progress;
  readonly #outbox: Outbox;
  readonly #intake: Intake;
  readonly #sender: Sender;
  readonly #http: HttpPath;
  readonly #backoff: Backoff;
  readonly #credentials: Credentials;
  readonly #memory: PathMemory;
  readonly #direct: Direct;
  readonly #attempts = new Attempts();
  readonly #aborter = new AbortController();
  #change: StateChange = { state: "connecting", error: undefined, retryAt: undefined };
  #phase = this.#change; // the same, but for HTTP
  #session: Session | null = null;
  #producer: Producer | null = null;
  #author: Hex | undefined;
  #openedAt = 0;
  #wanted: { from: number | null } | null = null;
  #subscribed = false;
  #greeted = false; // in this session
  #firstSession = true; // no earlier session has told this page anything of the stream
  #hurry = false; // the network changed while an attempt was under way
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
    this.#intake = new Intake({
      progress: this.#progress,
      outbox: this.#outbox,
      onMarks: () => this.emit("marks", this.marks),
      onAnchor: (news) => this.emit("anchor", news),
    });
    this.#sender = new Sender(this.#outbox, this.#platform);
    this.#backoff = new Backoff(this.#platform);
    this.#credentials = new Credentials(this.#platform, this.edge.origin, options.token);
    this.#http = new HttpPath({
      platform: this.#platform,
      edge: this.edge,
      stream: this.stream,
      outbox: this.#outbox,
      credentials: this.#credentials,
      intake: this.#intake,
      producer: () => this.#producer,
      onAuthor: (author) => {
        this.#author = author;
      },
      onChain: (event) => this.emit("chain", event),
      onGap: () => void this.refreshMarks().catch(() => {}), // asked again by itself
      onChange: () => this.#showState(),
    });
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
    return this.#intake.head;
  }

  /** How far the stream is, as far as this page knows. */
  get marks(): StreamMarks {
    const { stored, marks } = this.#progress;
    return { committed: Math.max(this.#intake.feed.committed, stored), anchored: marks.anchored, final: marks.final };
  }

  /** Authors of the browsers that there is a direct channel to. */
  get peers(): readonly Hex[] {
    return this.#direct.peers;
  }

  /** The latest attempts to connect, oldest first. */
  get attempts(): readonly Attempt[] {
    return this.#attempts.all;
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
    const { committed, next } = this.#intake.feed;
    const tentative = seq >= committed && seq < (next ?? 0);
    return tentative ? "live" : this.#progress.marks.stateOfStored(seq);
  }

  /**
   * Publishes a message. It is sent when there is a session, by HTTP while none opens, and again after a reconnect, until it is stored.
   * A text is sent as UTF-8. Throws `too-large`, `queue-full` or `closed`.
   */
  publish(payload: Uint8Array | string): Publication {
    if (this.#change.state === "closed") throw new StreamChainError("closed", "the connection is closed");
    const bytes = typeof payload === "string" ? utf8Bytes(payload) : (payload.slice() as Bytes);
    const publication = this.#outbox.publish(bytes);
    this.#sender.plan();
    this.#http.plan();
    this.#direct.published(this.#producer?.id, publication.producerSeq, bytes);
    return publication;
  }

  /** Resolves when `publish` has room. */
  readonly writable = (): Promise<void> => (this.#isClosed() ? Promise.resolve() : this.#outbox.room());

  /** Reads the stream from a position on. */
  subscribe(options: SubscribeOptions = {}): Subscription {
    const online = (): boolean => this.#change.state === "open" || this.#change.state === "http";
    const source = { edge: this.edge, stream: this.stream, platform: this.#platform, online };
    const subscription = this.#intake.subscribe(source, options);
    if (this.#isClosed()) {
      subscription.close(this.#change.error);
      return subscription;
    }
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

  /** Tries again at once when waiting for the next attempt. */
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
    if (moved) this.#intake.marksMoved();
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
    this.#http.stop();
    this.#direct.stop();
    this.#aborter.abort();
    if (location !== undefined) this.edge.endSession(location, this.#credentials.token).catch(() => {}); // it also lapses
    this.#setState("closed", error);
    const reason = error ?? new StreamChainError("closed", "the connection was closed");
    this.#outbox.fail(reason, false);
    for (const subscription of [...this.#intake.subscriptions]) subscription.close(error);
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
      if (this.#intake.feed.epoch !== null) this.#firstSession = false; // though it ended before its welcome
      if (this.#isClosed()) break;
      if (openMs === 0 && this.#canFallBack(error)) await producer.then(() => this.#fallBack());
      else if (!error.retryable) this.#finish(error);
      await this.#pauseAfter(error, openMs);
    }
    stopWatching();
  }

  /** Whether there is no session because none gets through, so that HTTP may. */
  readonly #canFallBack = ({ code }: StreamChainError): boolean =>
    this.#options.httpFallback !== false && limits.FALLBACK_CODES.has(code);

  #fallBack(): void {
    this.#author ??= authorOf(this.#credentials.token);
    if (!this.#isClosed()) this.#http.start();
  }

  /** All look for a path on the new network. */
  #networkChanged(): void {
    this.#memory.networkChanged();
    this.#session?.seekPath();
    this.#http.networkChanged();
    if (this.#http.active) this.#backoff.reset();
    this.#hurry = this.#session === null; // an attempt that is under way began on the old network
    this.retryNow();
  }

  readonly #isClosed = (): boolean => this.#change.state === "closed";

  /** Connects and lives with the session until it ends; the answer is the reason. */
  async #live(producer: Promise<void>): Promise<StreamChainError> {
    this.#hurry = false;
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
    if (this.#outbox.following || this.#intake.subscriptions.size > 0) this.refreshMarks().catch(() => {});
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
      onAnswer: (answer) => this.#answered(answer),
      onPath: () => this.emit("attempt", log.attempt),
      events: {
        onMessage: (bytes) => this.#receive(bytes),
        onWritable: () => this.#sender.flush(),
        onEnd: (error) => this.#ended?.(error),
      },
    });
    this.#session = session;
    await producer;
    this.#outbox.limitPayload(session.maxMessageSize - 16); // the frame around a payload has at most 16 bytes
    await this.#greet(session, over);
    log.done("welcome");
  }

  /** A guest is one whether a session opens or not: the next request, by HTTP or for a session, is by the same author. */
  #answered({ author, token }: SessionAnswer): void {
    this.#author = author ?? this.#author;
    this.#credentials.keep(token);
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
    const from = this.#intake.feed.next ?? this.#wanted.from;
    if (from !== null) this.#intake.feed.beginAt(from);
    this.#session.send(encodeFrame({ kind: "subscribe", from }));
  }

  #remember(log: AttemptLog): void {
    this.#attempts.add(log);
    this.emit("attempt", log.attempt);
  }

  #setState(state: ConnectionState, error: StreamChainError | undefined, retryAt?: number): void {
    this.#phase = { state, error, retryAt };
    this.#showState();
  }

  /** Between sessions a stream that is followed by HTTP is neither being connected nor waited for. */
  #showState(): void {
    const { state, error, retryAt } = this.#phase;
    const byHttp = (state === "connecting" || state === "waiting") && this.#http.following;
    const why = error ?? (byHttp ? this.#change.error : undefined);
    this.#change = { state: byHttp ? "http" : state, error: why, retryAt };
    this.emit("state", this.#change);
    this.#intake.changed();
  }

  async #pauseAfter(error: StreamChainError, openMs: number): Promise<void> {
    if (this.#isClosed()) return;
    const hopeless = error.code === "no-webrtc"; // the browser won't get it while the page lives
    // Where no relay is, an attempt costs one request, and others wait for the same relay.
    const bounds = this.#http.following && error.code !== "no-relay" ? limits.FALLBACK_RETRY : undefined;
    const ms = this.#hurry ? 0 : hopeless ? Number.POSITIVE_INFINITY : this.#backoff.next(error, openMs, bounds);
    this.#setState("waiting", error, hopeless ? undefined : this.#platform.now() + ms);
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
    this.#intake.changed();
  }

  #endSession(error: StreamChainError): void {
    this.#greeted = false; // what else this session's last data-channel message holds is not for us
    this.#session?.close();
    this.#ended?.(error);
  }

  #handle(frame: RelayFrame): void {
    // What a relay says before it names its epoch can't be joined to what another session, or the edge, brought.
    const isFirst = this.#firstSession && !(this.#http.active && this.#intake.feed.epoch !== null);
    if (!this.#greeted && !isFirst && frame.kind !== "welcome" && frame.kind !== "error") return;
    switch (frame.kind) {
      case "welcome":
        this.#handleWelcome(frame);
        break;
      case "message":
        this.#handleMessage(frame);
        break;
      case "gap":
        this.#intake.feed.gap(frame.to);
        break;
      case "accepted":
        this.#sender.answered();
        this.#intake.accepted(frame.producerSeq, frame.seq);
        break;
      case "committed":
        this.#intake.committed(frame.committed);
        break;
      case "anchored":
        this.#intake.anchored(frame);
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
    this.#http.stop();
    this.#greeted = true;
    this.#firstSession = false;
    this.#sender.pace(frame.limits);
    this.#outbox.limitPayload(Math.min(frame.limits.payload, (this.#session?.maxMessageSize ?? 0) - 16));
    const outcome = this.#intake.welcome(frame, this.#subscribed && this.#wanted?.from === null);
    if (outcome === "renewed") this.#endSession(passing("no-welcome", "the producer id was renewed"));
    else this.#welcomed?.();
  }

  #handleMessage(frame: MessageFrame): void {
    if (this.#greeted && frame.epoch > (this.#intake.feed.epoch ?? 0)) {
      this.#endSession(passing("relay-unreachable", "the stream moved to another relay")); // greet again under its epoch
      return;
    }
    this.#intake.message(frame, this.#wanted?.from === null);
    this.#direct.relayed(frame.author, frame.payload, frame.seq);
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
    const blind = !["open", "http"].includes(this.#change.state) && this.#intake.subscriptions.size > 0;
    if (final < committed || this.#outbox.following || blind) this.refreshMarks().catch(() => {}); // asked again next time
  }
}
