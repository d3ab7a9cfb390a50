//! What a log consists of: its one row of state, and the batches beside it.

use super::events::EventRange;
use super::inbox::Inbox;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{Epoch, Incarnation, RelayId, Seq, StreamId, StreamName};
use streamchain_protocol::stream_settings::StreamSettings;

/// A run of a relay that was granted an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// The relay.
    pub relay: RelayId,
    /// The run.
    pub incarnation: Incarnation,
}

/// The batch that was committed last, to know its retry by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBatch {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its first seq.
    pub first: Seq,
    /// keccak256 of its encoded records.
    pub digest: B256,
}

/// What a stream is and how far it got: one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogState {
    /// `keccak256(abi.encode(owner, keccak256(name)))`.
    pub id: StreamId,
    /// Who owns it.
    pub owner: Address,
    /// Its name.
    pub name: StreamName,
    /// What its owner chose.
    #[serde(default)]
    pub settings: StreamSettings,
    /// When it was made, Unix milliseconds.
    pub created: u64,
    /// Whether the database's table of streams has it.
    pub listed: bool,
    /// The current fencing number; 0 before the first relay took the stream up.
    pub epoch: Epoch,
    /// Who was granted it.
    #[serde(rename = "holder")]
    pub leader: Option<Leader>,
    /// The relay that new sessions are sent to.
    pub assigned: Option<RelayId>,
    /// Messages stored; the next seq to be given.
    pub head: Seq,
    /// Messages in the database's segments.
    pub flushed: Seq,
    /// Encoded bytes of the batches kept here.
    pub backlog: u64,
    /// The last commit.
    pub last_batch: Option<LastBatch>,
    /// Messages under anchors that are on chain.
    pub anchored: Seq,
    /// Messages under anchors in finalized blocks.
    pub finalized: Seq,
    /// What waits for the relay.
    #[serde(default)]
    pub inbox: Inbox,
    /// Which events are kept.
    #[serde(default)]
    pub events: EventRange,
}

impl LogState {
    /// The relay that holds the stream; `None` when nobody does, or the edge itself.
    pub fn relay_leader(&self) -> Option<&RelayId> {
        let leader = self.leader.as_ref().map(|leader| &leader.relay);
        leader.filter(|relay| !relay.is_edge())
    }

    /// The relay that has the stream, or that it is meant for.
    pub fn relay(&self) -> Option<&RelayId> {
        self.relay_leader().or(self.assigned.as_ref())
    }
}

/// What a stream begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewStream {
    /// Who owns it.
    pub owner: Address,
    /// Its name.
    pub name: StreamName,
    /// What its owner chose.
    #[serde(default)]
    pub settings: StreamSettings,
}

/// A committed batch as it is kept until the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    /// The first record's seq.
    pub first: Seq,
    /// How many records.
    pub count: u64,
    /// The records, encoded one after the other ([`streamchain_protocol::wire::decode_records`]).
    pub records: Vec<u8>,
}

impl StoredBatch {
    /// One past the last record's seq.
    pub fn end(&self) -> Seq {
        Seq(self.first.0 + self.count)
    }
}
