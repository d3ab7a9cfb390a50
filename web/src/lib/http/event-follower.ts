// A stream followed by server-sent events alone: for a client that can do no WebRTC, in a browser or in Node.
//
// What always holds: `cursor` names the last event that was handed out, and the next request asks for what is behind
// it; so every message comes once and in order, and every event of the chain once, however often the response breaks.

import { Backoff } from "../backoff.ts";
import { type ChainEvent, readChainEvent } from "../chain/chain-events.ts";
import type { AnchorNews } from "../connection/types.ts";
import { malformed, StreamChainError } from "../errors.ts";
import { BACKOFF_FIRST_MS, HTTP_TIMEOUT_MS } from "../limits.ts";
import type { Platform } from "../platform.ts";
import { fromHex, type Hex } from "../wire/bytes.ts";
import { JsonObject } from "../wire/json.ts";
import { type ServerEvent, ServerEventReader } from "../wire/server-events.ts";
import { bearer } from "./credentials.ts";
import { refusal, type StreamMessage } from "./edge-answers.ts";

/** Silence, in ms, after which the response counts as dead: the edge sends a comment at least every 15 s. */
const SILENCE_MAX_MS = 35_000;

/** What happens to an anchor or to something published on chain. */
export type ChainSubject =
  | { readonly kind: "anchor"; readonly anchor: AnchorNews }
  | { readonly kind: "chain"; readonly event: ChainEvent };

/** How far a stream is. */
export interface FollowedState {
  /** Numbers the reigns over the stream. */
  readonly epoch: number;
  readonly stored: number;
  readonly anchored: number;
  readonly final: number;
}

/** What a follower hands out. */
export type FollowedEvent =
  /** How far the stream is: first after every (re)connection. */
  | ({ readonly type: "state" } & FollowedState)
  /** The next message. */
  | { readonly type: "stored"; readonly message: StreamMessage }
  /** In a block (messages, by their anchor). */
  | { readonly type: "anchored"; readonly subject: ChainSubject }
  /** Published through the contract. */
  | { readonly type: "chain"; readonly subject: ChainSubject }
  /** In a final block. */
  | { readonly type: "final"; readonly subject: ChainSubject }
  /** Taken back. */
  | { readonly type: "reorg"; readonly subject: ChainSubject }
  /** Events of the chain that are no longer kept: read anchors and chain events again. */
  | { readonly type: "gap" };

/** What a follower waits by. */
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
  /** Where to go on: a `cursor` of before. */
  readonly after?: string;
  /** First message, when there is no `after`; the next one unless given. */
  readonly from?: number;
  /** The access token for a private stream; asked for before every request. */
  readonly token?: () => string | undefined | Promise<string | undefined>;
  /** Instead of the surroundings' own. */
  readonly fetch?: typeof fetch;
  readonly timers?: FollowTimers;
  /** Told when a response breaks, and how long the pause is, in ms. */
  readonly onBreak?: (error: StreamChainError, pauseMs: number) => void;
}

/** Follows a stream; iterate it once. */
export class EventFollower implements AsyncIterable<FollowedEvent> {
  readonly #options: FollowOptions;
  readonly #aborter = new AbortController();
  readonly #timers: FollowTimers;
  readonly #backoff: Backoff;
  #cursor: string | undefined;
  #retryMs = BACKOFF_FIRST_MS;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#timers = options.timers ?? TIMERS;
    this.#backoff = new Backoff(this.#timers);
    this.#cursor = options.after;
  }

  /** Id of the last event that was handed out: keep it, and go on there with `after`. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** Ends it; the iteration finishes. */
  close(): void {
    this.#aborter.abort();
  }

  /** Throws when the edge refuses for good. */
  async *[Symbol.asyncIterator](): AsyncGenerator<FollowedEvent> {
    while (!this.#aborter.signal.aborted) {
      let pause = this.#retryMs;
      try {
        yield* this.#response();
        this.#backoff.reset();
      } catch (cause) {
        if (this.#aborter.signal.aborted) return;
        const error = asError(cause);
        if (!error.retryable) throw error;
        pause = this.#backoff.next(error);
        this.#options.onBreak?.(error, pause);
      }
      await this.#wait(pause);
    }
  }

  #wait(ms: number): Promise<void> {
    const { signal } = this.#aborter;
    return new Promise((resolve) => {
      const finish = (): void => {
        this.#timers.clearTimer(timer);
        signal.removeEventListener("abort", finish);
        resolve();
      };
      const timer = this.#timers.setTimer(finish, ms);
      signal.addEventListener("abort", finish);
    });
  }

  /** One response, to its end. */
  async *#response(): AsyncGenerator<FollowedEvent> {
    const silence = new AbortController();
    const give = (): void => silence.abort(new StreamChainError("edge-unreachable", "silence", { retryable: true }));
    const { setTimer, clearTimer } = this.#timers;
    let timer = setTimer(give, HTTP_TIMEOUT_MS);
    const signal = AbortSignal.any([this.#aborter.signal, silence.signal]);
    try {
      const response = await this.#request(signal);
      const reader = new ServerEventReader();
      for await (const bytes of chunks(response)) {
        clearTimer(timer);
        timer = setTimer(give, SILENCE_MAX_MS);
        this.#backoff.reset();
        for (const event of reader.read(bytes)) {
          const followed = readEvent(event);
          this.#cursor = event.id;
          if (followed !== undefined) yield followed;
        }
        this.#retryMs = reader.retryMs ?? this.#retryMs;
      }
    } finally {
      clearTimer(timer);
      silence.abort(); // lets go of a response that is not read to its end
    }
  }

  async #request(signal: AbortSignal): Promise<Response> {
    const { edge, stream, from, token } = this.#options;
    const fetcher = this.#options.fetch ?? fetch;
    const path = `/v1/streams/${encodeURIComponent(stream)}/events`;
    const query = from === undefined ? "" : `?from=${from}`;
    const headers = {
      accept: "text/event-stream",
      ...(this.#cursor === undefined ? {} : { "last-event-id": this.#cursor }),
      ...bearer(await token?.()),
    };
    const response = await fetcher(`${edge.replace(/\/+$/, "")}${path}${query}`, { headers, signal });
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

/** The parts of a body. Not every browser lets a body be iterated. */
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

/** Undefined for an event of a later version. */
function readEvent({ event, data }: ServerEvent): FollowedEvent | undefined {
  let json: JsonObject;
  try {
    json = new JsonObject(JSON.parse(data), event);
  } catch {
    throw malformed(`${event}: not JSON`);
  }
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
  return { seq: json.uint("seq"), time: json.uint("time"), author, payload: fromHex(json.hex("payload")) };
}

/** Follows a stream by server-sent events. */
export function followEvents(options: FollowOptions): EventFollower {
  return new EventFollower(options);
}
