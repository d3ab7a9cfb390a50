//! What is signed: the group's preimage, its digest, and the Merkle tree over its messages.

use crate::ids::{ProducerId, StreamId};
use crate::util::merkle;
use alloy_primitives::{Address, B256, keccak256};
use sha2::{Digest, Sha256};

/// The word that a group's preimage begins with, so that no other signature of a key passes for a group's.
const GROUP_DOMAIN: &[u8; 20] = b"streamchain/group/v1";

/// What a group's signature is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupDigest {
    /// The stream that it was published to.
    pub stream: StreamId,
    /// The author: one key may be certified for several accounts.
    pub author: Address,
    /// The author's producer that numbered the messages.
    pub producer: ProducerId,
    /// The number of its first message.
    pub first: u64,
    /// How many messages it has.
    pub count: u32,
    /// The digest of the producer's group before it on this stream; zero for the one that begins with number 0.
    pub previous: B256,
    /// The Merkle root over its messages ([`group_root`]).
    pub root: B256,
}

impl GroupDigest {
    /// Length of the preimage, bytes.
    pub const PREIMAGE_BYTES: usize = 164;

    /// Returns the bytes that are signed (ECDSA hashes them with SHA-256).
    pub fn preimage(&self) -> [u8; Self::PREIMAGE_BYTES] {
        let mut bytes = [0; Self::PREIMAGE_BYTES];
        let parts: [&[u8]; 8] = [
            GROUP_DOMAIN,
            &self.stream.0,
            self.author.as_slice(),
            &self.producer.0,
            &self.first.to_be_bytes(),
            &self.count.to_be_bytes(),
            self.previous.as_slice(),
            self.root.as_slice(),
        ];
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            let (here, behind) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = behind;
        }
        bytes
    }

    /// Returns the group's digest, which identifies it: SHA-256 of the preimage.
    pub fn digest(&self) -> B256 {
        B256::from(<[u8; 32]>::from(Sha256::digest(self.preimage())))
    }

    /// Returns the number behind its last message.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }
}

/// Returns a message's leaf in its group's tree: `keccak256(keccak256(abi.encode(uint64 producerSeq, bytes32 hash)))`. The number is in
/// it because sorted pairs prove no place.
pub fn group_leaf(producer_seq: u64, payload_hash: B256) -> B256 {
    let mut encoded = [0; 64];
    encoded[24..32].copy_from_slice(&producer_seq.to_be_bytes());
    encoded[32..].copy_from_slice(payload_hash.as_slice());
    keccak256(keccak256(encoded))
}

fn leaves(first: u64, hashes: &[B256]) -> Vec<B256> {
    let numbered = hashes.iter().zip(0u64..);
    numbered
        .map(|(hash, index)| group_leaf(first.saturating_add(index), *hash))
        .collect()
}

/// Returns the Merkle root over a group's messages, of which the payloads' keccak256 hashes are given in order; zero, which no tree
/// has, when there are none.
pub fn group_root(first: u64, hashes: &[B256]) -> B256 {
    merkle::root(&leaves(first, hashes)).unwrap_or_default()
}

/// Returns the path from message `index` of a group to its root; `None` when there is no such message.
pub fn group_proof(first: u64, hashes: &[B256], index: usize) -> Option<Vec<B256>> {
    merkle::proof(&leaves(first, hashes), index)
}
