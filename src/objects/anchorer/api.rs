//! What the Stream objects and the Listener say to the Anchorer.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use streamchain_chain::anchorer::{Run, Segment};
use streamchain_chain::listener::{ChainEvent, EventKind};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::stream_settings::Mode;

/// `POST /segments`: what is stored and wants to be anchored.
#[derive(Debug, Serialize, Deserialize)]
pub struct SegmentsBody {
    /// Segments of any streams, in any order.
    pub segments: Vec<SegmentBody>,
}

/// One of [`SegmentsBody`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentBody {
    stream: StreamId,
    owner: Address,
    name: String,
    name_hash: B256,
    first: Seq,
    count: u64,
    root: B256,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    prove: bool,
}

impl TryFrom<SegmentBody> for Segment {
    type Error = &'static str;

    fn try_from(body: SegmentBody) -> Result<Self, Self::Error> {
        let count = body
            .count
            .try_into()
            .map_err(|_| "a segment has at most 2^32 - 1 messages")?;
        let SegmentBody {
            stream,
            owner,
            name,
            name_hash,
            first,
            root,
            mode,
            prove,
            ..
        } = body;
        Ok(Self {
            stream,
            owner,
            name,
            name_hash,
            first,
            count,
            root,
            mode,
            prove,
        })
    }
}

/// `POST /events`: what the Listener saw of the contract.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct EventsBody {
    /// Runs that are on the chain.
    pub anchored: Vec<AnchoredBody>,
    /// Runs that a reorganisation took back.
    pub reverted: Vec<AnchoredBody>,
}

impl EventsBody {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.anchored.is_empty() && self.reverted.is_empty()
    }
}

/// A run on the chain.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnchoredBody {
    stream: StreamId,
    first: Seq,
    count: u32,
    root: B256,
    tx: B256,
    block: u64,
    block_hash: B256,
    log_index: u64,
    state: AnchorState,
}

impl AnchoredBody {
    /// The anchor that an event tells of; `None` when it tells of something else.
    pub fn of(event: &ChainEvent, state: AnchorState) -> Option<Self> {
        let EventKind::Anchored {
            first, count, root, ..
        } = event.kind
        else {
            return None;
        };
        Some(Self {
            stream: event.stream,
            first,
            count,
            root,
            tx: event.tx,
            block: event.block,
            block_hash: event.block_hash,
            log_index: event.log_index,
            state,
        })
    }

    /// The run of messages.
    pub fn run(&self) -> Run {
        Run {
            stream: self.stream,
            first: self.first,
            count: self.count,
            root: self.root,
        }
    }

    /// Whether its block is final.
    pub fn is_final(&self) -> bool {
        self.state == AnchorState::Final
    }
}
