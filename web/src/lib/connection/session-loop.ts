// Keeps a session open: makes attempts, waits for the relay's welcome, lives with the session until it ends, and pauses
// before the next attempt.
//
// What always holds: all that the loop remembers of its session is one `LoopState`; an attempt that ended leaves nothing
// behind, even when its session opens later.

import { Backoff } from "../backoff.ts";
import { asStreamChainError, retryableError, StreamChainError } from "../errors.ts";
import { FALLBACK_BACKOFF, WELCOME_TIMEOUT_MS } from "../limits.ts";
import type { Platform } from "../platform.ts";
import { type Attempt, AttemptLog, AttemptLogs } from "../session/attempt-log.ts";
import { type LoopEvent, type LoopState, sessionOf, transition } from "./loop-state.ts";

/** What the loop does to a session. */
export interface LoopSession {
  seekPath(): void;
  close(): void;
}

/** What the loop needs of its connection. */
export interface SessionLoopOptions<S extends LoopSession> {
  readonly platform: Pick<Platform, "now" | "clock" | "random" | "setTimer" | "clearTimer">;
  /** Opens a session, up to its data channel. */
  readonly open: (log: AttemptLog) => Promise<S>;
  /** Sends `hello`; the relay's welcome is passed to `welcomed`. */
  readonly greet: (session: S) => void;
  /** The attempt failed, or the session ended. */
  readonly onEnd: () => void;
  /** Forgets the token that an error refused, so that another attempt can succeed; returns whether there was one. */
  readonly forgetToken: (error: StreamChainError) => boolean;
  /** Starts HTTP in place of a session that did not open; resolves to whether HTTP can replace it. */
  readonly fallBack: (error: StreamChainError) => Promise<boolean>;
  /** Whether the stream is followed by HTTP meanwhile. */
  readonly isFollowed: () => boolean;
  /** An attempt failed that is not worth another: the connection is to be closed. */
  readonly onFailed: (error: StreamChainError) => void;
  readonly onAttempt: (attempt: Attempt) => void;
  /** The loop is in another state than before. */
  readonly onState: () => void;
}

/** The loop of one connection. */
export class SessionLoop<S extends LoopSession> {
  readonly #options: SessionLoopOptions<S>;
  readonly #backoff: Backoff;
  readonly #logs = new AttemptLogs();
  #state: LoopState<S> = { at: "connecting", stale: false };
  /** The log of the present attempt. */
  #log: AttemptLog;
  #welcomeTimer: unknown = null;
  /** Resolves when the present attempt or session is over. */
  #over: () => void = () => {};

  constructor(options: SessionLoopOptions<S>) {
    this.#options = options;
    this.#backoff = new Backoff(options.platform);
    this.#log = this.#newLog();
  }

  /** Where the loop is. */
  get state(): LoopState<S> {
    return this.#state;
  }

  /** The present session, if its data channel is open. */
  get session(): S | null {
    return sessionOf(this.#state);
  }

  /** The latest attempts, oldest first. */
  get attempts(): readonly Attempt[] {
    return this.#logs.all;
  }

  /** Makes attempts until the loop is closed. */
  async run(): Promise<void> {
    this.#options.onState();
    while (this.#state.at !== "closed") {
      await this.#live();
      this.#options.onEnd();
      await this.#decide();
      this.#apply({ kind: "attempt" });
    }
  }

  /** The relay's welcome came: the session is open. */
  welcomed(): void {
    if (this.#state.at !== "greeting") return;
    this.#options.platform.clearTimer(this.#welcomeTimer);
    this.#log.done("welcome");
    this.#remember();
    this.#apply({ kind: "welcome", clock: this.#options.platform.clock() });
  }

  /** Ends the present attempt or session. */
  end(cause: StreamChainError): void {
    const { platform, forgetToken } = this.#options;
    const { at } = this.#state;
    if (at !== "connecting" && at !== "greeting" && at !== "open") return;
    let error = cause;
    if (at !== "open") {
      this.#log.failed(error.code, error.message);
      this.#remember();
      if (forgetToken(error)) error = new StreamChainError(error.code, error.message, { retryable: true, cause });
    }
    this.session?.close();
    platform.clearTimer(this.#welcomeTimer);
    this.#apply({ kind: "ended", error, clock: platform.clock() });
    this.#over();
  }

  /** Ends the session, and all attempts. */
  close(error: StreamChainError | undefined): void {
    this.session?.close();
    this.#options.platform.clearTimer(this.#welcomeTimer);
    this.#apply({ kind: "close", error });
    this.#over();
    this.#backoff.skip();
  }

  /** The network changed: a session searches a new path, a pause ends; `forgetFailures` makes later pauses short again. */
  networkChanged(forgetFailures: boolean): void {
    this.session?.seekPath();
    if (forgetFailures) this.#backoff.reset();
    this.#apply({ kind: "network" });
    this.retryNow();
  }

  /** Ends the pause before the next attempt. */
  retryNow(): void {
    this.#backoff.skip();
  }

  /** Makes one attempt; resolves when it failed, or when its session is over. */
  async #live(): Promise<void> {
    const { platform, open, greet } = this.#options;
    this.#log = this.#newLog();
    const over = new Promise<void>((resolve) => {
      this.#over = resolve;
    });
    try {
      const session = await open(this.#log);
      if (this.#state.at !== "connecting") {
        session.close(); // the attempt ended before its session opened
        return;
      }
      this.#apply({ kind: "channel", session });
      this.#welcomeTimer = platform.setTimer(() => {
        this.end(retryableError("no-welcome", "the relay does not answer hello"));
      }, WELCOME_TIMEOUT_MS);
      greet(session);
    } catch (cause) {
      this.end(asStreamChainError(cause));
    }
    await over;
  }

  /** What follows the end of an attempt or session: nothing any more, or a pause. */
  async #decide(): Promise<void> {
    if (this.#state.at !== "ended") return;
    const { error, openMs } = this.#state;
    const { fallBack, onFailed } = this.#options;
    const isReplaced = openMs === 0 && (await fallBack(error));
    if (!isReplaced && !error.retryable) onFailed(error);
    await this.#pause();
  }

  async #pause(): Promise<void> {
    if (this.#state.at !== "ended") return;
    const { error, openMs, stale } = this.#state;
    const { platform, isFollowed } = this.#options;
    const never = error.code === "no-webrtc"; // the browser does not get WebRTC while the page lives
    // Without any relay an attempt costs one request, and the first one that succeeds serves the whole stream.
    const bounds = isFollowed() && error.code !== "no-relay" ? FALLBACK_BACKOFF : undefined;
    const ms = stale ? 0 : never ? Number.POSITIVE_INFINITY : this.#backoff.next(error, openMs, bounds);
    this.#apply({ kind: "wait", retryAt: never ? undefined : platform.now() + ms });
    await this.#backoff.pause(ms);
  }

  #newLog(): AttemptLog {
    return new AttemptLog(this.#options.platform.now(), this.#options.platform.clock);
  }

  #remember(): void {
    this.#logs.add(this.#log);
    this.#options.onAttempt(this.#log.attempt);
  }

  #apply(event: LoopEvent<S>): void {
    const before = this.#state;
    this.#state = transition(before, event);
    const { at } = this.#state;
    if (at !== before.at && at !== "greeting" && at !== "ended") this.#options.onState(); // these two show nothing new
  }
}
