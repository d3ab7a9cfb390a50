//! What the Anchorer asks its owner to do.

use streamchain_protocol::ids::{Seq, StreamId};

#[cfg(doc)]
use super::{Anchorer, StoredSegment};
use crate::rounds::RoundTask;

/// What the machine asks for beside rows and answers of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Read a segment's records from the database; [`Anchorer::handle_records`] takes the outcome.
    Records(ReadRecords),
    /// Read a stream's segments from the database; [`Anchorer::handle_stored`] takes the outcome.
    Segments(ReadSegments),
    /// Read rounds from the database; [`Anchorer::handle_stored`] takes the outcome.
    Rounds(ReadRounds),
    /// Do what making a round asks for.
    Round(RoundTask),
}

/// The rounds that are to be read, as [`StoredSegment::of_round`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRounds {
    /// The first one wanted.
    pub from: u64,
    /// The most that are wanted.
    pub limit: usize,
}

/// The segments of a stream that are to be read, without their records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSegments {
    /// The stream.
    pub stream: StreamId,
    /// The first one wanted is that which has this message.
    pub from: Seq,
    /// The most that are wanted.
    pub limit: usize,
}

/// The segment whose records are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRecords {
    /// The segment's stream.
    pub stream: StreamId,
    /// The segment's first message.
    pub first: Seq,
    /// The number of its messages.
    pub count: u32,
}
