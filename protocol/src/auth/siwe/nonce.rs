//! The nonces of sign-ins: signed and dated by the edge, so that giving one out stores nothing. The Account object
//! makes sure that an account uses each of them once.

use crate::auth::keys::{mac, mac_bytes};
use crate::time::UnixSec;
use alloy_primitives::hex;
use hmac::Mac;

/// How long a nonce may be used, seconds: time enough to read what a hardware wallet shows.
pub const NONCE_LIFE_S: u64 = 600;

const RANDOM: usize = 8;
const BODY: usize = RANDOM + 8;
const TAG: usize = 12;

/// A nonce: 8 random bytes, its last second (8 bytes, big-endian), and a MAC cut to 12, as hexadecimal digits, which
/// are letters and digits as EIP-4361 wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInNonce {
    /// Random bytes, so that each nonce is unique.
    pub random: [u8; RANDOM],
    /// The last second in which it may be used.
    pub expires: UnixSec,
}

/// Why a nonce was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// The nonce was not given out here.
    #[error("the nonce was not given out here")]
    Foreign,
    /// The nonce's time has passed.
    #[error("the nonce expired")]
    Expired,
}

impl SignInNonce {
    /// Returns a new nonce.
    pub fn new(random: [u8; RANDOM], now: UnixSec) -> Self {
        Self {
            random,
            expires: now.plus_s(NONCE_LIFE_S),
        }
    }

    /// Returns the nonce as a signed text.
    pub fn sign(&self, key: &[u8; 32]) -> String {
        let mut bytes = [0; BODY + TAG];
        bytes[..RANDOM].copy_from_slice(&self.random);
        bytes[RANDOM..BODY].copy_from_slice(&self.expires.0.to_be_bytes());
        let tag = mac_bytes(key, &[&bytes[..BODY]]);
        bytes[BODY..].copy_from_slice(&tag[..TAG]);
        hex::encode(bytes)
    }

    /// Reads a text that came from outside, at `now`.
    pub fn verify(text: &str, key: &[u8; 32], now: UnixSec) -> Result<Self, NonceError> {
        let mut bytes = [0; BODY + TAG];
        // Nonces are compared as texts when they are used a second time: one nonce has one text.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) || text.starts_with("0x") {
            return Err(NonceError::Foreign);
        }
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NonceError::Foreign)?;
        let (body, tag) = bytes.split_at(BODY);
        mac(key, &[body])
            .verify_truncated_left(tag)
            .map_err(|_| NonceError::Foreign)?;
        let (mut random, mut expires) = ([0; RANDOM], [0; 8]);
        random.copy_from_slice(&bytes[..RANDOM]);
        expires.copy_from_slice(&bytes[RANDOM..BODY]);
        let expires = UnixSec(u64::from_be_bytes(expires));
        match now > expires {
            true => Err(NonceError::Expired),
            false => Ok(Self { random, expires }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_nonce_is_good_until_its_last_second_and_with_its_own_key() {
        let text = SignInNonce::new([7; 8], UnixSec(1_000)).sign(&[1; 32]);
        let last = UnixSec(1_000).plus_s(NONCE_LIFE_S);
        assert!(SignInNonce::verify(&text, &[1; 32], last).is_ok());
        assert_eq!(
            SignInNonce::verify(&text, &[1; 32], last.plus_s(1)),
            Err(NonceError::Expired)
        );
        assert_eq!(
            SignInNonce::verify(&text, &[2; 32], UnixSec(1_000)),
            Err(NonceError::Foreign)
        );
        let upper = text.to_uppercase();
        assert_eq!(
            SignInNonce::verify(&upper, &[1; 32], UnixSec(1_000)),
            Err(NonceError::Foreign)
        );
    }

    #[test]
    fn a_nonce_of_another_length_or_another_digit_is_foreign() {
        let text = SignInNonce::new([7; 8], UnixSec(1_000)).sign(&[1; 32]);
        let last = if text.ends_with('0') { "1" } else { "0" };
        let changed = format!("{}{last}", &text[..text.len() - 1]);
        for none in ["12345678", &changed, &format!("{text}0"), &format!("0x{text}")] {
            let verified = SignInNonce::verify(none, &[1; 32], UnixSec(1_000));
            assert_eq!(verified, Err(NonceError::Foreign), "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[0-9a-f]{0,60}|.{0,60}") {
            prop_assert!(SignInNonce::verify(&text, &[1; 32], UnixSec(0)).is_err());
        }
    }
}
