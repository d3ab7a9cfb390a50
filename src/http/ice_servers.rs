//! `/v1/ice-servers`, and the same in a session's answer: the STUN and TURN servers that a client may use.

use crate::api::account::OwnIceServers;
use crate::api::call::within;
use crate::api::relays::ProviderIceServers;
use crate::auth::principal as auth;
use crate::path::PathParameters;
use crate::rate_limit;
use crate::request::Call;
use crate::response::{Answer, json};
use alloy_primitives::{Address, hex};
use serde_json::json;
use std::time::Duration;
use streamchain_edge_core::directory::Chosen;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::webrtc::{IceServer, TurnSecret};
use worker::console_error;

/// How long a session's answer may wait for what an account's object has: it is asked about the credentials anyway.
const OWN_TIMEOUT: Duration = Duration::from_secs(1);

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
        servers.extend(match own(call, user.account).await {
            own if own.is_empty() => call.relays()?.call(ProviderIceServers {}).await?,
            own => own,
        });
    }
    json(200, &json!({"iceServers": servers}))
}

/// The provider's servers with credentials of this account's own; none while there are none, or the account's object does not
/// answer at once.
pub(crate) async fn own(call: &Call, account: Address) -> Vec<IceServer> {
    if call.config.turn_service.is_none() {
        return Vec::new();
    }
    let asked = OwnIceServers {
        account,
        client: rate_limit::client(call.headers(), &call.config),
    };
    let object = match call.account(account) {
        Ok(object) => object,
        Err(error) => {
            console_error!("request {}: TURN service: {error}", call.id);
            return Vec::new();
        }
    };
    within(OWN_TIMEOUT, object.call(asked))
        .await
        .unwrap_or_else(|problem| {
            console_error!("request {}: TURN service: {problem}", call.id);
            Vec::new()
        })
}

/// The `Link` headers of a session's answer (RFC 9725 §4.6): the chosen relay's TURN server first.
pub(crate) fn links(call: &Call, chosen: &Chosen, user: TurnUser, own: &[IceServer]) -> Vec<String> {
    let secret = call.config.relay_key(&chosen.relay, chosen.key).turn_secret();
    let mut servers = user.servers(call, &chosen.turn, Some(&secret));
    servers.extend(user.configured(call));
    let of_provider = match own.is_empty() {
        true => &chosen.ice_servers,
        false => own,
    };
    servers.extend(of_provider.iter().cloned());
    servers.iter().map(IceServer::link).collect()
}
