//! The groups of one producer: those that were signed and are not known to be stored, and where its chain ends.
//!
//! What always holds:
//! - A group is signed once, and names the group before it; whenever it is sent again, it is the same bytes.
//! - Groups have the numbers of the producer in order, without a gap between them.

use super::failure::Fatal;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use streamchain_protocol::ids::{ProducerId, StreamId};
use streamchain_protocol::signed::{GroupDigest, MAX_GROUP_MESSAGES, PublicKey, Signature, group_root};
use streamchain_protocol::{Address, B256, keccak256};

/// A P-256 key that signs.
pub trait SignGroups: fmt::Debug + Send + Sync {
    /// Returns the public key.
    fn public_key(&self) -> PublicKey;
    /// Signs SHA-256 of these bytes; `None` when the cryptography library fails.
    fn sign(&self, bytes: &[u8]) -> Option<Signature>;
}

/// What groups are signed with, and for whom.
#[derive(Debug, Clone)]
pub struct Signing {
    /// The key.
    pub key: Arc<dyn SignGroups>,
    /// The stream that is published to.
    pub stream: StreamId,
    /// The author that the key signs for.
    pub author: Address,
    /// Where an earlier run of the same producer left its chain; the beginning for a producer that is new.
    pub chain: KeptChain,
}

/// A group that was signed, without its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedGroup {
    /// The number of its first message.
    pub first: u64,
    /// How many messages it has.
    pub count: u16,
    /// The digest of the group before it.
    pub previous: B256,
    /// Its own digest.
    pub digest: B256,
    /// The signature.
    pub signature: Signature,
}

impl SealedGroup {
    /// Returns the number behind its last message.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }
}

/// A producer's chain of groups, as it is kept for a later run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptChain {
    /// The number behind the last message that is known to be stored.
    pub stored: u64,
    /// The digest of the group that ends there; zero where there is none.
    pub digest: B256,
    /// The groups behind it, in order.
    pub groups: Vec<SealedGroup>,
}

#[derive(Debug)]
struct Tracked {
    group: SealedGroup,
    /// Whether the messages here are known to be those that were signed: an earlier run's need not be.
    is_checked: bool,
}

/// The groups of the producer of one outbox.
#[derive(Debug)]
pub(super) struct Groups {
    key: Arc<dyn SignGroups>,
    stream: StreamId,
    author: Address,
    producer: ProducerId,
    /// The number behind the last message that is known to be stored.
    stored: u64,
    /// The digest of the group that ends there; `None` where it is not known.
    digest: Option<B256>,
    sealed: VecDeque<Tracked>,
    /// Groups that nobody has kept yet.
    unkept: Vec<SealedGroup>,
    /// Most messages of a group that the present relay takes.
    max_messages: usize,
}

impl Groups {
    pub(super) fn new(signing: Signing, producer: ProducerId) -> Self {
        let sealed = signing.chain.groups.into_iter().map(|group| Tracked {
            group,
            is_checked: false,
        });
        Self {
            key: signing.key,
            stream: signing.stream,
            author: signing.author,
            producer,
            stored: signing.chain.stored,
            digest: Some(signing.chain.digest),
            sealed: sealed.collect(),
            unkept: Vec::new(),
            max_messages: MAX_GROUP_MESSAGES,
        }
    }

    pub(super) fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    /// The number behind the last message that an earlier run knew to be stored.
    pub(super) fn stored(&self) -> u64 {
        self.stored
    }

    pub(super) fn set_max_messages(&mut self, max: u64) {
        self.max_messages = usize::try_from(max).unwrap_or(usize::MAX).min(MAX_GROUP_MESSAGES);
    }

    /// How many messages a new group has at most.
    pub(super) fn max_messages(&self) -> usize {
        self.max_messages
    }

    /// Where the chain stands, for a later run.
    pub(super) fn kept(&self) -> KeptChain {
        KeptChain {
            stored: self.stored,
            digest: self.digest.unwrap_or_default(),
            groups: self.sealed.iter().map(|sealed| sealed.group).collect(),
        }
    }

    /// Takes the groups that are to be kept before anything else is sent.
    pub(super) fn take_unkept(&mut self) -> Vec<SealedGroup> {
        std::mem::take(&mut self.unkept)
    }

    fn end(&self) -> u64 {
        self.sealed.back().map_or(self.stored, |last| last.group.end())
    }

    fn last_digest(&self) -> Option<B256> {
        self.sealed
            .back()
            .map_or(self.digest, |last| Some(last.group.digest))
    }

    /// Every message below `next` is stored.
    pub(super) fn stored_through(&mut self, next: u64) -> Result<(), Fatal> {
        while let Some(first) = self.sealed.front()
            && first.group.end() <= next
        {
            (self.stored, self.digest) = (first.group.end(), Some(first.group.digest));
            self.sealed.pop_front();
        }
        match self.sealed.front() {
            Some(first) if first.group.first < next => Err(Fatal::Protocol(format!(
                "a part of the group at number {} is stored",
                first.group.first
            ))),
            Some(_) => Ok(()),
            None => {
                if self.stored < next {
                    // Another run signed these, and what it signed is not known here.
                    (self.stored, self.digest) = (next, None);
                }
                Ok(())
            }
        }
    }

    /// The group that this number is in, if it was signed.
    pub(super) fn of(&self, number: u64) -> Option<SealedGroup> {
        self.index_of(number)
            .and_then(|index| self.sealed.get(index))
            .map(|sealed| sealed.group)
    }

    /// Whether a group that is known here begins with this number, or would begin with it.
    pub(super) fn may_begin_at(&self, number: u64) -> bool {
        number <= self.end() && self.of(number).is_none_or(|group| group.first == number)
    }

    fn index_of(&self, number: u64) -> Option<usize> {
        let behind = self.sealed.partition_point(|sealed| sealed.group.first <= number);
        let index = behind.checked_sub(1)?;
        let is_in = self
            .sealed
            .get(index)
            .is_some_and(|sealed| number < sealed.group.end());
        is_in.then_some(index)
    }

    /// Checks that the messages of a group that an earlier run signed are those that are here now.
    pub(super) fn check(&mut self, number: u64, payloads: &[&[u8]]) -> Result<(), Fatal> {
        let Some(sealed) = self.index_of(number).and_then(|index| self.sealed.get(index)) else {
            return Ok(());
        };
        if sealed.is_checked {
            return Ok(());
        }
        let group = sealed.group;
        if self.signed(group.first, group.previous, payloads).digest() != group.digest {
            return Err(Fatal::OtherMessages(group.first));
        }
        if let Some(index) = self.index_of(number)
            && let Some(sealed) = self.sealed.get_mut(index)
        {
            sealed.is_checked = true;
        }
        Ok(())
    }

    fn signed(&self, first: u64, previous: B256, payloads: &[&[u8]]) -> GroupDigest {
        let hashes: Vec<B256> = payloads.iter().map(keccak256).collect();
        GroupDigest {
            stream: self.stream,
            author: self.author,
            producer: self.producer,
            first,
            count: u32::try_from(payloads.len()).unwrap_or(u32::MAX),
            previous,
            root: group_root(first, &hashes),
        }
    }

    /// Signs these messages as the next group.
    pub(super) fn seal(&mut self, payloads: &[&[u8]]) -> Result<SealedGroup, Fatal> {
        let previous = self.last_digest().ok_or(Fatal::ChainLost)?;
        let signed = self.signed(self.end(), previous, payloads);
        let signature = self
            .key
            .sign(&signed.preimage())
            .ok_or_else(|| Fatal::System("the key can't sign: the cryptography library failed".into()))?;
        let group = SealedGroup {
            first: signed.first,
            count: u16::try_from(payloads.len()).unwrap_or(u16::MAX),
            previous,
            digest: signed.digest(),
            signature,
        };
        self.sealed.push_back(Tracked {
            group,
            is_checked: true,
        });
        self.unkept.push(group);
        Ok(group)
    }
}
