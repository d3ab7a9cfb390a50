//! The problems of a stream's log and of what is published: what is refused, and what went wrong.

use super::{Kind, Problem, hidden, may_not};
use streamchain_edge_core::certificates::KeyFault;
use streamchain_edge_core::key_proof::KeyProofError;
use streamchain_edge_core::publication::PublicationError;
use streamchain_edge_core::stream_log::{LogError, Refusal};
use streamchain_protocol::auth::Right;

impl From<Refusal> for Problem {
    #[cold]
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::NoSuchStream => Self::new(Kind::NoSuchStream, detail),
            Refusal::StaleEpoch { epoch, .. } => Self::new(Kind::StaleEpoch, detail).with("epoch", epoch),
            Refusal::NotLeader { relay } => Self::new(Kind::NotLeader, detail).with("relay", relay),
            Refusal::Unreachable { relay } => Self::new(Kind::Unreachable, detail).with("relay", relay),
            Refusal::TooManyReports => Self::new(Kind::Overloaded, detail).header("retry-after", "1"),
            Refusal::NotAssigned => Self::new(Kind::NotLeader, detail),
            Refusal::UnknownAuthor(author) => Self::new(Kind::UnknownAuthor, detail).with("author", author),
            Refusal::Gap { expected, .. } => Self::new(Kind::Gap, detail).with("expected", expected),
            Refusal::ProducerConflict { producer, stored, .. } => Self::new(Kind::ProducerConflict, detail)
                .with("producer", producer)
                .with("stored", stored),
            Refusal::Group(_) | Refusal::NotOnePublication => Self::new(Kind::BadRequest, detail),
            Refusal::BrokenChain { producer, .. } => {
                Self::new(Kind::BrokenChain, detail).with("producer", producer)
            }
            Refusal::SignatureRequired => Self::new(Kind::SignatureRequired, detail),
            Refusal::Unsigned(author) => Self::new(Kind::Unsigned, detail).with("author", author),
            Refusal::NoGroupsAtRelay => Self::new(Kind::Overloaded, detail).header("retry-after", "5"),
            Refusal::TooLarge(_) => Self::new(Kind::TooLarge, detail),
            Refusal::Backlog(_) => Self::new(Kind::Overloaded, detail).header("retry-after", "5"),
            Refusal::InboxFull(_) | Refusal::InboxShare(_) => {
                Self::new(Kind::Overloaded, detail).header("retry-after", "2")
            }
            Refusal::MayNotRead { is_hidden: true, .. } => hidden(),
            Refusal::MayNotRead { has_credentials, .. } => may_not(has_credentials, Right::Read),
            Refusal::NoSuchSession => Self::new(Kind::NoSuchSession, detail),
            Refusal::NotYourSession => Self::new(Kind::Forbidden, detail),
            Refusal::NoSuchMember(_) => Self::new(Kind::NoSuchMember, detail),
            Refusal::TooManyMembers => Self::new(Kind::Full, detail),
            Refusal::Settings(conflict) => {
                Self::new(Kind::BadRequest, detail).with("field", conflict.field())
            }
        }
    }
}

impl<E: std::fmt::Display> From<LogError<E>> for Problem {
    #[cold]
    fn from(error: LogError<E>) -> Self {
        match error {
            LogError::Refused(refusal) => refusal.into(),
            LogError::Corrupt(_) | LogError::Store(_) => Self::internal(error),
        }
    }
}

impl From<PublicationError> for Problem {
    #[cold]
    fn from(error: PublicationError) -> Self {
        let detail = error.to_string();
        match error {
            PublicationError::TooLarge(_) => Self::new(Kind::TooLarge, detail),
            PublicationError::Count(_) | PublicationError::Number => Self::new(Kind::BadRequest, detail),
            PublicationError::Signature => Self::new(Kind::BadSignature, detail).with("reason", "signature"),
        }
    }
}

impl From<KeyFault> for Problem {
    #[cold]
    fn from(fault: KeyFault) -> Self {
        Self::new(Kind::BadSignature, fault.to_string()).with("reason", fault.word())
    }
}

impl From<KeyProofError> for Problem {
    #[cold]
    fn from(error: KeyProofError) -> Self {
        let detail = error.to_string();
        match error {
            KeyProofError::Key(_) | KeyProofError::Form => Self::new(Kind::BadRequest, detail),
            KeyProofError::Time { .. } => Self::new(Kind::KeyRefused, detail).with("reason", "time"),
            KeyProofError::Signature => Self::new(Kind::KeyRefused, detail).with("reason", "signature"),
        }
    }
}
