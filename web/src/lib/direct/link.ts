// One direct data channel to another browser. Both sides open the same pre-negotiated channel; the session with the
// smaller id makes the offer. Candidates are part of offer and answer, so a link costs two signals.

import { DIRECT_GATHER_MS, DIRECT_OPEN_MS, MAX_DIRECT_BUFFERED_BYTES } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { DataChannel, DirectConnection, IceServer } from "../webrtc.ts";
import type { Bytes } from "../wire/bytes.ts";

/** What a link needs. */
interface LinkOptions {
  readonly platform: Platform;
  readonly servers: readonly IceServer[];
  /** Puts a signal into the other side's mailbox. */
  readonly signal: (text: string) => Promise<void>;
  readonly onMessage: (bytes: Bytes) => void;
  /** The link opened or closed. */
  readonly onChange: () => void;
}

/** A link to one peer. */
export class DirectLink {
  readonly #options: LinkOptions;
  readonly #peer: DirectConnection;
  readonly #channel: DataChannel;
  #state: "connecting" | "open" | "closed" = "connecting";
  #timer: unknown;

  constructor(options: LinkOptions) {
    this.#options = options;
    const { platform, servers } = options;
    this.#peer = platform.createDirectConnection({ iceServers: [...servers] });
    this.#channel = this.#peer.createDataChannel("direct", {
      negotiated: true,
      id: 0,
      protocol: "streamchain.direct.v1",
    });
    this.#channel.binaryType = "arraybuffer";
    this.#channel.onopen = () => this.#become("open");
    this.#channel.onclose = () => this.close();
    this.#channel.onerror = () => this.close();
    this.#channel.onmessage = (event) => options.onMessage(new Uint8Array(event.data as ArrayBuffer));
    this.#peer.onconnectionstatechange = () => {
      if (this.#peer.connectionState === "failed") this.close();
    };
    this.#timer = platform.setTimer(() => this.close(), DIRECT_OPEN_MS);
  }

  get state(): "connecting" | "open" | "closed" {
    return this.#state;
  }

  /** Sends an offer. */
  offer(): Promise<void> {
    return this.#attempt(async () => {
      await this.#peer.setLocalDescription();
      await this.#describe("offer");
    });
  }

  /** Answers an offer. */
  answer(sdp: string): Promise<void> {
    return this.#attempt(async () => {
      await this.#peer.setRemoteDescription({ type: "offer", sdp });
      await this.#peer.setLocalDescription();
      await this.#describe("answer");
    });
  }

  /** Applies the answer to the offer. */
  accept(sdp: string): Promise<void> {
    return this.#attempt(() => this.#peer.setRemoteDescription({ type: "answer", sdp }));
  }

  /** Sends a message, unless the other side is slow: it gets the message by the relay too. */
  send(bytes: Bytes): void {
    if (this.#state === "open" && this.#channel.bufferedAmount < MAX_DIRECT_BUFFERED_BYTES) this.#channel.send(bytes);
  }

  close(): void {
    if (this.#state === "closed") return;
    this.#channel.onclose = null;
    this.#channel.onmessage = null;
    this.#peer.close();
    this.#become("closed");
  }

  #become(state: "open" | "closed"): void {
    this.#options.platform.clearTimer(this.#timer);
    this.#state = state;
    this.#options.onChange();
  }

  async #attempt(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch {
      this.close();
    }
  }

  async #describe(type: "offer" | "answer"): Promise<void> {
    await this.#gathered();
    if (this.#state === "closed") return;
    await this.#options.signal(JSON.stringify({ type, sdp: this.#peer.localDescription?.sdp ?? "" }));
  }

  /** Resolves when all candidates are gathered, or after `DIRECT_GATHER_MS`. */
  #gathered(): Promise<void> {
    if (this.#peer.iceGatheringState === "complete") return Promise.resolve();
    const { platform } = this.#options;
    return new Promise((resolve) => {
      const timer = platform.setTimer(resolve, DIRECT_GATHER_MS);
      this.#peer.onicegatheringstatechange = () => {
        if (this.#peer.iceGatheringState !== "complete") return;
        platform.clearTimer(timer);
        resolve();
      };
    });
  }
}
