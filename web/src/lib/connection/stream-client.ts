// Joins the parts of a connection to one stream: a loop keeps a session open, a router passes its frames on, and HTTP
// replaces the session while none opens.
//
// What always holds: one session at a time; the feed is subscribed from where it is, so nothing is skipped over a
// reconnect; whichever channel serves the stream, it feeds the same state and the same outbox.

import { DirectChannels } from "../direct/direct-channels.ts";
import { asStreamChainError, retryableError, StreamChainError } from "../errors.ts";
import { Credentials } from "../http/credentials.ts";
import type { SessionAnswer, StreamInfo } from "../http/edge-answers.ts";
import { EdgeClient } from "../http/edge-client.ts";
import { KeyRing } from "../http/key-ring.ts";
import { browserPlatform, type Platform, pageOrigin } from "../platform.ts";
import { Outbox } from "../publish/outbox.ts";
import { claimProducer, type Producer } from "../publish/producer.ts";
import type { Publication, SealedGroup } from "../publish/publication.ts";
import { Sender } from "../publish/sender.ts";
import { Progress, pollMarks } from "../read/progress.ts";
import type { SubscribeOptions, Subscription } from "../read/subscription.ts";
import type { AttemptLog } from "../session/attempt-log.ts";
import { openOrJoin } from "../session/join-session.ts";
import type { SessionOptions } from "../session/open-session.ts";
import { PathMemory } from "../session/path-memory.ts";
import type { Session } from "../session/session.ts";
import { sharedPeers } from "../session/shared-peers.ts";
import type { Signer } from "../signed/signer.ts";
import { type Bytes, fromHex, type Hex } from "../wire/bytes.ts";
import { RelayErrorCode, type WelcomeFrame } from "../wire/frames.ts";
import { AuthorVerifier } from "./author-verifier.ts";
import { FrameRouter } from "./frame-router.ts";
import { Greeting } from "./greeting.ts";
import { HttpFallback, isReplaceable } from "./http-fallback.ts";
import { Introduction } from "./introduction.ts";
import { shownState } from "./loop-state.ts";
import { PresenceState } from "./presence.ts";
import { SessionLoop } from "./session-loop.ts";
import { StreamIdentity } from "./stream-id.ts";
import { StreamState } from "./stream-state.ts";
import type { ConnectionEvents, ConnectOptions, StateChange, StreamMarks } from "./types.ts";

/** Emits an event of the connection. */
type Emit = <Name extends keyof ConnectionEvents>(name: Name, detail: ConnectionEvents[Name]) => void;

/** The parts of one connection. */
export class StreamClient {
  readonly edge: EdgeClient;
  readonly progress: Progress;
  readonly outbox: Outbox;
  readonly state: StreamState;
  readonly direct: DirectChannels;
  readonly authors: AuthorVerifier;
  readonly presence: PresenceState;
  readonly loop: SessionLoop<Session>;
  readonly #options: ConnectOptions;
  readonly #emit: Emit;
  readonly #platform: Platform;
  readonly #credentials: Credentials;
  readonly #keys: KeyRing;
  readonly #identity: StreamIdentity;
  readonly #memory: PathMemory;
  readonly #sender: Sender;
  readonly #greeting: Greeting;
  readonly #http: HttpFallback;
  readonly #router: FrameRouter;
  readonly #aborter = new AbortController();
  readonly #introduction = new Introduction();
  #producer: Producer | null = null;
  #producerReady: Promise<void> = Promise.resolve();
  #author: Hex | undefined;
  /** The key that signs what the author publishes. */
  #signer: Signer | undefined;
  /** Whether the latest session had a place on another stream's connection and ended before its welcome. */
  #joinFailed = false;
  /** The token of the latest attempt to open a session. */
  #sessionToken: string | undefined;
  #shown: StateChange = { state: "connecting", error: undefined, retryAt: undefined };

  constructor(options: ConnectOptions, emit: Emit) {
    this.#options = options;
    this.#emit = emit;
    const platform = { ...browserPlatform(options.webrtc), ...options.platform };
    this.#platform = platform;
    const edge = new EdgeClient(options.edge ?? pageOrigin(), platform.fetch);
    this.edge = edge;
    this.#keys = new KeyRing(platform, edge, options.key);
    const { signal } = this.#aborter;
    this.#identity = new StreamIdentity(edge, options.stream, platform, this.#introduction.happened, signal);
    this.#credentials = new Credentials({
      platform,
      edge,
      given: options.token,
      keys: this.#keys,
      onAuthor: (author) => this.#authorIs(author),
    });
    edge.readAs(this.#credentials);
    this.#memory = new PathMemory(platform, edge.origin);
    const progress = new Progress(edge, options.stream);
    this.progress = progress;
    const onPublication = (publication: Publication): void => emit("publication", publication);
    const outbox = new Outbox(progress.marks, onPublication, (group, producer) => this.#signed(group, producer));
    this.outbox = outbox;
    const onMarks = (): void => emit("marks", this.marks);
    const signatures = options.signatures ?? false;
    this.state = new StreamState({ progress, outbox, onMarks, onAnchor: (one) => emit("anchor", one), signatures });
    this.#sender = new Sender(outbox, platform);
    this.presence = new PresenceState(options, (presence) => emit("presence", presence));
    this.#greeting = new Greeting(this.state.feed, signatures, () => this.presence.abilities);
    this.authors = this.#newVerifier();
    this.direct = new DirectChannels({
      platform,
      edge,
      token: () => this.#credentials.token(),
      check: (author, group) => this.authors.checkDirect(author, group),
      onMessage: (message) => emit("direct", message),
      onPeers: () => emit("peers", this.direct.peers),
    });
    this.#http = this.#newFallback();
    this.#router = this.#newRouter();
    this.loop = this.#newLoop();
  }

  /** Begins to connect. */
  start(): void {
    this.#credentials.start();
    if (this.#credentials.isNobody) this.#claim();
    const stopWatching = this.#platform.onNetworkChange(() => this.#networkChanged());
    pollMarks(this.#aborter.signal, this.#platform, () => this.#pollMarks());
    void this.loop.run().then(stopWatching);
  }

  /** The author of what is published from now on. What waits was published under the one before, and fails. */
  #authorIs(author: Hex): void {
    if (author === this.#author || this.isClosed) return;
    const former = this.#author;
    this.#author = author;
    if (former !== undefined) {
      const text = `the author is ${author} now, and was ${former}`;
      this.outbox.fail(new StreamChainError("author-changed", text));
      this.outbox.detach();
      this.#producer?.release();
      this.#producer = null;
    }
    this.#claim();
    this.#emit("author", { author, former });
    const session = this.loop.session?.answer.author;
    if (session !== undefined && session !== author) {
      this.loop.end(retryableError("author-changed", "the session is another author's"));
    }
  }

  /** Takes a producer of the author, after those that are being taken. Who is nobody yet will be the guest of this key. */
  #claim(): void {
    this.#producerReady = this.#producerReady.then(async () => {
      const author = this.#author;
      const signer = await (author === undefined ? this.#keys.guest() : this.#keys.signerFor(author));
      if (this.isClosed || author !== this.#author) return; // another claim follows for another author
      if (this.#producer !== null) {
        if (author !== undefined) this.#producer.bind(author);
        this.outbox.bound();
      } else if (!(await this.#attach(author, signer))) {
        return;
      }
      this.#sign(author, signer);
    });
  }

  /** Returns whether the producer is this connection's now. */
  async #attach(author: Hex | undefined, signer: Signer | undefined): Promise<boolean> {
    const { edge, outbox } = this;
    const { stream } = this.#options;
    const claim = { platform: this.#platform, origin: edge.origin, stream, author, key: signer?.text };
    const producer = await claimProducer(claim);
    const isOthers = producer.author !== undefined && producer.author !== this.#author;
    if (this.isClosed || isOthers) {
      producer.release(); // another claim follows for another author
      return false;
    }
    this.#producer = producer;
    for (const restored of outbox.attach(producer)) this.#emit("publication", restored);
    return true;
  }

  /** What the author publishes is signed with this key, as soon as the stream's id is known. */
  #sign(author: Hex | undefined, signer: Signer | undefined): void {
    this.#signer = signer;
    this.outbox.signWith(signer?.text, null);
    this.#plan();
    if (author === undefined || signer === undefined) return;
    this.#identity.id().then(
      (stream) => {
        if (this.isClosed || this.#signer !== signer || this.#author !== author) return;
        this.outbox.signWith(signer.text, { signer, stream, author: fromHex(author, 20) });
        this.#plan();
      },
      (error) => this.#unsignable(error, signer),
    );
  }

  /** Without the stream's id nothing can be signed, and what waits can't be sent as another's word. */
  #unsignable(error: unknown, signer: Signer): void {
    if (this.isClosed || this.#signer !== signer) return;
    this.outbox.refused(new StreamChainError("bad-signature", asStreamChainError(error).message, { cause: error }));
  }

  /** The relay or the edge does not take the key. A guest is its key; an account may have lost its certificate. */
  #badKey(): void {
    const [author, signer] = [this.#author, this.#signer];
    if (author === undefined || signer === undefined || signer.self === author) return;
    this.#keys.disown(author);
    this.#claim();
  }

  #signed(group: SealedGroup, producer: Uint8Array): void {
    const key = this.#signer?.key;
    if (key !== undefined) this.direct.signed(group, producer, key);
  }

  #plan(): void {
    this.#sender.plan();
    this.#http.plan();
  }

  /** What the connection shows of its state. */
  get shown(): StateChange {
    return this.#shown;
  }

  get isClosed(): boolean {
    return this.loop.state.at === "closed";
  }

  /** Address of this client as author. */
  get author(): Hex | undefined {
    return this.#author;
  }

  /** Counts of the stream, as far as this page knows. */
  get marks(): StreamMarks {
    const { stored, marks } = this.progress;
    return { committed: Math.max(this.state.feed.committed, stored), anchored: marks.anchored, final: marks.final };
  }

  /** Publishes by whichever channel there is. */
  publish(payload: Bytes): Publication {
    const publication = this.outbox.publish(payload);
    this.#plan();
    if (this.outbox.signs || !this.direct.isLinked) return publication;
    this.outbox.keep(); // as before anything is sent
    this.direct.published(this.#producer?.id, publication.producerSeq, payload);
    return publication;
  }

  /** Adds a reader. The relay is asked for messages from where the first reader begins. */
  subscribe(options: SubscribeOptions): Subscription {
    const online = (): boolean => this.#shown.state === "open" || this.#shown.state === "http";
    const source = {
      edge: this.edge,
      stream: this.#options.stream,
      platform: this.#platform,
      online,
      introduced: this.#introduction.happened,
      signatures: this.#options.signatures ?? false,
    };
    const subscription = this.state.subscribe(source, options);
    if (this.isClosed) {
      subscription.close(this.#shown.error);
    } else if (this.#greeting.want(typeof options.from === "number" ? options.from : null)) {
      if (this.loop.state.at === "open") this.#greeting.subscribe(this.loop.state.session);
    }
    return subscription;
  }

  /** Requests the stream's counts from the edge. */
  async refreshMarks(): Promise<StreamInfo | undefined> {
    await this.#introduction.happened;
    const { info, moved } = await this.progress.refresh();
    if (info !== undefined) {
      this.#emit("info", info);
      if (this.loop.state.at !== "open") this.presence.reported(info.presence ?? null);
      this.direct.follow(info.p2p && !this.isClosed, this.loop.session?.answer);
    }
    if (moved) this.state.marksMoved();
    return info;
  }

  /** Whether the author may be listed among those who are on the stream. */
  showPresence(isSeen: boolean): void {
    if (this.presence.wishSeen(isSeen) && this.loop.state.at === "open") this.#greeting.wish(this.loop.state.session);
  }

  /** Ends everything; `error` is the reason, or undefined when the caller closes the connection. */
  close(error: StreamChainError | undefined): void {
    if (this.isClosed) return;
    const locations = this.loop.session?.locations ?? [];
    const reason = error ?? new StreamChainError("closed", "the connection was closed");
    this.#http.stop();
    this.direct.stop();
    this.#credentials.close();
    this.#introduction.done();
    this.#aborter.abort();
    this.outbox.channelLost();
    this.loop.close(error);
    const token = this.#credentials.current;
    for (const location of locations) this.edge.endSession(location, token).catch(() => {}); // or it expires
    if (error === undefined) this.outbox.leave(reason);
    else this.outbox.fail(reason);
    this.outbox.unfollow(reason);
    for (const subscription of [...this.state.subscriptions]) subscription.close(error);
    this.outbox.giveRoom(true);
    this.#producer?.release();
  }

  #newLoop(): SessionLoop<Session> {
    return new SessionLoop({
      platform: this.#platform,
      open: (log) => this.#open(log),
      greet: (session) => {
        this.outbox.limitPayload(session.maxPayloadBytes);
        const { id, key } = this.#producer as Producer;
        const signed = key === this.#signer?.text ? this.#signer?.key : undefined;
        this.#greeting.hello(session, this.#http.isActive, id, signed);
      },
      onEnd: () => {
        this.#introduction.done();
        this.#channelBegins();
        this.presence.reported(null);
      },
      forgetToken: (error) => this.#credentials.refused(error, this.#sessionToken),
      fallBack: (error) => this.#fallBack(error),
      isFollowed: () => this.#http.isFollowing,
      onFailed: (error) => this.close(error),
      onAttempt: (attempt) => this.#emit("attempt", attempt),
      onState: () => this.#show(),
    });
  }

  async #open(log: AttemptLog): Promise<Session> {
    const session = await openOrJoin({
      shared: sharedPeers(this.#options, this.#platform.fetch, this.edge.origin, this),
      who: () => this.#author ?? (this.#credentials.isNobody ? "nobody" : undefined),
      mayJoin: !this.#joinFailed,
      options: () => this.#attempt(log),
    });
    this.#joinFailed = session.isJoined;
    await this.#producerReady;
    if (this.#producer !== null && (session.answer.author ?? this.#author) === this.#author) return session;
    session.close();
    throw retryableError("author-changed", "the author changed while the session opened");
  }

  /** What an attempt to open a session needs now. */
  async #attempt(log: AttemptLog): Promise<SessionOptions> {
    const token = await this.#credentials.token();
    this.#sessionToken = token;
    const proof = token === undefined ? await this.#credentials.proof() : undefined;
    if (this.isClosed) throw new StreamChainError("closed", "the connection was closed");
    return {
      platform: this.#platform,
      edge: this.edge,
      stream: this.#options.stream,
      token,
      ...(proof === undefined ? {} : { proof }),
      rtc: this.#options.rtc ?? {},
      memory: this.#memory,
      log,
      signal: this.#aborter.signal,
      onAnswer: (answer) => this.#answered(answer, token),
      onPath: () => this.#emit("attempt", log.attempt),
      events: {
        onMessage: (bytes) => this.#router.receive(bytes),
        onWritable: () => this.#sender.flush(),
        onEnd: (error) => this.loop.end(error),
      },
    };
  }

  /** Takes the author of an answer, so that the next request has the same one even if no session opens. */
  #answered(answer: SessionAnswer, token: string | undefined): void {
    const { author, token: made, owner } = answer;
    if (owner !== undefined) this.#identity.belongsTo(owner);
    this.#introduction.done();
    if (token === undefined && made !== undefined && !this.#credentials.made({ token: made, author })) {
      throw retryableError("author-changed", "another request made the guest of this connection");
    }
    if (author === undefined) return;
    this.#credentials.named(token ?? made, author);
    this.#authorIs(author);
  }

  #newRouter(): FrameRouter {
    return new FrameRouter({
      state: this.state,
      outbox: this.outbox,
      sender: this.#sender,
      at: () => this.loop.state.at,
      isEarly: () => this.#greeting.isEarly,
      isAtTail: () => this.#greeting.isAtTail,
      onWelcome: (frame) => this.#welcome(frame),
      onMessage: ({ author, payload, seq }) => this.direct.relayed(author, payload, seq),
      onChain: (event) => this.#emit("chain", event),
      onPresence: (presence) => this.presence.reported(presence),
      onError: ({ code, text }) => {
        if (code === RelayErrorCode.badSignature) this.#badKey();
        // The session's rights may be over: nothing goes to others, or comes from them, until a new session is open.
        if (code === RelayErrorCode.streamMoved || code === RelayErrorCode.sessionEnded) this.direct.stop();
        this.#emit("relay-error", { code, text });
        this.#emit("complaint", { code, text });
      },
      end: (error) => this.loop.end(error),
    });
  }

  /** What was sent and asked for counts no longer: a session is over, or begins anew under another epoch. */
  #channelBegins(): void {
    this.#sender.stop();
    this.outbox.channelLost();
    this.#greeting.ended();
  }

  #welcome(frame: WelcomeFrame): void {
    const { session } = this.loop;
    if (session === null) return;
    if (this.loop.state.at === "open") this.#channelBegins(); // another epoch, on the same channel
    this.#joinFailed = false;
    this.#http.stop();
    this.outbox.limitPayload(Math.min(frame.limits.payload, session.maxPayloadBytes));
    if (this.state.welcome(frame, this.#greeting.subscribedAtTail) === "renewed") {
      this.loop.end(retryableError("no-welcome", "the producer id was renewed"));
      return;
    }
    this.#greeting.subscribe(session);
    this.#sender.start(session, frame.limits);
    this.loop.welcomed();
    if (this.outbox.following || this.state.subscriptions.size > 0) this.#refreshQuietly();
  }

  #newVerifier(): AuthorVerifier {
    const { feed } = this.state;
    return new AuthorVerifier({
      platform: this.#platform,
      edge: this.edge,
      stream: this.#options.stream,
      streamId: () => this.#identity.id(),
      place: () => this.#identity.place(),
      held: (seq) => feed.at(seq),
      committed: () => feed.committed,
    });
  }

  #newFallback(): HttpFallback {
    return new HttpFallback({
      platform: this.#platform,
      edge: this.edge,
      stream: this.#options.stream,
      outbox: this.outbox,
      credentials: this.#credentials,
      state: this.state,
      producer: () => this.#producer,
      onFailed: (error) => this.close(error),
      onBadKey: () => this.#badKey(),
      signatures: this.#options.signatures ?? false,
      onChain: (event) => this.#emit("chain", event),
      onGap: () => this.#refreshQuietly(),
      onChange: () => this.#show(),
    });
  }

  async #fallBack(error: StreamChainError): Promise<boolean> {
    if (this.#options.httpFallback === false || !isReplaceable(error)) return false;
    // The attempt failed: what is asked from now on follows it.
    this.#introduction.done();
    if ((await this.#credentials.identify().catch(() => undefined)) === undefined) this.#claim();
    await this.#producerReady;
    if (!this.isClosed) this.#http.start();
    return true;
  }

  #networkChanged(): void {
    this.#memory.networkChanged();
    this.#http.networkChanged();
    this.loop.networkChanged(this.#http.isActive);
  }

  #show(): void {
    this.#shown = shownState(this.loop.state, this.#http.isFollowing, this.#shown);
    this.#emit("state", this.#shown);
    this.state.changed();
  }

  #pollMarks(): void {
    const { committed, final } = this.marks;
    const { state } = this.#shown;
    const isBlind = state !== "open" && (state === "http" ? this.presence.isWanted : this.state.subscriptions.size > 0);
    if (final < committed || this.outbox.following || isBlind) this.#refreshQuietly();
  }

  #refreshQuietly(): void {
    this.refreshMarks().catch(() => {}); // the next poll requests them again
  }
}
