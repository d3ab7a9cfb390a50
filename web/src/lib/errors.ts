// One error class for the whole library: `code` says what happened, `retryable` whether to try again.

/** What went wrong. */
export type ErrorCode =
  /** The payload is larger than the stream's limit; nothing was sent. */
  | "too-large"
  /** Too many messages wait for storage; await `writable()` before publishing more. */
  | "queue-full"
  /** Bytes from a relay, the edge or a file are not what the protocol says. */
  | "malformed"
  /** The edge cannot be reached (DNS, TCP, TLS, or a time-out). */
  | "edge-unreachable"
  /** The edge answered with a problem document; see `problem`. */
  | "refused"
  /** The edge has no live relay. */
  | "no-relay"
  /** The relay's address does not answer: a firewall blocks it, or the relay is down. */
  | "relay-unreachable"
  /** The path works, but DTLS or the data channel did not open. */
  | "channel-failed"
  /** This environment has no WebRTC, as Node and workers; `ConnectOptions.webrtc` brings it. */
  | "no-webrtc"
  /** The relay did not answer `hello` in time. */
  | "no-welcome"
  /** The rate limit of the edge or the relay was exceeded; see `retryAfterMs`. */
  | "rate-limited"
  /** The relay refused what this session has no right to do. */
  | "not-allowed"
  /** The edge ended the session; it is not opened again. */
  | "session-ended"
  /** The connection has another author now, and publishes nothing that was published under the one before. */
  | "author-changed"
  /** The message was sent, is not sent again, and nobody can say whether it is stored: look before publishing it again. */
  | "outcome-unknown"
  /** The signature of a message does not hold, or its key is not the author's; the text says which. */
  | "bad-signature"
  /** The stream takes signed messages alone, and this connection cannot sign, or its relay or edge is an older one. */
  | "signature-required"
  /** The caller closed the connection. */
  | "closed"
  /** The JSON-RPC node cannot be reached, or answered with an error. */
  | "rpc";

/** A problem document (RFC 9457) of the edge. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** Last part of `type`, e.g. `no-relay`. */
  readonly slug: string;
  /** The cause among those of one type, as `time` of `key-refused`. */
  readonly reason?: string;
  /** The edge's clock, seconds since the Unix epoch, where the reason is a wrong clock. */
  readonly now?: number;
}

/** Every error that the library throws or rejects with. */
export class StreamChainError extends Error {
  readonly code: ErrorCode;
  /** Whether trying again later can succeed. */
  readonly retryable: boolean;
  /** The edge's problem document, when it answered with one. */
  readonly problem: Problem | undefined;
  /** Earliest time for another attempt, in ms from now, when the edge named one. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { retryable?: boolean; problem?: Problem; retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "StreamChainError";
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.problem = options.problem;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** An error after which another attempt can succeed. */
export function retryableError(code: ErrorCode, message: string): StreamChainError {
  return new StreamChainError(code, message, { retryable: true });
}

/** The error for bytes that break the protocol. */
export function malformed(message: string): StreamChainError {
  return new StreamChainError("malformed", message);
}

/** The typed error of a thrown value. What the browser itself throws while a session is opened is retryable. */
export function asStreamChainError(cause: unknown): StreamChainError {
  if (cause instanceof StreamChainError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new StreamChainError("channel-failed", message, { retryable: true, cause });
}
