//! What a session publishes before it is welcomed: kept in order, within a bound.

use crate::core::limits::{MAX_EARLY_BYTES, MAX_EARLY_MESSAGES};
use std::collections::VecDeque;
use streamchain_protocol::B256;
use streamchain_protocol::signed::Signature;

/// A publication that waits for the welcome.
#[derive(Debug)]
pub(crate) struct EarlyPublication {
    /// The number of its first message.
    pub producer_seq: u64,
    pub payloads: Vec<Vec<u8>>,
    /// `previous` and the signature of a group; `None` for a message of no group.
    pub signed: Option<(B256, Signature)>,
}

#[derive(Debug)]
pub(crate) struct Early {
    waiting: VecDeque<EarlyPublication>,
    messages: usize,
    bytes: usize,
    max_bytes: usize,
}

impl Default for Early {
    fn default() -> Self {
        Self::within(MAX_EARLY_BYTES)
    }
}

impl Early {
    /// Keeps at most this many bytes.
    pub(crate) fn within(max_bytes: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            messages: 0,
            bytes: 0,
            max_bytes,
        }
    }

    /// Keeps a publication until the welcome; `false` when there are too many.
    pub(crate) fn keep(
        &mut self,
        producer_seq: u64,
        payloads: &[&[u8]],
        signed: Option<(B256, Signature)>,
    ) -> bool {
        let bytes: usize = payloads.iter().map(|payload| payload.len()).sum();
        let fits =
            self.messages + payloads.len() <= MAX_EARLY_MESSAGES && self.bytes + bytes <= self.max_bytes;
        if fits {
            self.messages += payloads.len();
            self.bytes += bytes;
            self.waiting.push_back(EarlyPublication {
                producer_seq,
                payloads: payloads.iter().map(|payload| payload.to_vec()).collect(),
                signed,
            });
        }
        fits
    }

    /// All that was kept, in order.
    pub(crate) fn take(&mut self) -> VecDeque<EarlyPublication> {
        (self.messages, self.bytes) = (0, 0);
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_count_by_their_messages_and_bytes() {
        let mut early = Early::default();
        let group = |count: usize| vec![b"x".as_slice(); count];
        let signed = Some((B256::ZERO, Signature([0; 64])));
        for number in 0..4 {
            assert!(early.keep(number * 256, &group(256), signed));
        }
        assert!(!early.keep(1_024, &group(1), signed), "1,024 messages are kept");
        assert_eq!(early.take().len(), 4);
        let large = vec![0; MAX_EARLY_BYTES / 2];
        assert!(early.keep(0, &[&large, &large], None));
        assert!(!early.keep(2, &[b"x"], None), "512 KiB are kept");
    }

    #[test]
    fn a_smaller_bound_holds_again_after_all_was_taken() {
        let mut early = Early::within(100);
        for _ in 0..2 {
            assert!(early.keep(0, &[&[0; 100]], None));
            assert!(!early.keep(1, &[b"x"], None));
            assert_eq!(early.take().len(), 1);
        }
    }
}
