//! Which keys sign for an author: the author's own, those that its wallet delegated to, and a service's.
//!
//! What always holds: a certificate covers one span of time and is never deleted, so that what was signed under it stays
//! provable; nothing is taken any more under one that was revoked. Its span goes on for [`REVOCATION_REACH_S`] then, for what
//! relays took before they learned of it.

use streamchain_protocol::Address;
use streamchain_protocol::auth::siwe::SignIn;
use streamchain_protocol::ids::{StreamId, StreamName};
use streamchain_protocol::limits::{CERTIFICATE_LIFE_S, RELAY_LEASE_MS};
use streamchain_protocol::proof::check_time;
use streamchain_protocol::signed::{Certificate, PublicKey, author_of};
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::KeyState;

/// Most certificates that an author gets in [`CERTIFICATE_LIFE_S`], so that what is kept of one for ever grows slowly.
pub const MAX_AUTHOR_KEYS: usize = 64;

/// How long after a revocation relays may still take messages, seconds. A relay learns of it with a renewal, and one that does
/// not renew counts as dead after its lease; five seconds more are for the batch, for a group in the inbox that is taken over,
/// and for a clock that is ahead.
pub(crate) const REVOCATION_REACH_S: u64 = RELAY_LEASE_MS / 1_000 + 5;

/// How long before it was registered a service's certificate begins, seconds: a relay's clock may be behind. As for wallets.
pub(crate) const SERVICE_SLACK_S: u64 = 60;

/// How long a certificate has to go on for a group that is published by HTTP, seconds. The edge checks the certificate, and the
/// relay that fetches the group gives it its time: within seconds, or after its lease another stores it; the rest is for clocks.
pub(crate) const INBOX_REACH_S: u64 = 60;

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
    /// It ends before a relay may have given the message its time.
    #[error(
        "the key's certificate ends within {INBOX_REACH_S} seconds, and a message may wait for its relay: sign in again"
    )]
    ExpiresSoon,
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
            Self::Expired | Self::ExpiresSoon => "expired",
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

    /// Returns whether messages are taken under it now: its time has come and has not passed, and it was not revoked.
    pub fn signs(&self, now: UnixSec) -> bool {
        let (issued, until) = self.certificate.span();
        issued <= now && now < until && self.certificate.revoked().is_none()
    }

    /// Returns whether a newer one for the same key, until `expires`, need not be kept: this one counts for all streams, and
    /// for half of a life or as long.
    pub fn makes_needless(&self, expires: Option<UnixSec>, now: UnixSec) -> bool {
        let (_, until) = self.certificate.span();
        let enough = now.plus_s(CERTIFICATE_LIFE_S / 2);
        let is_long = until >= enough.min(expires.unwrap_or(UnixSec(u64::MAX)));
        self.signs(now) && is_long && !self.names_streams()
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
    let is_for = |one: &KeptCertificate| stream.is_none_or(|(id, name)| one.is_for(id, name));
    let signing = kept.iter().filter(|one| one.signs(now) && is_for(one));
    if let Some((_, until)) = signing.map(|one| one.certificate.span()).max() {
        return Ok(Some(until).filter(|until| until.0 < u64::MAX));
    }
    let found = at_time(kept, stream, now).ok_or(KeyFault::Unknown)?;
    let (issued, until) = found.certificate.span();
    Err(match found.certificate.revoked().is_some() {
        _ if now < issued => KeyFault::NotYetValid,
        true => KeyFault::Revoked,
        false if now >= until => KeyFault::Expired,
        false => KeyFault::OtherStream,
    })
}

/// Checks of a key, which signs until a second (`None` for ever), that it also signs for a group that waits for its relay.
pub fn check_wait(until: Option<UnixSec>, now: UnixSec) -> Result<(), KeyFault> {
    match until.is_none_or(|until| until > now.plus_s(INBOX_REACH_S)) {
        true => Ok(()),
        false => Err(KeyFault::ExpiresSoon),
    }
}

/// Returns from when on a service's new certificate counts. `kept` is what is kept for the author and the key: where one of
/// them was registered and revoked just now, the new one begins behind it, since each begins in a second of its own.
pub fn service_issued(kept: &[KeptCertificate], now: UnixSec) -> UnixSec {
    let newest = kept.iter().map(|one| one.certificate.span().0.plus_s(1)).max();
    UnixSec(now.0.saturating_sub(SERVICE_SLACK_S))
        .max(newest.unwrap_or_default())
        .min(now)
}

/// Returns the second until which a certificate that is revoked now counts for what relays took.
pub fn revoked_at(now: UnixSec) -> UnixSec {
    now.plus_s(REVOCATION_REACH_S)
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
        for now in [100, 119, 120, 121, 151] {
            assert_eq!(
                checked(std::slice::from_ref(&revoked), now),
                Err(KeyFault::Revoked)
            );
        }
        let again = [wallet(130, 50, None, &[]), revoked];
        assert_eq!(checked(&again, 140), Ok(Some(180)));
        let of = |at| at_time(&again, None, UnixSec(at)).map(|one| one.certificate.span().0.0);
        assert_eq!((of(110), of(140), of(125)), (Some(100), Some(130), Some(130)));
    }

    #[test]
    fn what_a_relay_took_before_it_learned_stays_provable() {
        let now = UnixSec(120);
        let kept = [wallet(100, 50, Some(revoked_at(now).0), &[])];
        assert_eq!(checked(&kept, now.0), Err(KeyFault::Revoked), "at once");
        let taken_later = UnixSec(now.0 + RELAY_LEASE_MS / 1_000);
        let found = at_time(&kept, None, taken_later).unwrap();
        assert!(check_time(&found.certificate, taken_later).is_ok());
        let again = [wallet(110, 50, None, &[]), kept[0].clone()];
        assert_eq!(checked(&again, now.0), Ok(Some(160)), "certified again");
    }

    #[test]
    fn a_key_that_ends_soon_signs_for_no_group_that_waits() {
        let wait = |until: Option<u64>| check_wait(until.map(UnixSec), UnixSec(100));
        assert_eq!((wait(None), wait(Some(101 + INBOX_REACH_S))), (Ok(()), Ok(())));
        assert_eq!(wait(Some(100 + INBOX_REACH_S)), Err(KeyFault::ExpiresSoon));
    }

    #[test]
    fn a_services_certificate_begins_before_a_slow_clock() {
        let now = ISSUED.plus_s(SERVICE_SLACK_S);
        assert_eq!(service_issued(&[], now), ISSUED);
        let old = wallet(ISSUED.0 - 9, 5, None, &[]);
        assert_eq!(service_issued(&[old], now), ISSUED);
        assert_eq!(
            service_issued(&[service(None)], now),
            ISSUED.plus_s(1),
            "a second of its own"
        );
        let future = wallet(now.0 + 5, 50, None, &[]);
        assert_eq!(service_issued(&[future], now), now, "never later than now");
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
