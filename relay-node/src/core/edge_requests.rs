//! The requests of a shard to the edge, and their answers. The shell decides how they are carried.

use bytes::Bytes;
use std::sync::Arc;
use streamchain_protocol::ids::{Epoch, Incarnation, ShortId};
use streamchain_protocol::signed::PublicKey;
use streamchain_protocol::wire::Record;
use streamchain_protocol::wire::{Committed, EpochGrant, FollowGrant, Presence, ProducerKey, ProducerState};

/// Which stream a request is about. The generation counts how often the shard has had the stream, so that a late answer
/// to an earlier generation is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The stream that the request is about.
    pub stream: ShortId,
    /// Which time that the shard has the stream, counted over all streams.
    pub generation: u64,
}

/// What a look-up of a producer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// The producer.
    pub producer: ProducerKey,
    /// A key, of which only the edge can say whether it signs for the producer's author.
    pub key: Option<PublicKey>,
}

/// A leader that this relay followed, or was to follow, and does not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostLeader {
    /// Its epoch.
    pub epoch: Epoch,
    /// How the link was lost.
    pub loss: Loss,
}

/// How a link was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It failed, or nothing came over it for too long.
    Failed,
    /// Nobody listens at the other relay's port any more: its process is gone.
    PortClosed,
}

/// A request to the edge about one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `PUT …/streams/{stream}`: acquires the stream's epoch.
    AcquireEpoch {
        /// Asks as another run of the relay, and so for a new epoch: after edge and relay disagreed, messages
        /// that clients saw under the old one must not be taken for those to come.
        fresh: Option<Incarnation>,
        /// The leader that was not reached.
        lost: Option<LostLeader>,
    },
    /// `GET …/producers/{producer}?epoch=&author=&key=`: asks how far a producer is committed, and whether a key is its author's.
    Producer {
        /// The epoch that the shard asks under.
        epoch: Epoch,
        /// What the shard asks about.
        lookup: Lookup,
    },
    /// `POST …/batches`: commits messages.
    Batch {
        /// The batch, encoded as [`streamchain_protocol::wire::Batch`].
        body: Bytes,
    },
    /// `GET …/inbox?epoch=`: reads the messages that came by HTTP.
    Inbox {
        /// The epoch that the shard asks under.
        epoch: Epoch,
    },
    /// `PUT …/streams/{stream}/presence?epoch=`: reports who is at the stream. Nothing depends on the answer.
    Presence {
        /// The epoch that the shard leads.
        epoch: Epoch,
        /// Who is there, over all relays.
        presence: Arc<Presence>,
    },
    /// `DELETE …/streams/{stream}?epoch=`: releases the epoch. Nothing depends on the answer.
    Release {
        /// The epoch that ends.
        epoch: Epoch,
    },
}

/// The edge's answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::AcquireEpoch`].
    AcquireEpoch(Result<EpochGrant, EdgeError>),
    /// To [`Request::AcquireEpoch`] of a relay that follows, where another one leads.
    Follow(Box<FollowGrant>),
    /// To [`Request::Producer`].
    Producer(Lookup, Result<ProducerState, EdgeError>),
    /// To [`Request::Batch`].
    Batch(Result<Committed, EdgeError>),
    /// To [`Request::Inbox`].
    Inbox(Result<Vec<Record>, EdgeError>),
    /// To [`Request::Release`], whether it succeeded or not.
    Released,
    /// To [`Request::Presence`], whether it succeeded or not.
    PresenceTaken,
}

/// Why a request to the edge failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// The edge was not reached, is overloaded or failed: the same request is sent again.
    #[error("{0}")]
    Unavailable(String),
    /// The edge refused the relay's key (401, 403). The request is sent again: an operator must act.
    #[error("the edge refused the relay's key ({0}): check --id and STREAMCHAIN_RELAY_KEY")]
    Unauthorized(u16),
    /// Another relay is the stream's leader, or the epoch has ended.
    #[error("this relay is not the stream's leader: {0}")]
    NotLeader(String),
    /// The edge has no stream of this id (404).
    #[error("no such stream")]
    NoSuchStream,
    /// Edge and relay disagree about the stream or the protocol: the same request would fail again.
    #[error("refused: {0}")]
    Refused(String),
}

impl EdgeError {
    /// Whether the same request may succeed later.
    pub(crate) fn is_passing(&self) -> bool {
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
