//! API keys: what a service shows instead of a wallet's signature.

use crate::ids::KeyId;
use alloy_primitives::{Address, B256, keccak256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How an API key begins, so that people and secret scanners know one.
pub const KEY_PREFIX: &str = "sck_";

const ADDRESS: usize = 20;
/// Random bytes of an API key's secret: 192 bits, too many to be tried one by one.
pub const SECRET_BYTES: usize = 24;
const KEY_BYTES: usize = ADDRESS + KeyId::LEN + SECRET_BYTES;
/// Characters of an API key behind its prefix: base64 without padding.
const KEY_CHARS: usize = (KEY_BYTES * 4).div_ceil(3);

/// An API key, without its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRef {
    /// The account that made the key, and that the key's rights are a part of.
    pub account: Address,
    /// The key's id in the account.
    pub id: KeyId,
}

/// An API key with its secret: `sck_` and the base64url of account, id and secret. The account is part of it because
/// it leads to the account's object.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The account and the key's id.
    pub key: KeyRef,
    secret: [u8; SECRET_BYTES],
}

impl ApiKey {
    /// Returns a new key of random bytes.
    pub fn new(key: KeyRef, secret: [u8; SECRET_BYTES]) -> Self {
        Self { key, secret }
    }

    /// Reads a text that came from outside.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; KEY_BYTES];
        let text = text.strip_prefix(KEY_PREFIX)?;
        if text.len() != KEY_CHARS
            || BASE64URL.decode_slice_unchecked(text, &mut bytes).ok() != Some(KEY_BYTES)
        {
            return None;
        }
        let (account, rest) = bytes.split_at(ADDRESS);
        let (id, secret) = rest.split_at(KeyId::LEN);
        let key = KeyRef {
            account: Address::from_slice(account),
            id: KeyId(id.try_into().ok()?),
        };
        let secret = secret.try_into().ok()?;
        Some(Self { key, secret })
    }

    /// Returns the key as the text that a service shows.
    pub fn to_text(&self) -> String {
        let bytes = [self.key.account.as_slice(), &self.key.id.0, &self.secret].concat();
        format!("{KEY_PREFIX}{}", BASE64URL.encode(bytes))
    }

    /// Returns the SHA-256 of the secret, which is all that the edge keeps of it.
    pub fn hash(&self) -> B256 {
        B256::from_slice(&Sha256::digest(self.secret))
    }
}

impl KeyRef {
    /// Returns the author of the service's messages: an address that nobody has a private key for.
    pub fn author(&self) -> Address {
        let hash = keccak256(
            [
                b"streamchain/service/v1".as_slice(),
                self.account.as_slice(),
                &self.id.0,
            ]
            .concat(),
        );
        Address::from_word(hash)
    }
}
