// The id of a connection's stream, which signatures are over, and its name, which sign-ins list.
//
// What always holds: neither is taken from anybody's word alone. An id is the caller's, or that of an owner and a name; a
// name gives the id with its owner. Else a signature would be one for another stream.

import { Backoff } from "../backoff.ts";
import { streamId } from "../chain/merkle.ts";
import { asStreamChainError, malformed, StreamChainError } from "../errors.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import type { Platform } from "../platform.ts";
import { type Bytes, fromHex, type Hex, toHex } from "../wire/bytes.ts";

const WHOLE_ID = /^0x[0-9a-f]{64}$/i;

/** The first 20 bytes of an id. */
const SHORT_ID = /^0x[0-9a-f]{40}$/i;

/** Which stream is signed for. */
export interface Place {
  /** 32 bytes. */
  readonly id: Bytes;
  /** Undefined when the stream is called by its id and the edge does not show it. */
  readonly name: string | undefined;
}

/** Asks the edge once, and again while it does not answer. */
export class StreamIdentity {
  readonly #edge: EdgeClient;
  readonly #stream: string;
  readonly #platform: Platform;
  readonly #signal: AbortSignal;
  readonly #introduced: Promise<void>;
  #id: Promise<Bytes> | null = null;
  /** The stream as the edge has shown it. */
  #shown: Place | null = null;
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
    this.#id ??= WHOLE_ID.test(this.#stream) ? Promise.resolve(fromHex(this.#stream, 32)) : this.#untilAnswered();
    return this.#id;
  }

  /**
   * The id and the name. Of a stream that is called by its whole id the edge is asked, once: rejects when it does not answer.
   */
  async place(): Promise<Place> {
    const id = await this.id();
    if (!WHOLE_ID.test(this.#stream) && !SHORT_ID.test(this.#stream)) return { id, name: this.#stream };
    await this.#introduced;
    return this.#shown ?? (await this.#show()) ?? { id, name: undefined };
  }

  /** The edge said, with a session, whose stream it is: that of a stream called by its name. Nothing has to be asked then. */
  belongsTo(owner: Hex): void {
    this.#owner ??= owner;
  }

  async #untilAnswered(): Promise<Bytes> {
    const backoff = new Backoff(this.#platform);
    this.#signal.addEventListener("abort", () => backoff.skip(), { once: true });
    await this.#introduced;
    if (this.#owner !== undefined && !SHORT_ID.test(this.#stream))
      return streamId(fromHex(this.#owner, 20), this.#stream);
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

  /** A name is that of the operator's stream; a short id is the beginning of that of the stream that the edge shows. */
  async #ask(): Promise<Bytes> {
    if (!SHORT_ID.test(this.#stream)) {
      const { operator } = await this.#edge.config();
      return streamId(fromHex(operator, 20), this.#stream);
    }
    const shown = await this.#show();
    if (shown === undefined) throw new StreamChainError("refused", `there is no stream ${this.#stream}`);
    return shown.id;
  }

  /** Asks the edge for a stream that is called by its id; undefined when it shows none. */
  async #show(): Promise<Place | undefined> {
    const info = await this.#edge.stream(this.#stream);
    if (info === undefined) return undefined;
    const { owner, name } = info;
    const id = streamId(fromHex(owner, 20), name);
    if (!toHex(id).startsWith(this.#stream.toLowerCase()))
      throw malformed("the edge shows another stream than the one that was asked for");
    this.#shown = { id, name };
    return this.#shown;
  }
}
