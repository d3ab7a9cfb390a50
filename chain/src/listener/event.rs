//! The contract's events, as far as they are followed.

use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolEvent;
use serde::{Deserialize, Serialize};

use crate::abi::{Anchored, Published};
use crate::rpc::Log;

/// The signatures of the events that are followed.
pub(super) const TOPICS: [B256; 2] = [Anchored::SIGNATURE_HASH, Published::SIGNATURE_HASH];

/// An event's block, its place among the block's logs, and the block's hash.
pub type EventId = (u64, u64, B256);

/// An event of the contract, at its place on the chain. A re-included transaction's event has another block hash
/// and is another event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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
    pub stream: B256,
    /// What it says.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum EventKind {
    /// A run of messages is fixed by a root.
    Anchored {
        /// Who anchored it.
        anchorer: Address,
        /// The first message's seq.
        first: u64,
        /// How many messages.
        count: u32,
        /// The root.
        root: B256,
    },
    /// Somebody published on the chain.
    Published {
        /// Who.
        author: Address,
        /// What.
        payload: Bytes,
    },
}

impl ChainEvent {
    /// Reads a log; `None` when it is not one of the events that are followed, or not in their shape.
    pub fn decode(log: &Log) -> Option<Self> {
        let topics = || log.topics.iter().copied();
        let (stream, kind) = match *log.topics.first()? {
            Anchored::SIGNATURE_HASH => {
                let event = Anchored::decode_raw_log(topics(), &log.data).ok()?;
                let (anchorer, first, count) = (event.anchorer, event.firstSeq, event.count);
                (
                    event.stream,
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
                (
                    event.stream,
                    EventKind::Published {
                        author: event.author,
                        payload: event.payload,
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

    /// What tells it from every other event, in the order of the chain.
    pub fn id(&self) -> EventId {
        (self.block, self.log_index, self.block_hash)
    }

    /// The same event, light enough to be held.
    pub(super) fn without_payload(&self) -> Self {
        let kind = match &self.kind {
            EventKind::Published { author, .. } => EventKind::Published {
                author: *author,
                payload: Bytes::new(),
            },
            anchored => anchored.clone(),
        };
        Self { kind, ..self.clone() }
    }
}
