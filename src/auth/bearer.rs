//! Credentials in the header `Authorization`.

use crate::config::Config;
use crate::problem::{Kind, Problem, unauthorized};
use streamchain_protocol::ids::{RelayId, RelayKeyId};
use worker::Headers;

/// The text behind `Authorization: Bearer `, if there is one.
pub(crate) fn bearer(headers: &Headers) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("authorization")? else {
        return Ok(None);
    };
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim().to_owned())),
        _ => Err(unauthorized("expected Authorization: Bearer and a token")),
    }
}

/// Refuses all but the relay itself, with the key that a master secret which counts gives it; which one it has.
pub(crate) fn need_relay(headers: &Headers, config: &Config, relay: &RelayId) -> Result<RelayKeyId, Problem> {
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
