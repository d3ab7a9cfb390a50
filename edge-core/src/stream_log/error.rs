//! Why a step of the log fails.

use super::state::MAX_MEMBERS;
use alloy_primitives::Address;
use streamchain_protocol::ids::{Epoch, ProducerId, RelayId, Seq};
use streamchain_protocol::limits::MAX_BATCH_BYTES;
use streamchain_protocol::signed::{ChainError, GroupError};
use streamchain_protocol::stream_settings::SettingsConflict;

/// Why a step was refused: nothing was changed, and the same request will be refused again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The stream was never created.
    #[error("the stream does not exist")]
    NoSuchStream,
    /// The epoch is over, or was never granted.
    #[error("epoch {given} is not the stream's epoch {epoch}: release the stream")]
    StaleEpoch {
        /// The request's epoch.
        given: Epoch,
        /// The stream's epoch.
        epoch: Epoch,
    },
    /// The stream is assigned to another relay, or led by it.
    #[error("the stream is assigned to relay {relay}")]
    NotLeader {
        /// The other relay.
        relay: RelayId,
    },
    /// The leader lives, or got the stream a moment ago, and the relay that asks does not reach it.
    #[error("relay {relay} leads the stream: send your sessions on it away")]
    Unreachable {
        /// The leader.
        relay: RelayId,
    },
    /// The relay reports more leaders or streams as lost than is believed of one at a time.
    #[error("too many reports of lost leaders: ask again in a second")]
    TooManyReports,
    /// No session was opened on the stream, so no relay has anything to do there.
    #[error("the stream is assigned to no relay: the edge assigns it when a session is opened")]
    NotAssigned,
    /// The batch has a message whose author the edge never sent to this relay.
    #[error("the batch has a message of {0}, who opened no session to publish at this relay")]
    UnknownAuthor(Address),
    /// The batch does not follow what is committed.
    #[error("the batch begins at seq {given}, but the next seq is {expected}")]
    Gap {
        /// The batch's first seq.
        given: Seq,
        /// The stream's head.
        expected: Seq,
    },
    /// A producer_seq was committed before, or leaves one out.
    #[error("producer {producer} sent producer_seq {given}, but {}", last_committed(*stored))]
    ProducerConflict {
        /// The producer.
        producer: ProducerId,
        /// The producer_seq that was sent.
        given: u64,
        /// The last producer_seq that is committed, or waits.
        stored: Option<u64>,
    },
    /// A signed group of the batch or of the request is not whole, or too large.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// Records that are neither one message nor one group.
    #[error("expected one message, or the messages of one signed group")]
    NotOnePublication,
    /// A signed group does not follow its producer's group before it, or signed and unsigned messages are mixed.
    #[error("producer {producer}: {error}")]
    BrokenChain {
        /// The producer.
        producer: ProducerId,
        /// What is wrong.
        error: ChainError,
    },
    /// The stream takes signed messages alone.
    #[error("this stream takes signed messages alone")]
    SignatureRequired,
    /// The stream takes signed messages alone, and the batch has one that is not.
    #[error("the batch has an unsigned message of {0}, and the stream takes signed messages alone")]
    Unsigned(Address),
    /// The stream's leader is a relay of the version before.
    #[error("the stream's relay takes no signed messages yet: send this one again later")]
    NoGroupsAtRelay,
    /// More encoded bytes than one segment takes.
    #[error("the batch has {0} encoded bytes: expected at most {MAX_BATCH_BYTES}")]
    TooLarge(usize),
    /// The database has not taken the older messages yet.
    #[error("{0} bytes wait for the database: send the batch again later")]
    Backlog(u64),
    /// The relay has not fetched the older messages yet.
    #[error("{0} messages wait for the stream's relay: send this one again later")]
    InboxFull(u64),
    /// The relay has not fetched the older messages of the same network yet.
    #[error("{0} messages of one network wait for the stream's relay: send this one again later")]
    InboxShare(usize),
    /// The reader lacks the right to read the stream.
    #[error("this stream does not let you read")]
    MayNotRead {
        /// Whether the reader showed credentials.
        has_credentials: bool,
        /// Whether the stream is hidden from the reader: it is private, and the reader has no right on it.
        is_hidden: bool,
    },
    /// The session does not exist, or is over.
    #[error("the session does not exist, or is over")]
    NoSuchSession,
    /// Somebody else opened the session.
    #[error("the session belongs to another author")]
    NotYourSession,
    /// The address is not a member's.
    #[error("{0} is not a member of the stream")]
    NoSuchMember(Address),
    /// The settings do not go together, or the change is not to be made.
    #[error(transparent)]
    Settings(#[from] SettingsConflict),
    /// There is no room for another member.
    #[error("the stream has {MAX_MEMBERS} members already, the most that it may have")]
    TooManyMembers,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError<E> {
    /// The request does not fit the stream.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What was stored cannot be read back.
    #[error("the messages from seq {0} on cannot be read back")]
    Corrupt(Seq),
    /// The storage failed; the step may be tried again.
    #[error("storage: {0}")]
    Store(E),
}

fn last_committed(stored: Option<u64>) -> String {
    match stored {
        Some(stored) => format!("the last one committed is {stored}"),
        None => "none is committed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_names_the_last_number_for_people() {
        let said = |stored| {
            let producer = ProducerId([7; 16]);
            let given = 52;
            Refusal::ProducerConflict {
                producer,
                given,
                stored,
            }
            .to_string()
        };
        assert!(
            said(Some(50)).ends_with("the last one committed is 50"),
            "{}",
            said(Some(50))
        );
        assert!(said(None).ends_with("none is committed"));
    }
}
