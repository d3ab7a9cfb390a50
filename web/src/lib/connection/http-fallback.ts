// The way to a stream that needs nothing but HTTP, for while no session opens: the edge's events in, one request for
// each message out. It is slower than a session, and knows stored messages only.
//
// What always holds: it is asked for what is behind the feed's own place, so nothing is left out or doubled between the
// two ways, in either direction; and once it is stopped it tells nothing more.

import { Backoff } from "../backoff.ts";
import type { ChainEvent } from "../chain/chain-events.ts";
import { asStreamChainError, type StreamChainError } from "../errors.ts";
import { EventFollower, type FollowedEvent } from "../http/event-follower.ts";
import { MISSING_STREAM_PAUSE_MS, RETRY_AFTER_MAX_MS } from "../limits.ts";
import { HttpSender, type HttpSenderOptions } from "../publish/http-sender.ts";

/** What the path needs beside what its sender does. */
export interface HttpPathOptions extends HttpSenderOptions {
  /** Something was published on chain, or became of it. */
  readonly onChain: (event: ChainEvent) => void;
  /** The edge no longer has all that happened on the chain. */
  readonly onGap: () => void;
  /** Whether it is followed changed; not told when it is stopped. */
  readonly onChange: () => void;
}

/** A stream followed and written by HTTP, between `start` and `stop`. */
export class HttpPath {
  readonly #options: HttpPathOptions;
  readonly #sender: HttpSender;
  readonly #pauses: Backoff;
  #run: AbortController | null = null;
  #follower: EventFollower | null = null;
  #following = false;
  /** The last of the chain's events that was told, of the edge's own count. */
  #event: string | null = null;
  /** The stream does not know the feed's place: its state is asked for first. */
  #isAstray = false;

  constructor(options: HttpPathOptions) {
    this.#options = options;
    this.#pauses = new Backoff(options.platform);
    this.#sender = new HttpSender(options, () => this.#pauses.skip());
  }

  /** Whether it is in use, though perhaps nothing has come yet. */
  get active(): boolean {
    return this.#run !== null;
  }

  /** Whether the edge tells what happens. */
  get following(): boolean {
    return this.#following;
  }

  /** Goes on where the feed is. */
  start(): void {
    if (this.#run !== null) return;
    this.#run = new AbortController();
    this.#sender.start();
    void this.#follow(this.#run.signal);
  }

  /** A session has taken over, or all is over. */
  stop(): void {
    if (this.#run === null) return;
    this.#run.abort();
    this.#run = null;
    this.#sender.stop();
    this.#follower?.close();
    this.#pauses.skip();
    this.#following = false;
  }

  /** Something was published. */
  plan(): void {
    this.#sender.plan();
  }

  /** The network is another one: the response may be dead, which would be noticed late. */
  networkChanged(): void {
    this.#follower?.close();
    this.#pauses.reset();
    this.#pauses.skip();
    this.#sender.hurry();
  }

  #setFollowing(following: boolean): void {
    if (this.#following === following) return;
    this.#following = following;
    this.#options.onChange();
  }

  async #follow(run: AbortSignal): Promise<void> {
    while (!run.aborted) {
      try {
        await this.#iterate(this.#newFollower(), run);
      } catch (cause) {
        if (!run.aborted) await this.#pauses.pause(this.#pauseAfter(asStreamChainError(cause)));
      }
    }
  }

  #newFollower(): EventFollower {
    const { platform, edge, stream, credentials, intake } = this.#options;
    const seq = this.#isAstray ? null : intake.place;
    const at = seq === null ? {} : this.#event === null ? { from: seq } : { after: `${this.#event}-${seq}` };
    this.#follower = new EventFollower({
      edge: edge.origin,
      stream,
      ...at,
      token: () => credentials.token,
      fetch: platform.fetch,
      timers: platform,
      onBreak: () => this.#setFollowing(false),
    });
    return this.#follower;
  }

  async #iterate(follower: EventFollower, run: AbortSignal): Promise<void> {
    for await (const event of follower) {
      if (run.aborted || follower !== this.#follower) return;
      this.#pauses.reset();
      this.#take(event);
      this.#event = follower.cursor?.split("-")[0] ?? null;
      if (event.type !== "state") continue;
      this.#setFollowing(true);
      const isBehind = this.#isAstray && (this.#options.intake.place ?? event.stored) < event.stored;
      this.#isAstray = false;
      if (isBehind) return;
    }
  }

  #take(event: FollowedEvent): void {
    const { intake, onChain, onGap } = this.#options;
    if (event.type === "state") intake.told(event);
    else if (event.type === "stored") intake.storedMessage(event.message);
    else if (event.type === "gap") onGap();
    else if (event.subject.kind === "anchor") intake.anchor(event.subject.anchor);
    else onChain(event.subject.event);
    intake.changed();
  }

  /** The edge refuses: how long to wait, in ms, before it is asked again. */
  #pauseAfter(error: StreamChainError): number {
    const status = error.problem?.status;
    if (status === 404) {
      this.#options.intake.placeTails(0);
      this.#setFollowing(true);
      return MISSING_STREAM_PAUSE_MS;
    }
    this.#setFollowing(false);
    if (this.#options.credentials.forgetIfRefused(error)) return 0;
    // A place that the stream has not come to: it was started afresh.
    this.#isAstray = status === 400;
    return error.problem === undefined || status === 400 ? this.#pauses.next(error) : RETRY_AFTER_MAX_MS;
  }
}
