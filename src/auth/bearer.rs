//! Credentials in the header `Authorization`.

use crate::config::Config;
use crate::problem::{Kind, Problem};
use streamchain_protocol::auth::{Right, Rights};
use streamchain_protocol::ids::{RelayId, RelayKeyId};
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

/// The problem of a request that lacks credentials.
pub fn unauthorized(detail: &str) -> Problem {
    Problem::new(Kind::Unauthorized, detail).header("www-authenticate", "Bearer")
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

/// Refuses all but the relay itself, with the key that a master secret which counts gives it; which one it has.
pub fn need_relay(headers: &Headers, config: &Config, relay: &RelayId) -> Result<RelayKeyId, Problem> {
    let given = bearer(headers)?.ok_or_else(|| unauthorized("this needs the relay's key"))?;
    if relay.is_edge() {
        return Err(Problem::new(
            Kind::Forbidden,
            "no relay has the name of the edge itself",
        ));
    }
    let mut keys = config.masters().map(|master| master.relay_key(relay));
    let key = keys.find(|key| key.accepts_uplink_bearer(relay, &given));
    key.map(|key| key.id()).ok_or_else(|| {
        unauthorized("the key is not that of this relay: compare MASTER_SECRET and the relay's id and key")
    })
}
