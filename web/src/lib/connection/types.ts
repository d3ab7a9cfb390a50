// What a connection takes and tells: the types of its public face.

import type { ChainEvent } from "../chain/chain-events.ts";
import type { DirectMessage } from "../direct/inbox.ts";
import type { StreamChainError } from "../errors.ts";
import type { StreamInfo } from "../http/edge-answers.ts";
import type { Platform } from "../platform.ts";
import type { Publication } from "../publish/publication.ts";
import type { Attempt } from "../session/attempt-log.ts";
import type { Hex } from "../wire/bytes.ts";

/** How to reach a stream. */
export interface ConnectOptions {
  /** Name of the stream, or its id as `0x…`. */
  readonly stream: string;
  /** Origin of the edge; the page's own by default. */
  readonly edge?: string;
  /** Access token; without one the edge makes a guest, whose token is kept in the browser's storage. */
  readonly token?: string;
  /**
   * Whether the stream is followed and written by HTTP while no session can be opened; true unless given. Messages then
   * come once they are stored, and a session is tried again and again.
   */
  readonly httpFallback?: boolean;
  /** Passed to RTCPeerConnection, as `iceServers` or `iceTransportPolicy`. */
  readonly rtc?: RTCConfiguration;
  /** Parts of the surroundings to replace. */
  readonly platform?: Partial<Platform>;
}

/** Where a connection is. */
export type ConnectionState =
  /** An attempt is under way. */
  | "connecting"
  /** The relay has greeted; messages flow. */
  | "open"
  /**
   * No session opens, and the edge is followed by HTTP instead: stored messages come, and publications are stored. The next
   * attempt is at `retryAt`, or under way; `error` says why the latest failed.
   */
  | "http"
  /** The last attempt or session ended; the next attempt is at `retryAt`. */
  | "waiting"
  /** Over: closed by its owner, or refused for good (see `error`). */
  | "closed";

/** A change of state. */
export interface StateChange {
  readonly state: ConnectionState;
  readonly error: StreamChainError | undefined;
  /** ms since the Unix epoch, when `waiting`, and when `http` unless an attempt is under way. */
  readonly retryAt: number | undefined;
}

/** News of an anchor. */
export interface AnchorNews {
  readonly first: number;
  readonly count: number;
  readonly root: Hex;
  readonly tx: Hex;
  readonly block: number;
  readonly state: "anchored" | "final" | "reverted";
}

/** How far the stream is; each number counts messages from its start. */
export interface StreamMarks {
  readonly committed: number;
  readonly anchored: number;
  readonly final: number;
}

/** Events of a connection. */
export interface ConnectionEvents {
  state: StateChange;
  /** A publication of this page changed its state. */
  publication: Publication;
  marks: StreamMarks;
  /** The edge told what it knows of the stream. */
  info: StreamInfo;
  anchor: AnchorNews;
  /** Somebody spoke through the contract, or what they said became final or was taken back. */
  chain: ChainEvent;
  /** A message came from another browser directly, was settled by the relay, or was taken back. */
  direct: DirectMessage;
  /** A direct channel opened or ended. */
  peers: readonly Hex[];
  /** An attempt to connect ended, well or badly, or more is known of it: the path that an open session takes. */
  attempt: Attempt;
  /** The relay complained; `code` as in `RelayErrorCode`. */
  complaint: { readonly code: number; readonly text: string };
}
