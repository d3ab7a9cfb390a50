// Reads the text/event-stream format (HTML Standard §9.2.6) from bytes as they arrive.
//
// What always holds: each character is looked at once, wherever the bytes are cut; what is held of an unfinished event is
// bounded by `MAX_SERVER_EVENT_CHARS`.

import { MAX_SERVER_EVENT_CHARS } from "../limits.ts";

/** One event of the stream. */
export interface ServerEvent {
  /** The latest id that the stream gave; an event without an id of its own keeps it. */
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** Turns the bytes of one response into events. */
export class ServerEventReader {
  readonly #decoder = new TextDecoder();
  /** The parts of a line whose end has not arrived. */
  #line: string[] = [];
  /** Characters in `#line` and `#data`. */
  #held = 0;
  /** The latest line ended with CR, so that an LF that follows belongs to the same line end. */
  #endedWithCr = false;
  #id = "";
  #event = "";
  #data: string[] = [];
  /** Pause before the next request, in ms, when the server named one. */
  retryMs: number | undefined;

  /** Returns the events that these bytes complete. Throws RangeError when an event is too long. */
  read(bytes: Uint8Array): ServerEvent[] {
    const events: ServerEvent[] = [];
    const text = this.#decoder.decode(bytes, { stream: true });
    if (text === "") return events;
    const start = this.#endedWithCr && text.startsWith("\n") ? 1 : 0;
    this.#endedWithCr = text.endsWith("\r");
    const lines = text.slice(start).split(/\r\n|\n|\r/);
    const rest = lines.pop() as string;
    for (const line of lines) {
      const event = this.#endLine(line);
      if (event !== undefined) events.push(event);
    }
    if (rest !== "") this.#line.push(rest);
    this.#held += rest.length;
    if (this.#held > MAX_SERVER_EVENT_CHARS) {
      throw new RangeError(`server-sent event exceeds ${MAX_SERVER_EVENT_CHARS} characters`);
    }
    return events;
  }

  /** Takes the last part of a line. */
  #endLine(last: string): ServerEvent | undefined {
    if (this.#line.length === 0) return this.#takeLine(last);
    for (const part of this.#line) this.#held -= part.length;
    const line = this.#line.join("") + last;
    this.#line = [];
    return this.#takeLine(line);
  }

  #takeLine(line: string): ServerEvent | undefined {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") {
      this.#data.push(value);
      this.#held += value.length;
    }
    if (name === "event") this.#event = value;
    if (name === "id" && !value.includes("\0")) this.#id = value;
    if (name === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
    return undefined;
  }

  #dispatch(): ServerEvent | undefined {
    const event = { id: this.#id, event: this.#event || "message", data: this.#data.join("\n") };
    const isEmpty = this.#data.length === 0;
    for (const line of this.#data) this.#held -= line.length;
    this.#event = "";
    this.#data = [];
    return isEmpty ? undefined : event;
  }
}
