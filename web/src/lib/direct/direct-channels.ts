// Direct channels to a few other browsers on the stream, when its settings allow them.
//
// What always holds: every message that is sent directly goes to the relay too, which alone gives it a seq and stores it;
// a failure here is silent and changes nothing for the relay. What a peer sends waits within bounds, and nothing is asked of
// the edge for a peer whose channel is closed.

import { StreamChainError } from "../errors.ts";
import type { PeerInfo, SessionAnswer } from "../http/edge-answers.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import {
  DIRECT_BUSY_POLL_MS,
  DIRECT_IDLE_POLL_MS,
  DIRECT_RETRY_MS,
  MAX_CHANNEL_MESSAGE_BYTES,
  MAX_DIRECT_PEERS,
  MAX_DIRECT_UNCHECKED,
  MAX_DIRECT_UNREACHED,
  MAX_PAYLOAD_BYTES,
} from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { SealedGroup } from "../publish/publication.ts";
import type { IceServer } from "../webrtc.ts";
import { type Bytes, type Hex, toHex } from "../wire/bytes.ts";
import { decodeSequence, encodeCbor } from "../wire/cbor.ts";
import { DIRECT_GROUP_KIND, type DirectGroup, encodeDirectGroup, readDirectGroup } from "../wire/frames.ts";
import { DirectInbox, type DirectMessage } from "./inbox.ts";
import { DirectLink } from "./link.ts";

/** Kind of the frame of a message that is not signed: `[32, producer, producer_seq, payload]`. */
const DIRECT_KIND = 32;

/** The edge's answers to a session that may have no direct channels any more. */
const REFUSALS: readonly number[] = [401, 403, 404];

/** What direct channels need of their connection. */
interface DirectOptions {
  readonly platform: Platform;
  readonly edge: EdgeClient;
  readonly token: () => string | undefined | Promise<string | undefined>;
  /** Whether a signed group is its author's. */
  readonly check: (author: Hex, group: DirectGroup) => Promise<{ readonly state: string }>;
  readonly onMessage: (message: DirectMessage) => void;
  readonly onPeers: () => void;
}

interface Peer {
  readonly link: DirectLink;
  readonly author: Hex;
  /** Resolves when what came before was checked: messages keep their order. */
  checked: Promise<void>;
  /** Groups that wait to be checked, with the one that is. */
  unchecked: number;
}

/** The direct channels of one connection. */
export class DirectChannels {
  readonly #options: DirectOptions;
  readonly #inbox: DirectInbox;
  readonly #links = new Map<string, Peer>();
  /** Sessions that could not be reached, and the time of the next attempt. */
  readonly #retryAt = new Map<string, number>();
  #session: string | null = null;
  #servers: readonly IceServer[] = [];
  #after = 0;
  #timer: unknown = null;
  #used = false;

  constructor(options: DirectOptions) {
    this.#options = options;
    this.#inbox = new DirectInbox(options.platform, options.onMessage);
  }

  /** Authors of the browsers with an open channel. */
  get peers(): readonly Hex[] {
    return [...this.#links.values()].filter(({ link }) => link.state === "open").map(({ author }) => author);
  }

  /** Opens channels when the stream allows them, under the id of the present session; else closes them. */
  follow(allowed: boolean, answer: SessionAnswer | undefined): void {
    const session = allowed ? (answer?.location?.split("/").at(-1) ?? null) : null;
    if (session === this.#session) return;
    this.stop();
    if (session === null) return;
    this.#session = session;
    // A relay's TURN server reaches only that relay.
    this.#servers = (answer?.iceServers ?? []).filter(({ urls }) => String(urls).startsWith("stun:"));
    this.#after = 0;
    void this.#poll(session);
  }

  /** Ends all channels. */
  stop(): void {
    this.#session = null;
    this.#options.platform.clearTimer(this.#timer);
    for (const { link } of [...this.#links.values()]) link.close();
    this.#links.clear();
    this.#inbox.close();
  }

  /** Whether there is a channel to another browser, or one is being opened. */
  get isLinked(): boolean {
    return this.#links.size > 0;
  }

  /** Sends a message published here to every browser with a channel. */
  published(producer: Uint8Array | undefined, producerSeq: number, payload: Uint8Array): void {
    if (producer === undefined || producerSeq < 0 || this.#links.size === 0) return;
    const frame = encodeCbor([DIRECT_KIND, producer, producerSeq, payload]);
    for (const { link } of this.#links.values()) link.send(frame);
  }

  /** Sends a signed group to every browser with a channel; it goes to the relay as well. */
  signed({ first, previous, signature, publications }: SealedGroup, producer: Uint8Array, key: Uint8Array): void {
    if (this.#links.size === 0) return;
    const payloads = publications.map(({ payload }) => payload);
    const frame = encodeDirectGroup({ producer, producerSeq: first, previous, key, signature, payloads });
    for (const { link } of this.#links.values()) link.send(frame);
  }

  /** The relay sent a message. */
  relayed(author: Uint8Array, payload: Uint8Array, seq: number): void {
    if (this.#used) this.#inbox.relayed(toHex(author), payload, seq);
  }

  async #poll(session: string): Promise<void> {
    const { edge, token, platform } = this.#options;
    try {
      const bearer = await token();
      if (session !== this.#session) return;
      const { peers, signals, gone } = await edge.signals(session, this.#after, bearer, [...this.#links.keys()]);
      if (session !== this.#session) return;
      // Its rights may be over: whoever has none gets no messages directly either.
      for (const other of gone) this.#links.get(other)?.link.close();
      for (const { number, from, signal } of signals) {
        this.#after = Math.max(this.#after, number);
        this.#takeSignal(session, from, signal);
      }
      for (const peer of peers) this.#consider(session, peer);
    } catch (error) {
      // Polled again: the edge may be busy. Where it refuses, this session's rights, or direct channels, are over.
      const status = error instanceof StreamChainError ? (error.problem?.status ?? 0) : 0;
      if (REFUSALS.includes(status)) for (const { link } of [...this.#links.values()]) link.close();
    }
    if (session !== this.#session) return;
    const busy = [...this.#links.values()].some(({ link }) => link.state === "connecting") || this.#links.size === 0;
    this.#timer = platform.setTimer(() => void this.#poll(session), busy ? DIRECT_BUSY_POLL_MS : DIRECT_IDLE_POLL_MS);
  }

  /** Of two sessions, the one with the smaller id makes the offer. */
  #consider(session: string, peer: PeerInfo): void {
    const isLater = (this.#retryAt.get(peer.session) ?? 0) > this.#options.platform.clock();
    if (session > peer.session || isLater || this.#links.has(peer.session)) return;
    void this.#link(session, peer)?.link.offer();
  }

  #takeSignal(session: string, from: PeerInfo, text: string): void {
    const signal = readSignal(text);
    if (signal === null) return;
    if (signal.type === "answer") {
      void this.#links.get(from.session)?.link.accept(signal.sdp);
    } else if (from.session < session) {
      this.#links.get(from.session)?.link.close(); // the peer begins again
      void this.#link(session, from)?.link.answer(signal.sdp);
    }
  }

  #link(session: string, peer: PeerInfo): Peer | undefined {
    if (this.#links.size >= MAX_DIRECT_PEERS) return undefined;
    const { edge, token, platform, onPeers } = this.#options;
    const linked: Peer = {
      author: peer.author,
      checked: Promise.resolve(),
      unchecked: 0,
      link: new DirectLink({
        platform,
        servers: this.#servers,
        signal: async (text) => edge.signal(session, peer.session, text, await token()),
        onMessage: (bytes) => this.#receive(peer, bytes),
        onChange: () => {
          if (linked.link.state === "open") this.#used = true;
          else if (this.#links.get(peer.session) === linked) {
            this.#links.delete(peer.session);
            this.#leaveAlone(peer.session);
          }
          onPeers();
        },
      }),
    };
    this.#links.set(peer.session, linked);
    return linked;
  }

  #leaveAlone(session: string): void {
    this.#retryAt.delete(session); // the map is in the order of time
    this.#retryAt.set(session, this.#options.platform.clock() + DIRECT_RETRY_MS);
    if (this.#retryAt.size > MAX_DIRECT_UNREACHED) this.#retryAt.delete(this.#retryAt.keys().next().value as string);
  }

  /** Reports the messages of a group once it is known to be its author's; a forged one ends the channel. */
  #receiveGroup(peer: PeerInfo, received: DirectGroup): void {
    const linked = this.#links.get(peer.session);
    if (linked === undefined || linked.unchecked >= MAX_DIRECT_UNCHECKED) return;
    const group = copyOf(received);
    linked.unchecked++;
    linked.checked = linked.checked.then(async () => {
      await this.#checkGroup(peer, linked, group);
      linked.unchecked--;
    });
  }

  async #checkGroup(peer: PeerInfo, linked: Peer, group: DirectGroup): Promise<void> {
    const isLinked = (): boolean => this.#links.get(peer.session) === linked;
    if (!isLinked()) return;
    const { state } = await this.#options.check(peer.author, group);
    if (!isLinked()) return;
    if (state === "invalid") return linked.link.close();
    group.payloads.forEach((payload, i) => {
      const signed = state === "signed";
      this.#inbox.arrived(peer.author, group.producer, group.producerSeq + i, payload as Bytes, signed);
    });
  }

  #receive(peer: PeerInfo, bytes: Bytes): void {
    try {
      if (bytes.length > MAX_CHANNEL_MESSAGE_BYTES) throw new RangeError("frame too large");
      for (const item of decodeSequence(bytes)) {
        if (Array.isArray(item) && item[0] === DIRECT_GROUP_KIND) this.#receiveGroup(peer, readDirectGroup(item));
        if (!Array.isArray(item) || item[0] !== DIRECT_KIND) continue;
        const [, producer, producerSeq, payload] = item;
        if (!(producer instanceof Uint8Array) || producer.length !== 16) throw new TypeError("frame without producer");
        if (typeof producerSeq !== "number" || !(payload instanceof Uint8Array))
          throw new TypeError("frame without message");
        if (payload.length > MAX_PAYLOAD_BYTES) throw new RangeError("frame too large");
        this.#inbox.arrived(peer.author, producer, producerSeq, payload.slice() as Bytes);
      }
    } catch {
      this.#links.get(peer.session)?.link.close();
    }
  }
}

/** A copy of a group whose bytes are views into a larger buffer. */
function copyOf(group: DirectGroup): DirectGroup {
  const { producer, producerSeq, previous, key, signature, payloads } = group;
  return {
    producerSeq,
    producer: producer.slice(),
    previous: previous.slice(),
    key: key.slice(),
    signature: signature.slice(),
    payloads: payloads.map((payload) => payload.slice()),
  };
}

function readSignal(text: string): { type: "offer" | "answer"; sdp: string } | null {
  try {
    const { type, sdp } = JSON.parse(text) as { type?: unknown; sdp?: unknown };
    return (type === "offer" || type === "answer") && typeof sdp === "string" ? { type, sdp } : null;
  } catch {
    return null;
  }
}
