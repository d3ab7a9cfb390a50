//! The bounds of links between relays, each with its reason.

use crate::core::limits::{LINK_CREDIT_BYTES, MAX_FORWARDED_BYTES, MAX_STREAMS};
use std::time::Duration;

/// Most connections that other relays opened: more than the relays of a deployment.
pub(super) const MAX_CONNECTIONS: usize = 1_024;

/// Most of them that have not shown a ticket yet. A handshake costs about 1 ms of CPU.
pub(super) const MAX_UNPROVEN: usize = 64;

/// Most of those from one network, so that one alone can't keep relays out.
pub(super) const MAX_NETWORK_UNPROVEN: usize = 16;

/// Most connections with one relay: one each way, and those whose loss was not found out yet.
pub(super) const MAX_PEER_CONNECTIONS: usize = 4;

/// Most streams of a connection that has shown no ticket.
pub(super) const MAX_UNPROVEN_LINKS: u32 = 8;

/// Most streams of a connection that has: those of four full shards. Further ones wait.
pub(super) const MAX_LINKS: u32 = 4 * MAX_STREAMS as u32;

/// Most streams of a connection that have not shown a ticket yet, however many it may have: each is a task.
pub(super) const MAX_OPENING_LINKS: usize = 256;

/// Most tickets of a connection that are refused: an edge whose clock is wrong may give out some that are over.
pub(super) const MAX_REFUSED_TICKETS: u32 = 64;

/// Longest first frame of a stream, bytes: a ticket and some numbers.
pub(super) const MAX_FOLLOW_BYTES: usize = 1_024;

/// How long a connection may take to be established, for each of the leader's addresses.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How long the other relay may be silent at first before it is taken for dead: a second's loss of all packets is rare, and a wrong
/// report costs an epoch and no message.
pub(super) const SILENCE_TIMEOUT: Duration = Duration::from_millis(800);

/// How long a relay is waited for at most, however often its silence was no death: as long as its lease at the edge.
pub(super) const LONGEST_SILENCE: Duration = Duration::from_secs(10);

/// How often something is sent, so that silence means something: four times in [`SILENCE_TIMEOUT`].
pub(super) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_millis(200);

/// How often the port of a relay is tried from which nothing came since the last time: one that lives says something in between. After
/// a relay's process has ended, its host refuses what comes to the port, long before the silence is too long.
pub(super) const PORT_TRY_INTERVAL: Duration = KEEP_ALIVE_INTERVAL;

/// How long a refusal is waited for: longer than a round trip between any two places.
pub(super) const PORT_ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// The round-trip time that is reckoned with before one was measured: most are below, and a lost first packet is sent again before
/// the silence is too long.
pub(super) const FIRST_ROUND_TRIP: Duration = Duration::from_millis(100);

/// Bytes that one stream may have on its way and unread here: what its credit allows, in about one round trip.
pub(super) const STREAM_WINDOW_BYTES: u32 = LINK_CREDIT_BYTES;

/// Bytes that a connection which has shown no ticket may have on its way and unread here.
pub(super) const UNPROVEN_WINDOW_BYTES: u32 = 64 * 1024;

/// Bytes that a connection may have on its way and unread here: four streams' full windows.
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 4 * STREAM_WINDOW_BYTES;

/// Bytes that may wait for one link: its credit, what is forwarded without an answer, and as much again for answers and greetings.
/// A link where more waits has another end that does not read, and ends.
pub(super) const MAX_QUEUE_BYTES: usize = 2 * (LINK_CREDIT_BYTES as usize + MAX_FORWARDED_BYTES);

/// Frames that wait for one shard, from all links: at most as many of the longest, 8 MiB, after which no link is read.
pub(super) const MAX_EVENTS: usize = 64;

/// Bytes of frames that are written in one go.
pub(super) const WRITE_BYTES: usize = 64 * 1024;

/// How long the endpoint may take to say goodbye to the other relays.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long other relays are waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// How long the handshake of a connection that another relay opens may take.
    pub(super) handshake: Duration,
    /// How long such a connection may take to show a ticket, and a stream to begin.
    pub(super) ticket: Duration,
    /// How long a frame may take from its first byte to its last, and bytes may wait for the other end to take them.
    pub(super) stall: Duration,
    /// How long a relay may be silent at first.
    pub(super) silence: Duration,
    /// How long a connection may take to be established, for each of the leader's addresses.
    pub(super) connect: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            // A dozen round trips at the worst round-trip time.
            handshake: Duration::from_secs(5),
            ticket: Duration::from_secs(5),
            stall: Duration::from_secs(10),
            silence: SILENCE_TIMEOUT,
            connect: CONNECT_TIMEOUT,
        }
    }
}
