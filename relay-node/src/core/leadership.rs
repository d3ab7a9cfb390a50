//! A stream that this shard leads: it alone gives seqs to its messages.
//!
//! What always holds: `replay.end() == backlog.head()`, and a message is in both from the moment it has a seq.

use crate::core::backlog::Backlog;
use crate::core::edge_requests::Lookup;
use crate::core::fan::{Fan, Standing};
use crate::core::producers::{Position, Producers};
use crate::core::publication::Publication;
use crate::core::rates::{CheckMeter, Cost, Rates, StreamGate};
use crate::core::reply::Published;
use crate::core::retry::Retry;
use crate::core::send_queue::encode;
use crate::core::signer::{Signer, VerifyingKey};
use bytes::Bytes;
use std::collections::HashMap;
use std::time::Instant;
use streamchain_protocol::ids::{Epoch, Seq, StreamId};
use streamchain_protocol::signed::{ChainError, GroupDigest, GroupHeader, PublicKey, Signature, group_root};
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::frame::RelayFrame;
use streamchain_protocol::wire::{EpochGrant, ProducerKey, ProducerState, Record};
use streamchain_protocol::{B256, keccak256};

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

/// Who publishes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By<'a> {
    pub producer: ProducerKey,
    pub signer: &'a Signer,
    /// Whose share of checked signatures is used.
    pub network: Network,
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
    /// Whether the edge has said at this moment that there are no messages: then nobody has any stored, and need not be looked up.
    /// Later only the edge knows, since another relay may lead by then.
    pub is_empty_now: bool,
    /// Whether the edge is being asked for the stream's settings again: nobody is welcomed meanwhile.
    pub is_refreshing: bool,
    pub fan: Fan,
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
}

/// Whether a publisher's state is known to the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greeted {
    /// It may publish behind its last committed number.
    Known(Option<u64>),
    /// The edge must be asked first.
    LookUp(Lookup),
}

impl Leadership {
    /// The epoch was granted.
    pub(crate) fn new(taken: &EpochGrant, max_replay_bytes: usize, now: Instant) -> Self {
        Self {
            epoch: taken.epoch,
            stream: taken.stream,
            signed: taken.signed,
            is_empty_now: taken.head == Seq(0),
            is_refreshing: false,
            fan: Fan::new(taken.head, max_replay_bytes),
            backlog: Backlog::new(taken.head),
            producers: Producers::default(),
            lookups: HashMap::new(),
            batch_retry: Retry::default(),
            batch_closed: None,
            gate: StreamGate::new(now),
            is_fetching: false,
            fetched: taken.head,
            last_time: UnixMs(0),
        }
    }

    /// How the stream stands.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            epoch: self.epoch,
            signed: self.signed,
            head: self.fan.replay.end(),
            committed: self.backlog.committed(),
        }
    }

    /// A publisher begins, whose *hello* named a key that only the edge knows of, or none.
    pub(crate) fn greet(&mut self, producer: ProducerKey, key: Option<PublicKey>) -> Greeted {
        // An edge that stores no groups knows no keys.
        let key = key.filter(|_| self.signed.is_some());
        if self.is_empty_now {
            self.producers.learn(producer, &ProducerState::default());
        }
        match key.is_none() && self.producers.knows(producer) {
            true => Greeted::Known(self.producers.join(producer).flatten()),
            false => Greeted::LookUp(Lookup { producer, key }),
        }
    }

    /// Gives a publication its seqs, or says why it gets none. `None` for a producer that was not learned.
    pub(crate) fn take(
        &mut self,
        publication: Publication<'_>,
        by: By<'_>,
        checks: &mut CheckMeter,
        measure: Measure,
    ) -> Option<Published> {
        let (producer, first) = (by.producer, publication.producer_seq);
        match publication {
            Publication {
                signed: Some((previous, signature)),
                payloads,
                ..
            } => {
                if self.signed.is_none() {
                    return Some(Published::NoGroups);
                }
                let group = PublishGroup {
                    producer,
                    first,
                    payloads,
                    previous,
                    signature,
                };
                let proof = Proof::Key(by.signer.key(measure.unix.to_sec()), by.network, checks);
                self.publish_group(group, proof, measure)
            }
            Publication {
                payloads: [payload], ..
            } => {
                let publish = Publish {
                    producer,
                    producer_seq: first,
                    payload,
                    is_from_edge: false,
                };
                self.publish(publish, measure)
            }
            // A message of no group is one payload.
            Publication { .. } => None,
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
        let first = self.fan.replay.end();
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
        let (epoch, seq) = (self.epoch, self.fan.replay.end());
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
        self.fan.replay.push(frame, signature);
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

    /// Messages that are not committed yet.
    pub(crate) fn uncommitted(&self) -> u64 {
        self.backlog.head().0 - self.backlog.committed().0
    }

    /// When it wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let lookups = self.lookups.values().filter_map(Retry::at);
        lookups
            .chain(self.batch_retry.at())
            .chain(self.backlog.next_close())
            .min()
    }
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
