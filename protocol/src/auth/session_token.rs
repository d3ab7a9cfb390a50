//! Session tokens: what the edge writes as `a=ice-ufrag` and the relay meets in the first STUN check.
//!
//! The relay knows nothing of a session until then. The token carries all it needs, signed; the `ice-pwd` is
//! derived from it, so a peer that passes the STUN integrity check got its answer from the edge. No state is
//! made for a token that does not verify.
//!
//! Layout, 86 or 88 bytes, base64 (RFC 4648 §4, no padding: the ICE alphabet of RFC 8839 §5.4) to 115 or 118 characters:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version: 1, or 2 for a session that has an end |
//! | 1 | flags: bits 0 and 1 are the rights, bit 2 says that the relay begins the DTLS handshake, bits 3 to 7 are the largest message that the client takes ([`MaxMessage`]) |
//! | 4 | expiry, Unix seconds, big-endian |
//! | 8 | session |
//! | 20 | short stream id |
//! | 20 | author |
//! | 16 | fingerprint hash |
//! | 2 | in version 2 alone: the session's end, in units of ten seconds since a minute before the expiry, big-endian |
//! | 16 | HMAC-SHA256 of all before, truncated |

use super::keys::{SessionKeys, mac, mac_bytes};
use crate::ids::{SessionId, ShortId};
use crate::limits::SESSION_TOKEN_LIFE_S;
use crate::time::UnixSec;
use alloy_primitives::Address;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use hmac::Mac;
use sha2::{Digest, Sha256};

/// A session that ends when its client or its relay ends it.
const VERSION: u8 = 1;
/// A session that ends at a given time at the latest.
const VERSION_WITH_END: u8 = 2;
const BODY: usize = 70;
const END: usize = 2;
const MAC: usize = 16;
/// Unit of a session's end: with two bytes the latest is a week ahead. A later one is cut to that: the client then opens
/// another session.
const END_UNIT_S: u64 = 10;
/// In the byte of the rights: the relay begins the DTLS handshake.
const RELAY_BEGINS: u8 = 4;
/// In the byte of the rights: where the code of a [`MaxMessage`] begins.
const MAX_MESSAGE_SHIFT: u32 = 3;
/// Characters of a token without an end: 86 bytes in base64 without padding.
pub(crate) const TOKEN_CHARS: usize = 115;
/// Characters of a token with an end: 88 bytes.
const TOKEN_WITH_END_CHARS: usize = 118;

const _: () = assert!(TOKEN_WITH_END_CHARS <= crate::limits::MAX_SESSION_TOKEN_CHARS);

/// What a session may do on its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRights {
    /// The session may read the stream.
    pub subscribe: bool,
    /// The session may write to the stream.
    pub publish: bool,
}

impl SessionRights {
    /// Read and write.
    pub const ALL: Self = Self {
        subscribe: true,
        publish: true,
    };

    pub(super) fn bits(self) -> u8 {
        u8::from(self.subscribe) | u8::from(self.publish) << 1
    }

    pub(super) fn from_bits(bits: u8) -> Self {
        Self {
            subscribe: bits & 1 != 0,
            publish: bits & 2 != 0,
        }
    }
}

/// The largest message that a client takes (`a=max-message-size`, RFC 8841 §6), as a token carries it: in five bits, so a
/// power of two, rounded down.
///
/// Code 0 is that of the tokens of before, which do not say it. Code `n` from 1 to 30 stands for 2^(n-1) bytes, and 31 for
/// no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxMessage(u8);

impl MaxMessage {
    /// The client did not say it, or the token is one of before.
    pub const UNKNOWN: Self = Self(0);

    /// The client takes messages of any size.
    const UNLIMITED: Self = Self(31);

    /// Returns the largest code that stands for no more than `bytes`; 0 bytes say that there is no limit, as in an offer.
    pub const fn of_offer(bytes: u64) -> Self {
        const LARGEST: u32 = 29;
        match bytes.checked_ilog2() {
            None => Self::UNLIMITED,
            Some(power) if power > LARGEST => Self(LARGEST as u8 + 1),
            Some(power) => Self(power as u8 + 1),
        }
    }

    /// Returns the bytes of the largest message; `None` where no limit is known.
    pub const fn bytes(self) -> Option<u64> {
        match self.0 {
            0 | 31.. => None,
            code => Some(1 << (code - 1)),
        }
    }
}

/// SHA-256 of a DTLS certificate fingerprint's bytes, cut to 16: binds a token to the client's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FingerprintHash(pub [u8; 16]);

impl FingerprintHash {
    /// Returns the hash of the 32 bytes in `a=fingerprint:sha-256` (RFC 8122).
    pub fn of(fingerprint: &[u8]) -> Self {
        let mut hash = [0; 16];
        let digest: [u8; 32] = Sha256::digest(fingerprint).into();
        hash.copy_from_slice(&digest[..16]);
        Self(hash)
    }
}

/// Why a token was refused. The relay answers none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The text is not 115 or 118 characters of base64.
    #[error("not a session token")]
    Shape,
    /// The token was signed with another key, or changed.
    #[error("the signature is wrong")]
    Signature,
    /// The token has a version that this code does not know.
    #[error("unknown version {0}")]
    Version(u8),
    /// The time to start a session with it is over.
    #[error("expired {0} s ago")]
    Expired(u64),
}

/// The claims of a session token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionToken {
    /// What the session may do.
    pub rights: SessionRights,
    /// The last second in which a session may start with it. The token has 32 bits for it: a later one (after 2106) is cut
    /// to the last.
    pub expires: UnixSec,
    /// The session's id.
    pub session: SessionId,
    /// The stream that the session is on.
    pub stream: ShortId,
    /// The author of the session's messages.
    pub author: Address,
    /// Hash of the client's certificate fingerprint; checked after DTLS.
    pub fingerprint: FingerprintHash,
    /// Whether the relay begins the DTLS handshake, as the answer says to the client.
    pub relay_begins: bool,
    /// The largest message that the client takes.
    pub max_message: MaxMessage,
    /// When the session is over at the latest, since the credentials that it was opened with end then. In the token it is
    /// rounded down to ten seconds after [`Self::made`].
    pub end: Option<UnixSec>,
}

impl SessionToken {
    /// Returns when the edge made the token, by its clock.
    pub fn made(&self) -> UnixSec {
        UnixSec(self.expires.0.saturating_sub(SESSION_TOKEN_LIFE_S))
    }

    /// Returns the claims as a signed text, for `a=ice-ufrag`.
    pub fn sign(&self, keys: &SessionKeys) -> String {
        let mut bytes = Vec::with_capacity(BODY + END + MAC);
        let version = self.end.map_or(VERSION, |_| VERSION_WITH_END);
        let begins = if self.relay_begins { RELAY_BEGINS } else { 0 };
        let largest = self.max_message.0 << MAX_MESSAGE_SHIFT;
        bytes.extend([version, self.rights.bits() | begins | largest]);
        bytes.extend(u32::try_from(self.expires.0).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(self.session.0);
        bytes.extend(self.stream.0);
        bytes.extend(self.author.0);
        bytes.extend(self.fingerprint.0);
        if let Some(end) = self.end {
            let units = end.since(self.made()) / END_UNIT_S;
            bytes.extend(u16::try_from(units).unwrap_or(u16::MAX).to_be_bytes());
        }
        let tag = mac_bytes(&keys.token, &[&bytes]);
        bytes.extend(&tag[..MAC]);
        BASE64.encode(bytes)
    }

    /// Reads the signed bytes.
    fn read(mut rest: &[u8]) -> Option<Self> {
        let [version, flags] = take(&mut rest)?;
        let mut token = Self {
            rights: SessionRights::from_bits(flags),
            expires: UnixSec(u32::from_be_bytes(take(&mut rest)?).into()),
            session: SessionId(take(&mut rest)?),
            stream: ShortId(take(&mut rest)?),
            author: Address::from(take::<20>(&mut rest)?),
            fingerprint: FingerprintHash(take(&mut rest)?),
            relay_begins: flags & RELAY_BEGINS != 0,
            max_message: MaxMessage(flags >> MAX_MESSAGE_SHIFT),
            end: None,
        };
        if version == VERSION_WITH_END {
            let units = u16::from_be_bytes(take(&mut rest)?);
            token.end = Some(token.made().plus_s(u64::from(units) * END_UNIT_S));
        }
        Some(token)
    }

    /// Reads a text that came from outside, at `now`. Allocates nothing.
    pub fn verify(text: &str, keys: &SessionKeys, now: UnixSec) -> Result<Self, TokenError> {
        let (version, length) = match text.len() {
            TOKEN_CHARS => (VERSION, BODY),
            TOKEN_WITH_END_CHARS => (VERSION_WITH_END, BODY + END),
            _ => return Err(TokenError::Shape),
        };
        let mut bytes = [0; BODY + END + MAC];
        let decoded = BASE64.decode_slice(text, &mut bytes).ok();
        let signed = decoded.and_then(|decoded| bytes.get(..decoded));
        let (body, tag) = signed
            .and_then(|signed| signed.split_at_checked(length))
            .filter(|(_, tag)| tag.len() == MAC)
            .ok_or(TokenError::Shape)?;
        mac(&keys.token, &[body])
            .verify_truncated_left(tag)
            .map_err(|_| TokenError::Signature)?;
        match body.first() {
            Some(given) if *given == version => {}
            other => return Err(TokenError::Version(other.copied().unwrap_or_default())),
        }
        let token = Self::read(body).ok_or(TokenError::Shape)?;
        let last = token.end.map_or(token.expires, |end| end.min(token.expires));
        match now.since(last) {
            0 => Ok(token),
            late => Err(TokenError::Expired(late)),
        }
    }
}

/// Takes the next `N` bytes off `rest`.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*bytes)
}

/// Returns the `ice-pwd` that belongs to an `ice-ufrag`: 32 characters (RFC 8839 wants at least 22).
pub fn ice_password(ufrag: &str, keys: &SessionKeys) -> String {
    BASE64.encode(&mac_bytes(&keys.password, &[ufrag.as_bytes()])[..24])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::RelayKey;
    use crate::limits::MAX_SESSION_TOKEN_CHARS;
    use proptest::prelude::*;

    fn keys(byte: &str) -> SessionKeys {
        RelayKey::from_hex(&byte.repeat(32)).unwrap().session_keys()
    }

    fn token() -> SessionToken {
        SessionToken {
            rights: SessionRights {
                subscribe: true,
                publish: false,
            },
            expires: UnixSec(1_000),
            session: SessionId([3; 8]),
            stream: ShortId([4; 20]),
            author: Address::repeat_byte(5),
            fingerprint: FingerprintHash::of(&[6; 32]),
            relay_begins: false,
            max_message: MaxMessage::UNKNOWN,
            end: None,
        }
    }

    fn ending(end: u64) -> SessionToken {
        SessionToken {
            end: Some(UnixSec(end)),
            ..token()
        }
    }

    #[test]
    fn an_end_is_never_moved_to_later() {
        // Made at 940.
        for (end, read) in [
            (940, 940),
            (949, 940),
            (950, 950),
            (4_543, 4_540),
            (u64::MAX, 940 + 655_350),
        ] {
            let text = ending(end).sign(&keys("11"));
            assert_eq!(text.len(), TOKEN_WITH_END_CHARS);
            let verified = SessionToken::verify(&text, &keys("11"), UnixSec(940));
            assert_eq!(verified, Ok(ending(read)), "{end}");
        }
    }

    #[test]
    fn no_session_starts_after_its_end() {
        let text = ending(960).sign(&keys("11"));
        let at = |now| SessionToken::verify(&text, &keys("11"), UnixSec(now));
        assert_eq!(at(960), Ok(ending(960)));
        assert_eq!(at(961), Err(TokenError::Expired(1)));
        let late = ending(2_000).sign(&keys("11"));
        let late = SessionToken::verify(&late, &keys("11"), UnixSec(1_001));
        assert_eq!(
            late,
            Err(TokenError::Expired(1)),
            "the minute to start in holds as well"
        );
    }

    #[test]
    fn the_largest_message_is_never_rounded_up() {
        for (offered, taken) in [
            (1, Some(1)),
            (1_199, Some(1_024)),
            (65_535, Some(32_768)),
            (65_536, Some(65_536)),
            (262_144, Some(262_144)),
            (1_073_741_823, Some(1 << 29)),
            (u64::MAX, Some(1 << 29)),
            (0, None),
        ] {
            let max_message = MaxMessage::of_offer(offered);
            assert_eq!(max_message.bytes(), taken, "{offered}");
            let sent = SessionToken {
                max_message,
                ..token()
            };
            let text = sent.sign(&keys("11"));
            assert_eq!(text.len(), TOKEN_CHARS);
            assert_eq!(SessionToken::verify(&text, &keys("11"), UnixSec(1_000)), Ok(sent));
        }
        assert_eq!(MaxMessage::UNKNOWN.bytes(), None, "as in tokens of before");
    }

    #[test]
    fn a_token_says_what_was_signed_and_fits_a_stun_username() {
        let text = token().sign(&keys("11"));
        assert_eq!(text.len(), TOKEN_CHARS);
        assert!(text.len() <= MAX_SESSION_TOKEN_CHARS);
        assert_eq!(
            SessionToken::verify(&text, &keys("11"), UnixSec(1_000)),
            Ok(token())
        );
        let begins = SessionToken {
            relay_begins: true,
            ..token()
        };
        let verified = SessionToken::verify(&begins.sign(&keys("11")), &keys("11"), UnixSec(1_000));
        assert_eq!(verified, Ok(begins));
        assert_eq!(ice_password(&text, &keys("11")).len(), 32);
        assert_ne!(ice_password(&text, &keys("11")), ice_password(&text, &keys("22")));
    }

    #[test]
    fn a_late_or_foreign_token_is_refused() {
        let text = token().sign(&keys("11"));
        assert_eq!(
            SessionToken::verify(&text, &keys("11"), UnixSec(1_001)),
            Err(TokenError::Expired(1))
        );
        assert_eq!(
            SessionToken::verify(&text, &keys("22"), UnixSec(1_000)),
            Err(TokenError::Signature)
        );
        assert_eq!(
            SessionToken::verify("", &keys("11"), UnixSec(0)),
            Err(TokenError::Shape)
        );
    }

    proptest! {
        #[test]
        fn no_text_but_a_signed_one_is_taken(text in "[A-Za-z0-9+/]{0,130}") {
            prop_assert!(SessionToken::verify(&text, &keys("11"), UnixSec(0)).is_err());
        }

        #[test]
        fn a_token_with_any_character_changed_is_refused(
            at in 0..TOKEN_WITH_END_CHARS,
            to in "[A-Za-z0-9+/]",
            end in proptest::option::of(0..5_000_u64),
        ) {
            let mut text = SessionToken { end: end.map(UnixSec), ..token() }.sign(&keys("11"));
            prop_assume!(at < text.len() && text[at..=at] != to);
            text.replace_range(at..=at, &to);
            prop_assert!(SessionToken::verify(&text, &keys("11"), UnixSec(0)).is_err());
        }

        #[test]
        fn any_bytes_at_all_are_survived(text in ".{0,200}") {
            prop_assert!(SessionToken::verify(&text, &keys("11"), UnixSec(0)).is_err());
        }
    }
}
