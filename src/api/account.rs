//! What the Account object is asked. The object is named by the principal's address.

use crate::api::call::{Handle, requests, wire_by_field};
use alloy_primitives::{Address, B256, hex};
use streamchain_edge_core::account::KeptKey;
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::auth::Scope;
use streamchain_protocol::ids::KeyId;
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::webrtc::IceServer;
use worker::Env;

requests! {
    /// What an Account object is asked. The Worker has authenticated whoever asks.
    AccountRequest {
        /// Whether credentials count.
        CheckCredentials -> Checked,
        /// Uses up a nonce.
        SignIn -> SignedIn,
        /// Its API keys.
        ListKeys -> Keys,
        /// Adds an API key.
        AddKey -> (),
        /// Removes an API key.
        RemoveKey -> (),
        /// Ends all tokens that were issued until now.
        Revoke -> (),
        /// The TURN provider's servers with credentials of the principal's own; none until it has some.
        OwnIceServers -> Vec<IceServer>,
    }
}

wire_by_field! {
    CheckCredentials { issued, key, hash }
    Checked { refused, scope, expires }
    SignIn { nonce, expires }
    SignedIn { issued }
    ListKeys {}
    Keys { keys, ids }
    AddKey { key }
    RemoveKey { key }
    Revoke { keys }
    OwnIceServers { account, client }
}

/// The object of one principal.
pub(crate) fn account_object(
    env: &Env,
    id: &RequestId,
    account: Address,
) -> worker::Result<Handle<AccountRequest>> {
    let name = hex::encode_prefixed(account);
    Ok(Handle::new(
        env.durable_object("ACCOUNT")?.get_by_name(&name)?,
        id,
    ))
}

/// The credentials of one principal.
#[derive(Debug, Default)]
pub(crate) struct CheckCredentials {
    /// When the principal's own token was issued, Unix seconds.
    pub issued: Option<UnixSec>,
    /// The key behind a service's token, or the key itself.
    pub key: Option<KeyId>,
    /// Of the key itself: SHA-256 of its secret.
    pub hash: Option<B256>,
}

/// Whether credentials count.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Why they are refused; `None` when they count.
    pub refused: Option<String>,
    /// Of a key: what it opens.
    pub scope: Option<Scope>,
    /// Of a key: when it ends, Unix milliseconds.
    pub expires: Option<UnixMs>,
}

/// A nonce that signs in.
#[derive(Debug)]
pub(crate) struct SignIn {
    /// The nonce, as it was given out.
    pub nonce: String,
    /// Its last second, Unix time.
    pub expires: UnixSec,
}

/// A sign-in that counts.
#[derive(Debug)]
pub(crate) struct SignedIn {
    /// When the token may say that it was issued, Unix seconds.
    pub issued: UnixSec,
}

/// Asks for the account's keys.
#[derive(Debug)]
pub(crate) struct ListKeys {}

/// The account's keys.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Its keys.
    pub keys: Vec<KeptKey>,
    /// Their ids, and those of the keys that were removed last.
    pub ids: Vec<KeyId>,
}

/// A new key.
#[derive(Debug)]
pub(crate) struct AddKey {
    /// What is kept of it.
    pub key: KeptKey,
}

/// The end of a key.
#[derive(Debug)]
pub(crate) struct RemoveKey {
    /// The key.
    pub key: KeyId,
}

/// Asks for the servers of the TURN provider.
#[derive(Debug)]
pub(crate) struct OwnIceServers {
    /// The principal.
    pub account: Address,
    /// The network that asks, whose share a request to the provider takes.
    pub client: String,
}

/// The end of all tokens.
#[derive(Debug)]
pub(crate) struct Revoke {
    /// Whether the account's keys end too.
    pub keys: bool,
}
