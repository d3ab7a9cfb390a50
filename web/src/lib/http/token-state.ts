// The token of one connection as a state machine: pure, so that each transition can be tested alone.
//
// What always holds: the author of a state changes only by `given`, `named` and `forgotten`; a refused token is never
// used again; once a token is held, a guest that the edge made for a request without one is not taken.

import type { Hex } from "../wire/bytes.ts";
import { claimsOf } from "./token-claims.ts";

/** Where the token comes from. */
export type TokenSource =
  /** A text that the caller gave. */
  | "fixed"
  /** A function of the caller, which gives a fresh one. */
  | "function"
  /** The browser's storage, or the edge, which makes a guest. */
  | "kept";

/** What a connection knows of its token. */
export type TokenState =
  /** There is none: the edge makes a guest, or the caller's function is called. */
  | { readonly at: "none" }
  | { readonly at: "held"; readonly token: string; readonly author: Hex | undefined }
  /** The edge refused the token: it expired, or was revoked. */
  | { readonly at: "refused"; readonly token: string; readonly author: Hex | undefined };

/** What happens to a token. */
export type TokenEvent =
  /** A token of the source: the first, or a newer one. `author` is known for one that the edge made. */
  | { readonly kind: "given"; readonly token: string; readonly author?: Hex }
  /** The edge made a guest for a request without a token. */
  | { readonly kind: "guest"; readonly token: string; readonly author: Hex | undefined }
  /** The edge named the author of a request with this token. */
  | { readonly kind: "named"; readonly token: string | undefined; readonly author: Hex }
  /** The edge answered 401 to a request with this token. */
  | { readonly kind: "refused"; readonly token: string | undefined }
  /** A refused token is given up. */
  | { readonly kind: "forgotten" };

/** The state after an event. An event that means nothing in a state leaves it as it is (the very same object). */
export function tokenTransition(state: TokenState, event: TokenEvent): TokenState {
  switch (event.kind) {
    case "given": {
      if (state.at !== "none" && state.token === event.token) return state; // the same one again, refused or not
      return { at: "held", token: event.token, author: event.author ?? claimsOf(event.token).author };
    }
    case "guest":
      if (state.at !== "none") return state;
      return { at: "held", token: event.token, author: event.author ?? claimsOf(event.token).author };
    case "named":
      if (state.at === "none" || state.token !== event.token || state.author === event.author) return state;
      return { ...state, author: event.author };
    case "refused":
      return state.at === "held" && state.token === event.token ? { ...state, at: "refused" } : state;
    case "forgotten":
      return state.at === "refused" ? { at: "none" } : state;
  }
}

/** What a connection can do about a 401 to a request with this token. */
export type Remedy =
  /** Ask again, with another token or as a new guest. */
  | "again"
  /** Nothing: the caller gave one token, or the account that signed in must sign in again. */
  | "none";

/** The remedy in a state that has had the `refused` event. */
export function remedyOf(state: TokenState, source: TokenSource, refused: string | undefined): Remedy {
  if (state.at === "held" && state.token !== refused) return "again"; // a newer one came meanwhile
  if (source === "function") return "again";
  if (state.at !== "refused") return "none"; // the edge refused a request without a token
  return source === "kept" && isGuestOrUnknown(state.token) ? "again" : "none";
}

/** Whether the token may be a guest's: one that says that it is another account's is never replaced by a guest's. */
function isGuestOrUnknown(token: string): boolean {
  const { author, isGuest } = claimsOf(token);
  return author === undefined || isGuest;
}
