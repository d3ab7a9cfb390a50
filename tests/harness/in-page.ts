// What tests run inside a page, beside the app: bundled and put into every page as `window.tools` (see pages.ts).

import { parseIceServers } from "../../web/src/lib/http/edge-answers.ts";
import * as lib from "../../web/src/lib/index.ts";
import { readPath } from "../../web/src/lib/session/path-stats.ts";
import { decodeRelayMessage, encodeFrame, type RelayFrame } from "../../web/src/lib/wire/frames.ts";

/** A message as a test compares it: the payload as hex. */
export interface Seen {
  readonly seq: number;
  readonly time: number;
  readonly author: string;
  readonly payload: string;
}

/** Everything that a subscription handed out, in the order in which it did. */
class Collector {
  readonly seen: Seen[] = [];
  /** The same without what was taken back afterwards: what a reader has in the end. */
  standing: Seen[] = [];
  /** How often tentative messages were taken back. */
  retractions = 0;
  /** The longest time between two messages, in ms. */
  longestPauseMs = 0;
  #heardAt = Number.POSITIVE_INFINITY;

  constructor(subscription: lib.Subscription) {
    subscription.on("retracted", ({ from }) => {
      this.retractions++;
      this.standing = this.standing.filter(({ seq }) => seq < from);
    });
    subscription.on("message", ({ seq, time, author, payload }) => {
      const now = performance.now();
      this.longestPauseMs = Math.max(this.longestPauseMs, now - this.#heardAt);
      this.#heardAt = now;
      const seen = { seq, time, author, payload: lib.toHex(payload) };
      this.seen.push(seen);
      this.standing.push(seen);
    });
  }
}

/** Collects a stream from a seq on; needs nothing but the connection's public face. */
const collect = (connection: lib.StreamConnection, from: number): Collector =>
  new Collector(connection.subscribe({ from }));

/** By which ways a session may go. */
export interface Ways {
  readonly policy: RTCIceTransportPolicy;
  /** A regular expression: which of the ICE servers in the answer are used. */
  readonly servers: string;
}

/** A data channel without the library's care: a test sends what bytes it likes. */
export class RawSession {
  readonly peer = new RTCPeerConnection();
  readonly channel: RTCDataChannel;
  /** Every frame that came, oldest first. */
  readonly frames: RelayFrame[] = [];
  #changed = Promise.withResolvers<void>();

  constructor() {
    this.channel = this.peer.createDataChannel("streamchain", { protocol: "streamchain.v1" });
    this.channel.binaryType = "arraybuffer";
    this.channel.onmessage = ({ data }) => {
      this.frames.push(...decodeRelayMessage(new Uint8Array(data as ArrayBuffer)));
      this.#change();
    };
    this.channel.onopen = () => this.#change();
    this.channel.onclose = () => this.#change();
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** One POST, then the channel opens; the milliseconds that each took. Without `ways`: without ICE servers. */
  async open(stream: string, ways?: Ways): Promise<{ answerMs: number; openMs: number }> {
    const offer = await this.peer.createOffer();
    if (ways === undefined) await this.peer.setLocalDescription(offer);
    const asked = performance.now();
    const response = await fetch(`/v1/streams/${stream}/sessions`, {
      method: "POST",
      headers: { "content-type": "application/sdp" },
      body: offer.sdp ?? "",
    });
    const sdp = await response.text();
    if (response.status !== 201) throw new Error(`sessions: ${response.status} ${sdp}`);
    const answered = performance.now();
    if (ways !== undefined) {
      const iceServers = parseIceServers(response.headers.get("link"));
      const wanted = iceServers.filter(({ urls }) => new RegExp(ways.servers).test(String(urls)));
      // Candidates are gathered only now, with the servers that came with the answer.
      this.peer.setConfiguration({ iceServers: wanted, iceTransportPolicy: ways.policy });
      await this.peer.setLocalDescription(offer);
    }
    await this.peer.setRemoteDescription({ type: "answer", sdp });
    while (this.channel.readyState !== "open") await this.#changed.promise;
    return { answerMs: answered - asked, openMs: performance.now() - answered };
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    this.channel.send(bytes);
  }

  /** The path that was chosen. */
  async path(): Promise<lib.ConnectionPath | undefined> {
    return readPath(await this.peer.getStats());
  }

  /** Greets with a new producer id. */
  hello(): void {
    this.send(encodeFrame({ kind: "hello", producer: crypto.getRandomValues(new Uint8Array(16)) }));
  }

  publish(producerSeq: number, payload: Uint8Array): void {
    this.send(encodeFrame({ kind: "publish", producerSeq, payload }));
  }

  subscribe(from: number | null): void {
    this.send(encodeFrame({ kind: "subscribe", from }));
  }

  /** The first frame of this kind, once it is there; fails when the channel closes before. */
  async frame<Kind extends RelayFrame["kind"]>(kind: Kind): Promise<RelayFrame & { kind: Kind }> {
    for (;;) {
      const found = this.frames.find((frame) => frame.kind === kind);
      if (found !== undefined) return found as RelayFrame & { kind: Kind };
      if (this.channel.readyState !== "open") throw new Error(`the channel closed before a frame "${kind}" came`);
      await this.#changed.promise;
    }
  }

  /** Resolves once the relay has closed the channel. */
  async closed(): Promise<void> {
    while (this.channel.readyState !== "closed") await this.#changed.promise;
  }

  close(): void {
    this.peer.close();
  }
}

const rawSession = async (stream: string): Promise<RawSession> => {
  const session = new RawSession();
  await session.open(stream);
  return session;
};

const tools = { lib, collect, rawSession, RawSession };

declare global {
  interface Window {
    tools: typeof tools;
    /** The app's own connection, the library it was built with, and the messages that it shows. */
    streamchain: { connection: lib.StreamConnection; lib: typeof lib; messages: () => lib.StreamMessage[] };
    /** What a test keeps in the page between two calls. */
    kept: {
      collector: Collector;
      connection: lib.StreamConnection;
      publications: lib.Publication[];
      raw: RawSession;
      stopPublishing: () => void;
    };
  }
}

globalThis.window.tools = tools;
globalThis.window.kept = {} as Window["kept"];
