//! What a Batcher object is asked. There is one for each group of buckets, named by the first of them.

use crate::api::call::{Handle, requests, wire_by_field};
use crate::config::Config;
use alloy_primitives::{Address, B256};
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::ids::{Seq, StreamId};
use worker::Env;

requests! {
    /// What a Batcher object is asked.
    BatcherRequest {
        /// Takes what of a stream is sealed and in no round.
        OfferRun -> RunOffered,
    }
}

wire_by_field! {
    OfferRun { stream, owner, first, count, root, watched }
    RunOffered { begin, refused }
}

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
