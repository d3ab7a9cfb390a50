//! What a shard asks of the edge, and what it makes of the answers. How it is carried is the shell's affair.

use bytes::Bytes;
use streamchain_protocol::ids::{Epoch, Incarnation, ProducerId, ShortId};
use streamchain_protocol::wire::Record;
use streamchain_protocol::wire::{Committed, EpochGrant, ProducerState};

/// Which stream a request is about. The number is of this time that the shard has the stream, so that a late
/// answer to an earlier time is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The stream.
    pub stream: ShortId,
    /// The time.
    pub generation: u64,
}

/// A request to the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `PUT …/streams/{stream}`: grant us the stream's epoch.
    AcquireEpoch {
        /// Asks as another run of the relay, and so for a new epoch: after edge and relay disagreed, messages
        /// that clients saw under the old one must not be taken for those to come.
        fresh: Option<Incarnation>,
    },
    /// `GET …/producers/{producer}?epoch=`: how far did the producer get?
    Producer {
        /// The stream's epoch.
        epoch: Epoch,
        /// The producer.
        producer: ProducerId,
    },
    /// `POST …/batches`: store this.
    Batch {
        /// The encoded batch.
        body: Bytes,
    },
    /// `GET …/inbox?epoch=`: which messages came by HTTP?
    Inbox {
        /// The stream's epoch.
        epoch: Epoch,
    },
    /// `DELETE …/streams/{stream}?epoch=`: we let the stream go. Nothing hangs on the answer.
    Release {
        /// The stream's epoch.
        epoch: Epoch,
    },
}

/// The edge's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::AcquireEpoch`].
    AcquireEpoch(Result<EpochGrant, EdgeError>),
    /// To [`Request::Producer`].
    Producer(ProducerId, Result<ProducerState, EdgeError>),
    /// To [`Request::Batch`].
    Batch(Result<Committed, EdgeError>),
    /// To [`Request::Inbox`].
    Inbox(Result<Vec<Record>, EdgeError>),
    /// To [`Request::Release`], whatever came of it.
    Released,
}

/// Why the edge gave no answer of the kind wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// Not reached, overloaded, or at fault itself: the same request is sent again.
    #[error("{0}")]
    Unavailable(String),
    /// The relay's key was refused (401, 403): sent again, for a person must act.
    #[error("the edge refused the relay's key ({0}): check --id and STREAMCHAIN_RELAY_KEY")]
    Unauthorized(u16),
    /// The stream is another relay's, or the epoch is over.
    #[error("the stream is no longer ours: {0}")]
    NotLeader(String),
    /// The stream does not exist.
    #[error("no such stream")]
    NoSuchStream,
    /// Edge and relay do not agree about the stream, or on the protocol: nothing comes of trying again.
    #[error("refused: {0}")]
    Refused(String),
}

impl EdgeError {
    /// Whether the same request may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unauthorized(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_key_names_what_to_check() {
        let text = EdgeError::Unauthorized(401).to_string();
        assert!(text.contains("check --id and STREAMCHAIN_RELAY_KEY"), "{text}");
    }
}
