//! Who vouches for a key: the key itself, a wallet's signature under a sign-in, or the operator for a service.

use super::key::{KeyError, PublicKey};
use crate::time::UnixSec;
use alloy_primitives::{Address, Bytes};
use serde::{Deserialize, Serialize};

/// What a sign-in's resource begins with when it delegates to a key; the key follows in base64url.
pub const KEY_RESOURCE_PREFIX: &str = "urn:streamchain:key:p256:";

/// Returns the resource by which a wallet's sign-in delegates to `key`.
pub fn key_resource(key: &PublicKey) -> String {
    format!("{KEY_RESOURCE_PREFIX}{}", key.to_base64())
}

/// Returns the key that a sign-in's resource delegates to; `None` when the resource is of another kind.
pub fn key_of_resource(resource: &str) -> Option<Result<PublicKey, KeyError>> {
    let text = resource.strip_prefix(KEY_RESOURCE_PREFIX)?;
    Some(PublicKey::from_base64(text).and_then(|key| key.point().map(|_| key)))
}

/// Who vouches for it that a key is an author's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Certificate {
    /// The author is the key: its address is made of it.
    #[serde(rename = "self")]
    Own {},
    /// The author's wallet signed a sign-in whose resource names the key.
    Wallet {
        /// The message of the sign-in (EIP-4361).
        message: String,
        /// The wallet's signature over it (EIP-191, EIP-1271 or EIP-6492).
        signature: Bytes,
        /// From when the key signs for the author.
        issued: UnixSec,
        /// Until when it does.
        expires: UnixSec,
        /// When the account revoked it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revoked: Option<UnixSec>,
    },
    /// A service registered the key with its API key: the operator vouches for it.
    Service {
        /// The account that made the service's API key.
        account: Address,
        /// From when the key signs for the service.
        issued: UnixSec,
        /// Until when it does; for ever when there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<UnixSec>,
        /// When the account revoked it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revoked: Option<UnixSec>,
    },
}
