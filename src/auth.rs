//! Who a request is by: an author with an access token, or a relay with its key.

use crate::config::Config;
use crate::problem::{Kind, Problem};
use crate::random;
use alloy_primitives::Address;
use streamchain_protocol::access::AccessClaims;
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::limits::GUEST_TOKEN_LIFE_S;
use worker::Headers;

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

fn unauthorized(detail: &str) -> Problem {
    Problem::new(Kind::Unauthorized, detail).header("www-authenticate", "Bearer")
}

/// The author that a request's access token names; `None` without one.
pub fn author(headers: &Headers, config: &Config, now_ms: u64) -> Result<Option<Address>, Problem> {
    let Some(token) = bearer(headers)? else {
        return Ok(None);
    };
    let claims = AccessClaims::verify(&token, &config.master.access_key(), now_ms / 1_000)?;
    Ok(Some(claims.sub))
}

/// As [`author`], for requests that need one.
pub fn need_author(headers: &Headers, config: &Config, now_ms: u64) -> Result<Address, Problem> {
    author(headers, config, now_ms)?.ok_or_else(|| unauthorized("this needs an access token"))
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
