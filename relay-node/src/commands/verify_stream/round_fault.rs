//! What can be wrong with rounds, each a proof that can be shown to others.

use streamchain_protocol::B256;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::run::BadRuns;

/// What is wrong with rounds, or with what the edge shows of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RoundFault {
    #[error("on the chain, round {due} is missing: are events read from a block that is too late?")]
    Missing { due: u64 },
    /// The edge does not give a list that it must have had when it anchored the round.
    #[error("the edge withholds the list of bucket {bucket} of round {round}, which is on the chain")]
    Withheld { round: u64, bucket: u8 },
    /// The list breaks a rule of lists, such as one run for each stream.
    #[error("the list of bucket {bucket} of round {round}: {reason}")]
    List { round: u64, bucket: u8, reason: BadRuns },
    #[error(
        "the list of bucket {bucket} of round {round} has a run of stream {stream}, which is in another bucket"
    )]
    Bucket {
        round: u64,
        bucket: u8,
        stream: StreamId,
    },
    #[error("the list of bucket {bucket} of round {round} gives root {computed}, the chain says {root}")]
    Root {
        round: u64,
        bucket: u8,
        computed: B256,
        root: B256,
    },
    /// A run does not name the one before it, so one of the two is not what the stream's past was.
    #[error(
        "the run at message {first} in round {round} names {given} as the run before it, which is {expected}"
    )]
    Previous {
        round: u64,
        first: Seq,
        given: B256,
        expected: B256,
    },
}
