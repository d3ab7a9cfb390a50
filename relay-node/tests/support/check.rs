//! Connectivity checks (RFC 8445 §7.1) without a client.

use super::keys;
use relay_node::crypto_provider;
use str0m::ice::{StunMessageBuilder, TransId};
use streamchain_protocol::auth::ice_password;

/// A check as the client of `token` signs it.
pub fn check(token: &str, priority: u32, nominates: bool) -> Vec<u8> {
    let username = format!("{token}:load");
    let mut builder = StunMessageBuilder::new()
        .binding()
        .request()
        .username(&username)
        .prio(priority)
        .ice_controlling(1);
    if nominates {
        builder = builder.use_candidate();
    }
    let mut bytes = vec![0; 1_024];
    let password = ice_password(token, &keys());
    let crypto = crypto_provider();
    let hmac = |key: &[u8], parts: &[&[u8]]| crypto.sha1_hmac_provider.sha1_hmac(key, parts);
    let length = builder
        .build(TransId::new())
        .to_bytes(Some(password.as_bytes()), &mut bytes, hmac)
        .unwrap();
    bytes.truncate(length);
    bytes
}
