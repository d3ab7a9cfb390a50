//! Who a request is by, and what they may do.
//!
//! What always holds: credentials that are sent are checked, on every route that looks at them, even where none
//! are needed; and what somebody may do with a stream is decided by the stream's own object, when it is asked.

use crate::config::Config;
use crate::durable::call::{Method, Outcome, call as ask, outcome};
use crate::durable::stream_stub;
use crate::http::Call;
use crate::problem::{Kind, Problem};
use crate::random;
use alloy_primitives::Address;
use streamchain_protocol::access::{AccessClaims, Scope};
use streamchain_protocol::ids::{RelayId, ShortId, StreamRef};
use streamchain_protocol::limits::GUEST_TOKEN_LIFE_S;
use streamchain_protocol::rights::{Access, Right, Rights};
use worker::Headers;

/// Longest life of a token that stands in a URL, seconds: URLs end up in logs.
const URL_TOKEN_LIFE_MAX_S: u64 = 3_600;

/// What stands behind a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalKind {
    /// Nothing but a token: an address that nobody holds a key for.
    Guest,
    /// An Ethereum account that signed in.
    Wallet,
    /// An API key of an account.
    Service,
}

/// Who a request is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose messages these are.
    pub author: Address,
    /// Whose rights count: the author's own, or of a service those of the account that made its key.
    pub account: Address,
    /// What stands behind it.
    pub kind: PrincipalKind,
    /// Whether it may do everything.
    pub operator: bool,
    /// What its credentials are limited to.
    pub scope: Scope,
}

impl Principal {
    fn of(claims: AccessClaims, config: &Config) -> Self {
        let (account, kind) = match (&claims.key, claims.guest) {
            (Some(key), _) => (key.account, PrincipalKind::Service),
            (None, true) => (claims.sub, PrincipalKind::Guest),
            (None, false) => (claims.sub, PrincipalKind::Wallet),
        };
        let scope = claims.scope.unwrap_or(Scope::ALL);
        Self {
            author: claims.sub,
            account,
            kind,
            operator: is_operator(config, account, kind, &scope),
            scope,
        }
    }
}

/// An operator's narrowed token or key is no operator's: it opens only what it names.
fn is_operator(config: &Config, account: Address, kind: PrincipalKind, scope: &Scope) -> bool {
    kind != PrincipalKind::Guest && *scope == Scope::ALL && config.is_operator(account)
}

/// What a request may do with a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// Who it is by; `None` without credentials.
    pub principal: Option<Principal>,
    /// All that it may do.
    pub rights: Rights,
    /// What decided on it: owner, settings.
    pub access: Access,
}

/// The text behind `Authorization: Bearer `, if there is one.
pub fn bearer(headers: &Headers) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("authorization")? else {
        return Ok(None);
    };
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim().to_owned())),
        _ => Err(unauthorized("expected Authorization: Bearer and a token")),
    }
}

/// The problem of a request that lacks credentials.
pub fn unauthorized(detail: &str) -> Problem {
    Problem::new(Kind::Unauthorized, detail).header("www-authenticate", "Bearer")
}

/// Who the request is by; `None` without credentials.
pub async fn principal(call: &Call) -> Result<Option<Principal>, Problem> {
    let in_header = bearer(call.headers())?;
    let in_url = in_header.is_none();
    let Some(token) = in_header.or_else(|| call.url_token.clone()) else {
        return Ok(None);
    };
    let claims = AccessClaims::verify(&token, &call.config.master.access_key(), call.now_ms / 1_000)?;
    if in_url && claims.exp.saturating_sub(claims.iat) > URL_TOKEN_LIFE_MAX_S {
        return Err(unauthorized(
            "access_token: only a token that lives an hour at most may stand in a URL",
        ));
    }
    Ok(Some(Principal::of(claims, &call.config)))
}

/// As [`principal`], for requests that need one.
pub async fn need_principal(call: &Call) -> Result<Principal, Problem> {
    principal(call)
        .await?
        .ok_or_else(|| unauthorized("this needs an access token"))
}

/// As [`principal`], for what only the operator may do.
pub async fn need_operator(call: &Call) -> Result<Principal, Problem> {
    let principal = need_principal(call).await?;
    if principal.operator {
        return Ok(principal);
    }
    Err(Problem::new(Kind::Forbidden, "only the operator may do this"))
}

/// What the request may do with a stream, if `right` is among it. A public stream is read, and an open one written
/// to, without credentials.
pub async fn need(call: &Call, stream: &StreamRef, right: Right) -> Result<Permit, Problem> {
    let principal = principal(call).await?;
    let short = call.short(stream);
    let access = access(call, short, principal.as_ref()).await?;
    let rights = rights_of(principal.as_ref(), &access, short);
    check(principal.is_some(), rights, right)?;
    Ok(Permit {
        principal,
        rights,
        access,
    })
}

/// What `principal` may do with the stream of this access.
pub fn rights_of(principal: Option<&Principal>, access: &Access, stream: ShortId) -> Rights {
    match principal {
        None => access.rights(None, false),
        Some(one) => access
            .rights(Some(one.account), one.operator)
            .and(one.scope.on(stream)),
    }
}

/// Refuses those who lack `right`: 401 to one without credentials, who may have some, else 403.
pub fn check(has_credentials: bool, rights: Rights, right: Right) -> Result<(), Problem> {
    if rights.has(right) {
        return Ok(());
    }
    if !has_credentials {
        return Err(unauthorized("this stream needs an access token"));
    }
    let detail = format!("this stream does not let you {}", right.as_str());
    Err(Problem::new(Kind::Forbidden, detail).with("right", right))
}

async fn access(call: &Call, stream: ShortId, principal: Option<&Principal>) -> Result<Access, Problem> {
    let account = principal.map(|one| format!("?account={:#x}", one.account));
    let path = format!("/access{}", account.unwrap_or_default());
    let stub = stream_stub(&call.env, stream)?;
    match outcome::<Access>(ask(&stub, Method::Get, &path, None).await?).await? {
        Outcome::Done(access) => Ok(access),
        Outcome::Refused(response) if response.status_code() == 404 => {
            Err(Problem::new(Kind::NoSuchStream, "there is no such stream"))
        }
        Outcome::Refused(response) => Err(Problem::internal(format!(
            "/access: status {}",
            response.status_code()
        ))),
    }
}

/// An author that nobody holds a key for, and the token that proves it.
pub struct Guest {
    /// A random address.
    pub author: Address,
    /// The access token.
    pub token: String,
    /// When it expires, Unix milliseconds.
    pub expires: u64,
}

/// Makes a guest.
pub fn new_guest(config: &Config, now_ms: u64) -> Result<Guest, Problem> {
    let author = Address::from(random::bytes::<20>()?);
    let iat = now_ms / 1_000;
    let exp = iat + GUEST_TOKEN_LIFE_S;
    let token = AccessClaims {
        sub: author,
        iat,
        exp,
        guest: true,
        since: None,
        key: None,
        scope: None,
    }
    .sign(&config.master.access_key());
    Ok(Guest {
        author,
        token,
        expires: exp * 1_000,
    })
}

/// Refuses all but the relay itself.
pub fn need_relay(headers: &Headers, config: &Config, relay: &RelayId) -> Result<(), Problem> {
    let given = bearer(headers)?.ok_or_else(|| unauthorized("this needs the relay's key"))?;
    if relay.is_edge() {
        return Err(Problem::new(
            Kind::Forbidden,
            "no relay has the name of the edge itself",
        ));
    }
    if config
        .master
        .relay_key(relay)
        .accepts_uplink_bearer(relay, &given)
    {
        return Ok(());
    }
    Err(unauthorized(
        "the key is not that of this relay: compare MASTER_SECRET and the relay's id and key",
    ))
}
