// What a client does about the relay's `error` frames (docs/PROTOCOL.md has the table).

import { StreamChainError } from "../errors.ts";
import { RelayErrorCode } from "../wire/frames.ts";

/** What to do: leave it to the sender, which sends again later; end the session; give up what waits; or nothing. */
export type Reaction =
  | { readonly kind: "refused" | "none" }
  | { readonly kind: "end" | "fail"; readonly error: StreamChainError };

/** The reaction to a code. */
export function reactionTo(code: number, text: string): Reaction {
  const end = (of: "relay-unreachable" | "session-ended", message: string): Reaction => {
    const error = new StreamChainError(of, message, { retryable: of !== "session-ended" });
    return { kind: "end", error };
  };
  switch (code) {
    case RelayErrorCode.producerGap:
    case RelayErrorCode.overloaded:
    case RelayErrorCode.rateLimited:
      return { kind: "refused" };
    case RelayErrorCode.streamMoved:
    case RelayErrorCode.goingAway:
      return end("relay-unreachable", text || "the relay is going away");
    case RelayErrorCode.sessionEnded:
      return end("session-ended", text || "the session was ended");
    case RelayErrorCode.notAllowed: {
      const error = new StreamChainError("not-allowed", text || "publishing is not allowed here");
      return { kind: "fail", error };
    }
    default:
      return { kind: "none" };
  }
}
