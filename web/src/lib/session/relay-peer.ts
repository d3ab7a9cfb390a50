// A peer connection to a relay, with the sessions on its data channels: its path, its life and its end.
//
// What always holds: it is closed with its last session; when it ends by itself, each of its sessions is notified once.

import type { SessionAnswer } from "../http/edge-answers.ts";
import { DISCONNECTED_GRACE_MS, MAX_FRAME_OVERHEAD_BYTES } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { DataChannel, PeerConnection } from "../webrtc.ts";
import type { Ice } from "./ice.ts";
import { Liveness } from "./liveness.ts";
import { type ConnectionPath, type PairSigns, readPath, readSigns, withFormerIds } from "./path-stats.ts";

/** Largest data-channel message when the other end names none (RFC 8841 §6.1). */
const DEFAULT_MESSAGE_BYTES = 65_536;

/** What a peer connection needs of a session on it. */
interface PeerUser {
  /** Sends something that the relay acknowledges, if the session's channel is open. */
  keepAlive(): void;
  /** The path is lost. */
  lost(message: string): void;
}

/** The parts of a peer connection. */
interface PeerParts {
  readonly answer: SessionAnswer;
  readonly peer: PeerConnection;
  readonly ice: Ice;
  readonly platform: Platform;
}

/** A peer connection to a relay. */
export class RelayPeer {
  /** The edge's answer to the offer. */
  readonly answer: SessionAnswer;
  readonly #peer: PeerConnection;
  readonly #ice: Ice;
  readonly #platform: Platform;
  readonly #liveness: Liveness;
  readonly #users = new Set<PeerUser>();
  /** Streams that it takes beside its users: attempts to join that are under way. */
  #reserved = 0;
  #takesMore: boolean;
  #signs: PairSigns | null = null;
  #grace: unknown = null;
  #ended = false;

  constructor({ answer, peer, ice, platform }: PeerParts) {
    this.answer = answer;
    this.#peer = peer;
    this.#ice = ice;
    this.#platform = platform;
    this.#takesMore = answer.streams > 1 && answer.location !== undefined;
    peer.onconnectionstatechange = () => this.#watch();
    this.#liveness = new Liveness({
      platform,
      signs: async () => {
        this.#signs = withFormerIds(readSigns(await this.#peer.getStats()), this.#signs);
        return this.#signs;
      },
      keepAlive: () => this.#keepAlive(),
      onSilent: () => this.seekPath(),
      onDead: () => this.#lost("the relay no longer answers"),
    });
  }

  /** Whether another stream may join now. */
  get hasRoom(): boolean {
    return !this.#ended && this.#takesMore && this.#users.size + this.#reserved < this.answer.streams;
  }

  /** Whether it is over. */
  get isEnded(): boolean {
    return this.#ended;
  }

  /** Largest payload, in bytes, whose frame fits into a data-channel message that both ends take. */
  get maxPayloadBytes(): number {
    const size = this.#peer.sctp?.maxMessageSize ?? 0;
    return (size > 0 ? size : DEFAULT_MESSAGE_BYTES) - MAX_FRAME_OVERHEAD_BYTES;
  }

  /** No further stream joins: the edge or the relay said so. */
  refuseMore(): void {
    this.#takesMore = false;
  }

  /** Keeps the connection, and a place on it, until the returned function is called. */
  reserve(): () => void {
    this.#reserved++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#reserved--;
      this.#closeUnused();
    };
  }

  /** Opens a data channel for another stream. */
  openChannel(): DataChannel {
    return this.#peer.createDataChannel("streamchain", { protocol: "streamchain.join.v1", ordered: true });
  }

  /** A session is on it now. */
  add(user: PeerUser): void {
    this.#users.add(user);
  }

  /** A session left it. */
  leave(user: PeerUser): void {
    if (this.#users.delete(user)) this.#closeUnused();
  }

  /** Whether this session is the only one. */
  isAlone(user: PeerUser): boolean {
    return this.#users.has(user) && this.#users.size === 1;
  }

  /** A data-channel message arrived. */
  received(): void {
    this.#liveness.received();
  }

  /** Something was sent. */
  sent(): void {
    this.#liveness.sent();
  }

  /** Searches for a new path at once, as after a network change; the connection ends when none is found in time. */
  seekPath(): void {
    if (this.#ended) return;
    this.#giveGrace();
    void this.#ice.restart();
  }

  /** The selected candidate pair, or undefined while there is none. */
  async path(): Promise<ConnectionPath | undefined> {
    return readPath(await this.#peer.getStats());
  }

  #keepAlive(): void {
    const [user] = this.#users; // one acknowledgement says that the association lives
    user?.keepAlive();
  }

  #closeUnused(): void {
    if (this.#users.size > 0 || this.#reserved > 0 || this.#ended) return;
    this.#close();
  }

  #close(): void {
    this.#ended = true;
    this.#liveness.stop();
    this.#platform.clearTimer(this.#grace);
    this.#ice.stop();
    this.#peer.onconnectionstatechange = null;
    this.#peer.close();
  }

  #watch(): void {
    const state = this.#peer.connectionState;
    if (state === "connected") this.#platform.clearTimer(this.#grace);
    if (state === "failed" || state === "closed") this.#lost("the path to the relay is lost");
    if (state === "disconnected") this.seekPath();
  }

  #giveGrace(): void {
    this.#platform.clearTimer(this.#grace);
    this.#grace = this.#platform.setTimer(() => {
      if (this.#peer.connectionState === "connected") return; // Liveness finds a silent path
      this.#lost("the relay no longer answers");
    }, DISCONNECTED_GRACE_MS);
  }

  #lost(message: string): void {
    if (this.#ended) return;
    this.#close();
    for (const user of [...this.#users]) user.lost(message);
    this.#users.clear();
  }
}
