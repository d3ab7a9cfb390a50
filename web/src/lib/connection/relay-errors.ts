// The client's reaction to a relay's `error` frame (docs/PROTOCOL.md has the table).

import { retryableError, StreamChainError } from "../errors.ts";
import { RelayErrorCode } from "../wire/frames.ts";

/**
 * The reaction: the sender repeats what was refused; the session ends; the waiting messages fail; they fail and a new session
 * begins with another producer; or nothing.
 */
type Reaction =
  | { readonly kind: "repeat" | "none" }
  | { readonly kind: "end" | "fail" | "restart"; readonly error: StreamChainError };

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
    case RelayErrorCode.badSignature:
    case RelayErrorCode.brokenChain:
      return { kind: "restart", error: new StreamChainError("bad-signature", text || "the signature is refused") };
    case RelayErrorCode.signatureRequired:
      return { kind: "restart", error: new StreamChainError("signature-required", text || "a signature is required") };
    default:
      return { kind: "none" };
  }
}
