// The id of a connection's stream, which signatures are over. It is never taken from anybody's word alone: an id that a
// name does not give would make a signature one for another stream.

import { Backoff } from "../backoff.ts";
import { streamId } from "../chain/merkle.ts";
import { asStreamChainError, malformed, StreamChainError } from "../errors.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import type { Platform } from "../platform.ts";
import { type Bytes, fromHex, type Hex } from "../wire/bytes.ts";

/** The first 20 bytes of an id. */
const SHORT_ID = /^0x[0-9a-f]{40}$/i;

/** Asks the edge once, and again while it does not answer. */
export class StreamIdentity {
  readonly #edge: EdgeClient;
  readonly #stream: string;
  readonly #platform: Platform;
  readonly #signal: AbortSignal;
  readonly #introduced: Promise<void>;
  #id: Promise<Bytes> | null = null;
  #owner: Hex | undefined;

  constructor(edge: EdgeClient, stream: string, platform: Platform, introduced: Promise<void>, signal: AbortSignal) {
    this.#edge = edge;
    this.#stream = stream;
    this.#platform = platform;
    this.#introduced = introduced;
    this.#signal = signal;
  }

  /** The id: 32 bytes. Rejects when the connection is closed before, or when the edge contradicts itself. */
  id(): Promise<Bytes> {
    this.#id ??= /^0x[0-9a-f]{64}$/i.test(this.#stream)
      ? Promise.resolve(fromHex(this.#stream, 32))
      : this.#untilAnswered();
    return this.#id;
  }

  /** The edge said, with a session, whose stream it is: that of a stream called by its name. Nothing has to be asked then. */
  belongsTo(owner: Hex): void {
    this.#owner ??= owner;
  }

  async #untilAnswered(): Promise<Bytes> {
    const backoff = new Backoff(this.#platform);
    this.#signal.addEventListener("abort", () => backoff.skip(), { once: true });
    await this.#introduced;
    if (this.#owner !== undefined) return streamId(fromHex(this.#owner, 20), this.#stream);
    for (;;) {
      try {
        return await this.#ask();
      } catch (cause) {
        const error = asStreamChainError(cause);
        if (this.#signal.aborted || !error.retryable) {
          this.#id = null;
          throw error;
        }
        await backoff.pause(backoff.next(error));
      }
    }
  }

  /** A name is that of the operator's stream; a short id is the beginning of the whole one. */
  async #ask(): Promise<Bytes> {
    if (!SHORT_ID.test(this.#stream)) {
      const { operator } = await this.#edge.config();
      return streamId(fromHex(operator, 20), this.#stream);
    }
    const info = await this.#edge.stream(this.#stream);
    if (info === undefined) throw new StreamChainError("refused", `there is no stream ${this.#stream}`);
    if (!info.id.startsWith(this.#stream.toLowerCase()))
      throw malformed("the stream's id is not the one that was asked for");
    return fromHex(info.id, 32);
  }
}
