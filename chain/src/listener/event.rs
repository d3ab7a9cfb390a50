//! The contract's events that are followed, and batches of them.

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolEvent;
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::wire::Omitted;

use super::ring::Mark;
use crate::abi::{Anchored, Published};
use crate::ethereum::Log;

/// The signatures of the events that are followed.
pub(super) const TOPICS: [B256; 2] = [Anchored::SIGNATURE_HASH, Published::SIGNATURE_HASH];

/// An event's block, its place among the block's logs, and the block's hash.
pub type EventId = (u64, u64, B256);

/// An event of the contract, at its place on the chain. A re-included transaction's event has another block hash
/// and is another event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "Members")]
pub struct ChainEvent {
    /// The height of its block.
    pub block: u64,
    /// The hash of its block.
    pub block_hash: B256,
    /// Its place among all logs of the block.
    pub log_index: u64,
    /// The transaction that caused it.
    pub tx: B256,
    /// The stream it is about.
    pub stream: StreamId,
    /// What kind of event it is, with its own fields.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kinds of event that are followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum EventKind {
    /// A run of messages is fixed by a root.
    Anchored {
        /// The account that anchored it.
        anchorer: Address,
        /// The first message's seq.
        first: Seq,
        /// The number of messages.
        count: u32,
        /// The Merkle root over the roots of the segments.
        root: B256,
    },
    /// A payload was published by a transaction of its own.
    Published {
        /// The account that published.
        author: Address,
        /// The bytes that it published; empty when they are left out.
        payload: Bytes,
        /// What is known of bytes that are left out, since they are above the limits of the protocol.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        omitted: Option<Omitted>,
    },
}

/// An event as it is written: the members of both kinds beside each other.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    block: u64,
    block_hash: B256,
    log_index: u64,
    tx: B256,
    stream: StreamId,
    kind: String,
    anchorer: Option<Address>,
    first: Option<Seq>,
    count: Option<u32>,
    root: Option<B256>,
    author: Option<Address>,
    payload: Option<Bytes>,
    omitted: Option<Omitted>,
}

impl Members {
    fn kind(&mut self) -> Option<EventKind> {
        match self.kind.as_str() {
            "anchored" => Some(EventKind::Anchored {
                anchorer: self.anchorer?,
                first: self.first?,
                count: self.count?,
                root: self.root?,
            }),
            "published" => Some(EventKind::Published {
                author: self.author?,
                payload: self.payload.take()?,
                omitted: self.omitted,
            }),
            _ => None,
        }
    }
}

impl TryFrom<Members> for ChainEvent {
    type Error = &'static str;

    fn try_from(mut members: Members) -> Result<Self, Self::Error> {
        let kind = members
            .kind()
            .ok_or("the event's kind is unknown, or lacks a member")?;
        Ok(Self {
            block: members.block,
            block_hash: members.block_hash,
            log_index: members.log_index,
            tx: members.tx,
            stream: members.stream,
            kind,
        })
    }
}

impl ChainEvent {
    /// Reads a log; `None` when it is another event, or malformed.
    pub fn decode(log: &Log) -> Option<Self> {
        let topics = || log.topics.iter().copied();
        let (stream, kind) = match *log.topics.first()? {
            Anchored::SIGNATURE_HASH => {
                let event = Anchored::decode_raw_log(topics(), &log.data).ok()?;
                let (anchorer, first, count) = (event.anchorer, Seq(event.firstSeq), event.count);
                (
                    StreamId(event.stream.0),
                    EventKind::Anchored {
                        anchorer,
                        first,
                        count,
                        root: event.root,
                    },
                )
            }
            Published::SIGNATURE_HASH => {
                let event = Published::decode_raw_log(topics(), &log.data).ok()?;
                let (payload, omitted) = Omitted::limited(event.payload);
                (
                    StreamId(event.stream.0),
                    EventKind::Published {
                        author: event.author,
                        payload,
                        omitted,
                    },
                )
            }
            _ => return None,
        };
        Some(Self {
            block: log.block_number,
            block_hash: log.block_hash,
            log_index: log.log_index,
            tx: log.transaction_hash,
            stream,
            kind,
        })
    }

    /// The id that no other event has; ids sort in the order of the chain.
    pub fn id(&self) -> EventId {
        (self.block, self.log_index, self.block_hash)
    }

    /// The bytes that it published; none for an anchor.
    pub fn payload(&self) -> &[u8] {
        match &self.kind {
            EventKind::Published { payload, .. } => payload,
            EventKind::Anchored { .. } => &[],
        }
    }

    /// The event without its payload, as it is kept until it is final.
    pub(super) fn without_payload(&self) -> Self {
        let kind = match &self.kind {
            EventKind::Published { author, omitted, .. } => EventKind::Published {
                author: *author,
                payload: Bytes::new(),
                omitted: *omitted,
            },
            anchored => anchored.clone(),
        };
        Self { kind, ..self.clone() }
    }
}

/// Returns the logs that were asked for in these blocks as events in the order of the chain, or why they cannot be true.
/// The block `to` is the last one, where it is known.
pub(super) fn events_of(
    contract: Address,
    blocks: core::ops::RangeInclusive<u64>,
    to: Option<Mark>,
    logs: &[Log],
) -> Result<Vec<ChainEvent>, &'static str> {
    let mut events = Vec::with_capacity(logs.len());
    let mut hash_of: Option<(u64, B256)> = None;
    for log in logs {
        if log.address != contract || log.removed || !blocks.contains(&log.block_number) {
            return Err("it gives logs that were not asked for");
        }
        if to.is_some_and(|to| log.block_number == to.number && log.block_hash != to.hash) {
            return Err("it gives logs of another block");
        }
        if hash_of.is_some_and(|(number, hash)| number == log.block_number && hash != log.block_hash) {
            return Err("it gives logs of two blocks with one height");
        }
        hash_of = Some((log.block_number, log.block_hash));
        events.push(ChainEvent::decode(log).ok_or("it gives logs that the contract cannot emit")?);
    }
    events.sort_by_key(ChainEvent::id);
    let place = |event: &ChainEvent| (event.block, event.log_index);
    let mut pairs = events.iter().zip(events.iter().skip(1));
    match pairs.any(|(one, next)| place(one) == place(next)) {
        true => Err("it gives two logs with one place"),
        false => Ok(events),
    }
}

/// Whether a block at this height cannot be taken back any more, when the newest finalized block is known or not.
pub fn is_final(block: u64, finalized: Option<u64>) -> bool {
    finalized.is_some_and(|finalized| block <= finalized)
}

/// What changed on the chain; to be carried out in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Events that a reorganisation took back (their payloads are left out).
    pub undone: Vec<ChainEvent>,
    /// Events in new blocks, in the order of the chain.
    pub seen: Vec<ChainEvent>,
    /// Events seen before that are final now (their payloads are left out).
    pub finalized: Vec<ChainEvent>,
    /// Events of `seen` in blocks up to this height are already final.
    pub final_to: Option<u64>,
}

impl Batch {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.undone.is_empty() && self.seen.is_empty() && self.finalized.is_empty()
    }

    /// Whether an event of `seen` is already final.
    pub fn is_final(&self, event: &ChainEvent) -> bool {
        is_final(event.block, self.final_to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::util::json;

    #[test]
    fn events_are_read_as_written_and_not_without_a_member() {
        let anchored = EventKind::Anchored {
            anchorer: Address::repeat_byte(1),
            first: Seq(2),
            count: 3,
            root: B256::repeat_byte(4),
        };
        let published = EventKind::Published {
            author: Address::repeat_byte(5),
            payload: Bytes::from_static(b"x"),
            omitted: None,
        };
        let omitted = EventKind::Published {
            author: Address::repeat_byte(5),
            payload: Bytes::new(),
            omitted: Some(Omitted::of(b"large")),
        };
        for kind in [anchored, published, omitted] {
            let event = ChainEvent {
                block: 6,
                block_hash: B256::repeat_byte(7),
                log_index: 8,
                tx: B256::repeat_byte(9),
                stream: StreamId([10; 32]),
                kind,
            };
            let written = serde_json::to_value(&event).unwrap();
            assert_eq!(json::from_value::<ChainEvent>(&written).as_ref(), Ok(&event));
            for name in written
                .as_object()
                .unwrap()
                .keys()
                .filter(|name| *name != "omitted")
            {
                let mut changed = written.clone();
                changed.as_object_mut().unwrap().remove(name);
                assert!(json::from_value::<ChainEvent>(&changed).is_err(), "{changed}");
            }
        }
    }
}
