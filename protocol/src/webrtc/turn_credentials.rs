//! Time-limited TURN credentials by shared secret: the username says until when it holds, the password is an
//! HMAC of the username. The edge issues them, and a TURN server with the same secret checks them; neither
//! asks the other.
//!
//! The shape is the one that coturn (`use-auth-secret`) and other servers took from the "REST API for access
//! to TURN services" draft: username `expiry:user`, expiry in Unix seconds; password
//! `base64(HMAC-SHA1(secret, username))`. SHA-1 is what these servers speak; as an HMAC it still stands.

use crate::time::UnixSec;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha1::Sha1;

/// Longest username that is issued or read, bytes: an expiry, a colon and an author's address with room to
/// spare. A TURN server keeps one per allocation.
pub(crate) const MAX_TURN_USERNAME_BYTES: usize = 96;

/// How long issued credentials hold, seconds (12 hours): a TURN server checks them at every refresh, so a
/// session over TURN lives no longer without new ones.
pub(crate) const TURN_CREDENTIALS_LIFE_S: u64 = 12 * 3_600;

/// What the issuer and the TURN server share.
#[derive(Clone)]
pub struct TurnSecret(String);

/// A username and the password that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnCredentials {
    /// `expiry:user`.
    pub username: String,
    /// 28 characters of base64.
    pub password: String,
}

/// Why a username was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TurnUsernameError {
    /// The username is not `expiry:user`, or too long.
    #[error("expected `expiry:user`, at most 96 bytes")]
    Shape,
    /// The username's time is over.
    #[error("expired {0} s ago")]
    Expired(u64),
}

impl TurnSecret {
    /// Makes the secret of any text, as coturn's `static-auth-secret` is one.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// Returns credentials of `user` until `expires` (the last second included). A user too long for
    /// [`MAX_TURN_USERNAME_BYTES`] is cut.
    pub fn issue(&self, user: &str, expires: UnixSec) -> TurnCredentials {
        let mut username = format!("{expires}:");
        for character in user.chars() {
            if username.len() + character.len_utf8() > MAX_TURN_USERNAME_BYTES {
                break;
            }
            username.push(character);
        }
        let password = self.password(&username);
        TurnCredentials { username, password }
    }

    /// Returns the password that belongs to `username`.
    pub fn password(&self, username: &str) -> String {
        #[allow(clippy::unreachable, reason = "HMAC takes keys of any length (RFC 2104 §2)")]
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(self.0.as_bytes()) else {
            unreachable!("HMAC takes keys of any length")
        };
        mac.update(username.as_bytes());
        BASE64.encode(mac.finalize().into_bytes())
    }
}

/// Returns the user in a username that came from outside, at `now`. Says nothing about the password.
pub fn user_of(username: &str, now: UnixSec) -> Result<&str, TurnUsernameError> {
    if username.len() > MAX_TURN_USERNAME_BYTES {
        return Err(TurnUsernameError::Shape);
    }
    let (expiry, user) = username.split_once(':').ok_or(TurnUsernameError::Shape)?;
    if user.is_empty() || !expiry.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TurnUsernameError::Shape);
    }
    let expires = UnixSec(expiry.parse().map_err(|_| TurnUsernameError::Shape)?);
    match now.since(expires) {
        0 => Ok(user),
        late => Err(TurnUsernameError::Expired(late)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_equal_those_of_other_implementations() {
        // printf '1433895918:user' | openssl dgst -sha1 -hmac 'north-secret' -binary | base64
        let issued = TurnSecret::new("north-secret").issue("user", UnixSec(1_433_895_918));
        assert_eq!(issued.username, "1433895918:user");
        assert_eq!(issued.password, "NeXqRaARyLhUW6p1S9PmqzmelCE=");
    }

    #[test]
    fn a_username_names_its_user_until_it_expires() {
        assert_eq!(user_of("100:alice", UnixSec(100)), Ok("alice"));
        assert_eq!(user_of("100:a:b", UnixSec(1)), Ok("a:b"));
        assert_eq!(
            user_of("100:alice", UnixSec(103)),
            Err(TurnUsernameError::Expired(3))
        );
    }

    #[test]
    fn another_shape_is_no_username() {
        let long = format!("1:{}", "x".repeat(MAX_TURN_USERNAME_BYTES));
        for username in [
            "",
            "alice",
            "100:",
            ":alice",
            "+1:alice",
            "-1:a",
            "99999999999999999999:a",
            &long,
        ] {
            assert_eq!(
                user_of(username, UnixSec(0)),
                Err(TurnUsernameError::Shape),
                "{username}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_issued_is_read_again(user in ".{1,200}", expires_s in 1u64..u64::MAX) {
            let issued = TurnSecret::new("secret").issue(&user, UnixSec(expires_s));
            prop_assert!(user.starts_with(user_of(&issued.username, UnixSec(expires_s)).unwrap()));
        }

        #[test]
        fn any_text_is_survived(text in ".{0,200}", now_s: u64) {
            let _ = user_of(&text, UnixSec(now_s));
        }
    }
}
