//! Why something failed, and whether it is worth another attempt.

/// Statuses of the edge that another attempt does not change.
const FINAL_STATUSES: [u16; 11] = [400, 401, 403, 404, 405, 406, 410, 413, 415, 417, 422];

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The edge refused the request.
    #[error("{status} {slug}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The last word of the problem's type; empty when the answer is no problem document.
        slug: String,
        /// What the problem says.
        detail: String,
        /// When to come again, milliseconds.
        retry_ms: Option<u64>,
        /// The last producer_seq that was taken, where the problem is a conflict.
        stored: Option<u64>,
    },
    /// The edge did not answer, or not as the protocol says.
    #[error("the edge can't be reached: {0}")]
    NoEdge(String),
    /// The edge answered, but no channel to the relay opened.
    #[error("the relay can't be reached: {0}")]
    NoPath(String),
    /// The relay ended the session, or does not answer any more.
    #[error("the session ended: {0}")]
    Ended(String),
}

impl Failure {
    /// Whether another attempt can't succeed.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if FINAL_STATUSES.contains(status))
    }

    /// Whether the edge has no such stream, or shows none.
    pub fn is_no_such_stream(&self) -> bool {
        matches!(self, Self::Refused { slug, .. } if slug == "no-such-stream")
    }

    /// Whether a group does not follow the one before it, which another attempt does not change.
    pub(super) fn is_broken_chain(&self) -> bool {
        matches!(self, Self::Refused { slug, .. } if slug == "broken-chain")
    }

    /// Whether HTTP may work although no session opened.
    pub(super) fn is_replaceable(&self) -> bool {
        match self {
            Self::Refused { slug, .. } => slug == "no-relay",
            Self::NoPath(_) => true,
            Self::NoEdge(_) | Self::Ended(_) => false,
        }
    }

    /// How long the other side asks to wait, milliseconds.
    pub(super) fn retry_ms(&self) -> Option<u64> {
        match self {
            Self::Refused { retry_ms, .. } => *retry_ms,
            _ => None,
        }
    }
}

/// Why the client can't go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The edge refuses for good.
    #[error("the edge refused: {0}")]
    Refused(#[from] Failure),
    /// The author has no right to do this.
    #[error("not allowed: {0}")]
    NotAllowed(String),
    /// A message that was published is larger than the relay takes.
    #[error("message {0} is too large for the relay")]
    TooLarge(u64),
    /// The edge has fewer messages of this producer than it had stored.
    #[error(
        "the stream lost messages that were stored: another stream has its name now, or its storage was lost"
    )]
    StreamLost,
    /// The producer has messages that are stored and signed, and nothing is known here of the last group.
    #[error(
        "the producer's messages were signed in another place, or not at all, and its chain of groups is not known here: use another producer id"
    )]
    ChainLost,
    /// An earlier run of the producer signed other messages under these numbers.
    #[error(
        "message {0} and those behind it were signed by an earlier run, and are others now: give the same input again, or use another producer id"
    )]
    OtherMessages(u64),
    /// The other side does not keep to the protocol.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// The machine has no random bytes or no sockets.
    #[error("{0}")]
    System(String),
}
