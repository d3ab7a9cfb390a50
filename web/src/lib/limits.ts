// Every bound of the client library, in one place, each with its reason.

/** Between what the pauses of a back-off are drawn. */
export interface BackoffBounds {
  /** The bound of the pause before any failure, in ms; it doubles with each. */
  readonly firstMs: number;
  /** The bound grows no further, in ms. */
  readonly maxMs: number;
  /** The share of the bound that a pause has at least: 0 draws all of it, 1 draws nothing. */
  readonly least: number;
}

/** Largest payload of one message, in bytes; the relay and the edge refuse more. */
export const MAX_PAYLOAD_BYTES = 65_536;

/**
 * Bytes of a frame with one payload beside it, at most: what a session's message size leaves for the payload is less. A
 * group has a number (9), a digest and a signature with their lengths (34 + 66), and the heads of three arrays and a payload.
 */
export const MAX_FRAME_OVERHEAD_BYTES = 128;

/** Messages of one signed group, at most: the protocol's own bound. */
export const MAX_GROUP_MESSAGES = 256;

/** A proof inside a group is not longer than this: 256 leaves need 8 steps. */
export const MAX_GROUP_PROOF_STEPS = 8;

/** Longest text of a sign-in, in characters: the edge's own bound leaves room for resources and a statement. */
export const MAX_CERTIFICATE_CHARS = 16_384;

/** Longest wait for IndexedDB, in ms: some browsers never answer; the page then has a key for its own life. */
export const KEY_STORE_TIMEOUT_MS = 3_000;

/** Public keys of other authors whose certificates a connection remembers. */
export const MAX_KNOWN_KEYS = 1_024;

/** How long a certificate is believed, in ms: one that was revoked is not taken for longer for what is written meanwhile. */
export const CERTIFICATE_AGE_MS = 300_000;

/** Answers of wallets that are contracts which a connection remembers: a page reads few such authors. */
export const MAX_KNOWN_ANSWERS = 1_024;

/** Checked groups that a connection remembers: those in view, and 8 MiB of hashes at most. */
export const MAX_KNOWN_GROUPS = 1_024;

/** Pages of 256 messages that a connection remembers for their signatures: what a reader who scrolls looks at. */
export const MAX_KNOWN_PAGES = 8;

/**
 * Groups whose signatures are made at the same time: one more than the one that is nearly ready. With more of them, a page that
 * publishes all the time would make small groups, of which each costs the relay a check.
 */
export const MAX_GROUPS_IN_SIGNING = 2;

/** A browser that could not sign is asked again after this time, in ms. */
export const SIGN_AGAIN_MS = 1_000;

/** How long, in ms, the check of an author waits for the rest of a group that is still arriving. */
export const GROUP_WAIT_MS = 10_000;

/** Largest data-channel message read from a relay: Chromium's own max-message-size (RFC 8841). */
export const MAX_CHANNEL_MESSAGE_BYTES = 262_144;

/** Frames are joined into one data-channel message up to this size: 16 KiB interleaves well on every SCTP stack. */
export const MAX_COALESCED_BYTES = 16_384;

/** Largest history page taken from the edge: its own 1 MiB bound plus framing. */
export const MAX_PAGE_BYTES = 1_310_720;

/** Messages requested with one history request; the edge's own upper limit. */
export const MAX_PAGE_MESSAGES = 1_000;

/** Longest server-sent event, in characters: a payload of 64 KiB in hex is 128 Ki; events of the chain may be larger. */
export const MAX_SERVER_EVENT_CHARS = 16 * 1_048_576;

/**
 * Event responses that a page has from an edge at a time: of the six connections that a browser opens to a host over HTTP/1.1, two
 * tabs that follow many streams leave two for everything else.
 */
export const MAX_EVENT_RESPONSES = 2;

/** How long, in ms, an event response lives that others wait for: long enough to be read to its end and to be told of what is new. */
export const EVENT_TURN_MS = 1_000;

/** Silence, in ms, after which an event stream counts as dead: the edge sends a comment at least every 15 s. */
export const MAX_SILENCE_MS = 35_000;

/** Nesting allowed in a CBOR item: a frame needs two, two more leave room for newer frames. */
export const MAX_CBOR_DEPTH = 4;

/** Elements allowed in one CBOR array or map: the payloads of one group. */
export const MAX_CBOR_ELEMENTS = 256;

/** Messages that the feed keeps for subscriptions; one that falls further behind reads history by HTTP. */
export const MAX_FEED_MESSAGES = 8_192;

/** Payload bytes that the feed keeps, so that few large messages are bounded as well. */
export const MAX_FEED_BYTES = 16 * 1_048_576;

/** Messages that wait for "stored" at one publisher; `publish` then throws `queue-full`. */
export const MAX_OUTBOX_MESSAGES = 16_384;

/** Payload bytes that wait for "stored" at one publisher. */
export const MAX_OUTBOX_BYTES = 16 * 1_048_576;

/** Payload bytes of one producer kept in browser storage, well under the usual 5 MB of an origin. */
export const MAX_KEPT_BYTES = 1_048_576;

/** Kept producer ids that a page tries before it makes a new one: more than the tabs that anybody has on one stream. */
export const MAX_TRIED_PRODUCERS = 32;

/** Messages sent to a relay that has not answered them yet: bounds what a reconnect sends again. */
export const MAX_UNANSWERED_MESSAGES = 4_096;

/** The channel is not filled above this many buffered bytes, so that a slow path shows up as back-pressure. */
export const MAX_BUFFERED_BYTES = 262_144;

/** Filling goes on once the channel has drained to this many bytes. */
export const REFILL_BELOW_BYTES = 65_536;

/** Publications followed from "stored" to "final"; older ones are no longer followed. */
export const MAX_FOLLOWED_PUBLICATIONS = 65_536;

/** Anchors remembered from frames, for timelines. */
export const MAX_REMEMBERED_ANCHORS = 512;

/** Connection attempts whose log is kept. */
export const MAX_REMEMBERED_ATTEMPTS = 8;

/** Candidate errors kept of one attempt: one comes for each server and each local address; more say nothing new. */
export const MAX_CANDIDATE_ERRORS = 64;

/** A proof longer than this cannot come from real trees: 2^64 leaves need 64 steps. */
export const MAX_PROOF_STEPS = 64;

/** A JSON answer longer than this is refused unread (a receipt of a 64 KiB message has 132 KiB). */
export const MAX_JSON_BYTES = 4 * 1_048_576;

/** Time that one HTTP request may take, in ms. */
export const HTTP_TIMEOUT_MS = 10_000;

/**
 * After a path was lost, the session request is repeated on another connection when it has no answer for this long, in
 * ms: the edge usually answers in a fraction of that.
 */
export const NEXT_REQUEST_MS = 1_000;

/** Session requests of one attempt: enough to get past the few dead connections that a browser holds to the edge. */
export const MAX_SESSION_REQUESTS = 4;

/** Time from the SDP answer to an open data channel, in ms: ICE, DTLS and SCTP together. */
export const CHANNEL_TIMEOUT_MS = 10_000;

/** Direct candidate paths have this long, in ms, before TURN servers are tried too: two round trips around the world. */
export const TURN_HEAD_START_MS = 500;

/** A browser that has candidates of its own begins to check within this time, in ms; most do at once. */
export const FIRST_CHECK_MS = 100;

/** That only TURN worked is remembered for this long, in ms (a day): people come back to the same networks. */
export const PATH_MEMORY_MS = 24 * 3_600_000;

/** Time from `hello` to `welcome`, in ms: the relay may have to ask the edge. */
export const WELCOME_TIMEOUT_MS = 8_000;

/** A path that ICE calls disconnected is searched again; when it is not back within this time, in ms, the session ends. */
export const DISCONNECTED_GRACE_MS = 3_000;

/** While something is unacknowledged, the path is checked this often, in ms: silence then shows within a second. */
export const LIVENESS_CHECK_MS = 250;

/** After this long without traffic, in ms, a session sends a keep-alive frame that the relay acknowledges. */
export const LIVENESS_IDLE_MS = 1_500;

/** A path silent for this long, in ms, and two round trips is searched again: SCTP acknowledges within 200 ms. */
export const LIVENESS_SEEK_MS = 500;

/**
 * A session ends after this long a silence, in ms, and six round trips, when the relay answers connectivity checks
 * meanwhile. A search that works has ended by then; later SCTP would wait longer and longer before it sends anything
 * again (RFC 9260 §6.3.3), which a new session does not.
 */
export const LIVENESS_DEAD_MS = 1_000;

/**
 * A session ends after this long a silence, in ms, when no check is answered: pauses of a second are common on radio,
 * and a relay that pauses must not get a new session from each of its clients at once.
 */
export const LIVENESS_UNANSWERED_MS = 2_000;

/**
 * A round trip counts as this many ms at most: silence is measured in round trips, and packages for Node report them in
 * milliseconds where WebRTC's statistics have seconds.
 */
export const MAX_ROUND_TRIP_MS = 1_000;

/** A session that lived this long, in ms, sets the reconnect delay back to its first value. */
export const STABLE_SESSION_MS = 5_000;

/** A token that lives a quarter of an hour is exchanged this long before it expires, in ms: a third of its life. */
export const TOKEN_RENEW_BEFORE_MS = 300_000;

/** Longest wait of one timer, in ms: browsers end a longer one (2^31 ms or more) at once. */
export const MAX_TIMER_MS = 2_000_000_000;

/** A newer token is asked for at most once in this time, in ms, unless the edge refused the last one. */
export const TOKEN_RENEW_PAUSE_MS = 60_000;

/** Longest `Retry-After` that is honoured, in ms. */
export const MAX_RETRY_AFTER_MS = 30_000;

/** Pauses between attempts to reach the edge or a relay, in ms: drawn evenly below a bound that doubles. */
export const RECONNECT_BACKOFF: BackoffBounds = { firstMs: 250, maxMs: 10_000, least: 0 };

/**
 * Pauses between session attempts while the stream is followed by HTTP, in ms: a restarted relay is found within
 * seconds, and on a network that blocks WebRTC each attempt of ten seconds is followed by a pause of a minute at most.
 * Half of each pause is drawn.
 */
export const FALLBACK_BACKOFF: BackoffBounds = { firstMs: 2_000, maxMs: 60_000, least: 0.5 };

/** Pauses before a subscription asks again for history that the edge does not have yet, in ms. */
export const HISTORY_BACKOFF: BackoffBounds = { firstMs: 250, maxMs: 5_000, least: 1 };

/** Pauses in sending after the relay reported "overloaded" or "producer gap", in ms. */
export const OVERLOAD_BACKOFF: BackoffBounds = { firstMs: 250, maxMs: 4_000, least: 1 };

/** After this many pauses in a row, a relay that misses earlier messages is taken to miss them for good. */
export const MAX_OVERLOAD_PAUSES = 4;

/** Longest pause that the relay's "rate limited" is honoured for, in ms. */
export const MAX_RATE_LIMIT_PAUSE_MS = 60_000;

/**
 * How much of the relay's rate limits a page sends at once, in ms: the relay takes 2,000 ms' worth, and what was on its
 * way must fit beside it.
 */
export const PACER_BURST_MS = 1_000;

/** Messages posted by HTTP whose seq is not known yet: the edge remembers the seqs of a producer's last 16. */
export const MAX_UNSTORED_POSTED = 16;

/** A message that waits at the edge for the stream's leader is posted again after this long, in ms, to learn its seq. */
export const UNSTORED_PAUSE_MS = 1_000;

/** A stream that does not exist yet is looked for again after this long, in ms. */
export const MISSING_STREAM_PAUSE_MS = 3_000;

/** How often history is read, in ms, while neither a session nor an event stream brings news. */
export const OFFLINE_POLL_MS = 3_000;

/** Stream marks are read again by HTTP this often, in ms, while something waits for its anchor. */
export const MARKS_POLL_MS = 10_000;

/** How long a reloaded page waits for the page before it to release its producer id, in ms. */
export const PRODUCER_LOCK_WAIT_MS = 500;

/** Direct channels to other browsers at a time: enough to be first, few enough for a phone. */
export const MAX_DIRECT_PEERS = 4;

/** The session's mailbox is read this often, in ms, while a channel is being made or there is none. */
export const DIRECT_BUSY_POLL_MS = 1_500;

/** The session's mailbox is read this often, in ms, while there are channels and none is being made. */
export const DIRECT_IDLE_POLL_MS = 10_000;

/** Time for a direct channel to open, in ms; what takes longer would not be faster than the relay either. */
export const DIRECT_OPEN_MS = 15_000;

/** Time for gathering candidates, in ms; those found later are left out. */
export const DIRECT_GATHER_MS = 1_000;

/** A session that could not be reached directly is left alone for this long, in ms. */
export const DIRECT_RETRY_MS = 60_000;

/** A direct channel with more than this many bytes unsent is skipped: the relay is faster then. */
export const MAX_DIRECT_BUFFERED_BYTES = 65_536;

/** How long a direct message waits for the relay to confirm it, in ms: longer than a change of relays takes. */
export const DIRECT_LIFE_MS = 30_000;

/** Direct messages that wait for the relay's copy: one page's worth of fast typing from every peer. */
export const MAX_DIRECT_PENDING = 256;

/** Messages of the relay remembered because they may still come directly: a few seconds of a busy stream. */
export const MAX_DIRECT_REMEMBERED = 1_024;

/** Producers whose last direct `producer_seq` is known: four peers, each with several reloads. */
export const MAX_DIRECT_PRODUCERS = 64;

/**
 * Signed groups of one direct peer that wait to be checked: what a person publishes while a certificate is fetched. Each is a
 * frame of `MAX_CHANNEL_MESSAGE_BYTES` at most; the relay sends what is passed over.
 */
export const MAX_DIRECT_UNCHECKED = 16;

/** Sessions that could not be reached directly and are remembered: more than can be tried within `DIRECT_RETRY_MS`. */
export const MAX_DIRECT_UNREACHED = 256;

/** Authors that one report of presence lists at most, as relays do. */
export const MAX_PRESENT_AUTHORS = 100;

/** Streams of a pattern that are connected to at a time, unless the caller says otherwise. */
export const MAX_MATCHED_STREAMS = 100;

/** Streams of a pattern that are being opened at a time: each is a request, and others of the page shall not wait for all. */
export const MAX_OPENING_MATCHES = 8;

/** How long the edge may wait for new streams of a pattern, in seconds: less than `HTTP_TIMEOUT_MS`. */
export const MATCH_WAIT_S = 8;

/** Time after which the whole list of a pattern is read again, in ms: streams that came to be readable are nothing new. */
export const MATCH_LIST_MS = 300_000;

/** Least time between two questions for new streams of a pattern, in ms: those that come together are one answer. */
export const MATCH_PAUSE_MS = 250;
