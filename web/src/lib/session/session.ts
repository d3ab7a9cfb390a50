// An open session: a data channel on a peer connection to a relay.
//
// What always holds: `onEnd` is called once, unless the session is closed from this side.

import { type ErrorCode, retryableError, type StreamChainError } from "../errors.ts";
import type { SessionAnswer } from "../http/edge-answers.ts";
import { MAX_BUFFERED_BYTES, REFILL_BELOW_BYTES } from "../limits.ts";
import type { DataChannel } from "../webrtc.ts";
import type { Bytes } from "../wire/bytes.ts";
import { KEEP_ALIVE } from "./liveness.ts";
import type { PathMemory } from "./path-memory.ts";
import type { ConnectionPath } from "./path-stats.ts";
import type { RelayPeer } from "./relay-peer.ts";

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
  /** The edge's answer to the offer, or to the request to join. */
  readonly answer: SessionAnswer;
  readonly peer: RelayPeer;
  readonly channel: DataChannel;
  readonly memory: PathMemory;
  readonly events: SessionEvents;
}

/** An open session. */
export class Session {
  /** The edge's answer to the offer, or to the request to join. */
  readonly answer: SessionAnswer;
  readonly #peer: RelayPeer;
  readonly #channel: DataChannel;
  readonly #events: SessionEvents;
  readonly #memory: PathMemory;
  #ended = false;

  constructor({ answer, peer, channel, memory, events }: SessionParts) {
    this.answer = answer;
    this.#peer = peer;
    this.#channel = channel;
    this.#events = events;
    this.#memory = memory;
    channel.bufferedAmountLowThreshold = REFILL_BELOW_BYTES;
    channel.onbufferedamountlow = () => this.#events.onWritable();
    channel.onclose = () => this.#end("relay-unreachable", "the relay closed the data channel");
    channel.onerror = () => this.#end("channel-failed", "the data channel failed");
    channel.onmessage = (event) => {
      peer.received();
      this.#events.onMessage(new Uint8Array(event.data as ArrayBuffer));
    };
    peer.add(this);
  }

  /** Its connection to the relay. */
  get peer(): RelayPeer {
    return this.#peer;
  }

  /** Whether it has a place on a connection that another session opened. */
  get isJoined(): boolean {
    return this.answer !== this.#peer.answer;
  }

  /**
   * Paths of the sessions that the edge is to end when this one is closed: its own, unless others have joined its connection; and
   * with the last one the session that the connection was opened with.
   */
  get locations(): readonly string[] {
    const isLast = this.#peer.isAlone(this);
    const opened = isLast ? this.#peer.answer.location : undefined;
    const own = this.isJoined ? this.answer.location : undefined;
    return [own, opened].filter((location) => location !== undefined);
  }

  /** Largest payload, in bytes, whose frame fits into a data-channel message that both ends take. */
  get maxPayloadBytes(): number {
    return this.#peer.maxPayloadBytes;
  }

  /** Whether the channel takes more without queueing too much. */
  get writable(): boolean {
    return !this.#ended && this.#channel.readyState === "open" && this.#channel.bufferedAmount < MAX_BUFFERED_BYTES;
  }

  /** Sends one data-channel message. */
  send(bytes: Bytes): void {
    if (this.#ended || this.#channel.readyState !== "open") return; // onEnd reports the end
    this.#channel.send(bytes);
    this.#peer.sent();
  }

  /** Sends something that the relay acknowledges. */
  keepAlive(): void {
    this.send(KEEP_ALIVE);
  }

  /** Searches for a new path at once, as after a network change; the session ends when none is found in time. */
  seekPath(): void {
    this.#peer.seekPath();
  }

  /** The selected candidate pair, or undefined while there is none. */
  path(): Promise<ConnectionPath | undefined> {
    return this.#peer.path();
  }

  /** Ends the session from this side, without a call of `onEnd`; the last one of its connection closes that too. */
  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#channel.onclose = null;
    this.#channel.onerror = null;
    this.#channel.onmessage = null;
    this.#channel.onbufferedamountlow = null;
    this.#peer.leave(this);
    this.#channel.close(); // an open channel of node-datachannel keeps the process alive
  }

  /** The path of the connection is lost. */
  lost(message: string): void {
    if (!this.#ended) this.#memory.lost();
    this.#end("relay-unreachable", message);
  }

  #end(code: ErrorCode, message: string): void {
    if (this.#ended) return;
    this.close();
    this.#events.onEnd(retryableError(code, message));
  }
}
