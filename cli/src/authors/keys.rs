//! Who vouches for the keys of authors, as the edge said, and until when that counts.
//!
//! What always holds: an answer counts for messages of the time that its certificate was valid in; for messages that came after it
//! was asked for it counts for a while only ([`still_counts`]), since the key may have been revoked meanwhile.

use crate::recent::Recent;
use crate::signed::VouchedBy;
use streamchain_chain::authors::still_counts;
use streamchain_protocol::Address;
use streamchain_protocol::signed::{Certificate, PublicKey};
use streamchain_protocol::time::UnixSec;

/// Most answers that are remembered of one key: it may have been certified several times, and an edge that gives another certificate
/// each time shall not fill the memory.
const MAX_ANSWERS: usize = 8;

/// What the edge answered about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Vouched {
    /// From when and until when the certificate counts, both seconds included.
    span: (UnixSec, UnixSec),
    by: VouchedBy,
    /// When the edge was asked.
    asked: UnixSec,
}

/// The keys that were used last.
pub(super) struct Keys {
    known: Recent<(Address, PublicKey), Vec<Vouched>>,
}

impl Keys {
    /// Remembers at most so many keys.
    pub(super) fn new(max: usize) -> Self {
        Self {
            known: Recent::new(max),
        }
    }

    /// Returns who vouches for a key at the times of its use; none where the edge is to be asked, or to be asked again.
    pub(super) fn vouched(
        &mut self,
        key: (Address, PublicKey),
        times: &[UnixSec],
        now: UnixSec,
    ) -> Option<VouchedBy> {
        let answers = self.known.get(&key)?;
        let counts = |answer: &&Vouched| {
            let (from, until) = answer.span;
            times
                .iter()
                .all(|time| (from..=until).contains(time) && still_counts(answer.asked, *time, now))
        };
        answers.iter().find(counts).map(|answer| answer.by)
    }

    /// Remembers a certificate that was checked; `asked` is when the edge was asked for it.
    pub(super) fn insert(
        &mut self,
        key: (Address, PublicKey),
        certificate: &Certificate,
        by: VouchedBy,
        asked: UnixSec,
    ) {
        let span = certificate.span();
        let mut answers = self.known.remove(&key).unwrap_or_default();
        // What is said of the same certificate later goes before what was said earlier.
        answers.retain(|answer| answer.span.0 != span.0);
        if answers.len() >= MAX_ANSWERS {
            answers.remove(0);
        }
        answers.push(Vouched { span, by, asked });
        self.known.insert(key, answers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_chain::authors::CERTIFICATE_LIFE_S;

    const ASKED: UnixSec = UnixSec(1_000);

    fn key() -> (Address, PublicKey) {
        (Address::ZERO, PublicKey::from_bytes([2; 33]).unwrap())
    }

    fn certificate(issued: u64) -> Certificate {
        Certificate::Service {
            account: Address::ZERO,
            issued: UnixSec(issued),
            expires: Some(UnixSec(9_000)),
            revoked: None,
        }
    }

    fn keys() -> Keys {
        let mut keys = Keys::new(10);
        keys.insert(key(), &certificate(500), VouchedBy::Operator, ASKED);
        keys
    }

    #[test]
    fn a_key_is_asked_for_again_after_a_while() {
        let mut keys = keys();
        let (before, after) = (UnixSec(900), ASKED.plus_s(1));
        let late = ASKED.plus_s(CERTIFICATE_LIFE_S);
        let mut at = |times: &[UnixSec], now| keys.vouched(key(), times, now);
        assert_eq!(at(&[after], late.plus_s(0)), None, "it may have been revoked");
        assert_eq!(at(&[before, after], late), None);
        assert_eq!(at(&[after], UnixSec(late.0 - 1)), Some(VouchedBy::Operator));
        assert_eq!(at(&[before], late.plus_s(9_999)), Some(VouchedBy::Operator));
        assert_eq!(at(&[after], UnixSec(1)), None, "the clock was set back");
        keys.insert(key(), &certificate(500), VouchedBy::Wallet, late);
        assert_eq!(keys.vouched(key(), &[after], late), Some(VouchedBy::Wallet));
    }

    #[test]
    fn an_answer_counts_for_the_time_of_its_certificate() {
        let mut keys = keys();
        assert_eq!(keys.vouched(key(), &[UnixSec(499)], ASKED), None);
        assert_eq!(keys.vouched(key(), &[UnixSec(9_001)], ASKED), None);
        let other = (Address::repeat_byte(1), key().1);
        assert_eq!(keys.vouched(other, &[UnixSec(900)], ASKED), None);
    }

    #[test]
    fn answers_about_one_key_have_a_bound() {
        let mut keys = keys();
        for issued in 0..50 {
            keys.insert(key(), &certificate(issued), VouchedBy::Wallet, ASKED);
        }
        assert_eq!(keys.known.get(&key()).map(Vec::len), Some(MAX_ANSWERS));
    }
}
