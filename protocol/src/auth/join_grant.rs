//! Join grants: what the edge gives a client that wants another stream on a connection that it has, and what the relay meets in
//! the first frame of a further data channel.
//!
//! A grant is for one connection, which is named by the session that it was opened with. So it is worth nothing to anybody
//! but the client whose certificate that session's token names.
//!
//! Layout, 82 bytes, base64 (RFC 4648 §4, no padding) to 110 characters:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version: 1 |
//! | 1 | flags: bits 0 and 1 are the rights |
//! | 4 | expiry, Unix seconds, big-endian |
//! | 4 | the end, Unix seconds, big-endian; 0 for none |
//! | 8 | session of the connection |
//! | 8 | session of the stream on it |
//! | 20 | short stream id |
//! | 20 | author |
//! | 16 | HMAC-SHA256 of all before, truncated |

use super::keys::{SessionKeys, mac, mac_bytes};
use super::session_token::{SessionRights, TokenError, take};
use crate::ids::{SessionId, ShortId};
use crate::limits::SESSION_TOKEN_LIFE_S;
use crate::time::UnixSec;
use alloy_primitives::Address;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use hmac::Mac;

const VERSION: u8 = 1;
const BODY: usize = 66;
const MAC: usize = 16;
/// Characters of a grant: 82 bytes in base64 without padding.
const GRANT_CHARS: usize = 110;

/// The claims of a join grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinGrant {
    /// What the client may do on the stream.
    pub rights: SessionRights,
    /// The last second in which the stream may be joined with it.
    pub expires: UnixSec,
    /// The session that the connection was opened with.
    pub connection: SessionId,
    /// The session of the stream on that connection; each grant has its own.
    pub session: SessionId,
    /// The stream.
    pub stream: ShortId,
    /// The author of the session's messages: the connection's.
    pub author: Address,
    /// When the session is over at the latest.
    pub end: Option<UnixSec>,
}

impl JoinGrant {
    /// Returns when the edge made the grant, by its clock.
    pub fn made(&self) -> UnixSec {
        UnixSec(self.expires.0.saturating_sub(SESSION_TOKEN_LIFE_S))
    }

    /// Returns the claims as a signed text. Times behind 2106 are cut to the last second that 32 bits hold.
    pub fn sign(&self, keys: &SessionKeys) -> String {
        let seconds = |time: UnixSec| u32::try_from(time.0).unwrap_or(u32::MAX).to_be_bytes();
        let mut bytes = Vec::with_capacity(BODY + MAC);
        bytes.extend([VERSION, self.rights.bits()]);
        bytes.extend(seconds(self.expires));
        bytes.extend(self.end.map_or([0; 4], seconds));
        bytes.extend(self.connection.0);
        bytes.extend(self.session.0);
        bytes.extend(self.stream.0);
        bytes.extend(self.author.0);
        let tag = mac_bytes(&keys.join, &[&bytes]);
        bytes.extend(&tag[..MAC]);
        BASE64.encode(bytes)
    }

    /// Reads the signed bytes.
    fn read(mut rest: &[u8]) -> Option<Self> {
        let [_, flags] = take(&mut rest)?;
        let rights = SessionRights::from_bits(flags);
        let expires = UnixSec(u32::from_be_bytes(take(&mut rest)?).into());
        let end = u32::from_be_bytes(take(&mut rest)?);
        Some(Self {
            rights,
            expires,
            connection: SessionId(take(&mut rest)?),
            session: SessionId(take(&mut rest)?),
            stream: ShortId(take(&mut rest)?),
            author: Address::from(take::<20>(&mut rest)?),
            end: (end > 0).then_some(UnixSec(end.into())),
        })
    }

    /// Reads a text that came from outside, at `now`. Allocates nothing.
    pub fn verify(text: &str, keys: &SessionKeys, now: UnixSec) -> Result<Self, TokenError> {
        let mut bytes = [0; BODY + MAC];
        let is_whole = text.len() == GRANT_CHARS && BASE64.decode_slice(text, &mut bytes) == Ok(BODY + MAC);
        let (body, tag) = bytes
            .split_at_checked(BODY)
            .filter(|_| is_whole)
            .ok_or(TokenError::Shape)?;
        mac(&keys.join, &[body])
            .verify_truncated_left(tag)
            .map_err(|_| TokenError::Signature)?;
        match body.first() {
            Some(&VERSION) => {}
            other => return Err(TokenError::Version(other.copied().unwrap_or_default())),
        }
        let grant = Self::read(body).ok_or(TokenError::Shape)?;
        let last = grant.end.map_or(grant.expires, |end| end.min(grant.expires));
        match now.since(last) {
            0 => Ok(grant),
            late => Err(TokenError::Expired(late)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::RelayKey;
    use proptest::prelude::*;

    fn keys(byte: &str) -> SessionKeys {
        RelayKey::from_hex(&byte.repeat(32)).unwrap().session_keys()
    }

    fn grant() -> JoinGrant {
        JoinGrant {
            rights: SessionRights {
                subscribe: true,
                publish: false,
            },
            expires: UnixSec(1_000),
            connection: SessionId([2; 8]),
            session: SessionId([3; 8]),
            stream: ShortId([4; 20]),
            author: Address::repeat_byte(5),
            end: None,
        }
    }

    #[test]
    fn a_grant_says_what_was_signed() {
        for end in [None, Some(UnixSec(5_000))] {
            let given = JoinGrant { end, ..grant() };
            let text = given.sign(&keys("11"));
            assert_eq!(text.len(), GRANT_CHARS);
            assert_eq!(JoinGrant::verify(&text, &keys("11"), UnixSec(1_000)), Ok(given));
        }
    }

    #[test]
    fn a_late_foreign_or_ended_grant_is_refused() {
        let text = grant().sign(&keys("11"));
        let at = |text: &str, key: &str, now| JoinGrant::verify(text, &keys(key), UnixSec(now));
        assert_eq!(at(&text, "11", 1_001), Err(TokenError::Expired(1)));
        assert_eq!(at(&text, "22", 1_000), Err(TokenError::Signature));
        assert_eq!(at("", "11", 0), Err(TokenError::Shape));
        let end = Some(UnixSec(990));
        let ends = JoinGrant { end, ..grant() }.sign(&keys("11"));
        assert_eq!(at(&ends, "11", 991), Err(TokenError::Expired(1)));
    }

    #[test]
    fn a_session_token_is_no_grant() {
        let mut forged = BASE64.decode(grant().sign(&keys("11"))).unwrap();
        forged.truncate(BODY);
        let tag = mac_bytes(&keys("11").token, &[&forged]);
        forged.extend(&tag[..MAC]);
        let text = BASE64.encode(forged);
        let read = JoinGrant::verify(&text, &keys("11"), UnixSec(0));
        assert_eq!(read, Err(TokenError::Signature), "each has a key of its own");
    }

    proptest! {
        #[test]
        fn a_grant_with_any_character_changed_is_refused(at in 0..GRANT_CHARS, to in "[A-Za-z0-9+/]") {
            let mut text = grant().sign(&keys("11"));
            prop_assume!(text[at..=at] != to);
            text.replace_range(at..=at, &to);
            prop_assert!(JoinGrant::verify(&text, &keys("11"), UnixSec(0)).is_err());
        }

        #[test]
        fn any_text_is_survived(text in ".{0,200}") {
            prop_assert!(JoinGrant::verify(&text, &keys("11"), UnixSec(0)).is_err());
        }
    }
}
