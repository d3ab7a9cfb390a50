//! The relay's own bounds, each with its reason. Those that relay and client must agree on are in
//! [`streamchain_protocol::limits`].

use std::time::Duration;

/// Most sessions of one shard: at 52 KiB for an idle connection they take about 1 GiB. Networks share them
/// ([`crate::core::shares`]).
pub(crate) const MAX_SESSIONS: usize = 20_000;

/// Most sessions of one shard that joined a connection that was there: four times as many as connections, since each has about a
/// hundredth of a connection's memory while it is idle. Networks share them.
pub(crate) const MAX_JOINED_SESSIONS: usize = 4 * MAX_SESSIONS;

/// Most data channels of one connection: a page follows some dozens of streams.
pub(crate) const MAX_CHANNELS: usize = 64;

/// How many times a session's rates a connection may send on all of its channels together: as much as four sessions with
/// connections of their own, and not as much as 64.
pub(crate) const CONNECTION_RATE_FACTOR: u32 = 4;

/// Most sessions of one shard whose DTLS handshake is not done. A handshake costs about 1 ms of CPU here, so
/// this many are at most a second of work.
pub(crate) const MAX_HANDSHAKES: usize = 1_024;

/// Most of them from one network: half, so that a hall behind one address can come back at once, and no single address takes
/// all. What a network has above others' makes way for them all the same.
pub(crate) const MAX_NETWORK_HANDSHAKES: usize = MAX_HANDSHAKES / 2;

/// A handshake younger than this is not ended for another one of a network that has as many: two round trips at the worst real
/// round-trip time are less.
pub(crate) const HANDSHAKE_GRACE: Duration = Duration::from_secs(4);

/// How long a session may take until its channel is open. Four round trips at the worst real round-trip time
/// (2 s) fit.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the datagram that begins a handshake is sent again because the client nominated a path. A client tries
/// fewer paths one after the other, and an attacker who repeats a client's checks makes the relay send no more than this.
pub const MAX_OPENING_REPEATS: u32 = 4;

/// How long a peer may be silent. Browsers send a consent check at least every 5 s (RFC 7675) and give a path
/// up after 30 s.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a session that is being closed may wait for its last frames to arrive.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Most streams that one shard has at a time. The networks whose sessions named them first share them.
pub(crate) const MAX_STREAMS: usize = 4_096;

/// Most streams of one shard that no session named, but a notice that messages came by HTTP: half as many again. What is not
/// fetched waits at the edge.
pub(crate) const MAX_NOTICE_STREAMS: usize = MAX_STREAMS / 2;

/// How long a stream is kept after its last session ended: a page that reloads finds the recent messages.
pub(crate) const STREAM_IDLE: Duration = Duration::from_secs(30);

/// Most messages that a stream keeps encoded for subscribers that are behind; announced in `welcome`.
pub(crate) const MAX_REPLAY_MESSAGES: usize = 16_384;

/// Most bytes of encoded messages that a stream keeps for subscribers that are behind.
pub(crate) const MAX_REPLAY_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of messages and notices that may be on their way over one link: what a full stream sends in a quarter of a second, which is
/// three round trips between continents.
pub(crate) const LINK_CREDIT_BYTES: u32 = 4 * 1024 * 1024;

/// What a link's frame counts for beside its contents, bytes: so that many small ones are bounded too.
pub(crate) const LINK_FRAME_BYTES: u32 = 64;

/// What a *committed* of a link counts for, bytes.
pub(crate) const LINK_MARK_BYTES: u32 = 64;

/// Most bytes of messages in one frame of a link: as much as the largest message, so that no frame holds others up for long.
pub(crate) const LINK_RUN_BYTES: usize = 64 * 1024;

/// Most messages in one frame of a link.
pub(crate) const LINK_RUN_MESSAGES: usize = 256;

/// Longest text of a refusal that comes over a link, bytes: that of *error* is 200 characters.
pub(crate) const MAX_LINK_TEXT_BYTES: usize = 1_024;

/// Most publishers of one link: three full shards of them.
pub(crate) const MAX_LINK_PUBLISHERS: usize = 65_536;

/// Most payload bytes that a follower has forwarded without an answer: a full stream's in a quarter of a second.
pub(crate) const MAX_FORWARDED_BYTES: usize = 4 * 1024 * 1024;

/// Most messages that a follower has forwarded without an answer: 1.5 s of a full stream, in which a lost leader is replaced.
pub(crate) const MAX_FORWARDED_MESSAGES: usize = 16_384;

/// The part of [`MAX_FORWARDED_BYTES`] that one publisher may use up: a quarter, so that one alone never takes all.
pub(crate) const MAX_PUBLISHER_SHARE: usize = 4;

/// Most messages of one stream that are accepted but not committed yet: a minute at 1,000 messages/s.
pub(crate) const MAX_UNCOMMITTED_MESSAGES: usize = 65_536;

/// Most payload bytes of one stream that are accepted but not committed yet: a minute at 1 MB/s.
pub(crate) const MAX_UNCOMMITTED_BYTES: usize = 64 * 1024 * 1024;

/// Most payload MiB of all streams of one shard that are accepted but not committed yet, unless the operator says
/// otherwise: as much as eight full streams, so that a slow edge can't use up the machine's memory.
pub(crate) const SHARD_UNCOMMITTED_MIB: u16 = 512;

/// The same in bytes.
pub(crate) const MAX_SHARD_UNCOMMITTED_BYTES: usize = SHARD_UNCOMMITTED_MIB as usize * 1024 * 1024;

/// Bytes that str0m may hold for one peer. Above 128 KiB its queue scans make every send slower.
pub(crate) const SEND_BUFFER_BYTES: usize = 128 * 1024;

/// Bytes that the channels of one connection may have in str0m together, as long as there are several: half of what one alone may
/// have. So a channel that is behind never fills the buffer, and the largest message of another always has room.
pub(crate) const SHARED_SEND_BYTES: usize = SEND_BUFFER_BYTES / 2 - 4 * 1024;

/// A peer whose send buffer falls to this is given more: a quarter, so that it never runs dry.
pub(crate) const SEND_BUFFER_LOW_BYTES: usize = SEND_BUFFER_BYTES / 4;

/// A peer that has more than this to acknowledge is written to once per [`WRITE_INTERVAL`] only: what comes
/// meanwhile shares a message. Every message in flight costs a scan with every packet, so many small ones cost
/// more than their bytes.
pub(crate) const CROWDED_BYTES: usize = 2 * 1024;

/// The most that a message is held back for that, and so the most that it adds to a delivery.
pub(crate) const WRITE_INTERVAL: Duration = Duration::from_millis(1);

/// Least that a client must take as one message (`a=max-message-size`, RFC 8841 §6), bytes: every frame but those with a payload
/// fits, *error* with 200 characters of four bytes included. With a client that takes less no session is possible.
pub(crate) const MIN_CHANNEL_MESSAGE_BYTES: usize = 1_024;

/// Largest message to a peer whose channel is not reliable: one packet, so that one loss costs only its own.
pub(crate) const UNRELIABLE_CHUNK_BYTES: usize = 1_000;

/// Most data channels of a session that are refused; one more ends it.
pub(crate) const MAX_REFUSED_CHANNELS: u32 = 8;

/// Most bytes of control frames that wait for one peer. A peer that reads nothing but goes on publishing is
/// closed when its answers no longer fit.
pub const MAX_PENDING_BYTES: usize = 256 * 1024;

/// The same for a session that joined a connection: some thousand answers. A connection has up to 64 of them.
pub(crate) const MAX_JOINED_PENDING_BYTES: usize = MAX_PENDING_BYTES / 4;

/// Most notices (anchors, chain events) that wait for one peer; the oldest are dropped, HTTP has them.
pub(crate) const MAX_NOTICES: usize = 1_024;

/// Most bytes of notices that wait for one peer: a few of the largest chain events, or as many small ones as there may be.
pub(crate) const MAX_NOTICE_BYTES: usize = 512 * 1024;

/// Most messages that a session may send before it is welcomed.
pub(crate) const MAX_EARLY_MESSAGES: usize = 1_024;

/// Most payload bytes that a session may send before it is welcomed.
pub(crate) const MAX_EARLY_BYTES: usize = 512 * 1024;

/// The same for a session that joined a connection: the largest message, or a whole group of them.
pub(crate) const MAX_JOINED_EARLY_BYTES: usize = 64 * 1024;

/// Most producers of one stream that are remembered; those that are idle and stored are forgotten first, the
/// edge has them.
pub(crate) const MAX_PRODUCERS: usize = 16_384;

/// Of how many last messages of a producer the seq is remembered, for the answer to a duplicate.
pub(crate) const PRODUCER_RECENT: usize = 256;

/// Most ended sessions whose tokens are remembered so that they open nothing again. A token lives a minute, so
/// this is about a thousand sessions a second.
pub(crate) const MAX_SPENT_TOKENS: usize = 65_536;

/// Most withdrawals remembered, so that tokens made before them open nothing: more than notices come in the minute
/// that a token lives.
pub(crate) const MAX_WITHDRAWALS: usize = 16_384;

/// Datagrams that a peer connection is handed before it is asked what it has to say. It keeps a few dozen and
/// drops the rest.
pub(crate) const DATAGRAMS_PER_DRIVE: u32 = 16;

/// Most remote addresses of one session: UDP, TCP and three TURN transports, before and after an ICE restart, and
/// a few more where the client has both kinds of IP addresses.
pub(crate) const ADDRESSES_PER_SESSION: usize = 16;

/// How many times the bytes that came from an address are sent to it, before its client has proven that it reads there
/// (RFC 9000 §8.1).
pub(crate) const MAX_AMPLIFICATION: usize = 3;

/// Most datagrams of a session that wait until more bytes came from where they go: a flight of a handshake, and no more.
pub(crate) const MAX_HELD_DATAGRAMS: usize = 8;

/// How many of a client's earlier ICE credentials are known as such: what is left over from before a restart comes
/// within seconds.
pub(crate) const ICE_RESTARTS_REMEMBERED: usize = 4;

/// How often the sessions on a stream are counted at most, and what follows from it sent on: a person notices no less.
pub(crate) const PRESENCE_INTERVAL: Duration = Duration::from_secs(1);

/// Most frames about who is there that one stream sends its sessions in a second: with more of them who asked, all are sent it
/// less often. At some microseconds each they are a hundredth of a shard's time.
pub(crate) const MAX_PRESENCE_FRAMES_PER_S: u32 = 1_000;

/// How often a leader reports to the edge who is there, while that changes.
pub(crate) const PRESENCE_REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Most such reports of one shard in a second: all of its streams have their turn within the time that a report is shown.
pub(crate) const MAX_PRESENCE_REPORTS_PER_S: u32 = 50;

/// First wait before a request to the edge is sent again.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(50);

/// Longest wait before a request to the edge is sent again.
pub(crate) const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// Frames that a session may send in a second, unless configured: ten times what a person at a game sends.
pub(crate) const SESSION_MESSAGES_PER_S: u32 = 1_000;

/// Payload bytes that a session may send in a second, unless configured: 64 of the largest messages.
pub(crate) const SESSION_BYTES_PER_S: u32 = 4 * 1024 * 1024;

/// Messages of one stream in a second, unless configured: what the edge stores of one stream, with room to spare.
pub(crate) const STREAM_MESSAGES_PER_S: u32 = 10_000;

/// Payload bytes of one stream in a second, unless configured: four full sessions.
pub(crate) const STREAM_BYTES_PER_S: u32 = 16 * 1024 * 1024;

/// How much of a rate may come at once, milliseconds: a page that wakes up sends what it has.
pub const RATE_BURST_MS: u32 = 2_000;

/// Shortest wait that a client over its rate is sent, milliseconds: by then a quarter of the burst is back, so that it
/// does not come for each message.
pub(crate) const RATE_RETRY_MS: u64 = 500;

/// What a *subscribe* counts for, frames: it sends up to the whole replay buffer again.
pub(crate) const SUBSCRIBE_FRAMES: u32 = 50;

/// What a signature that does not hold counts for, frames: checking it costs as much as dozens of messages, and a client whose
/// signatures hold never pays it.
pub(crate) const FAILED_CHECK_FRAMES: u32 = 50;

/// Signatures that are checked in a second for the sessions of one network, unless configured: at 60 to 100 µs each, at most a
/// tenth of a shard's time. A sensor at 1,000 messages a second signs about 20 times.
pub(crate) const NETWORK_CHECKS_PER_S: u32 = 1_000;

/// A session that must wait is ended when it has sent more than this many times its rate, taken or not …
pub(crate) const FLOOD_FACTOR: u64 = 4;

/// … in this many seconds. What was in flight when it got the error is far less.
pub(crate) const FLOOD_WINDOW_S: usize = 10;
