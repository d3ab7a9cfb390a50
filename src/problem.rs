//! Errors at the HTTP border: every one becomes a problem document (RFC 9457), here and nowhere else.

use serde::Serialize;
use serde_json::{Map, Value, json};
use streamchain_edge_core::account::AccountError;
use streamchain_edge_core::directory::DirectoryError;
use streamchain_edge_core::stream_log::{LogError, Refusal};
use streamchain_protocol::auth::AccessError;
use streamchain_protocol::auth::siwe::SiweError;
use streamchain_protocol::ids::IdError;
use streamchain_protocol::util::json::JsonError;
use streamchain_protocol::webrtc::OfferError;
use streamchain_protocol::wire::cbor::CborError;
use streamchain_protocol::wire::problem as relay_problem;
use worker::{Headers, Response, console_error};

/// What every problem's `type` begins with; the rest is the kind's own word.
const TYPE_PREFIX: &str = "https://streamchain.dev/problems/";

/// What can go wrong, as far as a client can tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A query or body out of shape.
    BadRequest,
    /// An offer that can't be answered.
    BadOffer,
    /// A stream name, id or short id out of shape.
    BadStreamName,
    /// A relay id, session id or producer id out of shape.
    BadId,
    /// A sign-in message out of shape.
    BadSignIn,
    /// A sign-in message that does not count here, now, or by this signature.
    SignInRefused,
    /// No valid credentials.
    Unauthorized,
    /// Valid credentials, but not for this.
    Forbidden,
    /// No such path.
    NotFound,
    /// The stream was never made.
    NoSuchStream,
    /// The session was never opened, or is over.
    NoSuchSession,
    /// Nobody of that address is a member of the stream.
    NoSuchMember,
    /// The account has no such API key.
    NoSuchKey,
    /// The stream is not that long.
    NoSuchMessage,
    /// Stored, but no anchor on chain covers it yet.
    NotAnchored,
    /// The path has other methods.
    MethodNotAllowed,
    /// A body above its limit.
    TooLarge,
    /// A body of another type.
    UnsupportedType,
    /// [`relay_problem::STALE_EPOCH`]
    StaleEpoch,
    /// [`relay_problem::GAP`]
    Gap,
    /// [`relay_problem::PRODUCER_CONFLICT`]
    ProducerConflict,
    /// [`relay_problem::NOT_LEADER`]
    NotLeader,
    /// A list that is bounded has no more room.
    Full,
    /// More than a client, an account or a stream may ask for in a while.
    RateLimited,
    /// No relay is alive.
    NoRelay,
    /// What is asked for needs the chain, and no node of it answers.
    ChainUnreachable,
    /// Storage is behind.
    Overloaded,
    /// A setting of the deployment is missing or wrong.
    Misconfigured,
    /// Our fault.
    Internal,
}

impl Kind {
    /// The word that stays, the status, and the title.
    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::BadRequest => ("bad-request", 400, "The request is out of shape"),
            Self::BadOffer => ("bad-offer", 400, "The offer can't be answered"),
            Self::BadStreamName => ("bad-stream-name", 400, "That is not the name of a stream"),
            Self::BadId => ("bad-id", 400, "That is not an id"),
            Self::BadSignIn => ("bad-sign-in", 400, "The sign-in message is out of shape"),
            Self::SignInRefused => ("sign-in-refused", 401, "The sign-in does not count"),
            Self::Unauthorized => ("unauthorized", 401, "The credentials are missing or wrong"),
            Self::Forbidden => ("forbidden", 403, "That is not yours to do"),
            Self::NotFound => ("not-found", 404, "There is nothing here"),
            Self::NoSuchStream => ("no-such-stream", 404, "There is no such stream"),
            Self::NoSuchSession => ("no-such-session", 404, "There is no such session"),
            Self::NoSuchKey => ("no-such-key", 404, "The account has no such key"),
            Self::NoSuchMember => ("no-such-member", 404, "The stream has no such member"),
            Self::NoSuchMessage => ("no-such-message", 404, "The stream has no such message"),
            Self::NotAnchored => ("not-anchored", 404, "The message is not anchored yet"),
            Self::MethodNotAllowed => ("method-not-allowed", 405, "The path has other methods"),
            Self::TooLarge => ("too-large", 413, "The body is too large"),
            Self::UnsupportedType => ("unsupported-type", 415, "The body is of another type"),
            Self::StaleEpoch => (relay_problem::STALE_EPOCH, 409, "The epoch is over"),
            Self::Gap => (
                relay_problem::GAP,
                409,
                "The batch does not follow what is stored",
            ),
            Self::ProducerConflict => (
                relay_problem::PRODUCER_CONFLICT,
                409,
                "A producer's number does not follow",
            ),
            Self::NotLeader => (relay_problem::NOT_LEADER, 409, "The stream is another relay's"),
            Self::Full => ("full", 409, "There is no room for more"),
            Self::RateLimited => ("rate-limited", 429, "Too much in too short a time"),
            Self::NoRelay => ("no-relay", 503, "No relay is up"),
            Self::ChainUnreachable => ("chain-unreachable", 503, "The chain is not reached"),
            Self::Overloaded => ("overloaded", 503, "Storage is behind"),
            Self::Misconfigured => ("misconfigured", 500, "The deployment is not configured"),
            Self::Internal => ("internal", 500, "Something went wrong here"),
        }
    }
}

/// One problem, on its way to the client. A pointer, so that the paths where all goes well stay short.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone, PartialEq)]
struct Parts {
    kind: Kind,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(&'static str, String)>,
}

impl Problem {
    /// A problem with what a person needs to know.
    #[cold]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Parts {
            kind,
            detail,
            members: Map::new(),
            headers: Vec::new(),
        }))
    }

    /// Our fault: the reason goes to the log, not to the client.
    #[cold]
    pub fn internal(reason: impl std::fmt::Display) -> Self {
        console_error!("internal error: {reason}");
        Self::new(
            Kind::Internal,
            "the service failed on this request; it may be sent again",
        )
    }

    /// With an extension member.
    #[cold]
    pub fn with(mut self, member: &str, value: impl Serialize) -> Self {
        self.0.members.insert(member.to_owned(), json!(value));
        self
    }

    /// With a response header.
    #[cold]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// The kind's word and status.
    pub fn word(&self) -> (&'static str, u16) {
        let (slug, status, _) = self.0.kind.row();
        (slug, status)
    }

    #[cfg(test)]
    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The document.
    pub fn to_json(&self) -> Value {
        let (slug, status, title) = self.0.kind.row();
        let mut document = self.0.members.clone();
        document.insert("type".into(), json!(format!("{TYPE_PREFIX}{slug}")));
        document.insert("title".into(), json!(title));
        document.insert("status".into(), json!(status));
        document.insert("detail".into(), json!(self.0.detail));
        Value::Object(document)
    }

    /// The response.
    pub fn into_response(self) -> worker::Result<Response> {
        let headers = Headers::new();
        headers.set("content-type", "application/problem+json")?;
        headers.set("cache-control", "no-store")?;
        for (name, value) in &self.0.headers {
            headers.set(name, value)?;
        }
        let response = Response::from_bytes(self.to_json().to_string().into_bytes())?;
        Ok(response.with_status(self.0.kind.row().1).with_headers(headers))
    }
}

impl From<worker::Error> for Problem {
    #[cold]
    #[inline(never)]
    fn from(error: worker::Error) -> Self {
        Self::internal(error)
    }
}

impl From<JsonError> for Problem {
    #[cold]
    fn from(error: JsonError) -> Self {
        Self::new(Kind::BadRequest, format!("JSON: {error}"))
    }
}

impl From<IdError> for Problem {
    #[cold]
    fn from(error: IdError) -> Self {
        let kind = match &error {
            IdError::StreamName(_) => Kind::BadStreamName,
            IdError::Hex { what, .. } if what.contains("stream") => Kind::BadStreamName,
            IdError::RelayId(_) | IdError::Hex { .. } => Kind::BadId,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<OfferError> for Problem {
    #[cold]
    fn from(error: OfferError) -> Self {
        let kind = match error {
            OfferError::TooLarge(_) => Kind::TooLarge,
            _ => Kind::BadOffer,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<AccessError> for Problem {
    #[cold]
    fn from(error: AccessError) -> Self {
        Self::new(Kind::Unauthorized, error.to_string())
            .header("www-authenticate", "Bearer error=\"invalid_token\"")
    }
}

impl From<SiweError> for Problem {
    #[cold]
    fn from(error: SiweError) -> Self {
        let kind = match error.is_malformed() {
            true => Kind::BadSignIn,
            false => Kind::SignInRefused,
        };
        Self::new(kind, error.to_string()).with("reason", error.word())
    }
}

impl From<AccountError> for Problem {
    #[cold]
    fn from(error: AccountError) -> Self {
        let detail = error.to_string();
        match error {
            AccountError::Revoked | AccountError::BadKey => Self::new(Kind::Unauthorized, detail)
                .header("www-authenticate", "Bearer error=\"invalid_token\""),
            AccountError::NoSuchKey => Self::new(Kind::NoSuchKey, detail),
            AccountError::NonceUsed => SiweError::Nonce.into(),
            AccountError::TooManyKeys | AccountError::TooManySignIns => Self::new(Kind::Full, detail),
        }
    }
}

impl From<CborError> for Problem {
    #[cold]
    fn from(error: CborError) -> Self {
        Self::new(Kind::BadRequest, format!("CBOR: {error}"))
    }
}

impl From<DirectoryError> for Problem {
    #[cold]
    fn from(error: DirectoryError) -> Self {
        let kind = match error {
            DirectoryError::Registration(_) => Kind::BadRequest,
            DirectoryError::Full => Kind::Overloaded,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<Refusal> for Problem {
    #[cold]
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::NoSuchStream => Self::new(Kind::NoSuchStream, detail),
            Refusal::StaleEpoch { epoch, .. } => Self::new(Kind::StaleEpoch, detail).with("epoch", epoch),
            Refusal::NotLeader { relay } => Self::new(Kind::NotLeader, detail).with("relay", relay),
            Refusal::Gap { expected, .. } => Self::new(Kind::Gap, detail).with("expected", expected),
            Refusal::ProducerConflict { producer, stored, .. } => Self::new(Kind::ProducerConflict, detail)
                .with("producer", producer)
                .with("stored", stored),
            Refusal::TooLarge(_) => Self::new(Kind::TooLarge, detail),
            Refusal::Backlog(_) => Self::new(Kind::Overloaded, detail).header("retry-after", "5"),
            Refusal::InboxFull(_) => Self::new(Kind::Overloaded, detail).header("retry-after", "2"),
            Refusal::NoSuchSession => Self::new(Kind::NoSuchSession, detail),
            Refusal::NotYourSession => Self::new(Kind::Forbidden, detail),
            Refusal::NoSuchMember(_) => Self::new(Kind::NoSuchMember, detail),
            Refusal::TooManyMembers => Self::new(Kind::Full, detail),
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

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::ids::{Epoch, Seq};

    #[test]
    fn a_refusal_becomes_a_document_that_says_what_was_expected() {
        let gap = Problem::from(Refusal::Gap {
            given: Seq(4),
            expected: Seq(2),
        })
        .to_json();
        assert_eq!(gap["type"], "https://streamchain.dev/problems/gap");
        assert_eq!(
            (gap["status"].as_u64(), gap["expected"].as_u64()),
            (Some(409), Some(2))
        );
        let stale = Problem::from(Refusal::StaleEpoch {
            given: Epoch(1),
            epoch: Epoch(3),
        })
        .to_json();
        assert_eq!(stale["epoch"], 3);
        assert_eq!(
            stale["detail"],
            "epoch 1 is not the stream's epoch 3: release the stream"
        );
    }
}
