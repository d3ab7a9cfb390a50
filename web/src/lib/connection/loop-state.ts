// The states of a session loop, and the transitions between them: pure, so that each can be tested alone.
//
// What always holds: there is at most one session; a closed loop stays closed; an event that means nothing in a state
// leaves it as it is (the very same object).

import type { StreamChainError } from "../errors.ts";
import type { StateChange } from "./types.ts";

/** Where a session loop is. `S` is the type of its sessions. */
export type LoopState<S> =
  /** An attempt is under way, up to an open data channel. `stale`: the network has changed since it began. */
  | { readonly at: "connecting"; readonly stale: boolean }
  /** The data channel is open, and the relay's welcome has not come. */
  | { readonly at: "greeting"; readonly session: S; readonly stale: boolean }
  /** The relay's welcome has come, at `since` of the monotonic clock. */
  | { readonly at: "open"; readonly session: S; readonly since: number }
  /** The attempt or session is over, and what follows is not decided. It was open for `openMs`. */
  | { readonly at: "ended"; readonly error: StreamChainError; readonly openMs: number; readonly stale: boolean }
  /** The next attempt follows at `retryAt` (ms since the Unix epoch), or never by itself. */
  | { readonly at: "waiting"; readonly error: StreamChainError; readonly retryAt: number | undefined }
  /** There will be no further attempt. */
  | { readonly at: "closed"; readonly error: StreamChainError | undefined };

/** What happens to a session loop. */
export type LoopEvent<S> =
  /** An attempt begins. */
  | { readonly kind: "attempt" }
  /** The data channel of the attempt is open. */
  | { readonly kind: "channel"; readonly session: S }
  /** The relay's welcome came, at `clock`. */
  | { readonly kind: "welcome"; readonly clock: number }
  /** The attempt failed or the session ended, at `clock`. */
  | { readonly kind: "ended"; readonly error: StreamChainError; readonly clock: number }
  /** The pause before the next attempt is known. */
  | { readonly kind: "wait"; readonly retryAt: number | undefined }
  /** The network changed. */
  | { readonly kind: "network" }
  /** The caller closed the connection, or it failed for good. */
  | { readonly kind: "close"; readonly error: StreamChainError | undefined };

/** The state after an event. */
export function transition<S>(state: LoopState<S>, event: LoopEvent<S>): LoopState<S> {
  if (state.at === "closed") return state;
  switch (event.kind) {
    case "attempt":
      return state.at === "waiting" ? { at: "connecting", stale: false } : state;
    case "channel":
      return state.at === "connecting" ? { at: "greeting", session: event.session, stale: state.stale } : state;
    case "welcome":
      return state.at === "greeting" ? { at: "open", session: state.session, since: event.clock } : state;
    case "ended":
      return ended(state, event.error, event.clock);
    case "wait":
      return state.at === "ended" ? { at: "waiting", error: state.error, retryAt: event.retryAt } : state;
    case "network":
      // A session searches a new path by itself; an attempt without one began on the old network.
      return state.at === "connecting" || state.at === "ended" ? { ...state, stale: true } : state;
    case "close":
      return { at: "closed", error: event.error };
  }
}

function ended<S>(state: LoopState<S>, error: StreamChainError, clock: number): LoopState<S> {
  switch (state.at) {
    case "connecting":
    case "greeting":
      return { at: "ended", error, openMs: 0, stale: state.stale };
    case "open":
      return { at: "ended", error, openMs: clock - state.since, stale: false };
    default:
      return state;
  }
}

/** The session of a state, if there is one. */
export function sessionOf<S>(state: LoopState<S>): S | null {
  return state.at === "greeting" || state.at === "open" ? state.session : null;
}

/**
 * What a connection shows of the loop. While the stream is `followed` by HTTP, attempts and pauses show as `http`, with the
 * error `before` when there is no newer one; and what shows stays while it is not decided what follows.
 */
export function shownState<S>(state: LoopState<S>, followed: boolean, before: StateChange): StateChange {
  switch (state.at) {
    case "connecting":
    case "greeting":
      return followed
        ? { state: "http", error: before.error, retryAt: undefined }
        : { state: "connecting", error: undefined, retryAt: undefined };
    case "open":
      return { state: "open", error: undefined, retryAt: undefined };
    case "ended":
      return before;
    case "waiting":
      return { state: followed ? "http" : "waiting", error: state.error, retryAt: state.retryAt };
    case "closed":
      return { state: "closed", error: state.error, retryAt: undefined };
  }
}
