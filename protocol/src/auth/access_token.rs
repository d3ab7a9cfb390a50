//! Access tokens: who a request to the edge is by. JWT (RFC 7519) with HS256, issued and checked by the edge
//! alone, so that no other algorithm is ever accepted.

use super::api_key::KeyRef;
use super::keys::{mac, mac_bytes};
use super::rights::Rights;
use crate::ids::ShortId;
use crate::limits::MAX_ACCESS_TOKEN_BYTES;
use crate::time::UnixSec;
use crate::util::json;
use alloy_primitives::Address;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use hmac::Mac;
use serde::{Deserialize, Serialize};

/// `{"alg":"HS256","typ":"JWT"}`, the one header that is issued and accepted.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// What a token or key is limited to, beside what its account may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The streams that it opens; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<Vec<ShortId>>,
    /// The rights that it gives at most.
    pub rights: Rights,
}

impl Scope {
    /// A scope without limits.
    pub const ALL: Self = Self {
        streams: None,
        rights: Rights::ALL,
    };

    /// Returns the rights that it leaves on one stream.
    pub fn on(&self, stream: ShortId) -> Rights {
        match &self.streams {
            Some(streams) if !streams.contains(&stream) => Rights::NONE,
            _ => self.rights,
        }
    }

    /// Returns the scope that this and the other leave together.
    pub fn narrowed(&self, other: &Self) -> Self {
        let streams = match (&self.streams, &other.streams) {
            (Some(ours), Some(theirs)) => Some(
                ours.iter()
                    .filter(|stream| theirs.contains(stream))
                    .copied()
                    .collect(),
            ),
            (ours, theirs) => ours.as_ref().or(theirs.as_ref()).cloned(),
        };
        Self {
            streams,
            rights: self.rights.and(other.rights),
        }
    }
}

/// The claims of an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The author: whose messages these are.
    pub sub: Address,
    /// When it was issued.
    pub iat: UnixSec,
    /// The last second of its life.
    pub exp: UnixSec,
    /// Whether the author is a guest: an address that nobody has a private key for.
    #[serde(default)]
    pub guest: bool,
    /// When the wallet signed in: how long the token may be renewed counts from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixSec>,
    /// The last second of everything that is made from the token: other tokens, keys, sessions, credentials. Absent where
    /// neither the sign-in nor who asked for the token set such a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<UnixSec>,
    /// The API key that a service's token was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyRef>,
    /// What the token is limited to; absent when it has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// Why an access token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The text is not three base64url parts with this header and claims.
    #[error("not an access token of this service")]
    Shape,
    /// The token was signed with another key, or changed.
    #[error("the access token's signature is wrong")]
    Signature,
    /// The token's life is over.
    #[error("the access token expired {0} s ago")]
    Expired(u64),
}

impl AccessClaims {
    /// Returns the claims as a signed token.
    pub fn sign(&self, key: &[u8; 32]) -> String {
        #[allow(
            clippy::unreachable,
            reason = "serializing fails only for maps with keys that are no texts, and for a failing writer"
        )]
        let Ok(claims) = serde_json::to_vec(self) else {
            unreachable!("the claims are plain fields")
        };
        let signed = format!("{HEADER}.{}", BASE64URL.encode(claims));
        let tag = mac_bytes(key, &[signed.as_bytes()]);
        format!("{signed}.{}", BASE64URL.encode(tag))
    }

    /// Reads a token that came from outside, at `now`.
    pub fn verify(token: &str, key: &[u8; 32], now: UnixSec) -> Result<Self, AccessError> {
        if token.len() > MAX_ACCESS_TOKEN_BYTES {
            return Err(AccessError::Shape);
        }
        let (signed, tag) = token.rsplit_once('.').ok_or(AccessError::Shape)?;
        let claims = signed
            .strip_prefix(HEADER)
            .and_then(|rest| rest.strip_prefix('.'));
        let claims = claims.ok_or(AccessError::Shape)?;
        let tag = BASE64URL.decode(tag).map_err(|_| AccessError::Shape)?;
        mac(key, &[signed.as_bytes()])
            .verify_slice(&tag)
            .map_err(|_| AccessError::Signature)?;
        let claims = BASE64URL.decode(claims).map_err(|_| AccessError::Shape)?;
        let claims: Self = json::from_bytes(&claims).map_err(|_| AccessError::Shape)?;
        match now.since(claims.exp) {
            0 => Ok(claims),
            late => Err(AccessError::Expired(late)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claims() -> AccessClaims {
        AccessClaims {
            sub: Address::repeat_byte(1),
            iat: UnixSec(10),
            exp: UnixSec(20),
            guest: true,
            since: None,
            end: None,
            key: None,
            scope: None,
        }
    }

    #[test]
    fn a_token_says_what_was_signed_until_it_expires() {
        let token = claims().sign(&[1; 32]);
        assert_eq!(AccessClaims::verify(&token, &[1; 32], UnixSec(20)), Ok(claims()));
        assert_eq!(
            AccessClaims::verify(&token, &[1; 32], UnixSec(22)),
            Err(AccessError::Expired(2))
        );
        assert_eq!(
            AccessClaims::verify(&token, &[2; 32], UnixSec(20)),
            Err(AccessError::Signature)
        );
    }

    #[test]
    fn an_unsigned_token_is_refused() {
        let token = claims().sign(&[1; 32]);
        let (_, rest) = token.split_once('.').unwrap();
        let none = format!("eyJhbGciOiJub25lIn0.{rest}");
        assert_eq!(
            AccessClaims::verify(&none, &[1; 32], UnixSec(20)),
            Err(AccessError::Shape)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,300}") {
            prop_assert!(AccessClaims::verify(&text, &[1; 32], UnixSec(0)).is_err());
        }
    }
}
