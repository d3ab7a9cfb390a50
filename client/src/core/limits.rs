//! The bounds of a client, each with its reason.

use streamchain_protocol::util::BackoffBounds;

/// Most messages that are published and not stored yet. A relay keeps 65,536 of a stream; this many are more than a
/// commit takes, so the line never runs dry.
pub(crate) const MAX_UNSTORED_MESSAGES: usize = 16_384;

/// Most payload bytes that are published and not stored yet.
pub(crate) const MAX_UNSTORED_BYTES: usize = 8 * 1024 * 1024;

/// Most messages that were received and are not read yet. Older ones are dropped, and read from history later.
pub(crate) const MAX_FEED_MESSAGES: usize = 16_384;

/// Most payload bytes that were received and are not read yet.
pub(crate) const MAX_FEED_BYTES: usize = 16 * 1024 * 1024;

/// Messages that are posted by HTTP before the edge is asked whether they are stored.
pub(crate) const MAX_POSTED_TOGETHER: u64 = 64;

/// How long the relay may take for its welcome after the channel is open, milliseconds.
pub(crate) const WELCOME_TIMEOUT_MS: u64 = 10_000;

/// How long a session may be silent until the client sends a frame that means nothing, to see whether the relay still
/// acknowledges what it is sent, milliseconds.
pub(crate) const PING_AFTER_MS: u64 = 4_000;

/// A session that was open for so long resets the pauses between attempts, milliseconds.
pub(crate) const STEADY_SESSION_MS: u64 = 5_000;

/// Pauses between attempts to open a session, milliseconds. The first is short: most sessions end because the stream
/// moved to another relay.
pub(crate) const SESSION_BACKOFF: BackoffBounds = BackoffBounds {
    first_ms: 100,
    max_ms: 10_000,
};

/// Pauses between attempts while HTTP replaces the session, milliseconds.
pub(crate) const FALLBACK_BACKOFF: BackoffBounds = BackoffBounds {
    first_ms: 1_000,
    max_ms: 30_000,
};

/// Pauses between requests that failed, milliseconds.
pub(crate) const REQUEST_BACKOFF: BackoffBounds = BackoffBounds {
    first_ms: 100,
    max_ms: 5_000,
};

/// Pauses after a relay refused a message because it is overloaded, milliseconds.
pub(crate) const OVERLOAD_BACKOFF: BackoffBounds = BackoffBounds {
    first_ms: 100,
    max_ms: 3_000,
};

/// Pauses in a row after *producer gap*; after these the session is ended and another one opened.
pub(crate) const MAX_GAP_PAUSES: u32 = 4;

/// Longest pause that a relay or the edge may ask for, milliseconds: a mistake there does not stop the client for days.
pub(crate) const MAX_PAUSE_MS: u64 = 120_000;

/// How long to wait until history is asked again for messages that are not stored yet, milliseconds: two commits.
pub(crate) const HISTORY_PAUSE_MS: u64 = 100;

/// How long to wait until the edge is asked again whether a posted message is stored, milliseconds.
pub(crate) const UNSTORED_PAUSE_MS: u64 = 500;

/// How much of a second's worth may be sent at once under a rate limit, milliseconds: less than the two seconds that a
/// relay allows, so that a client which paces itself is never refused.
pub(crate) const PACER_BURST_MS: u64 = 1_500;

/// Largest line of an event stream that is read, bytes: a message of 65,536 bytes in hexadecimal digits, twice.
pub(crate) const MAX_EVENT_LINE_BYTES: usize = 256 * 1024;
