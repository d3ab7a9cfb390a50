// Follows a stream by server-sent events alone: for clients without WebRTC, in a browser or in Node.
//
// What always holds: `cursor` is the id of the last event that was returned, and the next request continues behind it. So
// every message comes once and in order, and every event of the chain once, however often the response breaks.

import { Backoff } from "../backoff.ts";
import { readChainEvent } from "../chain/chain-events.ts";
import { malformed, retryableError, StreamChainError } from "../errors.ts";
import { EVENT_TURN_MS, HTTP_TIMEOUT_MS, MAX_SILENCE_MS, RECONNECT_BACKOFF } from "../limits.ts";
import type { Platform } from "../platform.ts";
import { fromHex, type Hex } from "../wire/bytes.ts";
import { JsonObject } from "../wire/json.ts";
import {
  type AnchorRef,
  type ChainEvent,
  type MessageSignature,
  readOmitted,
  readSignature,
  type StreamMessage,
  signedBy,
} from "../wire/records.ts";
import { type ServerEvent, ServerEventReader } from "../wire/server-events.ts";
import { bearer } from "./bearer.ts";
import { errorOfAnswer } from "./edge-answers.ts";
import type { EventTurns } from "./event-turns.ts";

/** The anchor, or the message published on chain, that an event is about. */
export type ChainSubject =
  | { readonly kind: "anchor"; readonly anchor: AnchorRef }
  | { readonly kind: "chain"; readonly event: ChainEvent };

/** The counts of a stream. */
export interface FollowedState {
  /** Number of the stream's present leadership; every change of the leader raises it. */
  readonly epoch: number;
  readonly stored: number;
  readonly anchored: number;
  readonly final: number;
}

/** An event of a followed stream. */
export type FollowedEvent =
  /** The counts of the stream: the first event after every (re)connection. */
  | ({ readonly type: "state" } & FollowedState)
  /** The next message. */
  | { readonly type: "stored"; readonly message: StreamMessage }
  /** Included in a block (messages: their anchor). */
  | { readonly type: "anchored"; readonly subject: ChainSubject }
  /** Published through the contract. */
  | { readonly type: "chain"; readonly subject: ChainSubject }
  /** Included in a final block. */
  | { readonly type: "final"; readonly subject: ChainSubject }
  /** Taken back by a reorganisation. */
  | { readonly type: "reorg"; readonly subject: ChainSubject }
  /** The edge no longer has some events of the chain: read anchors and chain events again. */
  | { readonly type: "gap" };

/** The timers and the randomness of a follower's pauses. */
export type FollowTimers = Pick<Platform, "setTimer" | "clearTimer" | "random">;

const TIMERS: FollowTimers = {
  setTimer: (callback, ms) => setTimeout(callback, ms),
  clearTimer: (timer) => clearTimeout(timer as number),
  random: () => Math.random(),
};

/** How to follow a stream. */
export interface FollowOptions {
  /** Origin of the edge. */
  readonly edge: string;
  /** Name of the stream, or its id as `0x…`. */
  readonly stream: string;
  /** Continue behind this event: the `cursor` of an earlier follower. */
  readonly after?: string;
  /** First message, when there is no `after`; the next new message by default. */
  readonly from?: number;
  /** Whether messages come with the signatures of their authors. */
  readonly signatures?: boolean;
  /** Returns the access token for a private stream; called before every request. */
  readonly token?: () => string | undefined | Promise<string | undefined>;
  /** Replaces the global `fetch`. */
  readonly fetch?: typeof fetch;
  /** Replaces the global timers and `Math.random`. */
  readonly timers?: FollowTimers;
  /** Called when a response breaks, with the length of the pause in ms. */
  readonly onBreak?: (error: StreamChainError, pauseMs: number) => void;
}

/** How a page follows a stream that takes turns with others. */
interface SharedFollowOptions extends FollowOptions {
  readonly turns?: EventTurns;
}

/** A followed stream; iterate it once. */
export class EventFollower implements AsyncIterable<FollowedEvent> {
  readonly #options: SharedFollowOptions;
  readonly #aborter = new AbortController();
  readonly #timers: FollowTimers;
  readonly #backoff: Backoff;
  #cursor: string | undefined;
  /** The latest signature: of the group whose messages follow it. */
  #signature: MessageSignature | undefined;
  #retryMs = RECONNECT_BACKOFF.firstMs;

  constructor(options: SharedFollowOptions) {
    this.#options = options;
    this.#timers = options.timers ?? TIMERS;
    this.#backoff = new Backoff(this.#timers);
    this.#cursor = options.after;
  }

  /** Id of the last event that was returned: keep it, and continue there with `after`. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** Ends the iteration. */
  close(): void {
    this.#aborter.abort();
    this.#backoff.skip();
  }

  /** Throws when the edge refuses the request for good. */
  async *[Symbol.asyncIterator](): AsyncGenerator<FollowedEvent> {
    while (!this.#aborter.signal.aborted) {
      let pause = this.#retryMs;
      try {
        yield* this.#turn();
        this.#backoff.reset();
      } catch (cause) {
        if (this.#aborter.signal.aborted) return;
        const error = asError(cause);
        if (!error.retryable) throw error;
        pause = this.#backoff.next(error);
        this.#options.onBreak?.(error, pause);
      }
      if (!this.#aborter.signal.aborted) await this.#backoff.pause(pause);
    }
  }

  /** The events of one response, to its end, or until its turn is over that others wait for. */
  async *#turn(): AsyncGenerator<FollowedEvent> {
    const { turns } = this.#options;
    if (turns === undefined) return yield* this.#response(this.#aborter.signal);
    const over = new AbortController();
    await turns.take(this.#aborter.signal);
    const { setTimer, clearTimer } = this.#timers;
    let timer: unknown;
    const check = (): void => {
      if (turns.isWanted) over.abort();
      else timer = setTimer(check, EVENT_TURN_MS);
    };
    // From its first bytes on: an edge that is slow to answer would else never be heard.
    const begun = (): void => {
      timer ??= setTimer(check, EVENT_TURN_MS);
    };
    try {
      yield* this.#response(AbortSignal.any([this.#aborter.signal, over.signal]), begun);
    } catch (error) {
      if (!over.signal.aborted || this.#aborter.signal.aborted) throw error;
    } finally {
      clearTimer(timer);
      turns.release();
    }
  }

  /** The events of one response, to its end. */
  async *#response(until: AbortSignal, begun = (): void => {}): AsyncGenerator<FollowedEvent> {
    const silence = new AbortController();
    const error = retryableError("edge-unreachable", "the event stream is silent");
    const give = (): void => silence.abort(error);
    const { setTimer, clearTimer } = this.#timers;
    let timer = setTimer(give, HTTP_TIMEOUT_MS);
    const signal = AbortSignal.any([until, silence.signal]);
    try {
      const response = await this.#request(signal);
      const reader = new ServerEventReader();
      for await (const bytes of chunks(response)) {
        begun();
        clearTimer(timer);
        timer = setTimer(give, MAX_SILENCE_MS);
        this.#backoff.reset();
        for (const event of reader.read(bytes)) {
          const followed = this.#read(event);
          this.#cursor = event.id;
          if (followed !== undefined) yield followed;
        }
        this.#retryMs = reader.retryMs ?? this.#retryMs;
      }
    } finally {
      clearTimer(timer);
      silence.abort(); // cancels a response that was not read to its end
    }
  }

  #read(event: ServerEvent): FollowedEvent | undefined {
    if (event.event === "signature") {
      this.#signature = readSignature(parseEvent(event));
      return undefined;
    }
    const followed = readEvent(event);
    if (followed?.type !== "stored" || !this.#options.signatures) return followed;
    const { message } = followed;
    const found = signedBy(this.#signature, message.seq);
    // A response that begins inside a group does not bring its signature: the message says alone that it has one.
    return { type: "stored", message: { ...message, ...found, signed: found.signed || message.signed === true } };
  }

  async #request(signal: AbortSignal): Promise<Response> {
    const { edge, stream, from, token, signatures } = this.#options;
    const fetcher = this.#options.fetch ?? fetch;
    const path = `/v1/streams/${encodeURIComponent(stream)}/events`;
    const query = [...(from === undefined ? [] : [`from=${from}`]), ...(signatures ? ["signatures=1"] : [])].join("&");
    const headers = {
      accept: "text/event-stream",
      ...(this.#cursor === undefined ? {} : { "last-event-id": this.#cursor }),
      ...bearer(await token?.()),
    };
    const response = await fetcher(`${edge.replace(/\/+$/, "")}${path}${query === "" ? "" : "?"}${query}`, {
      headers,
      signal,
    });
    if (!response.ok) throw await errorOfAnswer(response);
    return response;
  }
}

/** The chunks of a body. Some browsers cannot iterate a body. */
async function* chunks(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  for (;;) {
    const part = await reader?.read();
    if (part === undefined || part.done) return;
    yield part.value;
  }
}

function asError(cause: unknown): StreamChainError {
  if (cause instanceof StreamChainError) return cause;
  return new StreamChainError("edge-unreachable", "the event stream broke", { retryable: true, cause });
}

function readSubject(json: JsonObject): ChainSubject {
  if (json.text("kind") === "chain") return { kind: "chain", event: readChainEvent(json) };
  const state = json.text("state");
  return {
    kind: "anchor",
    anchor: {
      first: json.uint("first"),
      count: json.uint("count"),
      root: json.hex("root", 32),
      tx: json.hex("tx", 32),
      block: json.uint("block"),
      state: state === "final" || state === "reverted" ? state : "anchored",
    },
  };
}

function parseEvent({ event, data }: ServerEvent): JsonObject {
  try {
    return new JsonObject(JSON.parse(data), event);
  } catch {
    throw malformed(`event "${event}" is not JSON`);
  }
}

/** Undefined for an event that this version does not know. */
function readEvent(source: ServerEvent): FollowedEvent | undefined {
  const { event } = source;
  const json = parseEvent(source);
  switch (event) {
    case "state":
      return { type: event, ...readState(json) };
    case "stored":
      return { type: event, message: readMessage(json) };
    case "anchored":
    case "chain":
    case "final":
    case "reorg":
      return { type: event, subject: readSubject(json) };
    case "gap":
      return { type: event };
    default:
      return undefined;
  }
}

function readState(json: JsonObject): FollowedState {
  const [epoch, stored] = [json.uint("epoch"), json.uint("stored")];
  return { epoch, stored, anchored: json.uint("anchored"), final: json.uint("final") };
}

function readMessage(json: JsonObject): StreamMessage {
  const author: Hex = json.hex("author", 20);
  const payload = fromHex(json.hex("payload"));
  const signed = json.has("signed") && json.flag("signed");
  const message = { seq: json.uint("seq"), time: json.uint("time"), author, payload, ...readOmitted(json, "erased") };
  return signed ? { ...message, signed } : message;
}

/** Follows a stream by server-sent events. */
export function followEvents(options: FollowOptions): EventFollower {
  return new EventFollower(options);
}
