//! Finding the groups in a run of messages, one message after the other.
//!
//! A group's header stands at its first message; the others are the next messages of the run, by the same author and
//! producer, with the next numbers and without a header.

use super::digest::{GroupDigest, group_root};
use super::group::{GroupHeader, MAX_GROUP_BYTES};
use super::key::{PublicKey, Signature};
use crate::ids::{ProducerId, StreamId};
use alloy_primitives::{Address, B256};

/// Why messages are not whole groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Another message stands where one of the group is expected.
    #[error(
        "the group at number {first} has {count} messages, but only {found} follow each other: it is cut or mixed with others"
    )]
    Cut {
        /// The group's first number.
        first: u64,
        /// How many messages its header says.
        count: u16,
        /// How many are there.
        found: usize,
    },
    /// The payloads are too large together.
    #[error("the group at number {first} has {bytes} bytes of payloads: expected at most 65536")]
    TooLarge {
        /// The group's first number.
        first: u64,
        /// The payloads' size so far.
        bytes: u64,
    },
}

/// A message that may be of a group.
pub trait GroupMember {
    /// Returns the author.
    fn author(&self) -> Address;
    /// Returns the producer.
    fn producer(&self) -> ProducerId;
    /// Returns the producer's number of it.
    fn producer_seq(&self) -> u64;
    /// Returns the payload's keccak256 hash.
    fn payload_hash(&self) -> B256;
    /// Returns the payload's size in bytes.
    fn payload_size(&self) -> u64;
    /// Returns the header of the group that begins with it.
    fn group(&self) -> Option<&GroupHeader>;
}

/// A whole group that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedGroup {
    /// What was signed.
    pub signed: GroupDigest,
    /// The key that signed it.
    pub key: PublicKey,
    /// The signature, which the walker does not verify.
    pub signature: Signature,
    /// The payloads' hashes in order.
    pub hashes: Vec<B256>,
}

/// What a message turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Walked {
    /// It is of no group.
    Unsigned,
    /// It is of a group that goes on.
    Inside,
    /// It is the last one of a group.
    Group(SignedGroup),
}

#[derive(Debug, Clone)]
struct OpenGroup {
    header: GroupHeader,
    author: Address,
    producer: ProducerId,
    first: u64,
    bytes: u64,
    hashes: Vec<B256>,
}

impl OpenGroup {
    fn cut(&self) -> GroupError {
        GroupError::Cut {
            first: self.first,
            count: self.header.count,
            found: self.hashes.len(),
        }
    }

    fn is_next(&self, member: &impl GroupMember) -> bool {
        member.group().is_none()
            && member.author() == self.author
            && member.producer() == self.producer
            && member.producer_seq() == self.first.saturating_add(self.hashes.len() as u64)
    }

    fn push(&mut self, member: &impl GroupMember) -> Result<(), GroupError> {
        self.bytes = self.bytes.saturating_add(member.payload_size());
        if self.bytes > MAX_GROUP_BYTES as u64 {
            return Err(GroupError::TooLarge {
                first: self.first,
                bytes: self.bytes,
            });
        }
        self.hashes.push(member.payload_hash());
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.hashes.len() >= usize::from(self.header.count)
    }

    fn finish(self, stream: StreamId) -> SignedGroup {
        SignedGroup {
            signed: GroupDigest {
                stream,
                author: self.author,
                producer: self.producer,
                first: self.first,
                count: u32::from(self.header.count),
                previous: self.header.previous,
                root: group_root(self.first, &self.hashes),
            },
            key: self.header.key,
            signature: self.header.signature,
            hashes: self.hashes,
        }
    }
}

/// Finds the groups of one stream's messages, which are given in the order of their seqs.
#[derive(Debug, Clone)]
pub struct GroupWalker {
    stream: StreamId,
    open: Option<OpenGroup>,
}

impl GroupWalker {
    /// Begins at a message that is not inside a group.
    pub fn new(stream: StreamId) -> Self {
        Self { stream, open: None }
    }

    /// Takes the next message. After an error the group that was open is given up, and the message is taken for the first one.
    pub fn push(&mut self, member: &impl GroupMember) -> Result<Walked, GroupError> {
        let open = match (self.open.take(), member.group()) {
            (Some(open), _) if !open.is_next(member) => return Err(open.cut()),
            (Some(open), _) => Some(open),
            (None, Some(header)) => Some(OpenGroup {
                header: *header,
                author: member.author(),
                producer: member.producer(),
                first: member.producer_seq(),
                bytes: 0,
                hashes: Vec::with_capacity(usize::from(header.count)),
            }),
            (None, None) => None,
        };
        let Some(mut open) = open else {
            return Ok(Walked::Unsigned);
        };
        open.push(member)?;
        if open.is_whole() {
            return Ok(Walked::Group(open.finish(self.stream)));
        }
        self.open = Some(open);
        Ok(Walked::Inside)
    }

    /// Checks that no group is left open behind the last message.
    pub fn finish(&self) -> Result<(), GroupError> {
        self.open.as_ref().map_or(Ok(()), |open| Err(open.cut()))
    }
}
