//! Every bound of the protocol, in one place, each with its reason.

/// Largest payload of one message, bytes. A message then fits one data-channel message everywhere: browsers
/// announce at least 256 KiB (Chromium's `max-message-size` is 262,144).
pub const MAX_PAYLOAD_BYTES: usize = 65_536;

/// Largest data-channel message that either side sends, bytes. Several frames may share one message
/// (RFC 8742), but small ones only: a lost SCTP chunk delays all that share its message.
pub const MAX_COALESCE_BYTES: usize = 16 * 1024;

/// Largest data-channel message that the relay reads, bytes: Chromium's own limit.
pub const MAX_CHANNEL_MESSAGE_BYTES: usize = 262_144;

/// A relay closes a batch once it holds this many messages, even before the commit interval is over.
pub const BATCH_CLOSE_MESSAGES: usize = 1_000;

/// A relay closes a batch once its payloads reach this many bytes, even before the commit interval is over.
pub const BATCH_CLOSE_BYTES: usize = 256 * 1024;

/// Most messages in one batch. While one batch is under way the next one grows, up to here.
pub const MAX_BATCH_MESSAGES: usize = 4_096;

/// Largest encoded records of one batch, bytes. A batch is never split, so a segment holds at least one:
/// hex-encoded, as D1 takes it, it must stay below D1's 2 MB for one value.
pub const MAX_BATCH_BYTES: usize = 768 * 1024;

/// Most messages of one signed group: as many as a flush of the client library has; a path in it is at most eight hashes.
pub const MAX_GROUP_MESSAGES: usize = 256;

/// Most payload bytes of one signed group: as many as the largest message has, so that a group is no larger frame than it.
pub const MAX_GROUP_BYTES: usize = 65_536;

/// Most batches in one bundle: each is a call of the Worker to an object, which may make 1,000 for one request.
pub const MAX_BUNDLE_BATCHES: usize = 128;

/// Largest bundle, bytes: what is larger than a few small batches costs little to send alone.
pub const MAX_BUNDLE_BYTES: usize = 1024 * 1024;

/// Most messages in one segment: a Merkle root over 4,096 leaves costs the Worker about 50 ms.
pub const MAX_SEGMENT_MESSAGES: usize = MAX_BATCH_MESSAGES;

/// Largest encoded segment, bytes; see [`MAX_BATCH_BYTES`].
pub const MAX_SEGMENT_BYTES: usize = MAX_BATCH_BYTES;

/// Most segments in one run: their roots are read and hashed at once.
pub const MAX_SEGMENTS_PER_RUN: usize = 4_096;

/// Most messages of a segment whose digests or messages go on chain: about three million gas of events, so that one
/// always fits a transaction.
pub const MAX_EMITTED_MESSAGES: usize = 1_024;

/// Most bytes that such a segment takes as calldata, unless it is a single message or signed group, which takes at most
/// 115 KB: pools take no transaction above 128 KiB.
pub const MAX_EMITTED_BYTES: usize = 80_000;

/// What a message takes as calldata beside its payload: five words, and what fills up the last word of the payload.
pub const EMITTED_OVERHEAD: usize = 192;

/// Longest Merkle proof, hashes: the depth of a full segment below a full anchor, with room to spare.
pub(crate) const MAX_PROOF_HASHES: usize = 64;

/// Most runs in one list of a round: 108 bytes each, so that a list in hexadecimal stays below D1's 2 MB for one value.
pub const MAX_RUNS_PER_LIST: usize = 8_192;

/// Longest SDP offer, bytes. Chromium's offer of one data channel is under 1 KiB; a hundred gathered
/// candidates fit ten times that.
pub const MAX_OFFER_BYTES: usize = 32 * 1024;

/// Longest session token (`ice-ufrag`), characters: a STUN USERNAME is at most 128 bytes in the relay's
/// encoder, and the client's own fragment and a colon must fit beside ours.
pub(crate) const MAX_SESSION_TOKEN_CHARS: usize = 118;

/// How long a session token may wait for its first STUN check, seconds. Only the start is bounded: a session
/// that runs is not ended by its token's age.
pub const SESSION_TOKEN_LIFE_S: u64 = 60;

/// Longest access token, bytes: header, claims and MAC of ours are under 400.
pub(crate) const MAX_ACCESS_TOKEN_BYTES: usize = 2_048;

/// Life of a guest's access token, seconds (30 days): long enough that a page keeps its author.
pub const GUEST_TOKEN_LIFE_S: u64 = 30 * 24 * 3_600;

/// Life of a wallet's or service's access token, seconds (15 minutes): what a stolen one is good for, unless it is
/// revoked before.
pub const ACCESS_TOKEN_LIFE_S: u64 = 15 * 60;

/// How long a wallet's token may be renewed without signing in again, seconds (a day).
pub const SIGN_IN_LIFE_S: u64 = 24 * 3_600;

/// How long a wallet's sign-in lets a key sign for it unless the message has an *Expiration Time*, seconds (30 days): as long as a
/// guest's token.
pub const CERTIFICATE_LIFE_S: u64 = 30 * 24 * 3_600;

/// Commit interval of a relay unless configured, milliseconds.
pub const COMMIT_INTERVAL_MS: u64 = 50;

/// A relay that has not renewed for this long counts as dead, milliseconds.
pub const RELAY_LEASE_MS: u64 = 10_000;

/// A relay with sessions renews this often, milliseconds.
pub const RENEW_BUSY_MS: u64 = 2_000;

/// How long the edge may give a relay that it chose to further sessions without asking the directory again,
/// milliseconds. A relay that says goodbye waits as long before it sends its peers away, so that none comes back.
pub const CHOSEN_LIFE_MS: u64 = 1_000;

/// A relay without sessions renews this often, milliseconds.
pub const RENEW_IDLE_MS: u64 = 5_000;

/// Most notices in one answer to a relay; the rest follows with the next answer.
pub const NOTICES_PER_ANSWER: usize = 256;

/// Most messages that one history request returns.
pub const MAX_HISTORY_MESSAGES: usize = 1_000;

/// Messages that a history request returns unless it says how many.
pub const HISTORY_DEFAULT_MESSAGES: usize = 100;

/// Most payload bytes that one history request returns: bounds the Worker's memory for one request.
pub const MAX_HISTORY_BYTES: usize = 1024 * 1024;

/// Largest number that all parts carry exactly: JSON numbers and D1 integers pass through an IEEE double.
pub const MAX_EXACT_INTEGER: u64 = (1 << 53) - 1;

/// Most threads (shards) of one relay.
pub const MAX_RELAY_SHARDS: usize = 64;

/// Most TURN URLs of one relay: browsers warn from five servers on, for each slows gathering.
pub const MAX_RELAY_TURN_URLS: usize = 6;

/// Most ICE candidates of one relay shard: they all go into every answer.
pub const MAX_SHARD_CANDIDATES: usize = 8;

/// Most authors that presence lists: with their frame they fit into one packet or two.
pub const MAX_LISTED_AUTHORS: usize = 100;

/// How often a leader reports who is at a stream again although nothing changed, milliseconds.
pub const PRESENCE_REPEAT_MS: u64 = 60_000;

/// How long the edge shows what a leader reported, milliseconds: two reports, and the time that a request may take.
pub const PRESENCE_LIFE_MS: u64 = 2 * PRESENCE_REPEAT_MS + RELAY_LEASE_MS;
