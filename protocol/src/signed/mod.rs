//! Signed messages: what an author signs, and what is checked of it without a library of elliptic curves.
//!
//! What always holds:
//! - A *group* is 1 to 256 messages that a producer publishes together, with one signature. Its digest names the stream,
//!   the author, the producer, the numbers, the payloads and the producer's group before it: none of them can be changed
//!   under a signature, and no group can be left out between two others.
//! - A producer is signed from its number 0 on, or never.
//! - A signature identifies nothing, since anyone can turn its `s` around; the digest does.
//!
//! The curve is P-256 with SHA-256: browsers sign with it, and Ethereum verifies it (EIP-7951). Verifying a signature is
//! the part of `streamchain-chain` (edge, verifiers) and of the relay, which have libraries for it.

mod certificate;
mod chain;
mod digest;
mod group;
mod key;
mod walker;

pub use certificate::{Certificate, KEY_RESOURCE_PREFIX, key_of_resource, key_resource};
pub use chain::{ChainError, ProducerChain};
pub use digest::{GroupDigest, group_leaf, group_proof, group_root};
pub use group::{GroupHeader, MAX_GROUP_BYTES, MAX_GROUP_MESSAGES};
pub use key::{KeyError, Point, PublicKey, Signature, author_of};
pub use walker::{GroupError, GroupMember, GroupWalker, SignedGroup, Walked};

#[cfg(test)]
mod tests;
