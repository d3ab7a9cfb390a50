// A fake edge and relay in one, over in-memory channels: it follows the protocol, and the test decides when messages are
// committed, when relays stop, and what fails.

import { streamId } from "../../src/lib/chain/merkle.ts";
import type { Platform } from "../../src/lib/platform.ts";
import { type Bytes, concat, fromHex, type Hex, toHex } from "../../src/lib/wire/bytes.ts";
import { type CborValue, encodeCbor } from "../../src/lib/wire/cbor.ts";
import { Ability, type ClientFrame, type GroupFrame } from "../../src/lib/wire/frames.ts";
import { ByHttp } from "./by-http.ts";
import { type Accepted, ANSWER, answerOffer, guest, problem } from "./edge-parts.ts";
import { Listing } from "./listing.ts";
import { type FakeChannel, FakePeer } from "./peer.ts";
import type { People } from "./people.ts";
import { type OriginKeys, preimageOf, provenAuthor, Signatures, sha256, type TakenGroup } from "./signing.ts";
import { MemoryLocks, MemoryStorage, testPlatform, VirtualClock } from "./surroundings.ts";

const AUTHOR = fromHex(`0x${"a1".repeat(20)}`, 20);
/** Whom the stream belongs to. */
const OWNER: Hex = `0x${"22".repeat(20)}`;
/** One client's session at the relay. */
class RelaySession {
  readonly world: World;
  readonly channel: FakeChannel;
  readonly peer: FakePeer;
  producer: string | null = null;
  author: Uint8Array = AUTHOR;
  subscribed = false;
  wantsSignatures = false;
  /** The seq that the relay sends from. */
  from = 0;
  /** The producer's id and the key of the hello. */
  id: Uint8Array = new Uint8Array();
  key: Uint8Array | undefined;
  /** The bits of the client's abilities. */
  abilities = 0;
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

  /** The relay closes the channel, and not the connection. */
  end(): void {
    this.world.sessions.delete(this);
    this.channel.end();
  }

  receive(frame: ClientFrame): void {
    if (frame.kind === "abilities") {
      this.abilities = frame.bits;
      return;
    }
    if (frame.kind === "join") {
      this.world.joined(this, frame.grant);
      return;
    }
    this.world.received.push(frame);
    if (frame.kind === "hello") {
      this.id = frame.producer;
      this.key = frame.key;
      this.world.welcome(this, toHex(frame.producer));
    }
    if (frame.kind === "subscribe") {
      this.wantsSignatures = frame.signatures === true;
      this.world.subscribe(this, frame.from);
    }
    if (frame.kind === "group") this.world.acceptGroup(this, frame);
    if (frame.kind === "publish") this.world.accept(this, frame.producerSeq, frame.payload);
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
  /** How much the edge's clock is ahead of the pages', in seconds. */
  edgeAheadS = 0;
  /** Messages that are stored at the edge. */
  stored: Accepted[] = [];
  /** Messages that the relay accepted and has not committed. */
  open: Accepted[] = [];
  anchored = 0;
  final = 0;
  /** Whether the relay sends signed groups as one frame; relays before that send the signature and the messages. */
  wholeGroups = true;
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
  /** The streams that the edge lists. */
  readonly listing = new Listing(this.clock);
  /** Whose tokens the edge knows; without them everybody is one guest. */
  people: People | null = null;
  /** Who alone may read the stream; null: everybody. */
  readers: ReadonlySet<Hex> | null = null;
  /** How many streams a connection takes; 1 for an edge or relay of the version before. */
  streams = 1;
  /** What the relay does with a grant; null: it takes it. */
  joinError: { code: number; text: string } | null = null;
  /** Answers of `POST …/streams/{stream}`, taken from the front; empty: it works. */
  joinAnswers: (() => Response)[] = [];
  /** Sessions that were ended by a request that the edge took. */
  endedSessions = 0;
  /** What relay and edge take of signed messages. */
  readonly signatures = new Signatures(toHex(streamId(fromHex(OWNER, 20), "demo")));
  /** The keys of the pages' origin; null in worlds without signatures. */
  keys: OriginKeys | null = null;
  /** Who is on the stream, as the edge says it. */
  presence: { readers: number; publishers: number; authors?: string[] } | undefined;
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
      keys: this.keys,
      ...parts,
    }) as never;
  }

  admit(peer: FakePeer, channel: FakeChannel): RelaySession {
    const session = new RelaySession(this, peer, channel);
    this.sessions.add(session);
    return session;
  }

  /** A further channel showed its grant. */
  joined(session: RelaySession, grant: string): void {
    if (this.joinError === null && grant === "grant") return;
    session.send([23, this.joinError?.code ?? 3, this.joinError?.text ?? "no grant of this edge"]);
    queueMicrotask(() => session.end());
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
    if (this.signatures.taken) limits.set("group_messages", 256);
    if (this.signatures.required) limits.set("signed", 1);
    session.send([16, this.epoch, this.head, this.stored.length, last?.producerSeq ?? null, limits]);
  }

  subscribe(session: RelaySession, from: number | null): void {
    session.subscribed = true;
    const all = [...this.stored, ...this.open];
    const start = from ?? all.length;
    const kept = Math.max(start, all.length - this.memory);
    session.from = kept;
    if (kept > start) session.send([22, start, kept]);
    for (let seq = kept; seq < all.length; seq++) this.sendTo(session, seq);
  }

  /**
   * Sends a message to a subscriber, behind the signature of its group if it is the first one there, or with its group whole
   * where the client takes it so.
   */
  sendTo(session: RelaySession, seq: number): void {
    const all = [...this.stored, ...this.open];
    const { signed, time, author } = all[seq] as Accepted;
    if (!session.wantsSignatures || signed === undefined) {
      session.send(this.frame(seq));
      return;
    }
    const { index, count, id, first, previous, key, signature } = signed;
    if (this.wholeGroups && (session.abilities & Ability.takesGroups) !== 0 && seq - index >= session.from) {
      const payloads = all.slice(seq, seq + count).map(({ payload }) => payload);
      if (index === 0) session.send([27, this.epoch, seq, time, author, id, first, previous, key, signature, payloads]);
      return;
    }
    if (index === 0) session.send([25, this.epoch, seq, count, id, first, previous, key, signature]);
    session.send(this.frame(seq));
  }

  /** Takes a signed group: whole, or not at all. */
  acceptGroup(session: RelaySession, frame: GroupFrame): void {
    const { producer, key, author, id } = session;
    if (producer === null || key === undefined || !this.signatures.taken) {
      session.send([23, 9, "a group before a hello with a key"]);
      return;
    }
    const { producerSeq, previous, signature, payloads } = frame;
    const all = [...this.stored, ...this.open];
    const seq = all.findIndex((message) => message.producer === producer && message.producerSeq === producerSeq);
    if (seq >= 0) {
      session.send([18, producerSeq, seq, payloads.length]);
      return;
    }
    const { stream } = this.signatures;
    const group = { stream, author, producer: id, producerSeq, previous, key, signature, payloads };
    const refusal = this.takeGroup(this.open, producer, group, all);
    if (refusal !== null) {
      session.send([23, refusal, `group at ${producerSeq} refused`]);
      return;
    }
    session.send([18, producerSeq, this.head - payloads.length, payloads.length]);
    for (let at = this.head - payloads.length; at < this.head; at++) this.sendOpen(at);
  }

  /** Adds a group to messages, unless it does not follow the producer's `all`; returns the error code then. */
  takeGroup(to: Accepted[], producer: string, group: TakenGroup, all: readonly Accepted[]): number | null {
    const own = all.filter((message) => message.producer === producer);
    const last = own.at(-1);
    if (last !== undefined && last.signed === undefined) return 13;
    const refusal = this.signatures.refusal(group, own.length, last?.signed?.digest ?? null);
    if (refusal !== null) return refusal;
    const { producerSeq: first, previous, key, signature, author, producer: id, payloads } = group;
    const digest = toHex(sha256(preimageOf(group)));
    const time = Math.floor(this.clock.now);
    payloads.forEach((payload, index) => {
      const signed = { index, count: payloads.length, id, first, previous, key, signature, digest };
      to.push({ time, author, producer, producerSeq: first + index, payload: payload.slice(), signed });
    });
    return null;
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
    if (seq < 0 && (this.signatures.required || own.some(({ signed }) => signed !== undefined))) {
      session.send(this.signatures.required ? [23, 12, "signature required"] : [23, 13, "signed producer"]);
      return;
    }
    if (seq >= 0 || producerSeq !== own.length) {
      session.send(seq >= 0 ? [18, producerSeq, seq] : [23, 4, `expected ${own.length}`]);
      return;
    }
    this.open.push({ time: Math.floor(this.clock.now), author: session.author, producer, producerSeq, payload });
    session.send([18, producerSeq, this.head - 1]);
    this.sendOpen();
  }

  /** Sends a message, the latest one, to the subscribers. */
  sendOpen(seq = this.head - 1): void {
    for (const session of this.sessions) if (session.subscribed) this.sendTo(session, seq);
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
    const proven =
      author === undefined && this.people !== null ? provenAuthor(headers, url.host, this.edgeSeconds) : undefined;
    if (proven === null) return problem(401, "key-refused")();
    if (proven === "time") return this.#wrongTime();
    if (this.people !== null && url.pathname.startsWith("/v1/auth/")) {
      return this.people.answer(url.pathname, headers.get("authorization"), proven);
    }
    if (method === "GET" && url.pathname.startsWith("/v1/streams/") && this.readers?.has(author ?? "0x") === false) {
      return problem(404, "no-such-stream")();
    }
    if (method === "POST" && /^\/v1\/sessions\/[^/]+\/streams\//.test(url.pathname)) {
      if (author === undefined && this.people !== null) return problem(401, "unauthorized")();
      const joins = { grant: "grant", session: `joined${this.requests.length}`, author: author ?? toHex(AUTHOR) };
      return this.joinAnswers.shift()?.() ?? Response.json(joins, { status: 201 });
    }
    if (url.searchParams.has("match")) return this.listing.answer(url, init?.signal);
    if (url.pathname.endsWith("/sessions")) {
      return this.sessionAnswers.shift()?.() ?? (this.people === null ? answerOffer() : this.#answerTo(author, proven));
    }
    if (url.pathname.endsWith("/events")) return this.byHttp.events(url, headers, init?.signal);
    if (url.pathname.endsWith("/messages")) {
      const isNew = method === "POST";
      return isNew ? this.byHttp.post(headers, init?.body as Uint8Array, author) : this.#history(url);
    }
    if (url.pathname === "/v1/auth/guest") return guest();
    if (url.pathname === "/v1/config") {
      return Response.json({ chainId: 31337, contract: `0x${"22".repeat(20)}`, operator: OWNER });
    }
    if (method === "DELETE") {
      if (this.people !== null && author === undefined) return problem(401, "unauthorized")();
      this.endedSessions++;
      return new Response(null, { status: 204 });
    }
    return Response.json({
      id: this.signatures.stream,
      owner: OWNER,
      signed: this.signatures.required ? "required" : "optional",
      name: "demo",
      epoch: this.epoch,
      stored: this.stored.length,
      presence: this.presence,
      anchored: this.anchored,
      final: this.final,
    });
  };

  /** The edge's clock, in seconds. */
  get edgeSeconds(): number {
    return Math.floor(this.clock.now / 1_000) + this.edgeAheadS;
  }

  #wrongTime(): Response {
    const type = "https://streamchain.dev/problems/key-refused";
    return Response.json(
      { type, title: "Key refused", status: 401, reason: "time", now: this.edgeSeconds },
      { status: 401 },
    );
  }

  /** Answers an offer by an author; without one by the guest that proved to be a key, or by a new guest. */
  #answerTo(author: Hex | undefined, proven: Hex | undefined): Response {
    const guest = author === undefined ? this.people?.guest(proven) : undefined;
    const by = author ?? guest?.author ?? "";
    const headers = new Headers({
      "content-type": "application/sdp",
      location: "/v1/sessions/abc",
      "streamchain-author": by,
      ...(this.streams > 1 ? { "streamchain-streams": String(this.streams) } : {}),
      ...(guest === undefined ? {} : { "streamchain-access-token": guest.token }),
    });
    return new Response(`${ANSWER}a=author:${by}\r\n`, { status: 201, headers });
  }

  #history(url: URL): Response {
    const from = Number(url.searchParams.get("from"));
    const limit = Number(url.searchParams.get("limit"));
    const withSignatures = url.searchParams.get("signatures") === "1";
    const page = this.stored.slice(from, from + limit).map(({ time, author, payload, signed }, i) => {
      const item = [from + i, time, author, payload];
      if (!withSignatures || signed === undefined) return encodeCbor(item);
      const { index, count, id, first, previous, key, signature } = signed;
      const start = from + i - index;
      const isFirst = index === 0 || i === 0;
      const header = isFirst ? [start, count, id, first, previous, key, signature] : start;
      return encodeCbor([...item, null, header]);
    });
    return new Response(concat(page), { headers: { "content-type": "application/cbor-seq" } });
  }
}

/** Rejects when the signal aborts; never resolves. */
const aborted = (signal: AbortSignal | null | undefined): Promise<never> =>
  new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
