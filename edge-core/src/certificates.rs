//! Which keys sign for an author: the author's own, those that its wallet delegated to, and a service's.
//!
//! What always holds: a certificate covers one span of time and is never deleted, so that what was signed under it stays
//! provable; a key signs for an author only in a span that was not revoked.

use streamchain_protocol::Address;
use streamchain_protocol::auth::siwe::SignIn;
use streamchain_protocol::ids::{StreamId, StreamName};
use streamchain_protocol::limits::CERTIFICATE_LIFE_S;
use streamchain_protocol::proof::check_time;
use streamchain_protocol::signed::{Certificate, PublicKey, author_of};
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::KeyState;

/// Most certificates that an author gets in [`CERTIFICATE_LIFE_S`], so that what is kept of one for ever grows slowly.
pub const MAX_AUTHOR_KEYS: usize = 64;

/// A certificate with what it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCertificate {
    /// Whose messages the key signs.
    pub author: Address,
    /// The key.
    pub key: PublicKey,
    /// The chain that a wallet's sign-in names.
    pub chain_id: Option<u64>,
    /// Who vouches, and when it counts.
    pub certificate: Certificate,
}

/// Why a key does not sign for an author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Nobody vouches for it.
    #[error("the key is not the author's: sign in with it, or prove that the author is the key")]
    Unknown,
    /// Its time has not come.
    #[error("the key does not sign for the author yet")]
    NotYetValid,
    /// Its time has passed.
    #[error("the key's certificate expired: sign in again")]
    Expired,
    /// The account revoked it.
    #[error("the key was revoked: sign in again")]
    Revoked,
    /// The sign-in names other streams.
    #[error("the key's certificate is for other streams than this one")]
    OtherStream,
}

impl KeyFault {
    /// Returns a word for programs, which never changes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown-key",
            Self::NotYetValid => "not-yet-valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::OtherStream => "other-stream",
        }
    }
}

/// Returns whether an author is this key, so that nobody else needs to vouch for it.
pub fn is_own(author: Address, key: &PublicKey) -> bool {
    author_of(key).is_ok_and(|own| own == author)
}

impl KeptCertificate {
    /// Returns whether it counts for a stream: the sign-in names that stream, or none.
    pub fn is_for(&self, stream: StreamId, name: &StreamName) -> bool {
        match &self.certificate {
            Certificate::Wallet { message, .. } => {
                SignIn::parse(message).is_ok_and(|sign_in| sign_in.is_for(stream, name))
            }
            Certificate::Own {} | Certificate::Service { .. } => true,
        }
    }

    /// Returns whether it names streams, so that which stream is meant has to be known.
    pub fn names_streams(&self) -> bool {
        let Certificate::Wallet { message, .. } = &self.certificate else {
            return false;
        };
        let named = SignIn::parse(message).map(|sign_in| {
            let authorities = sign_in.authorities();
            sign_in.streams(&authorities).map(|streams| !streams.is_empty())
        });
        !matches!(named, Ok(Ok(false)))
    }

    /// Returns whether a newer one for the same key, until `expires`, need not be kept: this one counts for all streams, and
    /// for half of a life or as long.
    pub fn makes_needless(&self, expires: Option<UnixSec>, now: UnixSec) -> bool {
        let (issued, until) = self.certificate.span();
        let enough = now.plus_s(CERTIFICATE_LIFE_S / 2);
        let is_long = until >= enough.min(expires.unwrap_or(UnixSec(u64::MAX)));
        issued <= now
            && now < until
            && is_long
            && self.certificate.revoked().is_none()
            && !self.names_streams()
    }
}

/// Returns the certificate, of one author and key, that counts at a time: the newest one that covers it and is for the stream,
/// where one is named, or else the newest.
pub fn at_time<'a>(
    kept: &'a [KeptCertificate],
    stream: Option<(StreamId, &StreamName)>,
    at: UnixSec,
) -> Option<&'a KeptCertificate> {
    let counts = |one: &&KeptCertificate| {
        check_time(&one.certificate, at).is_ok() && stream.is_none_or(|(id, name)| one.is_for(id, name))
    };
    let newest = || kept.iter().max_by_key(|one| one.certificate.span().0);
    kept.iter()
        .filter(counts)
        .max_by_key(|one| one.certificate.span().0)
        .or_else(newest)
}

/// Returns until when a key signs for an author on a stream, or why it does not: the second before which it does, `None` for
/// ever. `kept` is what is kept for the author and the key.
pub fn check_key(
    kept: &[KeptCertificate],
    stream: Option<(StreamId, &StreamName)>,
    now: UnixSec,
) -> Result<Option<UnixSec>, KeyFault> {
    let found = at_time(kept, stream, now).ok_or(KeyFault::Unknown)?;
    let (issued, until) = found.certificate.span();
    if now < issued {
        return Err(KeyFault::NotYetValid);
    }
    if now >= until {
        return Err(match found.certificate.revoked().is_some() {
            true => KeyFault::Revoked,
            false => KeyFault::Expired,
        });
    }
    if stream.is_some_and(|(id, name)| !found.is_for(id, name)) {
        return Err(KeyFault::OtherStream);
    }
    Ok(Some(until).filter(|until| until.0 < u64::MAX))
}

/// Returns the outcome of [`check_key`] as relays are told.
pub fn key_state(checked: Result<Option<UnixSec>, KeyFault>) -> KeyState {
    match checked {
        Ok(until) => KeyState {
            ok: true,
            until,
            reason: None,
        },
        Err(fault) => KeyState {
            ok: false,
            until: None,
            reason: Some(fault.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUED: UnixSec = UnixSec(1_769_860_740);
    const STREAM: StreamId = StreamId([5; 32]);

    fn name() -> StreamName {
        "demo".parse().unwrap()
    }

    fn key() -> PublicKey {
        PublicKey::from_bytes([2; 33]).unwrap()
    }

    fn message(resources: &[&str]) -> String {
        let list: String = resources.iter().map(|one| format!("\n- {one}")).collect();
        let list = if resources.is_empty() {
            list
        } else {
            format!("\nResources:{list}")
        };
        format!(
            "app.example wants you to sign in with your Ethereum account:\n\
             0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\n\n\nURI: https://app.example/\nVersion: 1\nChain ID: 1\n\
             Nonce: abcdefgh\nIssued At: 2026-01-31T12:00:00Z{list}"
        )
    }

    fn wallet(issued: u64, life: u64, revoked: Option<u64>, resources: &[&str]) -> KeptCertificate {
        KeptCertificate {
            author: Address::repeat_byte(1),
            key: key(),
            chain_id: Some(1),
            certificate: Certificate::Wallet {
                message: message(resources),
                signature: Default::default(),
                issued: UnixSec(issued),
                expires: UnixSec(issued + life),
                revoked: revoked.map(UnixSec),
            },
        }
    }

    fn service(expires: Option<u64>) -> KeptCertificate {
        KeptCertificate {
            chain_id: None,
            certificate: Certificate::Service {
                account: Address::repeat_byte(2),
                issued: ISSUED,
                expires: expires.map(UnixSec),
                revoked: None,
            },
            ..wallet(0, 0, None, &[])
        }
    }

    fn checked(kept: &[KeptCertificate], now: u64) -> Result<Option<u64>, KeyFault> {
        let name = name();
        let until = check_key(kept, Some((STREAM, &name)), UnixSec(now))?;
        Ok(until.map(|until| until.0))
    }

    #[test]
    fn a_key_signs_in_its_time() {
        let kept = [wallet(100, 50, None, &[])];
        assert_eq!(checked(&kept, 99), Err(KeyFault::NotYetValid));
        assert_eq!(checked(&kept, 100), Ok(Some(150)));
        assert_eq!(checked(&kept, 149), Ok(Some(150)));
        assert_eq!(checked(&kept, 150), Err(KeyFault::Expired));
        assert_eq!(checked(&[], 100), Err(KeyFault::Unknown));
        assert_eq!(checked(&[service(None)], ISSUED.0), Ok(None), "without an end");
    }

    #[test]
    fn a_revoked_key_signs_no_more_until_it_is_certified_again() {
        let revoked = wallet(100, 50, Some(120), &[]);
        assert_eq!(checked(std::slice::from_ref(&revoked), 119), Ok(Some(120)));
        assert_eq!(
            checked(std::slice::from_ref(&revoked), 120),
            Err(KeyFault::Revoked)
        );
        let again = [wallet(130, 50, None, &[]), revoked];
        assert_eq!(checked(&again, 140), Ok(Some(180)));
        let of = |at| at_time(&again, None, UnixSec(at)).map(|one| one.certificate.span().0.0);
        assert_eq!((of(110), of(140), of(125)), (Some(100), Some(130), Some(130)));
    }

    #[test]
    fn a_sign_in_for_streams_certifies_for_these() {
        let other = wallet(100, 50, None, &["https://app.example/v1/streams/other"]);
        let this = wallet(90, 50, None, &["https://app.example/v1/streams/demo"]);
        assert!(other.names_streams() && !wallet(1, 1, None, &["ipfs://x"]).names_streams());
        assert_eq!(
            checked(std::slice::from_ref(&other), 110),
            Err(KeyFault::OtherStream)
        );
        assert_eq!(checked(&[other, this], 110), Ok(Some(140)));
    }

    #[test]
    fn a_newer_certificate_is_needless_while_the_old_one_lasts() {
        let life = CERTIFICATE_LIFE_S;
        let kept = wallet(100, life, None, &[]);
        let needless = |kept: &KeptCertificate, expires: u64, now: u64| {
            kept.makes_needless(Some(UnixSec(expires)), UnixSec(now))
        };
        assert!(needless(&kept, 200 + life, 200));
        assert!(
            !needless(&kept, life + life, 101 + life / 2),
            "half of its life is over"
        );
        assert!(
            needless(&kept, 100 + life, 101 + life / 2),
            "the newer one ends no later"
        );
        assert!(!needless(&wallet(100, life, Some(150), &[]), 300, 200), "revoked");
        let named = wallet(100, life, None, &["https://app.example/v1/streams/demo"]);
        assert!(!needless(&named, 300, 200), "it is for one stream");
        assert!(service(None).makes_needless(None, ISSUED));
        assert!(!service(Some(ISSUED.0 + 5)).makes_needless(None, ISSUED));
    }

    #[test]
    fn relays_are_told_until_when_or_why_not() {
        assert_eq!(key_state(Ok(Some(UnixSec(7)))).until, Some(UnixSec(7)));
        let refused = key_state(Err(KeyFault::Revoked));
        assert!(!refused.ok && refused.reason.is_some());
    }
}
