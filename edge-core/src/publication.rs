//! What comes by HTTP: which producer a message is numbered under, and signed groups before they are stored.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use serde::{Deserialize, Serialize};
use streamchain_chain::authors::check_group;
use streamchain_protocol::ids::{ProducerId, ShortId, StreamId};
use streamchain_protocol::limits::{MAX_EXACT_INTEGER, MAX_PAYLOAD_BYTES};
use streamchain_protocol::signed::{
    GroupDigest, GroupHeader, MAX_GROUP_BYTES, MAX_GROUP_MESSAGES, PublicKey, Signature, group_root,
};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Record;

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

/// What makes messages a signed group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSignature {
    /// The digest of the producer's group before it on the stream; zero for the one that begins with number 0.
    pub previous: B256,
    /// The key that signed it.
    pub key: PublicKey,
    /// The signature.
    pub signature: Signature,
}

/// What an author publishes at once by HTTP: one message, or a signed group.
#[derive(Debug, Clone)]
pub struct Publication {
    /// When it came.
    pub time: UnixMs,
    /// Whose messages they are.
    pub author: Address,
    /// Who numbers them.
    pub producer: ProducerId,
    /// The number of the first.
    pub producer_seq: u64,
    /// The bytes of each.
    pub payloads: Vec<Bytes>,
    /// What makes them a group.
    pub signed: Option<GroupSignature>,
}

/// Why a publication is refused before the log sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicationError {
    /// A group has no message, or too many.
    #[error("messages: {0}, expected 1 to {MAX_GROUP_MESSAGES}, or one that is not signed")]
    Count(usize),
    /// The payloads are too large together.
    #[error("payloads: {0} bytes, at most {MAX_PAYLOAD_BYTES}")]
    TooLarge(usize),
    /// A number above those that all parts carry exactly.
    #[error("the numbers of the group's messages end above 2^53 - 1")]
    Number,
    /// The signature is not the key's over this group.
    #[error("the signature is not the key's over this group on this stream")]
    Signature,
}

impl Publication {
    /// Checks counts and sizes, which costs nothing.
    pub fn check_size(&self) -> Result<(), PublicationError> {
        let count = self.payloads.len();
        let most = if self.signed.is_some() {
            MAX_GROUP_MESSAGES
        } else {
            1
        };
        if count == 0 || count > most {
            return Err(PublicationError::Count(count));
        }
        // The largest group is as large as the largest message.
        const { assert!(MAX_GROUP_BYTES == MAX_PAYLOAD_BYTES) };
        let bytes = self.payloads.iter().map(|payload| payload.len()).sum();
        if bytes > MAX_PAYLOAD_BYTES {
            return Err(PublicationError::TooLarge(bytes));
        }
        let end = self.producer_seq.checked_add(count as u64);
        end.filter(|end| *end <= MAX_EXACT_INTEGER + 1)
            .map(drop)
            .ok_or(PublicationError::Number)
    }

    /// Verifies the group's signature. Returns its digest; `None` for a message that is not signed.
    pub fn verify(&self, stream: StreamId) -> Result<Option<B256>, PublicationError> {
        let Some(signature) = &self.signed else {
            return Ok(None);
        };
        let hashes: Vec<B256> = self.payloads.iter().map(keccak256).collect();
        let signed = GroupDigest {
            stream,
            author: self.author,
            producer: self.producer,
            first: self.producer_seq,
            count: hashes.len() as u32,
            previous: signature.previous,
            root: group_root(self.producer_seq, &hashes),
        };
        check_group(&signed, &signature.key, &signature.signature)
            .map(|()| Some(signed.digest()))
            .map_err(|_| PublicationError::Signature)
    }

    /// Returns the records, of which the first has the group's header.
    pub fn into_records(self) -> Vec<Record> {
        let count = self.payloads.len() as u16;
        let header = self.signed.map(|signed| GroupHeader {
            count,
            previous: signed.previous,
            key: signed.key,
            signature: signed.signature,
        });
        let first = self.producer_seq;
        let record = |(producer_seq, payload)| Record {
            time: self.time,
            author: self.author,
            producer: self.producer,
            producer_seq,
            payload,
            group: header.filter(|_| producer_seq == first),
        };
        (first..).zip(self.payloads).map(record).collect()
    }
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

    fn publication(count: u64, is_signed: bool) -> Publication {
        let signing = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
        let point = signing.verifying_key().to_encoded_point(true);
        let signed = GroupSignature {
            previous: B256::ZERO,
            key: PublicKey::from_bytes(point.as_bytes().try_into().unwrap()).unwrap(),
            signature: Signature([1; 64]),
        };
        let mut made = Publication {
            time: UnixMs(5),
            author: Address::repeat_byte(1),
            producer: ProducerId([2; 16]),
            producer_seq: 0,
            payloads: (0..count)
                .map(|number| Bytes::from(number.to_string().into_bytes()))
                .collect(),
            signed: is_signed.then_some(signed),
        };
        let hashes: Vec<B256> = made.payloads.iter().map(keccak256).collect();
        let digest = GroupDigest {
            stream: StreamId([3; 32]),
            author: made.author,
            producer: made.producer,
            first: 0,
            count: count as u32,
            previous: B256::ZERO,
            root: group_root(0, &hashes),
        };
        let signature: p256::ecdsa::Signature =
            p256::ecdsa::signature::Signer::sign(&signing, &digest.preimage());
        if let Some(signed) = &mut made.signed {
            signed.signature = Signature(signature.to_bytes().into());
        }
        made
    }

    #[test]
    fn a_group_is_verified_and_becomes_records() {
        let made = publication(3, true);
        assert_eq!(made.check_size(), Ok(()));
        assert!(made.verify(StreamId([3; 32])).unwrap().is_some());
        let records = made.into_records();
        let headers: Vec<_> = records
            .iter()
            .map(|record| record.group.map(|group| group.count))
            .collect();
        assert_eq!(headers, [Some(3), None, None]);
        let numbers: Vec<u64> = records.iter().map(|record| record.producer_seq).collect();
        assert_eq!(numbers, [0, 1, 2]);
    }

    #[test]
    fn a_signature_is_over_all_of_the_group() {
        let changes: [fn(&mut Publication); 6] = [
            |made| made.author = Address::repeat_byte(9),
            |made| made.producer = ProducerId([9; 16]),
            |made| made.producer_seq = 1,
            |made| made.payloads.swap(0, 1),
            |made| drop(made.payloads.pop()),
            |made| made.signed.as_mut().unwrap().previous = B256::repeat_byte(1),
        ];
        for change in changes {
            let mut made = publication(3, true);
            change(&mut made);
            assert_eq!(made.verify(StreamId([3; 32])), Err(PublicationError::Signature));
        }
        let elsewhere = publication(3, true).verify(StreamId([4; 32]));
        assert_eq!(elsewhere, Err(PublicationError::Signature));
        assert_eq!(publication(1, false).verify(StreamId([3; 32])), Ok(None));
    }

    #[test]
    fn a_publication_is_bounded() {
        let most = publication(MAX_GROUP_MESSAGES as u64, true);
        assert_eq!(most.check_size(), Ok(()));
        let count = |count, is_signed| publication(count, is_signed).check_size();
        assert_eq!(count(257, true), Err(PublicationError::Count(257)));
        assert_eq!(count(0, true), Err(PublicationError::Count(0)));
        assert_eq!(count(2, false), Err(PublicationError::Count(2)));
        let mut large = publication(2, true);
        large.payloads[0] = Bytes::from(vec![0; MAX_GROUP_BYTES]);
        assert_eq!(
            large.check_size(),
            Err(PublicationError::TooLarge(MAX_GROUP_BYTES + 1))
        );
        let mut late = publication(2, true);
        late.producer_seq = MAX_EXACT_INTEGER;
        assert_eq!(late.check_size(), Err(PublicationError::Number));
    }
}
