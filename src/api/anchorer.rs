//! What the Anchorer object is asked. The object is named by the signing account's address.

use crate::api::call::{Encoded, Handle, requests, wire_by_field};
use crate::config::Config;
use alloy_primitives::{Address, B256, hex};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use streamchain_chain::listener::{Batch, ChainEvent, EventKind};
use streamchain_chain::sender::{self, Run};
use streamchain_edge_core::chain_notices::with_states;
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::stream_log::{LogState, Segment};
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::stream_settings::Mode;
use worker::Env;

requests! {
    /// What the Anchorer object is asked.
    AnchorerRequest {
        /// Takes segments that are in the database and are to be anchored.
        AddSegments -> (),
        /// Takes what the Listener saw of the contract.
        ApplyAnchors -> (),
        /// Arms the alarm, if it is not.
        EnsureAnchorer -> (),
        /// How it is doing.
        AnchorerStatus -> Encoded<sender::Status>,
        /// What a message costs in each mode.
        EstimateCosts -> Encoded<Value>,
    }
}

wire_by_field! {
    AddSegments { segments }
    ApplyAnchors { anchors }
    EnsureAnchorer {}
    AnchorerStatus {}
    EstimateCosts {}
}

/// The object of the signing account.
pub(crate) fn anchorer_object(
    env: &Env,
    id: &RequestId,
    config: &Config,
) -> worker::Result<Handle<AnchorerRequest>> {
    let name = hex::encode_prefixed(config.operator);
    Ok(Handle::new(
        env.durable_object("ANCHORER")?.get_by_name(&name)?,
        id,
    ))
}

/// Segments of any streams, in any order.
#[derive(Debug)]
pub(crate) struct AddSegments {
    /// The segments.
    pub segments: Vec<UnanchoredSegment>,
}

/// A segment, and what the contract needs to know of its stream.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnanchoredSegment {
    stream: B256,
    owner: Address,
    name: String,
    name_hash: B256,
    first: u64,
    count: u32,
    root: B256,
    mode: Mode,
    prove: bool,
}

impl UnanchoredSegment {
    /// A segment of the stream with this state.
    pub fn new(stream: &LogState, segment: &Segment) -> Self {
        Self {
            stream: stream.id.word(),
            owner: stream.owner,
            name: stream.name.as_str().to_owned(),
            name_hash: stream.name.hash(),
            first: segment.first.0,
            // A segment has at most 4,096 messages.
            count: u32::try_from(segment.count).unwrap_or(u32::MAX),
            root: segment.root,
            mode: segment.mode,
            prove: segment.prove,
        }
    }
}

impl From<UnanchoredSegment> for sender::Segment {
    fn from(segment: UnanchoredSegment) -> Self {
        Self {
            stream: segment.stream,
            owner: segment.owner,
            name: segment.name,
            name_hash: segment.name_hash,
            first: segment.first,
            count: segment.count,
            root: segment.root,
            mode: segment.mode,
            prove: segment.prove,
        }
    }
}

/// Runs of messages and what became of their anchors, in the order of the chain.
#[derive(Debug)]
pub(crate) struct ApplyAnchors {
    /// The anchors.
    pub anchors: Vec<SeenAnchor>,
}

impl ApplyAnchors {
    /// The anchors of a batch.
    pub(crate) fn of(batch: &Batch) -> Self {
        let mut anchors = Vec::new();
        for (event, state, _) in with_states(batch) {
            anchors.extend(SeenAnchor::of(event, state));
        }
        Self { anchors }
    }
}

/// A run of messages, and what became of its anchor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SeenAnchor {
    stream: B256,
    first: u64,
    count: u32,
    root: B256,
    /// What became of it.
    pub state: AnchorState,
}

impl SeenAnchor {
    fn of(event: &ChainEvent, state: AnchorState) -> Option<Self> {
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
            state,
        })
    }

    /// The run of messages.
    pub(crate) fn run(&self) -> Run {
        Run {
            stream: self.stream,
            first: self.first,
            count: self.count,
            root: self.root,
        }
    }
}

/// Arms the alarm.
#[derive(Debug)]
pub(crate) struct EnsureAnchorer {}

/// Asks for the status.
#[derive(Debug)]
pub(crate) struct AnchorerStatus {}

/// Asks for the costs.
#[derive(Debug)]
pub(crate) struct EstimateCosts {}
