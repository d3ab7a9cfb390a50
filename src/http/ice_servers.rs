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
use streamchain_protocol::webrtc::{IceServer, TurnSecret};

/// Whose credentials they are. TURN servers count allocations by account, so that an account's services have no more
/// than it has itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TurnUser {
    /// The account; of a guest the guest's own address.
    pub account: Address,
    /// The end of what is made from the credentials of the request.
    pub end: Option<UnixSec>,
}

impl TurnUser {
    /// Returns the servers at these URLs, with credentials where there is a secret.
    fn servers(self, call: &Call, urls: &[String], secret: Option<&TurnSecret>) -> Vec<IceServer> {
        let user = hex::encode(self.account);
        IceServer::list(urls, secret, &user, call.now.to_sec(), self.end)
    }

    /// Returns the servers of the deployment's settings.
    fn configured(self, call: &Call) -> Vec<IceServer> {
        let config = &call.config;
        self.servers(call, &config.ice_servers, config.turn_secret.as_ref())
    }
}

/// `GET /v1/ice-servers`: the deployment's own, for a client that gathers candidates before it opens a session.
/// A relay's TURN server reaches that relay alone, so it comes with the session's answer.
pub(crate) async fn get(call: Call, _at: PathParameters) -> Answer {
    let call = &call;
    let principal = auth::need_principal(call).await?;
    let user = TurnUser {
        account: principal.account,
        end: principal.claims.end,
    };
    let mut servers = user.configured(call);
    if call.config.turn_service.is_some() {
        servers.extend(call.relays()?.call(ProviderIceServers {}).await?);
    }
    json(200, &json!({"iceServers": servers}))
}

/// The `Link` headers of a session's answer (RFC 9725 §4.6): the chosen relay's TURN server first.
pub(crate) fn links(call: &Call, chosen: &Chosen, user: TurnUser) -> Vec<String> {
    let secret = call.config.relay_key(&chosen.relay, chosen.key).turn_secret();
    let mut servers = user.servers(call, &chosen.turn, Some(&secret));
    servers.extend(user.configured(call));
    servers.extend(chosen.ice_servers.iter().cloned());
    servers.iter().map(IceServer::link).collect()
}
