//! What a publisher is answered: the same for a session of the leader's shard and for one of a follower's.

use crate::core::limits::FAILED_CHECK_FRAMES;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::signed::ChainError;
use streamchain_protocol::wire::frame::ErrorCode;

/// What becomes of a published message or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Published {
    /// It got this seq, a group's other messages those behind it.
    Accepted(Seq),
    /// It was accepted before, as this seq if that is remembered.
    Duplicate(Option<Seq>),
    /// It skips some: this producer_seq is next.
    Ahead(u64),
    /// A group of which some numbers are taken, or all by other groups: this producer_seq is next.
    Overlaps(u64),
    /// There is no room until the edge has committed more.
    Overloaded,
    /// The stream, or the network, takes no more for this many milliseconds.
    TooFast(u64),
    /// The stream takes signed groups only.
    Unsigned,
    /// It does not follow the producer's publications before it.
    BrokenChain(ChainError),
    /// The session has no key that signs: why.
    NoKey(String),
    /// The signature does not hold, which it took a check to see.
    BadSignature,
    /// The edge stores no groups.
    NoGroups,
}

/// The answer to a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It got this seq, a group's other messages those behind it.
    Accepted(Seq),
    /// It was accepted before, as this seq if that is remembered.
    Duplicate(Option<Seq>),
    /// It is refused, and all behind it until it comes again.
    Refused(Refusal),
    /// The stream or the network is over its rate: it is refused, and may come again after so many milliseconds.
    TooFast(u64),
    /// It comes behind a refused one that has not come again: the client hears nothing.
    Passed,
}

/// Why a publication is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: ErrorCode,
    pub text: String,
    /// The number that must come next.
    pub from: u64,
    /// Frames that the refusal counts for beside its own.
    pub cost: u32,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, from: u64, text: String) -> Self {
        Self {
            code,
            text,
            from,
            cost: 0,
        }
    }

    /// There is no room: the publication may come again later.
    pub(crate) fn overloaded(from: u64, text: String) -> Self {
        Self::new(ErrorCode::Overloaded, from, text)
    }
}

impl Reply {
    /// The answer to the publication that begins with number `first`.
    pub(crate) fn of(first: u64, published: Published) -> Self {
        let refused = |code, from, text| Self::Refused(Refusal::new(code, from, text));
        match published {
            Published::Accepted(seq) => Self::Accepted(seq),
            Published::Duplicate(seq) => Self::Duplicate(seq),
            Published::Ahead(next) => {
                let text = format!("expected producer_seq {next}, got {first}");
                refused(ErrorCode::ProducerGap, next, text)
            }
            Published::Overlaps(next) => {
                let text = format!(
                    "expected producer_seq {next}: of the group at {first} some numbers are taken, as other groups"
                );
                refused(ErrorCode::ProducerGap, next, text)
            }
            Published::Overloaded => Self::Refused(Refusal::overloaded(first, full_text(first))),
            Published::TooFast(wait_ms) => Self::TooFast(wait_ms),
            Published::Unsigned => {
                let text = format!("producer_seq {first}: this stream takes signed groups only");
                refused(ErrorCode::SignatureRequired, first, text)
            }
            Published::BrokenChain(error) => {
                refused(ErrorCode::BrokenChain, first, broken_text(first, error))
            }
            Published::NoKey(reason) => {
                let text = format!("producer_seq {first}: {reason}");
                refused(ErrorCode::BadSignature, first, text)
            }
            Published::BadSignature => {
                let text = format!("producer_seq {first}: the signature does not hold");
                Self::Refused(Refusal {
                    cost: FAILED_CHECK_FRAMES,
                    ..Refusal::new(ErrorCode::BadSignature, first, text)
                })
            }
            Published::NoGroups => {
                let text = "this stream takes no groups yet".into();
                refused(ErrorCode::Unexpected, first, text)
            }
        }
    }

    /// From which number on the publications behind this one are passed over; `None` when it was accepted.
    pub(crate) fn refused_from(&self, first: u64) -> Option<u64> {
        match self {
            Self::Refused(refusal) => Some(refusal.from),
            Self::TooFast(_) => Some(first),
            Self::Accepted(_) | Self::Duplicate(_) | Self::Passed => None,
        }
    }
}

fn broken_text(producer_seq: u64, error: ChainError) -> String {
    match error {
        ChainError::Previous { expected, .. } => {
            format!(
                "producer_seq {producer_seq}: previous must be the digest of the group before, {expected}"
            )
        }
        error => format!("producer_seq {producer_seq}: {error}"),
    }
}

/// Says that too much waits for its commit.
pub(crate) fn full_text(producer_seq: u64) -> String {
    format!("too many messages are not committed yet: send {producer_seq} and those after it again later")
}

/// Says that the relay shuts down.
pub(crate) fn leaving_text(producer_seq: u64) -> String {
    format!("this relay is shutting down: the next relay takes {producer_seq} and those after it")
}

/// Says that too much waits for the welcome.
pub(crate) fn early_text(producer_seq: u64) -> String {
    format!("too many messages before welcome: send {producer_seq} and those after it again after welcome")
}
