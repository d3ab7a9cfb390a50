// A fake edge and relay in one, over in-memory channels: it follows the protocol, and the test decides when messages are
// committed, when relays stop, and what fails.

import type { Platform } from "../../src/lib/platform.ts";
import type { DataChannel, PeerConnection, RtcConfiguration } from "../../src/lib/webrtc.ts";
import { type Bytes, concat, fromHex, type Hex, toHex } from "../../src/lib/wire/bytes.ts";
import { type CborValue, encodeCbor } from "../../src/lib/wire/cbor.ts";
import { type ClientFrame, decodeClientMessage } from "../../src/lib/wire/frames.ts";
import { ByHttp } from "./by-http.ts";
import { type Accepted, ANSWER, answerOffer, guest, problem, TURN_URL } from "./edge-parts.ts";
import { authorBytes, type People } from "./people.ts";
import { MemoryLocks, MemoryStorage, testPlatform, VirtualClock } from "./surroundings.ts";

const AUTHOR = fromHex(`0x${"a1".repeat(20)}`, 20);
/** One client's session at the relay. */
class RelaySession {
  readonly world: World;
  readonly channel: FakeChannel;
  readonly peer: FakePeer;
  producer: string | null = null;
  author: Uint8Array = AUTHOR;
  subscribed = false;
  /** The relay was restarted: ICE works, but the relay does not have the session. */
  forgotten = false;

  constructor(world: World, peer: FakePeer, channel: FakeChannel) {
    this.world = world;
    this.peer = peer;
    this.channel = channel;
  }

  /** Sends frames in one data-channel message. */
  send(...frames: CborValue[]): void {
    this.sendRaw(concat(frames.map(encodeCbor)));
  }

  sendRaw(bytes: Bytes): void {
    queueMicrotask(() => this.channel.deliver(bytes));
  }

  /** The relay's process stops: the client loses the path. */
  stop(): void {
    this.world.sessions.delete(this);
    this.peer.fail();
  }

  receive(frame: ClientFrame): void {
    this.world.received.push(frame);
    if (frame.kind === "hello") this.world.welcome(this, toHex(frame.producer));
    if (frame.kind === "subscribe") this.world.subscribe(this, frame.from);
    if (frame.kind === "publish") this.world.accept(this, frame.producerSeq, frame.payload);
  }
}

/** The client's data channel. */
class FakeChannel implements DataChannel {
  binaryType: BinaryType = "arraybuffer";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  readyState: RTCDataChannelState = "connecting";
  onopen: DataChannel["onopen"] = null;
  onclose: DataChannel["onclose"] = null;
  onerror: DataChannel["onerror"] = null;
  onmessage: DataChannel["onmessage"] = null;
  onbufferedamountlow: DataChannel["onbufferedamountlow"] = null;
  session: RelaySession | null = null;
  /** Bytes that the path brought, as in getStats. */
  receivedBytes = 0;
  /** When set, sent bytes stay in the buffer until `drain`. */
  stalled = false;
  #waiting: Uint8Array[] = [];

  send(bytes: unknown): void {
    const copy = (bytes as Uint8Array).slice();
    if (this.stalled) {
      this.#waiting.push(copy);
      this.bufferedAmount += copy.length;
      return;
    }
    queueMicrotask(() => {
      if (this.readyState !== "open" || this.session?.forgotten) return;
      this.receivedBytes += 28; // SCTP acknowledges
      for (const frame of decodeClientMessage(copy)) this.session?.receive(frame);
    });
  }

  /** The network takes everything that is buffered. */
  drain(): void {
    this.stalled = false;
    this.bufferedAmount = 0;
    for (const bytes of this.#waiting.splice(0)) this.send(bytes);
    this.onbufferedamountlow?.call(this as never, new Event("bufferedamountlow"));
  }

  deliver(bytes: Bytes): void {
    if (this.readyState === "open") {
      this.onmessage?.call(this as never, { data: bytes.buffer } as MessageEvent);
    }
  }

  open(): void {
    this.readyState = "open";
    this.onopen?.call(this as never, new Event("open"));
  }

  close(): void {
    this.readyState = "closed";
  }
}

/** The client's peer connection. */
class FakePeer implements PeerConnection {
  connectionState: RTCPeerConnectionState = "new";
  iceConnectionState: RTCIceConnectionState = "new";
  sctp = { maxMessageSize: 262_144 };
  onconnectionstatechange: PeerConnection["onconnectionstatechange"] = null;
  oniceconnectionstatechange: PeerConnection["oniceconnectionstatechange"] = null;
  onicecandidate: PeerConnection["onicecandidate"] = null;
  onicecandidateerror: PeerConnection["onicecandidateerror"] = null;
  readonly channel = new FakeChannel();
  readonly world: World;
  readonly apart: boolean;
  configuration: RtcConfiguration;
  /** Number of ICE restarts. */
  restarts = 0;
  /** Servers that candidates were gathered from. */
  #gathered: string[] = [];
  #local: RTCSessionDescriptionInit | null = null;
  /** Offers made before the first answer: a browser gives the section of each another name. */
  #offers = 0;
  #answered = false;
  #author: Hex | null = null;

  constructor(world: World, configuration: RtcConfiguration, apart: boolean) {
    this.world = world;
    this.apart = apart;
    this.configuration = configuration;
    world.peers.push(this);
  }

  createDataChannel(): DataChannel {
    return this.channel;
  }

  async createOffer(options?: { iceRestart: boolean }): Promise<RTCSessionDescriptionInit> {
    if (options?.iceRestart) this.restarts++;
    const mid = this.#answered ? 0 : this.#offers++;
    return {
      type: "offer",
      sdp: `v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=setup:actpass\r\na=mid:${mid}\r\n`,
    };
  }

  async setLocalDescription(description?: RTCSessionDescriptionInit): Promise<void> {
    this.#local = description ?? (await this.createOffer());
    this.#gathered = (this.configuration.iceServers ?? []).flatMap((server) => server.urls);
    if (!this.#hasAddress) return this.#become("failed", "failed");
    if (!this.world.hasHostCandidates && this.#gathered.length === 0) return;
    this.onicecandidate?.call(this as never, { candidate: { candidate: "candidate:1" } });
  }

  get #hasAddress(): boolean {
    return this.apart || this.world.pageHasAddress;
  }

  setConfiguration(configuration: RtcConfiguration): void {
    this.configuration = configuration;
  }

  async setRemoteDescription({ sdp }: { sdp: string }): Promise<void> {
    this.#author = (/^a=author:(0x[0-9a-f]{40})/m.exec(sdp)?.[1] as Hex | undefined) ?? null;
    if (this.#local === null) throw new Error("an answer without an offer");
    if (!this.#local.sdp?.includes("a=mid:0")) throw new Error("an answer to another offer");
    this.#local = null;
    this.#answered = true;
    queueMicrotask(() => this.#seek());
  }

  /** What the network lets through decides. */
  #seek(): void {
    const { world, channel } = this;
    if (world.hasHostCandidates || this.#gathered.length > 0) this.iceConnectionState = "checking";
    const turn = this.#gathered.some((url) => url.startsWith("turn"));
    const error = world.turnError;
    for (const url of turn && error !== null ? this.#gathered : []) {
      this.onicecandidateerror?.call(this as never, { ...error, url } as never);
    }
    const direct = world.directWorks && world.hasHostCandidates;
    const open = direct || (turn && world.turnError === null);
    if (!world.relayAnswers || !open || !this.#hasAddress || this.connectionState === "closed") return;
    this.#become("connected", "connected");
    if (channel.session !== null) return;
    channel.session = world.admit(this, channel);
    if (this.#author !== null) channel.session.author = authorBytes(this.#author);
    channel.open();
  }

  async getStats(): Promise<RTCStatsReport> {
    const bytesReceived = this.channel.receivedBytes;
    const turn = !this.world.directWorks;
    const open = this.connectionState === "connected";
    return new Map<string, unknown>([
      ["transport", { id: "transport", type: "transport", ...(open ? { selectedCandidatePairId: "pair" } : {}) }],
      [
        "pair",
        {
          id: "pair",
          type: "candidate-pair",
          bytesReceived,
          currentRoundTripTime: 0.002,
          localCandidateId: "local",
          remoteCandidateId: "remote",
          state: open ? "succeeded" : "in-progress",
        },
      ],
      [
        "local",
        {
          id: "local",
          type: "local-candidate",
          candidateType: turn ? "relay" : "host",
          ...(turn && this.world.turnError === null ? { url: TURN_URL } : {}),
        },
      ],
      ["remote", { id: "remote", type: "remote-candidate", protocol: "udp", address: "192.0.2.7", port: 7100 }],
    ]) as RTCStatsReport;
  }

  /** The network under it is gone, and another one is there. */
  disconnect(): void {
    this.#become("disconnected", "disconnected");
  }

  fail(): void {
    this.#become("failed", "failed");
  }

  close(): void {
    if (this.connectionState === "closed") return;
    this.connectionState = "closed";
    this.channel.close();
    if (this.channel.session !== null) this.world.sessions.delete(this.channel.session);
  }

  #become(connection: RTCPeerConnectionState, ice: RTCIceConnectionState): void {
    this.connectionState = connection;
    this.iceConnectionState = ice;
    this.oniceconnectionstatechange?.call(this as never, new Event("iceconnectionstatechange"));
    this.onconnectionstatechange?.call(this as never, new Event("connectionstatechange"));
  }
}

/** One stream, its edge and its relay. */
export class World {
  readonly clock = new VirtualClock();
  readonly storage = new MemoryStorage();
  readonly locks = new MemoryLocks();
  readonly sessions = new Set<RelaySession>();
  /** Every peer connection that was made, the oldest first. */
  readonly peers: FakePeer[] = [];
  /** Every frame that the relay got, in order. */
  readonly received: ClientFrame[] = [];
  /** Every request that the edge got, as `METHOD path`. */
  readonly requests: string[] = [];
  epoch = 1;
  /** Messages that are stored at the edge. */
  stored: Accepted[] = [];
  /** Messages that the relay accepted and has not committed. */
  open: Accepted[] = [];
  anchored = 0;
  final = 0;
  edgeAnswers = true;
  relayAnswers = true;
  /** The browser finds candidates without asking any server. */
  hasHostCandidates = true;
  /** Packets get to the relay without help. */
  directWorks = true;
  /** The browser finds an address of the device for peer connections of the page; for those apart from it, always. */
  pageHasAddress = true;
  /** The browser's open connections to the edge are dead: requests on them get no answer. */
  openConnectionsDead = false;
  /** No request is ever answered. */
  edgeHangs = false;
  /** What the TURN server answers; null: it serves. */
  turnError: { errorCode: number; errorText: string } | null = null;
  /** Answers of `POST …/sessions`, taken from the front; empty: it works. */
  sessionAnswers: (() => Response)[] = [];
  /** The relay keeps this many messages in memory for subscribers; older ones become a gap. */
  memory = Number.POSITIVE_INFINITY;
  /** The edge's service for clients without WebRTC; off by default. */
  readonly byHttp = new ByHttp(this);
  /** Whose tokens the edge knows; without them everybody is one guest. */
  people: People | null = null;
  /** Sessions that were ended by a request that the edge took. */
  endedSessions = 0;
  /** The relay sends its welcome at once; else the test does, by `welcome`. */
  welcomes = true;

  get head(): number {
    return this.stored.length + this.open.length;
  }

  /** The surroundings of a new page on this world's origin. */
  page(parts: Partial<Platform> = {}): Platform & { tabStorage: MemoryStorage; locks: { freeAll(): void } } {
    return testPlatform(this.clock, {
      fetch: this.fetch,
      createPeerConnection: (configuration, apart) => new FakePeer(this, configuration, apart),
      storage: this.storage,
      tabStorage: new MemoryStorage(),
      locks: this.locks.page(),
      ...parts,
    }) as never;
  }

  admit(peer: FakePeer, channel: FakeChannel): RelaySession {
    const session = new RelaySession(this, peer, channel);
    this.sessions.add(session);
    return session;
  }

  /** The only session there is. */
  get session(): RelaySession {
    const [session] = this.sessions;
    if (session === undefined) throw new Error("no session at the relay");
    return session;
  }

  welcome(session: RelaySession, producer: string): void {
    session.producer = this.people === null ? producer : `${toHex(session.author)}:${producer}`;
    if (!this.welcomes) return;
    const last = this.stored.filter((message) => message.producer === session.producer).at(-1);
    const limits = new Map<string, CborValue>([["payload", 65_536]]);
    session.send([16, this.epoch, this.head, this.stored.length, last?.producerSeq ?? null, limits]);
  }

  subscribe(session: RelaySession, from: number | null): void {
    session.subscribed = true;
    const all = [...this.stored, ...this.open];
    const start = from ?? all.length;
    const kept = Math.max(start, all.length - this.memory);
    if (kept > start) session.send([22, start, kept]);
    for (let seq = kept; seq < all.length; seq++) session.send(this.frame(seq));
  }

  frame(seq: number): CborValue {
    const message = [...this.stored, ...this.open][seq] as Accepted;
    return [17, this.epoch, seq, message.time, message.author, message.payload];
  }

  /** Accepts a publication, as a relay does: once, in the producer's order. */
  accept(session: RelaySession, producerSeq: number, payload: Uint8Array): void {
    const producer = session.producer;
    if (producer === null) {
      session.send([23, 9, "publish before hello"]);
      return;
    }
    const all = [...this.stored, ...this.open];
    const own = all.filter((message) => message.producer === producer);
    const seq = all.findIndex((message) => message.producer === producer && message.producerSeq === producerSeq);
    if (seq >= 0 || producerSeq !== own.length) {
      session.send(seq >= 0 ? [18, producerSeq, seq] : [23, 4, `expected ${own.length}`]);
      return;
    }
    this.open.push({ time: Math.floor(this.clock.now), author: session.author, producer, producerSeq, payload });
    session.send([18, producerSeq, this.head - 1]);
    this.sendOpen();
  }

  /** Sends the latest message to the subscribers. */
  sendOpen(): void {
    for (const session of this.sessions) if (session.subscribed) session.send(this.frame(this.head - 1));
  }

  /** Another client publishes. */
  say(...texts: string[]): void {
    for (const text of texts) {
      const payload = new TextEncoder().encode(text);
      this.open.push({
        time: Math.floor(this.clock.now),
        author: AUTHOR,
        producer: "other",
        producerSeq: this.head,
        payload,
      });
      this.sendOpen();
    }
  }

  /** Stores everything that was accepted, and sends the committed mark. */
  commit(): void {
    this.byHttp.fetch();
    this.stored.push(...this.open.splice(0));
    this.byHttp.settled();
    for (const session of this.sessions) session.send([19, this.stored.length]);
    for (const response of this.byHttp.responses) response.sendStored();
  }

  /** The relay stops, and loses what it had not committed; another one becomes the stream's leader. */
  takeOver(): void {
    const orphans = [...this.sessions];
    this.open = [];
    this.epoch++;
    for (const session of orphans) session.stop();
  }

  /** An anchor's event over everything that is stored and not anchored yet. */
  anchor(): void {
    const first = this.anchored;
    const count = this.stored.length - first;
    this.anchored = this.stored.length;
    this.sendAnchor(first, count, 0);
  }

  sendAnchor(first: number, count: number, state: 0 | 1 | 2): void {
    const hash = new Uint8Array(32).fill(7);
    for (const session of this.sessions) session.send([20, first, count, hash, hash, 12, state]);
    const name = ["anchored", "final", "reverted"][state] as string;
    for (const response of this.byHttp.responses) response.sendAnchor(first, count, name);
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const url = new URL(String(input));
    const method = init?.method ?? "GET";
    this.requests.push(`${method} ${url.pathname}${url.search}`);
    if (!this.edgeAnswers) throw new TypeError("fetch failed");
    if (this.edgeHangs || (this.openConnectionsDead && init?.credentials !== "omit")) await aborted(init?.signal);
    const headers = new Headers(init?.headers);
    const author = this.people?.who(headers.get("authorization"));
    if (author === null) return problem(401, "unauthorized")();
    if (this.people !== null && url.pathname.startsWith("/v1/auth/")) {
      return this.people.answer(url.pathname, headers.get("authorization"));
    }
    if (url.pathname.endsWith("/sessions")) {
      return this.sessionAnswers.shift()?.() ?? (this.people === null ? answerOffer() : this.#answerTo(author));
    }
    if (url.pathname.endsWith("/events")) return this.byHttp.events(url, headers, init?.signal);
    if (url.pathname.endsWith("/messages")) {
      const isNew = method === "POST";
      return isNew ? this.byHttp.post(headers, init?.body as Uint8Array, author) : this.#history(url);
    }
    if (url.pathname === "/v1/auth/guest") return guest();
    if (method === "DELETE") {
      if (this.people !== null && author === undefined) return problem(401, "unauthorized")();
      this.endedSessions++;
      return new Response(null, { status: 204 });
    }
    return Response.json({
      id: `0x${"11".repeat(32)}`,
      owner: `0x${"22".repeat(20)}`,
      name: "demo",
      epoch: this.epoch,
      stored: this.stored.length,
      anchored: this.anchored,
      final: this.final,
    });
  };

  /** Answers an offer by an author; without one by a new guest. */
  #answerTo(author: Hex | undefined): Response {
    const guest = author === undefined ? this.people?.guest() : undefined;
    const by = author ?? guest?.author ?? "";
    const headers = new Headers({
      "content-type": "application/sdp",
      location: "/v1/sessions/abc",
      "streamchain-author": by,
      ...(guest === undefined ? {} : { "streamchain-access-token": guest.token }),
    });
    return new Response(`${ANSWER}a=author:${by}\r\n`, { status: 201, headers });
  }

  #history(url: URL): Response {
    const from = Number(url.searchParams.get("from"));
    const limit = Number(url.searchParams.get("limit"));
    const page = this.stored.slice(from, from + limit).map(({ time, author, payload }, i) => {
      return encodeCbor([from + i, time, author, payload]);
    });
    return new Response(concat(page), { headers: { "content-type": "application/cbor-seq" } });
  }
}

/** Rejects when the signal aborts; never resolves. */
const aborted = (signal: AbortSignal | null | undefined): Promise<never> =>
  new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
