// The client's reaction to a relay's `error` frame (docs/PROTOCOL.md has the table).

import { retryableError, StreamChainError } from "../errors.ts";
import { RelayErrorCode } from "../wire/frames.ts";

/** The reaction: the sender repeats what was refused; the session ends; the waiting messages fail; or nothing. */
export type Reaction =
  | { readonly kind: "repeat" | "none" }
  | { readonly kind: "end" | "fail"; readonly error: StreamChainError };

/** The reaction to a code of `RelayErrorCode`, or of a newer relay. */
export function reactionTo(code: number, text: string): Reaction {
  switch (code) {
    case RelayErrorCode.producerGap:
    case RelayErrorCode.overloaded:
    case RelayErrorCode.rateLimited:
      return { kind: "repeat" };
    case RelayErrorCode.streamMoved:
    case RelayErrorCode.goingAway:
      return { kind: "end", error: retryableError("relay-unreachable", text || "the relay is going away") };
    case RelayErrorCode.sessionEnded:
      return { kind: "end", error: new StreamChainError("session-ended", text || "the session was ended") };
    case RelayErrorCode.notAllowed:
      return { kind: "fail", error: new StreamChainError("not-allowed", text || "publishing is not allowed here") };
    default:
      return { kind: "none" };
  }
}
