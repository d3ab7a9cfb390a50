// A stream as a component shows it: one connection, one subscription, and the newest messages.

import { connect, type StreamConnection } from "../lib/connection/connection.ts";
import type { ConnectionState, ConnectOptions, StreamMarks } from "../lib/connection/types.ts";
import type { StreamChainError } from "../lib/errors.ts";
import type { MessageState } from "../lib/marks.ts";
import type { SubscribeOptions } from "../lib/read/subscription.ts";
import type { Hex } from "../lib/wire/bytes.ts";
import type { StreamMessage } from "../lib/wire/records.ts";
import { Store, TIMERS, type Timers } from "./store.ts";

/** Messages that a component keeps unless it says otherwise: more are not looked at in one page. */
const MAX_SHOWN_MESSAGES = 1_000;

/** What `useStream` takes: how to reach the stream, where to begin, and how many messages to keep. */
export interface StreamOptions extends ConnectOptions, SubscribeOptions {
  /** The newest messages that `messages` keeps; 1,000 by default. */
  readonly maxMessages?: number;
}

/** What `useStream` returns. */
export interface StreamView {
  /** The connection of the component; null until it is mounted, and on a server. */
  readonly connection: StreamConnection | null;
  readonly state: ConnectionState;
  /** Why the connection waits, goes by HTTP, or is closed. */
  readonly error: StreamChainError | undefined;
  /** Address of this client as author; undefined until it is known. */
  readonly author: Hex | undefined;
  /** Counts of the stream, as far as this page knows. */
  readonly marks: StreamMarks;
  /** The newest messages from `from` on, in order. */
  readonly messages: readonly StreamMessage[];
  /** Whether older messages are being read. */
  readonly isLoading: boolean;
  /** The state of one of `messages`. */
  readonly stateOf: (seq: number) => MessageState;
}

/** The last `max` of some messages. */
const newest = (messages: readonly StreamMessage[], max: number): StreamMessage[] =>
  max > 0 ? messages.slice(-max) : [];

const NO_MARKS: StreamMarks = { committed: 0, anchored: 0, final: 0 };

/** What is shown before there is a connection. */
const UNCONNECTED: StreamView = {
  connection: null,
  state: "connecting",
  error: undefined,
  author: undefined,
  marks: NO_MARKS,
  messages: [],
  isLoading: false,
  stateOf: () => "live",
};

/** The stream of one component. */
export class StreamStore extends Store<StreamView> {
  readonly #options: StreamOptions;
  readonly #max: number;
  #connection: StreamConnection | null = null;
  #messages: StreamMessage[] = [];
  #isLoading = false;

  constructor(options: StreamOptions, timers: Timers = TIMERS) {
    super(UNCONNECTED, timers);
    this.#options = options;
    this.#max = options.maxMessages ?? MAX_SHOWN_MESSAGES;
  }

  protected override start(): void {
    const { from, guarantee, maxMessages: _, ...how } = this.#options;
    const connection = connect(how);
    this.#connection = connection;
    const changed = (): void => {
      if (connection === this.#connection) this.changed();
    };
    for (const name of ["state", "author", "marks", "publication"] as const) connection.on(name, changed);
    const subscription = connection.subscribe({
      ...(from === undefined ? {} : { from }),
      ...(guarantee === undefined ? {} : { guarantee }),
    });
    subscription.on("message", (message) => {
      if (connection !== this.#connection) return;
      this.#messages.push(message);
      if (this.#messages.length >= 2 * this.#max) this.#messages = newest(this.#messages, this.#max);
      changed();
    });
    subscription.on("retracted", ({ from: retracted }) => {
      if (connection !== this.#connection) return;
      this.#messages = this.#messages.filter(({ seq }) => seq < retracted);
      changed();
    });
    subscription.on("history", ({ loading }) => {
      if (connection !== this.#connection) return;
      this.#isLoading = loading;
      changed();
    });
    changed();
  }

  protected override stop(): void {
    const connection = this.#connection;
    this.#connection = null; // what closing reports is of no interest any more
    this.#messages = [];
    this.#isLoading = false;
    connection?.close();
  }

  protected override compute(): StreamView {
    const connection = this.#connection;
    if (connection === null) return UNCONNECTED;
    const { state, error } = connection.state;
    return {
      connection,
      state,
      error,
      author: connection.author,
      marks: connection.marks,
      messages: newest(this.#messages, this.#max),
      isLoading: this.#isLoading,
      stateOf: (seq) => connection.stateOf(seq),
    };
  }
}
