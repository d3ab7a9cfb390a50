//! One stream, as long as the shard has it.
//!
//! What always holds once the epoch is granted: `replay.end() == backlog.head()`, and a message is in both from
//! the moment it has a seq; `fanned <= replay.end()`: what is below was offered to every subscriber.

use crate::core::backlog::Backlog;
use crate::core::edge_requests::{Lookup, Ticket};
use crate::core::producers::{Position, Producers};
use crate::core::rates::{CheckMeter, Cost, Rates, StreamGate};
use crate::core::replay_buffer::{Chunk, ReplayBuffer};
use crate::core::retry::Retry;
use crate::core::send_queue::{View, encode};
use crate::core::session::SessionKey;
use crate::core::signer::VerifyingKey;
use bytes::Bytes;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use streamchain_protocol::ids::{Epoch, Incarnation, Seq, StreamId};
use streamchain_protocol::limits::MAX_COALESCE_BYTES;
use streamchain_protocol::signed::{ChainError, GroupDigest, GroupHeader, PublicKey, Signature, group_root};
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::frame::RelayFrame;
use streamchain_protocol::wire::{EpochGrant, ProducerKey, Record};
use streamchain_protocol::{B256, keccak256};

/// What becomes of a published message or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Published {
    /// It got this seq, a group's other messages those behind it.
    Accepted(Seq),
    /// It was accepted before, as this seq if that is remembered.
    Duplicate(Option<Seq>),
    /// It skips some: this producer_seq is next.
    Ahead(u64),
    /// A group of which some numbers are taken, or all by other groups: this producer_seq is next.
    Overlaps(u64),
    /// There is no room until the edge has committed more.
    Overloaded,
    /// The stream, or the network, takes no more for this many milliseconds.
    TooFast(u64),
    /// The stream takes signed groups only.
    Unsigned,
    /// It does not follow the producer's publications before it.
    BrokenChain(ChainError),
    /// The session has no key that signs: why.
    NoKey(String),
    /// The signature does not hold, which it took a check to see.
    BadSignature,
}

/// A message as its session sent it, or as it waited at the edge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Publish<'a> {
    pub producer: ProducerKey,
    pub producer_seq: u64,
    /// Its bytes.
    pub payload: &'a [u8],
    /// Whether the edge took it in: then it counts by the settings of that moment.
    pub is_from_edge: bool,
}

/// A group as its session sent it, or as it waited at the edge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublishGroup<'a> {
    pub producer: ProducerKey,
    /// The number of its first message.
    pub first: u64,
    pub payloads: &'a [&'a [u8]],
    pub previous: B256,
    pub signature: Signature,
}

/// How it is known that an author signed a group.
pub(crate) enum Proof<'a> {
    /// The edge has verified it with this key.
    ByEdge(PublicKey),
    /// The session's key, or why it has none that signs, and the checks of its network.
    Key(Result<&'a VerifyingKey, String>, Network, &'a mut CheckMeter),
}

/// What a publication is measured by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure {
    /// Payload bytes that there is room for in the shard.
    pub room: usize,
    pub rates: Rates,
    pub instant: Instant,
    /// When it has to be on its way to the edge.
    pub due: Instant,
    pub unix: UnixMs,
}

/// What a relay has of a stream while it is the leader: while the epoch is its own.
#[derive(Debug)]
pub(crate) struct Leadership {
    pub epoch: Epoch,
    /// The stream's whole id, which signatures are over.
    stream: StreamId,
    /// Whether messages must be signed; `None` where the edge stores no groups.
    pub signed: Option<Signed>,
    /// Whether the edge is being asked for the stream's settings again: nobody is welcomed meanwhile.
    pub is_refreshing: bool,
    pub replay: ReplayBuffer,
    /// Messages that are not committed yet.
    pub backlog: Backlog,
    pub producers: Producers,
    /// Look-ups of producers that are under way or wait.
    pub lookups: HashMap<Lookup, Retry>,
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
    fresh_signed: Vec<Chunk>,
    /// Whether a subscriber ever asked for signatures.
    pub has_verifiers: bool,
}

impl Leadership {
    fn new(taken: &EpochGrant, max_replay_bytes: usize, now: Instant) -> Self {
        Self {
            epoch: taken.epoch,
            stream: taken.stream,
            signed: taken.signed,
            is_refreshing: false,
            replay: ReplayBuffer::new(taken.head, max_replay_bytes),
            backlog: Backlog::new(taken.head),
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
            fresh_signed: Vec::new(),
            has_verifiers: false,
        }
    }

    /// Gives a message its seq, unless it had one, comes too early or too fast, or there is no room.
    /// `None` for a producer that was not learned.
    pub(crate) fn publish(&mut self, publish: Publish<'_>, measure: Measure) -> Option<Published> {
        let mut chain = self.producers.chain(publish.producer)?;
        match self.producers.position(publish.producer, publish.producer_seq)? {
            Position::Duplicate(seq) => return Some(Published::Duplicate(seq)),
            Position::Ahead(next) | Position::Overlaps(next) => return Some(Published::Ahead(next)),
            Position::New => {}
        }
        if self.signed == Some(Signed::Required) && !publish.is_from_edge {
            return Some(Published::Unsigned);
        }
        if let Err(error) = chain.push_unsigned(publish.producer_seq) {
            return Some(Published::BrokenChain(error));
        }
        match self.admit(1, publish.payload.len(), measure) {
            Ok(gate) => self.gate = gate,
            Err(refused) => return Some(refused),
        }
        let seq = self.append(
            publish.producer,
            publish.producer_seq,
            publish.payload,
            None,
            measure,
        );
        self.producers.accept(publish.producer, seq, chain);
        Some(Published::Accepted(seq))
    }

    /// Gives the messages of a group consecutive seqs, or none of them one. What can be refused cheaply is refused before
    /// anything is hashed or verified. `None` for a producer that was not learned.
    pub(crate) fn publish_group(
        &mut self,
        group: PublishGroup<'_>,
        proof: Proof<'_>,
        measure: Measure,
    ) -> Option<Published> {
        let producer = group.producer;
        let count = u16::try_from(group.payloads.len()).ok()?;
        let mut chain = self.producers.chain(producer)?;
        let position = self
            .producers
            .position_of_group(producer, group.first, u32::from(count));
        if chain.last().is_none() && chain.next() > group.first {
            let error = ChainError::SignedBehindUnsigned(group.first);
            return Some(Published::BrokenChain(error));
        }
        match position? {
            Position::Duplicate(seq) => return Some(Published::Duplicate(seq)),
            Position::Ahead(next) => return Some(Published::Ahead(next)),
            Position::Overlaps(next) => return Some(Published::Overlaps(next)),
            Position::New => {}
        }
        let mut digest = GroupDigest {
            stream: self.stream,
            author: producer.author,
            producer: producer.id,
            first: group.first,
            count: u32::from(count),
            previous: group.previous,
            root: B256::ZERO,
        };
        // Whether it follows does not depend on the root, which is dear.
        if let Err(error) = chain.clone().push_group(&digest) {
            return Some(Published::BrokenChain(error));
        }
        let bytes = group.payloads.iter().map(|payload| payload.len()).sum();
        let gate = match self.admit(usize::from(count), bytes, measure) {
            Ok(gate) => gate,
            Err(refused) => return Some(refused),
        };
        let key = match verified(&mut digest, &group, proof, measure) {
            Ok(key) => key,
            Err(refused) => return Some(refused),
        };
        self.gate = gate;
        let header = GroupHeader {
            count,
            previous: group.previous,
            key,
            signature: group.signature,
        };
        if let Err(error) = chain.push_group(&digest) {
            return Some(Published::BrokenChain(error));
        }
        let first = self.replay.end();
        for (number, payload) in (group.first..).zip(group.payloads) {
            let header = (number == group.first).then_some(header);
            self.append(producer, number, payload, header, measure);
        }
        self.producers.accept(producer, first, chain);
        Some(Published::Accepted(first))
    }

    /// Whether there is room for so many messages of `bytes` together, in memory and in the stream's rate; the stream's gate behind them.
    fn admit(&self, messages: usize, bytes: usize, measure: Measure) -> Result<StreamGate, Published> {
        if bytes > measure.room || self.backlog.is_full(messages, bytes) {
            return Err(Published::Overloaded);
        }
        let frames = u32::try_from(messages).unwrap_or(u32::MAX);
        let mut gate = self.gate;
        gate.take(measure.rates.stream, Cost { frames, bytes }, measure.instant)
            .map_err(Published::TooFast)?;
        Ok(gate)
    }

    /// Gives a message the next seq, and keeps it for subscribers and for the next batch.
    fn append(
        &mut self,
        producer: ProducerKey,
        producer_seq: u64,
        payload: &[u8],
        group: Option<GroupHeader>,
        measure: Measure,
    ) -> Seq {
        // The machine's clock may be set back; a stream's time is not.
        self.last_time = self.last_time.max(measure.unix);
        let (epoch, seq) = (self.epoch, self.replay.end());
        let message = RelayFrame::Message {
            epoch,
            seq,
            time: self.last_time,
            author: producer.author,
            payload,
        };
        let signature = group.map(|group| {
            Bytes::from(encode(&RelayFrame::Signature {
                epoch,
                seq,
                producer: producer.id,
                producer_seq,
                group,
            }))
        });
        let frame = Bytes::from(encode(&message));
        // The payload is the frame's end: both share one allocation.
        let payload = frame.slice(frame.len() - payload.len()..);
        self.replay.push(frame, signature);
        let record = Record {
            time: self.last_time,
            author: producer.author,
            producer: producer.id,
            producer_seq,
            payload: payload.into(),
            group,
        };
        self.backlog.push(record, measure.due);
        seq
    }

    /// Joins the messages of this turn to chunks, once for all who are caught up; with signatures only where somebody asked for
    /// them and there are some.
    pub(crate) fn freshen(&mut self) {
        let from = self.fanned.max(self.replay.start());
        let signed = self.has_verifiers && self.replay.has_signatures(from);
        self.fresh = chunks(&self.replay, from, false);
        self.fresh_signed = match signed {
            true => chunks(&self.replay, from, true),
            false => Vec::new(),
        };
        self.fanned = self.replay.end();
    }

    pub(crate) fn view(&self) -> View<'_> {
        View {
            replay: &self.replay,
            fresh: &self.fresh,
            fresh_signed: &self.fresh_signed,
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

/// All messages from `from` on, joined.
fn chunks(replay: &ReplayBuffer, mut from: Seq, signatures: bool) -> Vec<Chunk> {
    let mut all = Vec::new();
    while let Some(chunk) = replay.chunk(from, MAX_COALESCE_BYTES, signatures) {
        from = chunk.end;
        all.push(chunk);
    }
    all
}

/// Computes the group's root and checks its signature; the key that made it.
fn verified(
    digest: &mut GroupDigest,
    group: &PublishGroup<'_>,
    proof: Proof<'_>,
    measure: Measure,
) -> Result<PublicKey, Published> {
    let (key, verifying) = match proof {
        Proof::ByEdge(key) => (key, None),
        Proof::Key(key, network, checks) => {
            let key = key.map_err(Published::NoKey)?;
            let per_s = measure.rates.network_checks_per_s;
            checks
                .take(network, per_s, measure.unix)
                .map_err(Published::TooFast)?;
            (key.key(), Some(key))
        }
    };
    let hashes: Vec<B256> = group.payloads.iter().map(keccak256).collect();
    digest.root = group_root(group.first, &hashes);
    match verifying {
        Some(key) if !key.verifies(digest, &group.signature) => Err(Published::BadSignature),
        _ => Ok(key),
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
    pub(crate) fn lead(&mut self, taken: &EpochGrant, max_replay_bytes: usize, now: Instant) {
        self.leadership = Some(Leadership::new(taken, max_replay_bytes, now));
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
