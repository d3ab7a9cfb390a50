// The options, states and events of a connection: its public types.

import type { DirectMessage } from "../direct/inbox.ts";
import type { StreamChainError } from "../errors.ts";
import type { TokenOption } from "../http/credentials.ts";
import type { StreamInfo } from "../http/edge-answers.ts";
import type { KeyOption } from "../http/key-ring.ts";
import type { Platform } from "../platform.ts";
import type { Publication } from "../publish/publication.ts";
import type { Attempt } from "../session/attempt-log.ts";
import type { RtcConfiguration, WebRtc } from "../webrtc.ts";
import type { Hex } from "../wire/bytes.ts";
import type { AnchorRef, ChainEvent, Presence } from "../wire/records.ts";
import type { WishedPresence } from "./presence.ts";

/** How to reach a stream. */
export interface ConnectOptions extends WishedPresence {
  /** Name of the stream, or its id as `0x…`. */
  readonly stream: string;
  /** Origin of the edge; the page's own by default. Outside of a page it must be given. */
  readonly edge?: string;
  /**
   * Access token, or a function that gives a fresh one: it is called when a token is needed and the last one expires or was
   * refused. A wallet's token is renewed by the connection for as long as the edge allows (a day). Without a token the client
   * is a guest, whose token the browser's storage keeps, and the connection itself where there is no storage.
   */
  readonly token?: TokenOption;
  /**
   * The key that messages are signed with: a P-256 pair for ECDSA, which must be the author's at the edge; null to sign
   * nothing. By default a guest is a key that this origin keeps, and an account has the key of its sign-in here.
   */
  readonly key?: KeyOption;
  /** Whether messages come with the signatures of their authors, for `verifyAuthor`; false by default. */
  readonly signatures?: boolean;
  /**
   * Whether the stream is followed and published to by HTTP while no session opens; true by default. Messages then come
   * once they are stored, and attempts to open a session go on.
   */
  readonly httpFallback?: boolean;
  /** Passed to RTCPeerConnection, as `iceServers` or `iceTransportPolicy`. */
  readonly rtc?: RtcConfiguration;
  /**
   * The WebRTC implementation, where the environment has none (Node) or another one is wanted. Without any the stream is
   * followed and published to by HTTP.
   */
  readonly webrtc?: WebRtc;
  /** Parts of the environment to replace. */
  readonly platform?: Partial<Platform>;
}

/** Where a connection is. */
export type ConnectionState =
  /** An attempt is under way. */
  | "connecting"
  /** The session is open: the relay's welcome has come. */
  | "open"
  /**
   * No session opens, and the stream is followed and published to by HTTP: messages come once they are stored. The next
   * attempt is at `retryAt`, or under way; `error` is why the latest one failed.
   */
  | "http"
  /** The last attempt or session ended; the next attempt is at `retryAt`. */
  | "waiting"
  /** The caller closed the connection, or it was refused for good (see `error`). */
  | "closed";

/** The state of a connection. */
export interface StateChange {
  readonly state: ConnectionState;
  readonly error: StreamChainError | undefined;
  /** ms since the Unix epoch, when `waiting`, and when `http` unless an attempt is under way. */
  readonly retryAt: number | undefined;
}

/** Counts of a stream; each is of messages from its start. */
export interface StreamMarks {
  readonly committed: number;
  readonly anchored: number;
  readonly final: number;
}

/** An error that a relay reported. */
export interface RelayError {
  /** One of `RelayErrorCode`, or a code of a newer relay. */
  readonly code: number;
  readonly text: string;
}

/** The author of a connection. */
export interface AuthorChange {
  readonly author: Hex;
  /** The author before; undefined at first. What was published under it and not stored has failed. */
  readonly former: Hex | undefined;
}

/** Events of a connection. */
export interface ConnectionEvents {
  state: StateChange;
  /** The connection has an author, or another one: messages are published under it from now on. */
  author: AuthorChange;
  /** A publication of this page changed its state. */
  publication: Publication;
  marks: StreamMarks;
  /** The edge's counts and settings of the stream. */
  info: StreamInfo;
  /** An anchor of the stream, or its new state. */
  anchor: AnchorRef;
  /** A message published through the contract, or its new state. */
  chain: ChainEvent;
  /** A message came directly from another browser, or its new state. */
  direct: DirectMessage;
  /** Who is on the stream, where the connection asks for it; null while that is not known. */
  presence: Presence | null;
  /** A direct channel opened or closed. */
  peers: readonly Hex[];
  /** An attempt to open a session ended, or the path of the open session is known. */
  attempt: Attempt;
  /** The relay reported an error. */
  "relay-error": RelayError;
  /** The same as `relay-error`, under its former name. */
  complaint: RelayError;
}
