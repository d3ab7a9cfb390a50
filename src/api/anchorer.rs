//! What the Anchorer object is asked. The object is named by the signing account's address.

use crate::api::call::{Encoded, Handle, requests, wire_by_field};
use crate::config::Config;
use alloy_primitives::hex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use streamchain_chain::anchorer::{self, Run};
use streamchain_chain::listener::{Batch, ChainEvent, EventKind};
use streamchain_edge_core::chain_notices::with_states;
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::stream_log::{LogState, OutboxSegment};
use streamchain_protocol::proof::AnchorState;
use worker::Env;

requests! {
    /// What the Anchorer object is asked.
    AnchorerRequest {
        /// Takes segments that are in the database and are to be anchored.
        AddSegments -> SegmentsAdded,
        /// Runs wait for a round.
        AnnounceRuns -> (),
        /// Takes what the Listener saw of the contract.
        ApplyAnchors -> (),
        /// Arms the alarm, if it is not.
        EnsureAnchorer -> (),
        /// How it is doing.
        AnchorerStatus -> Encoded<anchorer::Status>,
        /// What a message costs in each mode.
        EstimateCosts -> Encoded<Value>,
    }
}

wire_by_field! {
    AddSegments { segments }
    SegmentsAdded { refused }
    AnnounceRuns { first_bucket }
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
    pub segments: Vec<anchorer::Segment>,
}

/// What became of segments that were handed over.
#[derive(Debug)]
pub(crate) struct SegmentsAdded {
    /// Why the stream has to keep them and to try again, if it has to.
    pub refused: Option<String>,
}

/// The segment of a stream's outbox, with what the contract needs to know of the stream.
pub(crate) fn segment_of(stream: &LogState, outbox: &OutboxSegment) -> anchorer::Segment {
    let segment = outbox.segment;
    anchorer::Segment {
        stream: stream.id,
        owner: stream.owner,
        name: stream.name.as_str().to_owned(),
        name_hash: stream.name.hash(),
        first: segment.first,
        // A segment has at most 4,096 messages.
        count: u32::try_from(segment.count).unwrap_or(u32::MAX),
        root: segment.root,
        mode: outbox.mode,
        prove: outbox.prove,
    }
}

/// A batcher has runs for a round.
#[derive(Debug)]
pub(crate) struct AnnounceRuns {
    /// The first of its buckets.
    pub first_bucket: u8,
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
    run: Run,
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
        let run = Run {
            stream: event.stream,
            first,
            count,
            root,
        };
        Some(Self { run, state })
    }

    /// The run of messages.
    pub(crate) fn run(&self) -> Run {
        self.run
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
