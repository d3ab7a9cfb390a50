//! The problems of a stream's log: what it refuses, and what went wrong in it.

use super::{Kind, Problem, hidden, may_not};
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
            Refusal::NotAssigned => Self::new(Kind::NotLeader, detail),
            Refusal::UnknownAuthor(author) => Self::new(Kind::UnknownAuthor, detail).with("author", author),
            Refusal::Gap { expected, .. } => Self::new(Kind::Gap, detail).with("expected", expected),
            Refusal::ProducerConflict { producer, stored, .. } => Self::new(Kind::ProducerConflict, detail)
                .with("producer", producer)
                .with("stored", stored),
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
