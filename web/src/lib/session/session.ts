// An open session: a peer connection to a relay with one data channel.
//
// What always holds: `onEnd` is called once, unless the session is closed from this side.

import { type ErrorCode, retryableError, type StreamChainError } from "../errors.ts";
import type { SessionAnswer } from "../http/edge-answers.ts";
import { DISCONNECTED_GRACE_MS, MAX_BUFFERED_BYTES, MAX_FRAME_OVERHEAD_BYTES, REFILL_BELOW_BYTES } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { DataChannel, PeerConnection } from "../webrtc.ts";
import type { Bytes } from "../wire/bytes.ts";
import type { Ice } from "./ice.ts";
import { KEEP_ALIVE, Liveness } from "./liveness.ts";
import type { PathMemory } from "./path-memory.ts";
import { type ConnectionPath, type PairSigns, readPath, readSigns, withFormerIds } from "./path-stats.ts";

/** What a session reports to its connection. */
export interface SessionEvents {
  readonly onMessage: (bytes: Uint8Array) => void;
  /** The channel has room again. */
  readonly onWritable: () => void;
  /** The session ended; called once, and never before `openSession` resolves. */
  readonly onEnd: (error: StreamChainError) => void;
}

/** The parts of an open session. */
interface SessionParts {
  readonly answer: SessionAnswer;
  readonly peer: PeerConnection;
  readonly ice: Ice;
  readonly channel: DataChannel;
  readonly platform: Platform;
  readonly memory: PathMemory;
  readonly events: SessionEvents;
}

/** Largest data-channel message when the other end names none (RFC 8841 §6.1). */
const DEFAULT_MESSAGE_BYTES = 65_536;

/** An open session. */
export class Session {
  /** The edge's answer to the offer. */
  readonly answer: SessionAnswer;
  readonly #peer: PeerConnection;
  readonly #ice: Ice;
  readonly #channel: DataChannel;
  readonly #platform: Platform;
  readonly #events: SessionEvents;
  readonly #liveness: Liveness;
  readonly #memory: PathMemory;
  #signs: PairSigns | null = null;
  #grace: unknown = null;
  #ended = false;

  constructor({ answer, peer, ice, channel, platform, memory, events }: SessionParts) {
    this.answer = answer;
    this.#peer = peer;
    this.#ice = ice;
    this.#channel = channel;
    this.#platform = platform;
    this.#events = events;
    this.#memory = memory;
    channel.bufferedAmountLowThreshold = REFILL_BELOW_BYTES;
    channel.onbufferedamountlow = () => this.#events.onWritable();
    channel.onclose = () => this.#end("relay-unreachable", "the relay closed the data channel");
    channel.onerror = () => this.#end("channel-failed", "the data channel failed");
    channel.onmessage = (event) => {
      this.#liveness.received();
      this.#events.onMessage(new Uint8Array(event.data as ArrayBuffer));
    };
    peer.onconnectionstatechange = () => this.#watch();
    this.#liveness = new Liveness({
      platform: this.#platform,
      signs: async () => {
        this.#signs = withFormerIds(readSigns(await this.#peer.getStats()), this.#signs);
        return this.#signs;
      },
      keepAlive: () => this.send(KEEP_ALIVE),
      onSilent: () => this.seekPath(),
      onDead: () => this.#lost("the relay no longer answers"),
    });
  }

  /** Largest payload, in bytes, whose frame fits into a data-channel message that both ends take. */
  get maxPayloadBytes(): number {
    const size = this.#peer.sctp?.maxMessageSize ?? 0;
    return (size > 0 ? size : DEFAULT_MESSAGE_BYTES) - MAX_FRAME_OVERHEAD_BYTES;
  }

  /** Whether the channel takes more without queueing too much. */
  get writable(): boolean {
    return !this.#ended && this.#channel.readyState === "open" && this.#channel.bufferedAmount < MAX_BUFFERED_BYTES;
  }

  /** Sends one data-channel message. */
  send(bytes: Bytes): void {
    if (this.#ended || this.#channel.readyState !== "open") return; // onEnd reports the end
    this.#channel.send(bytes);
    this.#liveness.sent();
  }

  /** Searches for a new path at once, as after a network change; the session ends when none is found in time. */
  seekPath(): void {
    if (this.#ended) return;
    this.#giveGrace();
    void this.#ice.restart();
  }

  /** The selected candidate pair, or undefined while there is none. */
  async path(): Promise<ConnectionPath | undefined> {
    return readPath(await this.#peer.getStats());
  }

  /** Ends the session from this side, without a call of `onEnd`. */
  close(): void {
    this.#ended = true;
    this.#liveness.stop();
    this.#platform.clearTimer(this.#grace);
    this.#ice.stop();
    this.#peer.onconnectionstatechange = null;
    this.#channel.onclose = null;
    this.#channel.onerror = null;
    this.#channel.onmessage = null;
    this.#channel.onbufferedamountlow = null;
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
    if (!this.#ended) this.#memory.lost();
    this.#end("relay-unreachable", message);
  }

  #end(code: ErrorCode, message: string): void {
    if (this.#ended) return;
    this.close();
    this.#events.onEnd(retryableError(code, message));
  }
}
