//! What a stream offers, and what it is answered.

use alloy_primitives::{Address, B256};
use streamchain_protocol::ids::{Seq, StreamId};

/// One run of a stream: all that is sealed and in no round. It takes the place of what the stream offered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferRun {
    /// The stream.
    pub stream: StreamId,
    /// The account that the stream belongs to, whose share it takes.
    pub owner: Address,
    /// The seq of the first message.
    pub first: Seq,
    /// The number of messages.
    pub count: u32,
    /// The Merkle root over the roots of the run's segments.
    pub root: B256,
    /// Whether the stream is to be notified of what becomes of its runs.
    pub watched: bool,
}

/// What became of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOffered {
    /// Where the stream's next run begins: behind the last run that is decided. An offer that begins elsewhere changes
    /// nothing, and the stream offers again from here.
    pub begin: Seq,
    /// Why the offer was not taken: the stream offers again later.
    pub refused: Option<String>,
}

/// What follows from an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    /// This is the answer, once what [`Batcher::take_unsaved`](super::Batcher::take_unsaved) returns is written.
    Answer(RunOffered),
    /// Nothing is known of the stream here: read its newest run from the database, call
    /// [`Batcher::handle_known`](super::Batcher::handle_known) with it, and offer again.
    Unknown,
}

/// An offer that no stream of this batcher makes: the caller has a bug, or the number of batchers was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// The run has no message, or its range goes past 2^64.
    #[error("the run of {stream} at message {first} is empty or too long")]
    BadRange {
        /// The run's stream.
        stream: StreamId,
        /// The run's first message.
        first: Seq,
    },
    /// The stream belongs to another batcher.
    #[error(
        "stream {stream} is not of the buckets from {first_bucket} on, which this batcher gathers: BATCHERS was changed"
    )]
    OtherGroup {
        /// The stream.
        stream: StreamId,
        /// The first bucket of this batcher.
        first_bucket: u8,
    },
}
