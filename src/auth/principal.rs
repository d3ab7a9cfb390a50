//! Who a request is by, and what they may do.
//!
//! What always holds: credentials that are sent are checked, on every route that looks at them, even where none
//! are needed; and what somebody may do with a stream is decided by the stream's own object, when it is asked.

use super::bearer::bearer;
use crate::api::account::{CheckCredentials, Checked};
use crate::api::stream::GetAccess;
use crate::config::Config;
use crate::problem::{Kind, Problem, need_right, need_right_on, unauthorized};
use crate::request::Call;
use alloy_primitives::Address;
use streamchain_edge_core::account::AccountError;
use streamchain_edge_core::stream_log::Reader;
use streamchain_edge_core::token_renewal::sooner;
use streamchain_protocol::auth::{Access, Right, Rights};
use streamchain_protocol::auth::{AccessClaims, AccessError, Scope};
use streamchain_protocol::auth::{ApiKey, KEY_PREFIX};
use streamchain_protocol::ids::{ShortId, StreamRef};
use streamchain_protocol::limits::ACCESS_TOKEN_LIFE_S;
use streamchain_protocol::time::{UnixMs, UnixSec};

/// Longest life of a token that stands in a URL, seconds: URLs end up in logs.
const MAX_URL_TOKEN_LIFE_S: u64 = 3_600;

/// Why the anchoring key's account is refused.
pub(crate) const ANCHORER_REFUSED: &str =
    "the account of the anchoring key has no rights here: sign in with an account that OPERATORS names";

/// What stands behind a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PrincipalKind {
    /// Nothing but a token: an address that nobody holds a key for.
    Guest,
    /// An Ethereum account that signed in.
    Wallet,
    /// An API key of an account.
    Service,
}

/// Who a request is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
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
    /// What its token says, or would say.
    pub claims: AccessClaims,
}

impl Principal {
    fn of(claims: AccessClaims, config: &Config) -> Self {
        let (account, kind) = match (&claims.key, claims.guest) {
            (Some(key), _) => (key.account, PrincipalKind::Service),
            (None, true) => (claims.sub, PrincipalKind::Guest),
            (None, false) => (claims.sub, PrincipalKind::Wallet),
        };
        let scope = claims.scope.clone().unwrap_or(Scope::ALL);
        Self {
            author: claims.sub,
            account,
            kind,
            operator: scope == Scope::ALL && is_operator(config, account, &claims),
            scope,
            claims,
        }
    }
}

/// Whether credentials are an operator's: of an account that is named as one, or signed with the master secret by whoever
/// has that, for the operator's own tools. (An operator's narrowed token or key is no operator's: it opens only what it
/// names.)
fn is_operator(config: &Config, account: Address, claims: &AccessClaims) -> bool {
    let is_signed_by_hand = account == config.operator && is_no_sign_in(claims);
    !claims.guest && (config.is_operator(account) || is_signed_by_hand)
}

/// Whether neither a wallet nor a key stands behind a token: the edge makes none like it, but for guests.
fn is_no_sign_in(claims: &AccessClaims) -> bool {
    claims.since.is_none() && claims.key.is_none()
}

/// What a request may do with a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permit {
    /// Who it is by; `None` without credentials.
    pub principal: Option<Principal>,
    /// All that it may do.
    pub rights: Rights,
    /// What decided on it: owner, settings.
    pub access: Access,
}

impl Permit {
    /// Whether it may take payloads away for good: for the stream's owner and the operator, not for members.
    pub(crate) fn may_erase(&self) -> bool {
        let principal = self.principal.as_ref();
        principal.is_some_and(|one| one.operator || one.account == self.access.owner)
    }
}

/// How a stream's object knows `principal` when it reads.
pub(crate) fn reader_of(principal: Option<&Principal>, stream: ShortId) -> Reader {
    Reader {
        account: principal.map(|one| one.account),
        operator: principal.is_some_and(|one| one.operator),
        limit: principal.map_or(Rights::ALL, |one| one.scope.on(stream)),
    }
}

/// Who the request is by; `None` without credentials.
pub(crate) async fn principal(call: &Call) -> Result<Option<Principal>, Problem> {
    let in_header = bearer(call.headers())?;
    let in_url = in_header.is_none();
    let Some(token) = in_header.or_else(|| call.url_token.clone()) else {
        return Ok(None);
    };
    let claims = match token.starts_with(KEY_PREFIX) {
        true if in_url => return Err(unauthorized("access_token: an API key may not stand in a URL")),
        true => claims_of_key(call, &token).await?,
        false => claims_of_token(call, &token).await?,
    };
    if in_url && claims.exp.since(claims.iat) > MAX_URL_TOKEN_LIFE_S {
        return Err(unauthorized(
            "access_token: only a token that lives an hour at most may stand in a URL",
        ));
    }
    let principal = Principal::of(claims, &call.config);
    if !principal.operator
        && call.config.is_anchorer_alone(principal.account)
        && !is_no_sign_in(&principal.claims)
    {
        return Err(invalid_token(ANCHORER_REFUSED));
    }
    Ok(Some(principal))
}

/// Whose the access token in the header is, by its signature alone: whether it still counts is for [`principal`] to find out.
/// `None` for a request with none, or with an API key.
pub(crate) fn author_in_header(call: &Call) -> Result<Option<Address>, Problem> {
    let token = bearer(call.headers())?.filter(|token| !token.starts_with(KEY_PREFIX));
    token
        .map(|token| Ok(signed_claims(call, &token)?.sub))
        .transpose()
}

/// What an access token of this deployment says.
fn signed_claims(call: &Call, token: &str) -> Result<AccessClaims, AccessError> {
    let now = call.now.to_sec();
    let mut claims = Err(AccessError::Signature);
    for master in call.config.masters() {
        claims = AccessClaims::verify(token, &master.access_key(), now);
        if claims != Err(AccessError::Signature) {
            break;
        }
    }
    claims
}

/// What an access token says, if it still counts.
async fn claims_of_token(call: &Call, token: &str) -> Result<AccessClaims, Problem> {
    let mut claims = signed_claims(call, token)?;
    let account = claims.key.map_or(claims.sub, |key| key.account);
    let asked = CheckCredentials {
        issued: Some(claims.iat),
        key: claims.key.map(|key| key.id),
        hash: None,
    };
    let checked = check_credentials(call, account, asked).await?;
    if let Some(key) = checked.scope {
        // A key is never wider than it was when the token was made, but the token says so only in part.
        claims.scope = Some(claims.scope.unwrap_or(Scope::ALL).narrowed(&key));
        claims.end = sooner(claims.end, checked.expires.map(UnixMs::to_sec));
    }
    Ok(claims)
}

/// What a token made with an API key would say.
async fn claims_of_key(call: &Call, text: &str) -> Result<AccessClaims, Problem> {
    let key = ApiKey::parse(text).ok_or(AccountError::BadKey)?;
    let asked = CheckCredentials {
        issued: None,
        key: Some(key.key.id),
        hash: Some(key.hash()),
    };
    let checked = check_credentials(call, key.key.account, asked).await?;
    let now = call.now.to_sec();
    let end = checked.expires.map(UnixMs::to_sec);
    Ok(AccessClaims {
        sub: key.key.author(),
        iat: now,
        exp: end
            .unwrap_or(UnixSec(u64::MAX))
            .min(now.plus_s(ACCESS_TOKEN_LIFE_S)),
        guest: false,
        since: None,
        end,
        key: Some(key.key),
        scope: checked.scope,
    })
}

async fn check_credentials(
    call: &Call,
    account: Address,
    asked: CheckCredentials,
) -> Result<Checked, Problem> {
    let checked = call.account(account)?.call(asked).await?;
    match checked.refused {
        None => Ok(checked),
        Some(reason) => Err(invalid_token(&reason)),
    }
}

/// The problem of credentials that don't count.
fn invalid_token(detail: &str) -> Problem {
    Problem::new(Kind::Unauthorized, detail).header("www-authenticate", "Bearer error=\"invalid_token\"")
}

/// As [`principal`], for requests that need one.
pub(crate) async fn need_principal(call: &Call) -> Result<Principal, Problem> {
    principal(call)
        .await?
        .ok_or_else(|| unauthorized("this needs an access token"))
}

/// As [`principal`], for what only the operator may do.
pub(crate) async fn need_operator(call: &Call) -> Result<Principal, Problem> {
    let principal = need_principal(call).await?;
    if principal.operator {
        return Ok(principal);
    }
    Err(Problem::new(Kind::Forbidden, "only the operator may do this"))
}

/// What the request may do with a stream, if `right` is among it. A public stream is read, and an open one written
/// to, without credentials.
pub(crate) async fn need(call: &Call, stream: &StreamRef, right: Right) -> Result<Permit, Problem> {
    let principal = principal(call).await?;
    let short = call.short(stream);
    let access = access(call, short, principal.as_ref()).await?;
    let rights = rights_of(principal.as_ref(), &access, short);
    // That the system's own streams are there is no secret.
    let is_system = matches!(stream, StreamRef::Name(name) if name.is_system());
    match is_system {
        true => need_right(principal.is_some(), rights, right)?,
        false => need_right_on(&access, principal.is_some(), rights, right)?,
    }
    Ok(Permit {
        principal,
        rights,
        access,
    })
}

/// What `principal` may do with the stream of this access.
pub(crate) fn rights_of(principal: Option<&Principal>, access: &Access, stream: ShortId) -> Rights {
    match principal {
        None => access.rights(None, false),
        Some(one) => access
            .rights(Some(one.account), one.operator)
            .and(one.scope.on(stream)),
    }
}

async fn access(call: &Call, stream: ShortId, principal: Option<&Principal>) -> Result<Access, Problem> {
    let account = principal.map(|one| one.account);
    call.stream(stream)?.call(GetAccess { account }).await
}
