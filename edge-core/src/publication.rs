//! Which producer a message that comes by HTTP is numbered under.

use alloy_primitives::{Address, keccak256};
use streamchain_protocol::ids::{ProducerId, ShortId};

/// Longest `Idempotency-Key`, characters: a UUID has 36.
pub(crate) const MAX_IDEMPOTENCY_KEY_CHARS: usize = 256;

/// The producer that an idempotency key stands for; the message is its number 0. The author is part of it, so that
/// nobody else's key stands for the same message. `None` when the key is empty or too long.
pub fn producer_of_key(author: Address, stream: ShortId, key: &str) -> Option<ProducerId> {
    if !(1..=MAX_IDEMPOTENCY_KEY_CHARS).contains(&key.len()) {
        return None;
    }
    let digest = keccak256(format!("streamchain/idempotency/v1/{author}/{stream}/{key}"));
    digest.first_chunk().copied().map(ProducerId)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: ShortId = ShortId([1; 20]);

    #[test]
    fn a_key_stands_for_one_producer_of_its_author_and_stream() {
        let author = Address::repeat_byte(1);
        let producer = producer_of_key(author, STREAM, "order-7").unwrap();
        assert_eq!(producer_of_key(author, STREAM, "order-7"), Some(producer));
        for other in [
            producer_of_key(Address::repeat_byte(2), STREAM, "order-7"),
            producer_of_key(author, ShortId([2; 20]), "order-7"),
            producer_of_key(author, STREAM, "order-8"),
        ] {
            assert!(other.is_some_and(|other| other != producer));
        }
    }

    /// Pinned: a client that repeats a request after an upgrade must meet the same message.
    #[test]
    fn the_producer_of_a_key_never_changes() {
        let producer = producer_of_key(Address::ZERO, ShortId([0; 20]), "key").unwrap();
        assert_eq!(producer.to_hex(), "0c53a1d7ab119f847589ee85752e2a95");
    }

    #[test]
    fn a_key_has_1_to_256_characters() {
        let of = |key: &str| producer_of_key(Address::ZERO, STREAM, key);
        assert!(of("").is_none() && of(&"k".repeat(257)).is_none());
        assert!(of(&"k".repeat(256)).is_some());
    }
}
