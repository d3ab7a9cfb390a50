//! One stream, as long as the shard has it.
//!
//! What always holds once the epoch is granted: `replay.end() == backlog.head()`, and a message is in both from
//! the moment it has a seq; `fanned <= replay.end()`: what is below was offered to every subscriber.

use crate::core::backlog::Backlog;
use crate::core::edge_requests::Ticket;
use crate::core::producers::{Position, Producers};
use crate::core::rates::{Rate, StreamGate};
use crate::core::replay_buffer::{Chunk, ReplayBuffer};
use crate::core::retry::Retry;
use crate::core::send_queue::{View, encode};
use crate::core::session::SessionKey;
use bytes::Bytes;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use streamchain_protocol::ids::{Epoch, Incarnation, Seq};
use streamchain_protocol::limits::MAX_COALESCE_BYTES;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::frame::RelayFrame;
use streamchain_protocol::wire::{EpochGrant, ProducerKey, Record};

/// What becomes of a published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    Accepted(Seq),
    /// It was accepted before, as this seq if that is remembered.
    Duplicate(Option<Seq>),
    /// It skips some: this producer_seq is next.
    Ahead(u64),
    /// There is no room until the edge has committed more.
    Overloaded,
    /// The stream takes no more for this many milliseconds.
    TooFast(u64),
}

/// A message as its session sent it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Publish<'a> {
    pub producer: ProducerKey,
    pub producer_seq: u64,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// What a relay has of a stream while it is the leader: while the epoch is its own.
#[derive(Debug)]
pub(crate) struct Leadership {
    pub epoch: Epoch,
    pub replay: ReplayBuffer,
    /// Messages that are not committed yet.
    pub backlog: Backlog,
    pub producers: Producers,
    /// Look-ups of producers that are under way or wait.
    pub lookups: HashMap<ProducerKey, Retry>,
    /// Retries of the batch under way.
    pub batch_retry: Retry,
    /// When the batch under way was closed.
    pub batch_closed: Option<Instant>,
    gate: StreamGate,
    /// Whether messages that came by HTTP are being fetched.
    pub is_fetching: bool,
    /// One past the last of those that were fetched: once it is stored there may be more.
    pub fetched: Seq,
    last_time: UnixMs,
    fanned: Seq,
    fresh: Vec<Chunk>,
}

impl Leadership {
    fn new(taken: &EpochGrant, interval: Duration, max_replay_bytes: usize, now: Instant) -> Self {
        Self {
            epoch: taken.epoch,
            replay: ReplayBuffer::new(taken.head, max_replay_bytes),
            backlog: Backlog::new(taken.head, interval),
            producers: Producers::default(),
            lookups: HashMap::new(),
            batch_retry: Retry::default(),
            batch_closed: None,
            gate: StreamGate::new(now),
            is_fetching: false,
            fetched: taken.head,
            last_time: UnixMs(0),
            fanned: taken.head,
            fresh: Vec::new(),
        }
    }

    /// Gives a message its seq, unless it had one, comes too early or too fast, or there is no `room` in the shard.
    /// `None` for a producer that was not learned.
    pub(crate) fn publish(
        &mut self,
        publish: Publish<'_>,
        room: bool,
        rate: Rate,
        now: Instant,
        unix: UnixMs,
    ) -> Option<Published> {
        match self.producers.position(publish.producer, publish.producer_seq)? {
            Position::Duplicate(seq) => return Some(Published::Duplicate(seq)),
            Position::Ahead(next) => return Some(Published::Ahead(next)),
            Position::New if !room || self.backlog.is_full(publish.payload.len()) => {
                return Some(Published::Overloaded);
            }
            Position::New => {}
        }
        if let Err(wait_ms) = self.gate.take(rate, publish.payload.len(), now) {
            return Some(Published::TooFast(wait_ms));
        }
        // The machine's clock may be set back; a stream's time is not.
        self.last_time = self.last_time.max(unix);
        let seq = self.replay.end();
        let message = RelayFrame::Message {
            epoch: self.epoch,
            seq,
            time: self.last_time,
            author: publish.producer.author,
            payload: publish.payload,
        };
        let frame = Bytes::from(encode(&message));
        // The payload is the frame's end: both share one allocation.
        let payload = frame.slice(frame.len() - publish.payload.len()..);
        self.replay.push(frame);
        let record = Record {
            time: self.last_time,
            author: publish.producer.author,
            producer: publish.producer.id,
            producer_seq: publish.producer_seq,
            payload: payload.into(),
            group: None,
        };
        self.backlog.push(record, now);
        self.producers.accept(publish.producer, seq);
        Some(Published::Accepted(seq))
    }

    /// Joins the messages of this turn to chunks, once for all who are caught up.
    pub(crate) fn freshen(&mut self) {
        self.fresh.clear();
        let mut from = self.fanned.max(self.replay.start());
        while let Some(chunk) = self.replay.chunk(from, MAX_COALESCE_BYTES) {
            from = chunk.end;
            self.fresh.push(chunk);
        }
        self.fanned = self.replay.end();
    }

    pub(crate) fn view(&self) -> View<'_> {
        View {
            replay: &self.replay,
            fresh: &self.fresh,
            committed: self.backlog.committed(),
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let lookups = self.lookups.values().filter_map(Retry::at);
        lookups
            .chain(self.batch_retry.at())
            .chain(self.backlog.next_close())
            .min()
    }
}

/// A stream, from the first session that names it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub ticket: Ticket,
    pub sessions: Vec<SessionKey>,
    /// The network whose session named it first; `None` if a notice of the edge did.
    pub network: Option<Network>,
    /// `None` until the epoch is granted.
    pub leadership: Option<Leadership>,
    /// The incarnation that the epoch is acquired as, if it is not the relay's own.
    pub fresh: Option<Incarnation>,
    pub acquire_epoch: Retry,
    /// Since when it has no session.
    pub idle_since: Option<Instant>,
    /// The earliest entry in the shard's timers.
    pub scheduled: Option<Instant>,
    /// Whether it is queued to be fanned out.
    pub queued: bool,
}

impl Stream {
    /// A stream whose epoch is being asked for.
    pub(crate) fn new(ticket: Ticket) -> Self {
        Self {
            ticket,
            sessions: Vec::new(),
            network: None,
            leadership: None,
            fresh: None,
            acquire_epoch: Retry::default(),
            idle_since: None,
            scheduled: None,
            queued: false,
        }
    }

    /// The epoch was granted: this relay is the leader.
    pub(crate) fn lead(
        &mut self,
        taken: &EpochGrant,
        interval: Duration,
        max_replay_bytes: usize,
        now: Instant,
    ) {
        self.leadership = Some(Leadership::new(taken, interval, max_replay_bytes, now));
    }

    /// Messages that are not committed yet.
    pub(crate) fn uncommitted(&self) -> u64 {
        self.leadership.as_ref().map_or(0, |leadership| {
            leadership.backlog.head().0 - leadership.backlog.committed().0
        })
    }

    /// When the stream wants to be called, `idle` being how long one without sessions is kept.
    pub(crate) fn next_timeout(&self, idle: Duration) -> Option<Instant> {
        let leadership = self.leadership.as_ref().and_then(Leadership::next_timeout);
        let dropped = self
            .idle_since
            .filter(|_| self.uncommitted() == 0)
            .map(|since| since + idle);
        leadership
            .into_iter()
            .chain(dropped)
            .chain(self.acquire_epoch.at())
            .min()
    }
}
