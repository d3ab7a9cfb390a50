// The text/event-stream format (HTML Standard §9.2.6), read from bytes as they come.

/** One event. */
export interface ServerEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** Longest event that is read, in characters: a payload of 64 KiB in hex is 128 Ki; on chain they may be larger. */
const EVENT_MAX_CHARS = 16 * 1_048_576;

/** Makes events of bytes. */
export class ServerEventReader {
  readonly #decoder = new TextDecoder();
  #text = "";
  #id = "";
  #event = "";
  #data: string[] = [];
  /** Pause before the next request that the server asks for, in ms. */
  retryMs: number | undefined;

  /** The events that are whole with these bytes. Throws when one is too long. */
  read(bytes: Uint8Array): ServerEvent[] {
    this.#text += this.#decoder.decode(bytes, { stream: true });
    const events: ServerEvent[] = [];
    // A CR at the very end may be half of a CRLF: it waits.
    const lines = this.#text.split(/\r\n|\n|\r(?!$)/);
    this.#text = lines.pop() as string;
    for (const line of lines) {
      const event = this.#line(line);
      if (event !== undefined) events.push(event);
    }
    const held = this.#text.length + this.#data.reduce((sum, line) => sum + line.length, 0);
    if (held > EVENT_MAX_CHARS) throw new RangeError("an event of the stream is too long");
    return events;
  }

  #line(line: string): ServerEvent | undefined {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    if (name === "event") this.#event = value;
    if (name === "id" && !value.includes("\0")) this.#id = value;
    if (name === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
    return undefined;
  }

  #dispatch(): ServerEvent | undefined {
    const event = { id: this.#id, event: this.#event || "message", data: this.#data.join("\n") };
    const isEmpty = this.#data.length === 0;
    this.#event = "";
    this.#data = [];
    return isEmpty ? undefined : event;
  }
}
