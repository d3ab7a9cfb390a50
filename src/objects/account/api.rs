//! What the Account object is asked.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use streamchain_edge_core::account::KeptKey;
use streamchain_protocol::auth::Scope;
use streamchain_protocol::ids::KeyId;

/// `POST /check`
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CheckCredentials {
    /// When the principal's own token was issued, Unix seconds.
    pub issued: Option<u64>,
    /// The key behind a service's token, or the key itself.
    pub key: Option<KeyId>,
    /// Of the key itself: SHA-256 of its secret.
    pub hash: Option<B256>,
}

/// The answer to [`CheckCredentials`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Checked {
    /// Why they are refused; `None` when they count.
    pub refused: Option<String>,
    /// Of a key: what it opens.
    pub scope: Option<Scope>,
    /// Of a key: when it ends, Unix milliseconds.
    pub expires: Option<u64>,
}

/// `POST /sign-in`: uses up a nonce.
#[derive(Debug, Serialize, Deserialize)]
pub struct SignIn {
    /// The nonce, as it was given out.
    pub nonce: String,
    /// Its last second, Unix time.
    pub expires_s: u64,
}

/// The answer to [`SignIn`].
#[derive(Debug, Serialize, Deserialize)]
pub struct SignedIn {
    /// When the token may say that it was issued, Unix seconds.
    pub issued: u64,
}

/// The answer to `GET /keys`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Keys {
    /// Its keys.
    pub keys: Vec<KeptKey>,
    /// Their ids, and those of the keys that were removed last.
    pub ids: Vec<KeyId>,
}

/// `POST /revoke`
#[derive(Debug, Serialize, Deserialize)]
pub struct Revoke {
    /// Whether its keys go too.
    pub keys: bool,
}
