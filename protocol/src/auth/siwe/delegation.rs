//! A sign-in that delegates: for how long its key may sign for the account.

use super::resource::{NotAKey, key, stream};
use super::{CLOCK_SKEW_MS, SignIn, SiweError};
use crate::ids::{StreamId, StreamName, StreamRef};
use crate::limits::CERTIFICATE_LIFE_S;
use crate::signed::PublicKey;
use crate::time::UnixSec;

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
    pub(super) fn of(sign_in: &SignIn<'_>) -> Result<Option<Self>, SiweError> {
        let keys = sign_in.resources.iter().map(|resource| key(resource));
        let named: Vec<PublicKey> = keys
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()
            .map_err(|NotAKey| SiweError::Key)?;
        let key = match named.as_slice() {
            [] => return Ok(None),
            [key] => *key,
            _ => return Err(SiweError::Key),
        };
        let begins = sign_in.not_before.max(Some(sign_in.issued_at));
        let issued = begins
            .unwrap_or(sign_in.issued_at)
            .minus_ms(CLOCK_SKEW_MS)
            .to_sec();
        let expires = sign_in.expires.map(|time| time.to_sec());
        Ok(Some(Self {
            key,
            issued,
            expires: expires.unwrap_or(issued.plus_s(CERTIFICATE_LIFE_S)),
        }))
    }
}

impl SignIn<'_> {
    /// Returns whether the sign-in is for a stream: its resources at its own hosts name that stream, or none. A stream that is
    /// named without an owner is the operator's, whom the caller knows or not.
    pub fn is_for(&self, id: StreamId, name: &StreamName) -> bool {
        let authorities = self.authorities();
        let named: Result<Vec<&str>, _> = self
            .resources
            .iter()
            .filter_map(|resource| stream(resource, &authorities).transpose())
            .collect();
        let is_this = |text: &str| match text.parse() {
            Ok(StreamRef::Name(given)) => given == *name,
            Ok(StreamRef::Id(given)) => given == id,
            Ok(StreamRef::Short(given)) => given == id.short(),
            Err(_) => false,
        };
        named.is_ok_and(|named| named.is_empty() || named.into_iter().any(is_this))
    }
}
