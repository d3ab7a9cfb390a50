//! The machine of one thread: its sockets' datagrams in, datagrams and requests to the edge out.
//!
//! The shell feeds [`Shard::handle_datagram`], [`Shard::handle_answer`], [`Shard::handle_notice`] and
//! [`Shard::handle_timeout`], then takes commands from [`Shard::next_command`] until there are none, and calls
//! again by [`Shard::next_timeout`]. Feeding many datagrams before taking commands is what makes batches: all
//! messages of one turn share their chunks.
//!
//! What always holds: a session belongs to exactly one stream and one connection; every session that is not closing is in its
//! stream's list; a connection has at least one session; all memory is bounded by [`crate::core::limits`].

mod datagrams;
mod deliver;
mod following;
mod frames;
mod inbox;
mod join;
mod leaving;
mod lifecycle;
mod links;
mod presence;
mod publish;
#[cfg(test)]
mod simulated;
mod streams;

use crate::core::admission::Admission;
use crate::core::commit_clock::CommitClock;
use crate::core::counters::{Counters, ErrorCounts, Latencies};
use crate::core::edge_requests::{Answer, EdgeError, Request, Ticket};
use crate::core::handshakes::Handshakes;
use crate::core::limits::{
    MAX_JOINED_SESSIONS, MAX_REPLAY_BYTES, MAX_SESSIONS, MAX_SHARD_UNCOMMITTED_BYTES, MAX_SPENT_TOKENS,
    MAX_STREAMS,
};
use crate::core::link::{LinkMessage, LinkPeer};
use crate::core::path::Peer;
use crate::core::peer_connection::{PeerConnection, PeerKey, SessionConfig};
use crate::core::rates::{CheckMeter, Rates};
use crate::core::session::{Session, SessionKey};
use crate::core::shares::Shares;
use crate::core::stream::{Role, Stream};
use crate::core::timers::{Owner, Timers};
use crate::core::withdrawals::Withdrawals;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use str0m::net::Transmit;
use streamchain_protocol::auth::SessionKeys;
use streamchain_protocol::ids::{SessionId, ShortId};
use streamchain_protocol::limits::SESSION_TOKEN_LIFE_S;
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::util::{Bucket, SplitMix64};
use streamchain_protocol::wire::{FollowGrant, shard_of};

/// One moment by the monotonic and by the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The monotonic clock, for time-outs.
    pub instant: Instant,
    /// The wall clock, for messages and for what the edge signed.
    pub unix: UnixMs,
}

/// What the shell must do for the shard.
#[derive(Debug)]
pub enum Command {
    /// Send a datagram from `source` to `destination`.
    Transmit(Transmit),
    /// Send a request to the edge, and hand its answer to [`Shard::handle_answer`].
    Ask(Ticket, Request),
    /// Open a link to the relay that leads a stream, by this number: [`LinkPeer::Relay`]. Frames for it come right behind, and wait until
    /// it is open. If it fails, now or later, [`Shard::handle_link_lost`] is called.
    Dial(u64, Box<FollowGrant>),
    /// Carry a frame of a link to its other end, which takes it by [`Shard::handle_link`].
    Link(LinkPeer, LinkMessage),
    /// Log that the stream's epoch was lost, and why.
    StreamLost(ShortId, EdgeError),
}

/// What a shard is made from.
pub struct ShardConfig {
    /// The keys that tokens and ICE passwords are derived with.
    pub keys: SessionKeys,
    /// What all sessions have in common.
    pub session: SessionConfig,
    /// This shard's index, from 0 on.
    pub index: usize,
    /// How many shards the relay has.
    pub shards: usize,
    /// Whether the relay can follow others: it then asks who leads when it has lost an epoch.
    pub follows: bool,
    /// How long a batch stays open.
    pub commit_interval: Duration,
    /// Random, for jitter and incarnations.
    pub seed: u64,
    /// How many bytes of messages it may have in memory.
    pub memory: Memory,
    /// The rate limits of its clients.
    pub rates: Rates,
}

/// How many bytes a shard may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Encoded messages of one stream, for subscribers that are behind.
    pub replay_bytes: usize,
    /// Payloads of all streams that are not committed yet.
    pub uncommitted_bytes: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            replay_bytes: MAX_REPLAY_BYTES,
            uncommitted_bytes: MAX_SHARD_UNCOMMITTED_BYTES,
        }
    }
}

/// How many sessions and streams there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Peer connections that are open or being opened.
    pub connections: u64,
    /// Sessions that are open or being opened.
    pub sessions: u64,
    /// Streams that have sessions in the relay, or had some recently; each is counted by one of the relay's shards.
    pub streams: u64,
    /// Messages that are not committed yet.
    pub uncommitted: u64,
    /// Their payload bytes.
    pub uncommitted_bytes: u64,
    /// Messages that the follower which is furthest behind in a stream was not sent yet.
    pub link_lag: u64,
}

/// How many bytes of messages a shard has in memory. A message that is recent and not committed yet counts twice, though
/// it is there once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Payloads that are not committed yet; at most [`Memory::uncommitted_bytes`].
    pub uncommitted: usize,
    /// Encoded messages for subscribers that are behind; at most [`Memory::replay_bytes`] for each stream.
    pub replay: usize,
    /// Control frames that wait for their peers; for each at most
    /// [`MAX_PENDING_BYTES`](crate::core::limits::MAX_PENDING_BYTES).
    pub send_queues: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shutdown {
    No,
    /// No new sessions and messages are taken; the backlog is being committed.
    Shipping,
    Goodbye,
}

/// The sessions and streams of one thread; see the module.
pub struct Shard {
    admission: Admission,
    session_config: SessionConfig,
    index: usize,
    shards: usize,
    follows: bool,
    commit_clock: CommitClock,
    memory: Memory,
    rates: Rates,
    /// The signatures that are checked for each network.
    checks: CheckMeter,
    jitter: SplitMix64,
    peers: HashMap<PeerKey, PeerConnection>,
    sessions: HashMap<SessionKey, Session>,
    by_address: HashMap<Peer, PeerKey>,
    by_ufrag: HashMap<Arc<str>, PeerKey>,
    /// Tokens of ended sessions, and the second in which they expire.
    spent: HashMap<SessionId, UnixSec>,
    withdrawals: Withdrawals,
    /// The second in which the expired ones were last dropped.
    spent_checked: UnixSec,
    streams: HashMap<ShortId, Stream>,
    /// Streams whose next epoch is acquired as another incarnation: because edge and relay disagreed, or because a release
    /// may still be under way.
    disputed: HashSet<ShortId>,
    timers: Timers,
    commands: VecDeque<Command>,
    to_drive: VecDeque<PeerKey>,
    to_fan_out: VecDeque<ShortId>,
    /// Streams whose sessions are to be counted some time.
    to_count: Vec<ShortId>,
    counters: Counters,
    errors: ErrorCounts,
    commits: Latencies,
    handshakes: Handshakes,
    session_shares: Shares,
    join_shares: Shares,
    stream_shares: Shares,
    /// The reports of who is at the streams.
    presence_reports: Bucket,
    uncommitted_bytes: usize,
    next_key: u64,
    shutdown: Shutdown,
}

impl Shard {
    /// A shard without sessions and streams.
    pub fn new(config: ShardConfig) -> Self {
        Self {
            admission: Admission::new(config.keys, config.session.crypto.clone()),
            session_config: config.session,
            index: config.index,
            shards: config.shards,
            follows: config.follows,
            commit_clock: CommitClock::new(config.commit_interval),
            memory: config.memory,
            rates: config.rates,
            checks: CheckMeter::new(),
            jitter: SplitMix64::new(config.seed),
            peers: HashMap::new(),
            sessions: HashMap::new(),
            by_address: HashMap::new(),
            by_ufrag: HashMap::new(),
            spent: HashMap::new(),
            withdrawals: Withdrawals::default(),
            spent_checked: UnixSec(0),
            streams: HashMap::new(),
            disputed: HashSet::new(),
            timers: Timers::default(),
            commands: VecDeque::new(),
            to_drive: VecDeque::new(),
            to_fan_out: VecDeque::new(),
            to_count: Vec::new(),
            counters: Counters::default(),
            errors: ErrorCounts::default(),
            commits: Latencies::default(),
            handshakes: Handshakes::default(),
            session_shares: Shares::new(MAX_SESSIONS),
            join_shares: Shares::new(MAX_JOINED_SESSIONS),
            stream_shares: Shares::new(MAX_STREAMS),
            presence_reports: Bucket::default(),
            uncommitted_bytes: 0,
            next_key: 0,
            shutdown: Shutdown::No,
        }
    }

    /// What was counted since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The errors sent to clients since the start.
    pub fn errors(&self) -> ErrorCounts {
        self.errors
    }

    /// How long batches took from when they were closed until they were committed, since the start.
    pub fn commits(&self) -> Latencies {
        self.commits
    }

    /// How many sessions, streams and uncommitted messages there are now.
    pub fn load(&self) -> Load {
        Load {
            connections: self.peers.len() as u64,
            sessions: self.sessions.len() as u64,
            streams: self
                .streams
                .keys()
                .filter(|id| shard_of(**id, self.shards) == self.index)
                .count() as u64,
            uncommitted: self.streams.values().map(Stream::uncommitted).sum(),
            uncommitted_bytes: self.uncommitted_bytes as u64,
            link_lag: self.streams.values().map(Stream::link_lag).max().unwrap_or(0),
        }
    }

    /// How many bytes of messages there are now.
    pub fn kept(&self) -> Kept {
        let roles = || self.streams.values().map(|stream| &stream.role);
        let leaderships = roles().filter_map(Role::leader);
        Kept {
            uncommitted: leaderships.map(|leadership| leadership.backlog.bytes()).sum(),
            replay: roles()
                .filter_map(Role::view)
                .map(|view| view.replay.bytes())
                .sum(),
            send_queues: self
                .sessions
                .values()
                .map(|session| session.send_queue.pending_bytes())
                .sum(),
        }
    }

    fn queue_session(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get(&key) {
            self.queue_peer(session.peer);
        }
    }

    fn queue_peer(&mut self, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(&key).filter(|peer| !peer.queued) {
            peer.queued = true;
            self.to_drive.push_back(key);
        }
    }

    fn queue_stream(&mut self, id: ShortId) {
        if let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.queued) {
            stream.queued = true;
            self.to_fan_out.push_back(id);
        }
    }

    /// The next thing to do; `None` when all work of this turn is done.
    pub fn next_command(&mut self, now: Now) -> Option<Command> {
        loop {
            if let Some(command) = self.commands.pop_front() {
                if let Command::Transmit(transmit) = &command {
                    self.counters.datagrams_out += 1;
                    self.counters.bytes_out += transmit.contents.len() as u64;
                }
                return Some(command);
            }
            // One connection at a time, so that no more than one peer's datagrams are held here.
            if let Some(key) = self.to_drive.pop_front() {
                self.drive(key, now);
            } else if let Some(id) = self.to_fan_out.pop_front() {
                self.fan_out(id, now);
            } else if let Some(id) = self.to_count.pop() {
                self.plan_presence(id, now);
            } else {
                return None;
            }
        }
    }

    /// When [`Shard::handle_timeout`] wants to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((at, owner)) = self.timers.due(now.instant) {
            match owner {
                Owner::Peer(key) => self.peer_due(key, at, now),
                Owner::Session(key) => self.session_due(key, at, now),
                Owner::Stream(id) => self.stream_due(id, at, now),
            }
        }
        let second = now.unix.to_sec();
        if second.since(self.spent_checked) >= SESSION_TOKEN_LIFE_S {
            self.spent_checked = second;
            self.spent.retain(|_, expires| *expires >= second);
            self.withdrawals.expire(second);
        }
    }

    /// A token opens one session and never another.
    fn spend(&mut self, session: SessionId, now: Now) {
        if self.spent.len() < MAX_SPENT_TOKENS {
            // Tokens live a minute at most, whatever they say.
            self.spent
                .insert(session, now.unix.to_sec().plus_s(SESSION_TOKEN_LIFE_S));
        }
    }

    /// The answer of the edge to a [`Command::Ask`].
    pub fn handle_answer(&mut self, ticket: Ticket, answer: Answer, now: Now) {
        let is_ours = self
            .streams
            .get(&ticket.stream)
            .is_some_and(|stream| stream.ticket == ticket);
        if !is_ours {
            return;
        }
        match answer {
            Answer::AcquireEpoch(result) => self.acquired(ticket.stream, result, now),
            Answer::Follow(grant) => self.granted_to_follow(ticket.stream, grant, now),
            Answer::Producer(producer, result) => self.producer_found(ticket.stream, producer, result, now),
            Answer::Batch(result) => self.batch_answered(ticket.stream, result, now),
            Answer::Inbox(result) => self.fetched(ticket.stream, result, now),
            Answer::PresenceTaken => self.presence_reported(ticket.stream, now),
            Answer::Released => self.resigned(ticket.stream),
        }
    }
}
