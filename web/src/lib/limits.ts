// Every bound of the client library, in one place, each with its reason.

import type { ErrorCode } from "./errors.ts";

/** Largest payload of one message, in bytes; the relay and the edge refuse more. */
export const MAX_PAYLOAD_BYTES = 65_536;

/** Largest data-channel message read from a relay: Chromium's own max-message-size (RFC 8841). */
export const MAX_CHANNEL_MESSAGE_BYTES = 262_144;

/** Frames are joined into one data-channel message up to this size: 16 KiB interleaves well on every SCTP stack. */
export const COALESCE_BYTES = 16_384;

/** Largest history page taken from the edge: its own 1 MiB bound plus framing. */
export const MAX_PAGE_BYTES = 1_310_720;

/** Messages asked for in one history request; the edge's own upper limit. */
export const PAGE_MESSAGES = 1_000;

/** Nesting allowed in a CBOR item: a frame needs two, two more leave room for newer frames. */
export const MAX_CBOR_DEPTH = 4;

/** Elements allowed in one CBOR array or map: the longest known frame has seven. */
export const MAX_CBOR_ELEMENTS = 64;

/** Messages that the feed keeps for subscriptions; one that falls further behind reads history by HTTP. */
export const FEED_MESSAGES = 8_192;

/** Payload bytes that the feed keeps, so that few large messages are bounded as well. */
export const FEED_BYTES = 16 * 1_048_576;

/** Messages that wait for "stored" at one publisher; `publish` then throws `queue-full`. */
export const OUTBOX_MESSAGES = 16_384;

/** Payload bytes that wait for "stored" at one publisher. */
export const OUTBOX_BYTES = 16 * 1_048_576;

/** Payload bytes of one producer kept in browser storage, well under the usual 5 MB of an origin. */
export const PERSISTED_BYTES = 1_048_576;

/** Messages sent to a relay that it has not answered yet: bounds what a reconnect sends again. */
export const UNANSWERED_MESSAGES = 4_096;

/** The channel is not filled above this many buffered bytes, so that a slow path shows up as back-pressure. */
export const BUFFERED_HIGH_BYTES = 262_144;

/** Filling goes on once the channel has drained to this many bytes. */
export const BUFFERED_LOW_BYTES = 65_536;

/** Publications followed from "stored" to "final"; older ones are no longer followed. */
export const FOLLOWED_PUBLICATIONS = 65_536;

/** Anchors remembered from frames, for timelines. */
export const REMEMBERED_ANCHORS = 512;

/** Connection attempts whose diagnosis is kept. */
export const REMEMBERED_ATTEMPTS = 8;

/** A proof longer than this cannot come from real trees: 2^64 leaves need 64 steps. */
export const MAX_PROOF_STEPS = 64;

/** A JSON answer longer than this is refused unread (a receipt of a 64 KiB message has 132 KiB). */
export const MAX_JSON_BYTES = 4 * 1_048_576;

/** Time that one HTTP request may take, in ms. */
export const HTTP_TIMEOUT_MS = 10_000;

/**
 * After a path was lost the edge is asked again, on another connection, when it has not answered for this long, in ms:
 * it answers in a fraction of that. So often at most, which is enough to get past the few that a browser holds.
 */
export const NEXT_REQUEST_MS = 1_000;
export const REQUESTS_MAX = 4;

/** Time from the SDP answer to an open data channel, in ms: ICE, DTLS and SCTP together. */
export const CHANNEL_TIMEOUT_MS = 10_000;

/** Direct ways have this long, in ms, before TURN servers are tried as well: two round trips around the world. */
export const TURN_HEAD_START_MS = 500;

/** A browser that has candidates of its own begins to check within this time, in ms; most do at once. */
export const FIRST_CHECK_MS = 100;

/** That only TURN worked is remembered for this long, in ms (a day): people come back to the same networks. */
export const PATH_MEMORY_MS = 24 * 3_600_000;

/** Time from `hello` to `welcome`, in ms: the relay may have to ask the edge. */
export const WELCOME_TIMEOUT_MS = 8_000;

/** A path that ICE calls disconnected is searched anew; back within this time, in ms, or a new session is made. */
export const DISCONNECTED_GRACE_MS = 3_000;

/** While something is unacknowledged, the path is looked at this often, in ms: often enough to see a silence in a second. */
export const LIVENESS_LOOK_MS = 250;

/** A session in which nobody spoke for this long, in ms, says something that the relay acknowledges. */
export const LIVENESS_IDLE_MS = 1_500;

/** A path that is silent for this long, in ms, and two round trips is searched anew: SCTP acknowledges within 200 ms. */
export const LIVENESS_SEEK_MS = 500;

/**
 * A session is given up after this long a silence, in ms, and six round trips, when the relay answers checks meanwhile. A
 * search that works has ended by then; later SCTP would wait longer and longer before it sends anything again (RFC 9260
 * §6.3.3), which a new session does not.
 */
export const LIVENESS_DEAD_MS = 1_000;

/**
 * And after this long a silence, in ms, when it answers none: pauses of a second are common on radio, and a relay that
 * pauses must not get all its clients' sessions anew.
 */
export const LIVENESS_UNANSWERED_MS = 2_000;

/** First and largest reconnect delays, in ms; the delay is drawn evenly from below the doubled bound. */
export const BACKOFF_FIRST_MS = 250;
export const BACKOFF_MAX_MS = 10_000;

/**
 * First and largest pauses, in ms, between attempts to open a session while the stream is followed by HTTP: a relay that
 * was started again is found within seconds, and on a network that lets nothing through, which seldom changes its mind
 * unseen, each attempt of ten seconds is followed by a minute at most. Half of each pause is drawn.
 */
export const FALLBACK_RETRY = { firstMs: 2_000, maxMs: 60_000, least: 0.5 };

/** What a session that HTTP may stand in for fails with: the edge answers, or the browser has no WebRTC to ask it for. */
export const FALLBACK_CODES: ReadonlySet<ErrorCode> = new Set([
  "no-relay",
  "relay-unreachable",
  "channel-failed",
  "no-webrtc",
  "no-welcome",
]);

/** Messages that were posted and wait at the edge: it remembers the seqs of a producer's last 16 for repetitions. */
export const UNSTORED_POSTED = 16;

/** A message that waits at the edge for the stream's relay is asked after again after this long, in ms, as the edge says. */
export const UNSTORED_PAUSE_MS = 1_000;

/** A stream that nobody has made yet is looked for again after this long, in ms. */
export const MISSING_STREAM_PAUSE_MS = 3_000;

/** A session that lived this long, in ms, sets the reconnect delay back to its first value. */
export const STABLE_SESSION_MS = 5_000;

/** Longest `Retry-After` that is honoured, in ms. */
export const RETRY_AFTER_MAX_MS = 30_000;

/** Pause in sending after the relay said "overloaded" or "producer gap", in ms. */
export const OVERLOAD_PAUSE_MS = 250;

/**
 * How much of the relay's rates a page sends at once, in ms: the relay takes 2,000 ms' worth, and what was on its way
 * must fit beside it.
 */
export const PACE_BURST_MS = 1_000;

/** Longest pause that a relay's "rate limited" is honoured for, in ms. */
export const RATE_PAUSE_MAX_MS = 60_000;

/** Stream marks are read again by HTTP this often, in ms, while something waits for its anchor. */
export const MARKS_POLL_MS = 10_000;

/** How long a reloaded page waits for its former self to let go of its producer id, in ms. */
export const PRODUCER_LOCK_WAIT_MS = 500;

/** Direct channels to other browsers at a time: enough to be first, few enough for a phone. */
export const DIRECT_PEERS = 4;

/** Looks into the mailbox this often, in ms: while a channel is being made or there is none, and else. */
export const DIRECT_BUSY_POLL_MS = 1_500;
export const DIRECT_IDLE_POLL_MS = 10_000;

/** Time for a direct channel to open, in ms; what takes longer would not be faster than the relay either. */
export const DIRECT_OPEN_MS = 15_000;

/** Time for gathering candidates, in ms; those found later are left out. */
export const DIRECT_GATHER_MS = 1_000;

/** A session that could not be reached directly is left alone for this long, in ms. */
export const DIRECT_RETRY_MS = 60_000;

/** A direct channel with more than this many bytes unsent is passed over: the relay is faster then. */
export const DIRECT_BUFFERED_BYTES = 65_536;

/** How long a direct message waits for the relay to confirm it, in ms: longer than a change of relays takes. */
export const DIRECT_LIFE_MS = 30_000;

/** Direct messages that wait for the relay, and relayed ones that may still come directly. */
export const DIRECT_PENDING = 256;
export const DIRECT_REMEMBERED = 1_024;

/** Producers whose last direct number is known: four peers, each with several reloads. */
export const DIRECT_PRODUCERS = 64;
