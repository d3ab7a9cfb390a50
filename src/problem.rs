//! Errors at the HTTP border: every one becomes a problem document (RFC 9457), here and nowhere else.

use alloy_primitives::Address;
use serde::Serialize;
use serde_json::{Map, Value, json};
use streamchain_chain::anchorer::GasOwners;
use streamchain_edge_core::account::AccountError;
use streamchain_edge_core::directory::DirectoryError;
use streamchain_edge_core::stream_log::Refusal;
use streamchain_protocol::auth::siwe::SiweError;
use streamchain_protocol::auth::{Access, AccessError, Right, Rights};
use streamchain_protocol::ids::IdError;
use streamchain_protocol::stream_settings::StreamSettings;
use streamchain_protocol::util::json::JsonError;
use streamchain_protocol::webrtc::OfferError;
use streamchain_protocol::wire::cbor::CborError;
use streamchain_protocol::wire::problem as relay;

mod http;
mod refusals;

/// What every problem's `type` begins with; the rest is the kind's own word.
const TYPE_PREFIX: &str = "https://streamchain.dev/problems/";

/// What can go wrong, as far as a client can tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A query or body out of shape.
    BadRequest,
    /// A signature that does not hold, or by a key that does not sign for the author.
    BadSignature,
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
    /// A proof of a key that does not count.
    KeyRefused,
    /// Valid credentials, but not for this.
    Forbidden,
    /// The stream is there, and not for whoever asks to know: recorded as forbidden, shown as a stream that is not there.
    Hidden,
    /// A message without a signature, where every message has one.
    SignatureRequired,
    /// A setting that spends the operator's gas, on a stream of an owner for whom it is not spent.
    GasNotGranted,
    /// No such path.
    NotFound,
    /// The stream was never made.
    NoSuchStream,
    /// The session was never opened, or is over.
    NoSuchSession,
    /// The stream has no member of that address.
    NoSuchMember,
    /// The account has no such API key, or nobody vouches for the key.
    NoSuchKey,
    /// The stream has no such webhook.
    NoSuchWebhook,
    /// The stream is not that long.
    NoSuchMessage,
    /// The message is stored, but no anchor on chain covers it yet.
    NotAnchored,
    /// The path has other methods.
    MethodNotAllowed,
    /// A body above its limit.
    TooLarge,
    /// A body of another type.
    UnsupportedType,
    /// The relay's epoch is over.
    StaleEpoch,
    /// The batch does not follow what is stored.
    Gap,
    /// A producer's number does not follow the one before.
    ProducerConflict,
    /// A group does not follow its producer's group before it, or signed and unsigned messages are mixed.
    BrokenChain,
    Unreachable,
    /// A batch has a message without a signature, where every message has one.
    Unsigned,
    /// Another relay is the stream's leader, or the stream is assigned to none.
    NotLeader,
    /// The relay of a connection does not take the stream on it.
    CannotJoin,
    /// A message of a batch is by somebody who was not sent to the relay.
    UnknownAuthor,
    /// A certificate can't be kept beside another one of the same second.
    CertificateConflict,
    /// A list that is bounded has no more room.
    Full,
    /// More than a client, an account or a stream may ask for in a while.
    RateLimited,
    /// No relay is alive.
    NoRelay,
    /// The request needs the chain, and no node of it answers.
    ChainUnreachable,
    /// Storage is behind.
    Overloaded,
    /// The database is nearly full: what is left is for the streams that exist.
    StorageFull,
    /// A setting of the deployment is missing or wrong.
    Misconfigured,
    /// A fault of the service.
    Internal,
}

/// Of each kind: the word that stays, the status, and the title.
const KINDS: [(Kind, &str, u16, &str); 42] = [
    (Kind::BadRequest, "bad-request", 400, "Bad request"),
    (Kind::BadSignature, "bad-signature", 400, "Bad signature"),
    (Kind::BadOffer, "bad-offer", 400, "Bad offer"),
    (Kind::BadStreamName, "bad-stream-name", 400, "Bad stream name"),
    (Kind::BadId, "bad-id", 400, "Bad id"),
    (Kind::BadSignIn, "bad-sign-in", 400, "Bad sign-in message"),
    (Kind::SignInRefused, "sign-in-refused", 401, "Sign-in refused"),
    (Kind::Unauthorized, "unauthorized", 401, "Unauthorized"),
    (Kind::KeyRefused, "key-refused", 401, "Key refused"),
    (Kind::Forbidden, "forbidden", 403, "Forbidden"),
    (Kind::Hidden, "hidden", 403, "Forbidden"),
    (
        Kind::SignatureRequired,
        "signature-required",
        403,
        "Signature required",
    ),
    (Kind::GasNotGranted, "gas-not-granted", 403, "Gas not granted"),
    (Kind::NotFound, "not-found", 404, "Not found"),
    (Kind::NoSuchStream, "no-such-stream", 404, "No such stream"),
    (Kind::NoSuchSession, "no-such-session", 404, "No such session"),
    (Kind::NoSuchMember, "no-such-member", 404, "No such member"),
    (Kind::NoSuchKey, "no-such-key", 404, "No such key"),
    (Kind::NoSuchWebhook, "no-such-webhook", 404, "No such webhook"),
    (Kind::NoSuchMessage, "no-such-message", 404, "No such message"),
    (Kind::NotAnchored, "not-anchored", 404, "Not anchored yet"),
    (
        Kind::MethodNotAllowed,
        "method-not-allowed",
        405,
        "Method not allowed",
    ),
    (Kind::TooLarge, "too-large", 413, "Content too large"),
    (
        Kind::UnsupportedType,
        "unsupported-type",
        415,
        "Unsupported media type",
    ),
    (Kind::StaleEpoch, relay::STALE_EPOCH, 409, "Stale epoch"),
    (Kind::Gap, relay::GAP, 409, "Gap before the batch"),
    (
        Kind::ProducerConflict,
        relay::PRODUCER_CONFLICT,
        409,
        "Producer conflict",
    ),
    (Kind::BrokenChain, relay::BROKEN_CHAIN, 409, "Broken chain"),
    (Kind::Unreachable, relay::UNREACHABLE, 409, "Leader unreachable"),
    (Kind::Unsigned, relay::UNSIGNED, 409, "Unsigned message"),
    (Kind::NotLeader, relay::NOT_LEADER, 409, "Not the leader"),
    (Kind::UnknownAuthor, relay::UNKNOWN_AUTHOR, 409, "Unknown author"),
    (Kind::CannotJoin, "relay-cannot-join", 409, "Relay cannot join"),
    (
        Kind::CertificateConflict,
        "certificate-conflict",
        409,
        "Certificate conflict",
    ),
    (Kind::Full, "full", 409, "Full"),
    (Kind::RateLimited, "rate-limited", 429, "Rate limit exceeded"),
    (Kind::NoRelay, "no-relay", 503, "No relay available"),
    (
        Kind::ChainUnreachable,
        "chain-unreachable",
        503,
        "Chain unreachable",
    ),
    (Kind::Overloaded, "overloaded", 503, "Overloaded"),
    (Kind::StorageFull, "storage-full", 507, "Storage full"),
    (Kind::Misconfigured, "misconfigured", 500, "Misconfigured"),
    (Kind::Internal, "internal", 500, "Internal error"),
];

impl Kind {
    /// The word that stays, the status, and the title.
    fn row(self) -> (&'static str, u16, &'static str) {
        let row = KINDS.iter().find(|(kind, ..)| *kind == self);
        row.map_or(("internal", 500, "Internal error"), |(_, word, status, title)| {
            (*word, *status, *title)
        })
    }

    /// The kind of a document's `type`.
    fn of_type(text: &str) -> Option<Self> {
        let given = text.strip_prefix(TYPE_PREFIX)?;
        let row = KINDS.iter().find(|(_, word, ..)| *word == given);
        row.map(|(kind, ..)| *kind)
    }
}

/// One problem, on its way to the client. A pointer, so that the paths where all goes well stay short.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug, Clone, PartialEq)]
struct Parts {
    kind: Kind,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(&'static str, String)>,
    /// Why, for the log alone.
    reason: Option<String>,
}

/// The headers that a problem may have beside those of every problem.
const HEADERS: [&str; 7] = [
    "accept-post",
    "allow",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "vary",
    "www-authenticate",
];

/// The members that every problem has.
const COMMON_MEMBERS: [&str; 5] = ["type", "title", "status", "detail", "requestId"];

impl Problem {
    /// A problem with what a person needs to know.
    #[cold]
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Parts {
            kind,
            detail,
            members: Map::new(),
            headers: Vec::new(),
            reason: None,
        }))
    }

    /// A fault of the service: the reason goes to the log, not to the client.
    #[cold]
    pub(crate) fn internal(reason: impl std::fmt::Display) -> Self {
        let detail = "the service failed on this request; it may be sent again";
        let mut problem = Self::new(Kind::Internal, detail);
        problem.0.reason = Some(reason.to_string());
        problem
    }

    /// With an extension member.
    #[cold]
    pub(crate) fn with(mut self, member: &str, value: impl Serialize) -> Self {
        self.0.members.insert(member.to_owned(), json!(value));
        self
    }

    /// With a response header, one of [`HEADERS`].
    #[cold]
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.headers.push((name, value.into()));
        self
    }

    /// The kind's word and status.
    pub(crate) fn word(&self) -> (&'static str, u16) {
        let (slug, status, _) = self.0.kind.row();
        (slug, status)
    }

    /// As it is shown to the client: a hidden stream's is that of a stream that is not there, to the last byte.
    pub(crate) fn shown(self) -> Self {
        match self.0.kind {
            Kind::Hidden => Refusal::NoSuchStream.into(),
            _ => self,
        }
    }

    /// The rate limit that it is about.
    pub(crate) fn limit(&self) -> Option<&str> {
        let policy = self
            .0
            .members
            .get("policy")
            .filter(|_| self.0.kind == Kind::RateLimited);
        policy.and_then(Value::as_str)
    }

    /// What kind it is of.
    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The document's members.
    pub(crate) fn document(&self) -> Map<String, Value> {
        let (slug, status, title) = self.0.kind.row();
        let mut document = self.0.members.clone();
        document.insert("type".into(), json!(format!("{TYPE_PREFIX}{slug}")));
        document.insert("title".into(), json!(title));
        document.insert("status".into(), json!(status));
        document.insert("detail".into(), json!(self.0.detail));
        document
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.reason.as_ref().unwrap_or(&self.0.detail);
        write!(f, "{}: {text}", self.word().0)
    }
}

/// The problem of a request that lacks credentials.
pub(crate) fn unauthorized(detail: &str) -> Problem {
    Problem::new(Kind::Unauthorized, detail).header("www-authenticate", "Bearer")
}

/// Refuses those who lack `right`: 401 to one without credentials, who may have some, else 403.
pub(crate) fn need_right(has_credentials: bool, rights: Rights, right: Right) -> Result<(), Problem> {
    if rights.has(right) {
        return Ok(());
    }
    Err(may_not(has_credentials, right))
}

fn may_not(has_credentials: bool, right: Right) -> Problem {
    if !has_credentials {
        return unauthorized("this stream needs an access token");
    }
    let detail = format!("this stream does not let you {}", right.as_str());
    Problem::new(Kind::Forbidden, detail).with("right", right)
}

/// As [`need_right`], on one stream: refuses those from whom the stream is hidden as if it were not there.
pub(crate) fn need_right_on(
    access: &Access,
    has_credentials: bool,
    rights: Rights,
    right: Right,
) -> Result<(), Problem> {
    need_right(has_credentials, rights, right).map_err(|problem| match access.is_hidden_from(rights) {
        true => hidden(),
        false => problem,
    })
}

fn hidden() -> Problem {
    Problem::new(Kind::Hidden, "the stream is private")
}

/// Refuses settings that put more on chain than `before` for an owner whose gas the operator does not pay.
pub(crate) fn need_gas(
    owners: &GasOwners,
    owner: Address,
    before: &StreamSettings,
    after: &StreamSettings,
) -> Result<(), Problem> {
    match after.gas_field(before).filter(|_| !owners.includes(owner)) {
        None => Ok(()),
        Some(field) => {
            let detail = format!(
                "{field}: what it puts on chain costs the operator gas for each message, and the stream's owner {owner} is not \
                 among those for whom the operator pays that (GAS_OWNERS); its messages are anchored with mode root"
            );
            Err(Problem::new(Kind::GasNotGranted, detail).with("field", field))
        }
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
            AccountError::NonceUsed | AccountError::NonceRevoked => SiweError::Nonce.into(),
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

#[cfg(test)]
#[path = "problem_tests.rs"]
mod tests;
