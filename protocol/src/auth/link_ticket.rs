//! Link tickets: the edge lets a relay follow a stream of another relay, and signs that with the leader's key, so that the
//! leader checks it alone.
//!
//! What always holds: a ticket is good for one stream under one epoch, for the relay whose link certificate it names, at
//! the leader whose key signed it, and to begin following until it expires. A link that runs is not ended by it.
//!
//! Base64url without padding of:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version: 1 |
//! | 4 | expiry, Unix seconds, big-endian |
//! | 8 | epoch, big-endian |
//! | 20 | short stream id |
//! | 32 | SHA-256 of the follower's link certificate |
//! | 1 to 32 | the follower's relay id |
//! | 32 | HMAC-SHA256 of all before |

use super::keys::{LinkKey, mac, mac_bytes};
use super::session_token::take;
use crate::ids::{Epoch, RelayId, ShortId};
use crate::time::UnixSec;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hmac::Mac;

const VERSION: u8 = 1;
const HEAD: usize = 1 + 4 + 8 + ShortId::LEN + 32;
const MAC: usize = 32;
/// Longest relay id, bytes.
const MAX_RELAY_ID: usize = 32;
/// Longest ticket, characters: whatever is longer is refused before it is decoded.
pub(crate) const MAX_LINK_TICKET_CHARS: usize = ((HEAD + MAX_RELAY_ID + MAC) * 4).div_ceil(3);

/// Why a ticket was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkTicketError {
    /// The text is not base64 of a ticket's length, or has no relay id.
    #[error("not a link ticket")]
    Shape,
    /// The ticket was signed with another key, or changed.
    #[error("the signature is wrong")]
    Signature,
    /// The ticket has a version that this code does not know.
    #[error("unknown version {0}")]
    Version(u8),
    /// The time to begin following with it is over.
    #[error("expired {0} s ago")]
    Expired(u64),
}

/// What a link ticket says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTicket {
    /// The relay that follows.
    pub follower: RelayId,
    /// SHA-256 of the follower's link certificate, which it shows in the TLS handshake.
    pub fingerprint: [u8; 32],
    /// The stream.
    pub stream: ShortId,
    /// The leader's epoch.
    pub epoch: Epoch,
    /// The last second in which following may begin with it.
    pub expires: UnixSec,
}

impl LinkTicket {
    /// Returns the ticket as a signed text. `key` is the leader's.
    pub fn sign(&self, key: &LinkKey) -> String {
        let mut bytes = Vec::with_capacity(HEAD + MAX_RELAY_ID + MAC);
        bytes.push(VERSION);
        bytes.extend(u32::try_from(self.expires.0).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(self.epoch.0.to_be_bytes());
        bytes.extend(self.stream.0);
        bytes.extend(self.fingerprint);
        bytes.extend(self.follower.as_str().as_bytes());
        let tag = mac_bytes(&key.0, &[&bytes]);
        bytes.extend(tag);
        BASE64.encode(bytes)
    }

    /// Reads a text that came from outside, at `now`. `key` is that of the relay which reads it.
    pub fn verify(text: &str, key: &LinkKey, now: UnixSec) -> Result<Self, LinkTicketError> {
        if text.len() > MAX_LINK_TICKET_CHARS {
            return Err(LinkTicketError::Shape);
        }
        let bytes = BASE64.decode(text).map_err(|_| LinkTicketError::Shape)?;
        let (body, tag) = bytes
            .len()
            .checked_sub(MAC)
            .and_then(|end| bytes.split_at_checked(end))
            .ok_or(LinkTicketError::Shape)?;
        mac(&key.0, &[body])
            .verify_slice(tag)
            .map_err(|_| LinkTicketError::Signature)?;
        match body.first() {
            Some(&VERSION) => {}
            other => return Err(LinkTicketError::Version(other.copied().unwrap_or_default())),
        }
        let ticket = Self::read(body).ok_or(LinkTicketError::Shape)?;
        match now.since(ticket.expires) {
            0 => Ok(ticket),
            late => Err(LinkTicketError::Expired(late)),
        }
    }

    /// Reads the signed bytes.
    fn read(body: &[u8]) -> Option<Self> {
        let mut rest = body;
        let [_version] = take(&mut rest)?;
        let expires = UnixSec(u32::from_be_bytes(take(&mut rest)?).into());
        let epoch = Epoch(u64::from_be_bytes(take(&mut rest)?));
        let stream = ShortId(take(&mut rest)?);
        let fingerprint = take(&mut rest)?;
        let follower = std::str::from_utf8(rest).ok()?.parse().ok()?;
        Some(Self {
            follower,
            fingerprint,
            stream,
            epoch,
            expires,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::RelayKey;
    use proptest::prelude::*;

    fn key(byte: &str) -> LinkKey {
        RelayKey::from_hex(&byte.repeat(32)).unwrap().link_key()
    }

    fn ticket() -> LinkTicket {
        LinkTicket {
            follower: "eu-2".parse().unwrap(),
            fingerprint: [0xAB; 32],
            stream: ShortId([4; 20]),
            epoch: Epoch(7),
            expires: UnixSec(1_800_000_000),
        }
    }

    const NOW: UnixSec = UnixSec(1_800_000_000);

    /// Computed with Python's `hashlib` and `hmac`, from the table above.
    const VECTOR: &str = "AWtJ0gAAAAAAAAAABwQEBAQEBAQEBAQEBAQEBAQEBAQEq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6tldS0yK_TpiHrZYTdG-HXRyx46XIheqkVd67LMESkYd6tefIc";

    #[test]
    fn a_ticket_is_the_text_that_the_table_gives() {
        assert_eq!(ticket().sign(&key("11")), VECTOR);
        assert_eq!(LinkTicket::verify(VECTOR, &key("11"), NOW), Ok(ticket()));
    }

    #[test]
    fn the_longest_relay_id_fits() {
        let longest = LinkTicket {
            follower: "a".repeat(MAX_RELAY_ID).parse().unwrap(),
            ..ticket()
        };
        let text = longest.sign(&key("11"));
        assert_eq!(text.len(), MAX_LINK_TICKET_CHARS);
        assert_eq!(LinkTicket::verify(&text, &key("11"), NOW), Ok(longest));
    }

    #[test]
    fn a_late_or_foreign_ticket_is_refused() {
        let verify = |text: &str, key: &LinkKey, now| LinkTicket::verify(text, key, now);
        let late = verify(VECTOR, &key("11"), UnixSec(NOW.0 + 1));
        assert_eq!(late, Err(LinkTicketError::Expired(1)));
        assert_eq!(verify(VECTOR, &key("22"), NOW), Err(LinkTicketError::Signature));
        assert_eq!(verify("", &key("11"), NOW), Err(LinkTicketError::Shape));
        let long = "A".repeat(MAX_LINK_TICKET_CHARS + 1);
        assert_eq!(verify(&long, &key("11"), NOW), Err(LinkTicketError::Shape));
    }

    #[test]
    fn a_signed_ticket_out_of_shape_is_refused() {
        let signed = |body: &[u8]| {
            let tag = mac_bytes(&key("11").0, &[body]);
            BASE64.encode([body, &tag].concat())
        };
        let verify = |body: &[u8]| LinkTicket::verify(&signed(body), &key("11"), UnixSec(0));
        assert_eq!(verify(&[2]), Err(LinkTicketError::Version(2)));
        assert_eq!(verify(&[]), Err(LinkTicketError::Version(0)));
        assert_eq!(verify(&[1; HEAD]), Err(LinkTicketError::Shape), "no relay id");
        assert_eq!(
            verify(&[1; HEAD + 1]),
            Err(LinkTicketError::Shape),
            "not a relay id"
        );
    }

    proptest! {
        #[test]
        fn a_ticket_with_any_character_changed_is_refused(at in 0..VECTOR.len(), to in "[A-Za-z0-9_-]") {
            let mut text = VECTOR.to_owned();
            prop_assume!(text[at..=at] != to);
            text.replace_range(at..=at, &to);
            prop_assert!(LinkTicket::verify(&text, &key("11"), NOW).is_err());
        }

        #[test]
        fn any_text_at_all_is_survived(text in ".{0,200}") {
            prop_assert!(LinkTicket::verify(&text, &key("11"), UnixSec(0)).is_err());
        }
    }
}
