//! `/v1/ice-servers`, and the same in a session's answer: the STUN and TURN servers that a client may use.

use crate::api::relays::ProviderIceServers;
use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::request::Call;
use crate::response::{Answer, json};
use alloy_primitives::{Address, hex};
use serde_json::json;
use streamchain_edge_core::directory::Chosen;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::webrtc::IceServer;

/// `GET /v1/ice-servers`: the deployment's own, for a client that gathers candidates before it opens a session.
/// A relay's TURN server reaches that relay alone, so it comes with the session's answer.
pub(crate) async fn get(call: Call, _at: PathParameters) -> Answer {
    let call = &call;
    let principal = auth::need_principal(call).await?;
    let mut servers = configured(call, principal.author, principal.claims.end);
    if call.config.turn_service.is_some() {
        servers.extend(call.relays()?.call(ProviderIceServers {}).await?);
    }
    json(200, &json!({"iceServers": servers}))
}

/// The `Link` headers of a session's answer (RFC 9725 §4.6): the chosen relay's TURN server first. Credentials hold until
/// `end` at most.
pub(crate) fn links(call: &Call, chosen: &Chosen, author: Address, end: Option<UnixSec>) -> Vec<String> {
    let secret = call.config.relay_key(&chosen.relay, chosen.key).turn_secret();
    let mut servers = IceServer::list(&chosen.turn, Some(&secret), &user(author), call.now.to_sec(), end);
    servers.extend(configured(call, author, end));
    servers.extend(chosen.ice_servers.iter().cloned());
    servers.iter().map(IceServer::link).collect()
}

fn configured(call: &Call, author: Address, end: Option<UnixSec>) -> Vec<IceServer> {
    let config = &call.config;
    let secret = config.turn_secret.as_ref();
    IceServer::list(&config.ice_servers, secret, &user(author), call.now.to_sec(), end)
}

/// Who TURN servers count allocations by.
fn user(author: Address) -> String {
    hex::encode(author)
}
