// The stream by HTTP alone, while no session opens: the edge's event stream in, one request for each message out. It is
// slower than a session, and has stored messages only.
//
// What always holds: the edge is asked to continue where the feed is, so nothing is left out or doubled between session
// and HTTP, in either direction; and a stopped fallback changes nothing any more.

import { Backoff } from "../backoff.ts";
import { asStreamChainError, type ErrorCode, type StreamChainError } from "../errors.ts";
import { EventFollower, type FollowedEvent } from "../http/event-follower.ts";
import { eventTurns } from "../http/event-turns.ts";
import { MAX_RETRY_AFTER_MS, MISSING_STREAM_PAUSE_MS } from "../limits.ts";
import { HttpSender, type HttpSenderOptions } from "../publish/http-sender.ts";
import type { ChainEvent } from "../wire/records.ts";
import type { StreamState } from "./stream-state.ts";

/** Errors of a session that HTTP can replace: the edge answers, or the browser has no WebRTC. */
const REPLACEABLE: ReadonlySet<ErrorCode> = new Set([
  "no-relay",
  "relay-unreachable",
  "channel-failed",
  "no-webrtc",
  "no-welcome",
]);

/** Whether HTTP may work although the session failed with this error. */
export const isReplaceable = ({ code }: StreamChainError): boolean => REPLACEABLE.has(code);

/** What the fallback needs beside what its sender does. */
interface HttpFallbackOptions extends Omit<HttpSenderOptions, "onStored"> {
  readonly state: StreamState;
  /** Whether messages come with the signatures of their authors. */
  readonly signatures: boolean;
  /** An event of the chain, or its new state. */
  readonly onChain: (event: ChainEvent) => void;
  /** The edge no longer has all events of the chain. */
  readonly onGap: () => void;
  /** `isFollowing` changed by itself; not called by `stop`. */
  readonly onChange: () => void;
}

/** Follows and publishes to a stream by HTTP, between `start` and `stop`. */
export class HttpFallback {
  readonly #options: HttpFallbackOptions;
  readonly #sender: HttpSender;
  readonly #backoff: Backoff;
  #run: AbortController | null = null;
  #follower: EventFollower | null = null;
  #isFollowing = false;
  /** The edge's number of the last event of the chain that was handled. */
  #event: string | null = null;
  /** The stream does not have the feed's seq: its counts are requested first. */
  #isBeyondEnd = false;
  /** The token of the latest request for events. */
  #token: string | undefined;

  constructor(options: HttpFallbackOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.platform);
    this.#sender = new HttpSender({
      ...options,
      onStored: (producerSeq, seq) => {
        options.state.posted(producerSeq, seq);
        this.#backoff.skip(); // the stream exists now, if it did not before
      },
    });
  }

  /** Whether the fallback is started, though the edge may not have answered. */
  get isActive(): boolean {
    return this.#run !== null;
  }

  /** Whether the edge's events arrive. */
  get isFollowing(): boolean {
    return this.#isFollowing;
  }

  /** Continues where the feed is. */
  start(): void {
    if (this.#run !== null) return;
    this.#run = new AbortController();
    this.#sender.start();
    void this.#follow(this.#run.signal);
  }

  /** Stops, because a session opened or the connection is closed. */
  stop(): void {
    if (this.#run === null) return;
    this.#run.abort();
    this.#run = null;
    this.#sender.stop();
    this.#follower?.close();
    this.#backoff.skip();
    this.#isFollowing = false;
  }

  /** Sends what was published. */
  plan(): void {
    this.#sender.plan();
  }

  /** Makes a new request on the new network, since the present response may be dead. */
  networkChanged(): void {
    this.#follower?.close();
    this.#backoff.reset();
    this.#backoff.skip();
    this.#sender.retryNow();
  }

  #setFollowing(isFollowing: boolean): void {
    if (this.#isFollowing === isFollowing) return;
    this.#isFollowing = isFollowing;
    this.#options.onChange();
  }

  async #follow(run: AbortSignal): Promise<void> {
    while (!run.aborted) {
      try {
        await this.#iterate(this.#newFollower(), run);
      } catch (cause) {
        if (!run.aborted) await this.#backoff.pause(this.#pauseAfter(asStreamChainError(cause)));
      }
    }
  }

  #newFollower(): EventFollower {
    const { platform, edge, stream, credentials, state } = this.#options;
    const seq = this.#isBeyondEnd ? null : state.resumeSeq;
    const start = seq === null ? {} : this.#event === null ? { from: seq } : { after: `${this.#event}-${seq}` };
    this.#follower = new EventFollower({
      edge: edge.origin,
      stream,
      ...start,
      signatures: this.#options.signatures,
      token: async () => {
        this.#token = await credentials.token();
        return this.#token;
      },
      fetch: platform.fetch,
      ...(platform.queuesRequests(edge.origin) ? { turns: eventTurns(platform.fetch, edge.origin) } : {}),
      timers: platform,
      onBreak: () => this.#setFollowing(false),
    });
    return this.#follower;
  }

  async #iterate(follower: EventFollower, run: AbortSignal): Promise<void> {
    for await (const event of follower) {
      if (run.aborted || follower !== this.#follower) return;
      this.#backoff.reset();
      this.#handle(event);
      this.#event = follower.cursor?.split("-")[0] ?? null;
      if (event.type !== "state") continue;
      this.#setFollowing(true);
      const isBehind = this.#isBeyondEnd && (this.#options.state.resumeSeq ?? event.stored) < event.stored;
      this.#isBeyondEnd = false;
      if (isBehind) return;
    }
  }

  #handle(event: FollowedEvent): void {
    const { state, onChain, onGap } = this.#options;
    if (event.type === "state") state.counts(event);
    else if (event.type === "stored") state.storedMessage(event.message);
    else if (event.type === "gap") onGap();
    else if (event.subject.kind === "anchor") state.anchor(event.subject.anchor);
    else onChain(event.subject.event);
    state.changed();
  }

  /** The pause, in ms, after the edge refused to be followed. */
  #pauseAfter(error: StreamChainError): number {
    const status = error.problem?.status;
    if (status === 404) {
      this.#options.state.beginTails(0);
      this.#setFollowing(true);
      return MISSING_STREAM_PAUSE_MS;
    }
    this.#setFollowing(false);
    const { credentials, onFailed } = this.#options;
    if (credentials.isOver(error) || (status === 401 && !credentials.refused(error, this.#token))) onFailed(error);
    if (status === 401) return this.#backoff.next(error);
    // The stream does not have the feed's seq, so it was made again.
    this.#isBeyondEnd = status === 400;
    return error.problem === undefined || status === 400 ? this.#backoff.next(error) : MAX_RETRY_AFTER_MS;
  }
}
