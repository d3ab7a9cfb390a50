//! The access token that requests carry, and when it is to be renewed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use streamchain_protocol::Address;
use streamchain_protocol::time::UnixSec;

/// A token is renewed when it has less life left than this, seconds.
const RENEW_BEFORE_S: u64 = 300;

/// A token or an API key.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) text: String,
    /// When it ends, if it can be renewed.
    renewable_until: Option<UnixSec>,
    /// When a guest's ends.
    guest_until: Option<UnixSec>,
    /// Whose it is, as it says itself.
    author: Option<Address>,
}

/// The claims that are read; whether they are true is the edge's to check.
#[derive(Deserialize)]
struct Claims {
    exp: u64,
    #[serde(default)]
    guest: bool,
    sub: Option<Address>,
}

impl Token {
    pub(super) fn new(text: &str) -> Self {
        let claims = text
            .split('.')
            .nth(1)
            .and_then(|part| URL_SAFE_NO_PAD.decode(part).ok())
            .and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
        let until = claims.as_ref().map(|claims| UnixSec(claims.exp));
        let is_guest = claims.as_ref().is_some_and(|claims| claims.guest);
        Self {
            text: text.to_owned(),
            renewable_until: until.filter(|_| !is_guest),
            guest_until: until.filter(|_| is_guest),
            author: claims.and_then(|claims| claims.sub),
        }
    }

    /// Whose token it is; `None` for an API key.
    pub(super) fn author(&self) -> Option<Address> {
        self.author
    }

    /// Whether it is a guest's, which ends soon: another one is had by proof of the key.
    pub(super) fn guest_ends(&self, now: UnixSec) -> bool {
        self.guest_until
            .is_some_and(|end| end.0 < now.0.saturating_add(RENEW_BEFORE_S))
    }

    /// Whether it should be renewed now.
    pub(super) fn wants_renewal(&self, now: UnixSec) -> bool {
        self.renewable_until
            .is_some_and(|end| end.0 > now.0 && end.0 - now.0 < RENEW_BEFORE_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> Token {
        Token::new(&format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)))
    }

    #[test]
    fn tokens_of_wallets_are_renewed_before_they_end() {
        let wallet = token(r#"{"sub":"0x1111111111111111111111111111111111111111","exp":1000}"#);
        assert!(!wallet.wants_renewal(UnixSec(600)));
        assert!(wallet.wants_renewal(UnixSec(701)));
        assert!(!wallet.wants_renewal(UnixSec(1_000)), "it is too late");
        assert!(!token(r#"{"exp":1000,"guest":true}"#).wants_renewal(UnixSec(900)));
        let guest = token(r#"{"exp":1000,"guest":true}"#);
        assert!(guest.guest_ends(UnixSec(900)) && !guest.guest_ends(UnixSec(600)));
        assert_eq!(wallet.author(), Some(Address::repeat_byte(0x11)));
        assert!(!Token::new("sck_abc").wants_renewal(UnixSec(900)));
    }
}
