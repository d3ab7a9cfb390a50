//! A sign-in that delegates: for how long its key may sign for the account.

use crate::limits::CERTIFICATE_LIFE_S;
use crate::signed::PublicKey;
use crate::time::{UnixMs, UnixSec};

/// What a sign-in delegates. It follows from the message alone, so whoever has the message knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delegation {
    /// The key that signs for the account.
    pub key: PublicKey,
    /// From when it does: *Issued At* or *Not Before*, and a minute earlier, since the signer's clock may be ahead.
    pub issued: UnixSec,
    /// Until when it does: *Expiration Time*, or [`CERTIFICATE_LIFE_S`] behind `issued`.
    pub expires: UnixSec,
}

impl Delegation {
    /// To a key, by a sign-in that is good from `begins` on by a clock that may be ahead by `skew_ms`.
    pub(super) fn new(key: PublicKey, begins: UnixMs, expires: Option<UnixMs>, skew_ms: u64) -> Self {
        let issued = begins.minus_ms(skew_ms).to_sec();
        let expires = expires.map(UnixMs::to_sec);
        Self {
            key,
            issued,
            expires: expires.unwrap_or(issued.plus_s(CERTIFICATE_LIFE_S)),
        }
    }
}
