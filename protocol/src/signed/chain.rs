//! The chain of a producer: its groups, each of which names the one before it.

use super::digest::GroupDigest;
use alloy_primitives::B256;

/// Why a group or a message does not follow the producer's messages before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Numbers of the producer are missing.
    #[error("the messages {next} to {} of the producer are missing", given.saturating_sub(1))]
    Gap {
        /// The number that comes next.
        next: u64,
        /// The number given.
        given: u64,
    },
    /// Numbers of the producer were there before.
    #[error("message {given} of the producer comes again: the next one is {next}")]
    Repeated {
        /// The number that comes next.
        next: u64,
        /// The number given.
        given: u64,
    },
    /// The group names another group before it.
    #[error(
        "the group at number {first} follows the group {given}, but the one before it is {expected}: a group was left out or changed"
    )]
    Previous {
        /// The group's first number.
        first: u64,
        /// The digest that it names.
        given: B256,
        /// The digest of the group before it; zero for none.
        expected: B256,
    },
    /// A signed group of a producer that began without signatures.
    #[error("the group at number {0} is signed, but the producer's messages before it are not")]
    SignedBehindUnsigned(u64),
    /// A message without a signature of a producer that signs.
    #[error("message {0} is not signed, but the producer's messages before it are")]
    UnsignedBehindSigned(u64),
}

/// What is known of a producer's messages on a stream so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProducerChain {
    next: u64,
    last: Option<B256>,
}

impl ProducerChain {
    /// Goes on behind stored messages: the number that comes next, and the digest of the last group of a producer that signs.
    pub fn behind(next: u64, last: Option<B256>) -> Self {
        Self { next, last }
    }

    /// Returns the number that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Returns the digest of the last group; none for a producer that did not sign, or has no message.
    pub fn last(&self) -> Option<B256> {
        self.last
    }

    /// Checks that a group follows, and takes it: returns its digest. Nothing changes when it does not follow.
    pub fn push_group(&mut self, group: &GroupDigest) -> Result<B256, ChainError> {
        self.check_number(group.first)?;
        if self.last.is_none() && self.next > 0 {
            return Err(ChainError::SignedBehindUnsigned(group.first));
        }
        let expected = self.last.unwrap_or_default();
        if group.previous != expected {
            return Err(ChainError::Previous {
                first: group.first,
                given: group.previous,
                expected,
            });
        }
        let digest = group.digest();
        *self = Self::behind(group.end(), Some(digest));
        Ok(digest)
    }

    /// Checks that a message without a signature follows, and takes it. Nothing changes when it does not follow.
    pub fn push_unsigned(&mut self, producer_seq: u64) -> Result<(), ChainError> {
        if self.last.is_some() {
            return Err(ChainError::UnsignedBehindSigned(producer_seq));
        }
        self.check_number(producer_seq)?;
        self.next = producer_seq.saturating_add(1);
        Ok(())
    }

    fn check_number(&self, given: u64) -> Result<(), ChainError> {
        let next = self.next;
        match given.cmp(&next) {
            std::cmp::Ordering::Less => Err(ChainError::Repeated { next, given }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(ChainError::Gap { next, given }),
        }
    }
}
