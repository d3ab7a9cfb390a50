//! What a Batcher object is asked. There is one for each group of buckets, named by the first of them.

use crate::api::call::{Encoded, Handle, requests, wire_as_json, wire_by_field};
use crate::config::Config;
use alloy_primitives::{Address, B256};
use serde_json::Value;
use streamchain_chain::batcher;
use streamchain_chain::listener::{Batch, EventKind};
use streamchain_chain::rounds::{Closed, GroupRoots, RoundAnchor};
use streamchain_edge_core::chain_notices::with_states;
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::ids::{Seq, StreamId};
use worker::Env;

requests! {
    /// What a Batcher object is asked.
    BatcherRequest {
        /// Takes what of a stream is sealed and in no round.
        OfferRun -> RunOffered,
        /// Freezes what is pending for a round, and says what that is.
        CloseRound -> Closed,
        /// A round is fixed: writes what this batcher has in it to the database.
        FixRound -> (),
        /// Notes that somebody watches a stream.
        WatchStream -> (),
        /// Takes what the Listener saw of rounds.
        ApplyRounds -> (),
        /// Arms the alarm, if it is not.
        EnsureBatcher -> (),
        /// How much waits.
        BatcherStatus -> Encoded<Value>,
    }
}

wire_by_field! {
    OfferRun { stream, owner, first, count, root, watched }
    RunOffered { begin, refused }
    CloseRound { round, previous }
    FixRound { fixed }
    WatchStream { stream, owner }
    ApplyRounds { rounds }
    EnsureBatcher {}
    BatcherStatus {}
}

wire_as_json!(Closed);

/// The object whose buckets a stream's id belongs to.
pub(crate) fn batcher_object(
    env: &Env,
    id: &RequestId,
    config: &Config,
    stream: StreamId,
) -> worker::Result<Handle<BatcherRequest>> {
    let bucket = stream.0.first().copied().unwrap_or_default();
    batcher_of_group(env, id, config.batchers.first_bucket(bucket))
}

/// The object of the group that begins with a bucket.
pub(crate) fn batcher_of_group(
    env: &Env,
    id: &RequestId,
    first_bucket: u8,
) -> worker::Result<Handle<BatcherRequest>> {
    let name = first_bucket.to_string();
    Ok(Handle::new(
        env.durable_object("BATCHER")?.get_by_name(&name)?,
        id,
    ))
}

/// One run of a stream: all that is sealed and in no round. It replaces the run that the stream offered before.
#[derive(Debug, Clone)]
pub(crate) struct OfferRun {
    /// The stream.
    pub stream: StreamId,
    /// The account that the stream belongs to, whose share it takes.
    pub owner: Address,
    /// The first message: where the batcher said that the next run begins.
    pub first: Seq,
    /// How many messages.
    pub count: u32,
    /// Over the roots of the run's segments.
    pub root: B256,
    /// Whether the stream is to be notified of what becomes of its runs.
    pub watched: bool,
}

/// What became of an offer.
#[derive(Debug)]
pub(crate) struct RunOffered {
    /// Where the stream's next run begins: behind the last run that is in a round. An offer that begins elsewhere changes
    /// nothing, and the stream offers again from here.
    pub begin: Seq,
    /// Why the offer was not taken, when the share of the stream's owner is full: the stream offers again later.
    pub refused: Option<String>,
}

impl From<&OfferRun> for batcher::OfferRun {
    fn from(offer: &OfferRun) -> Self {
        Self {
            stream: offer.stream,
            owner: offer.owner,
            first: offer.first,
            count: offer.count,
            root: offer.root,
            watched: offer.watched,
        }
    }
}

/// A stream that somebody watches, who is to hear what becomes of its runs without waiting for its next offer.
#[derive(Debug, Clone)]
pub(crate) struct WatchStream {
    /// The stream.
    pub stream: StreamId,
    /// The account that the stream belongs to.
    pub owner: Address,
}

/// A round that is about to be fixed.
#[derive(Debug, Clone)]
pub(crate) struct CloseRound {
    /// The round.
    pub round: u64,
    /// How the round before it was fixed.
    pub previous: Option<GroupRoots>,
}

/// A round that is fixed.
#[derive(Debug, Clone)]
pub(crate) struct FixRound {
    /// What it has of this batcher.
    pub fixed: GroupRoots,
}

/// What the Listener saw of rounds, in the order of the chain.
#[derive(Debug, Clone)]
pub(crate) struct ApplyRounds {
    /// Where each round is.
    pub rounds: Vec<RoundAnchor>,
}

/// A round that the chain has, or has no longer, with the root that was emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeenRound {
    /// Where it is.
    pub anchor: RoundAnchor,
    /// The root that was emitted.
    pub root: B256,
}

/// The rounds in a batch of events. An anchor over several messages of the stream of rounds is no round.
pub(crate) fn seen_rounds(stream: StreamId, batch: &Batch) -> Vec<SeenRound> {
    let seen = with_states(batch).filter(|(event, ..)| event.stream == stream);
    let seen = seen.filter_map(|(event, state, _)| match event.kind {
        EventKind::Anchored {
            first,
            count: 1,
            root,
            ..
        } => Some(SeenRound {
            anchor: RoundAnchor {
                round: first.0,
                tx: event.tx,
                block: event.block,
                state,
            },
            root,
        }),
        _ => None,
    });
    seen.collect()
}

/// Arms the alarm.
#[derive(Debug)]
pub(crate) struct EnsureBatcher {}

/// Asks for the status.
#[derive(Debug)]
pub(crate) struct BatcherStatus {}
