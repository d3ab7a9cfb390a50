//! The author's part of a receipt: what the author signed, with which key, and who vouches for the key.

use super::parts::{ReceiptMessage, ReceiptStream};
use crate::auth::siwe::{SignIn, SiweError};
use crate::ids::{ProducerId, StreamId, StreamName};
use crate::signed::{
    Certificate, GroupDigest, KeyError, MAX_GROUP_MESSAGES, PublicKey, Signature, author_of, group_leaf,
};
use crate::time::UnixSec;
use crate::util::merkle::process_proof;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// Longest path in a group, hashes: 2^8 are 256 messages.
const MAX_GROUP_PROOF_HASHES: usize = 8;

/// What an author signed that has the message in it, and how that is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptAuthor {
    /// The key that signed.
    pub key: PublicKey,
    /// The author's producer that numbered the message, as `0x` and 32 digits.
    #[serde(with = "prefixed")]
    pub producer: ProducerId,
    /// The producer's number of the message.
    pub producer_seq: u64,
    /// The group that the message is of.
    pub group: ReceiptGroup,
    /// The signature over the group.
    pub signature: Signature,
    /// Who vouches for it that the key is the author's.
    pub certificate: Certificate,
}

/// The group of a receipt's message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptGroup {
    /// The number of its first message.
    pub first: u64,
    /// How many messages it has.
    pub count: u32,
    /// The digest of the producer's group before it; zero for the one that begins with number 0.
    pub previous: B256,
    /// The Merkle root over its messages.
    pub root: B256,
    /// The path from the message to the root.
    pub proof: Vec<B256>,
}

/// Why the author's part of a receipt does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorError {
    /// Groups have 1 to 256 messages.
    #[error("group.count is {0}: expected 1 to 256")]
    Count(u32),
    /// The group does not have the message's number.
    #[error("producerSeq {seq} is outside the group's {first}..{end}")]
    Range {
        /// The message's number.
        seq: u64,
        /// The group's first number.
        first: u64,
        /// The number behind its last one.
        end: u64,
    },
    /// A group that begins with number 0 has none before it, and any other one has.
    #[error(
        "group.previous is zero exactly for a group that begins with number 0, and this one begins with {0}"
    )]
    Previous(u64),
    /// The path is longer than any in a group.
    #[error("group.proof has {0} hashes: expected at most 8")]
    ProofLength(usize),
    /// The path leads to another root.
    #[error("the message leads to {computed}, not to group.root {given}: the author signed something else")]
    Proof {
        /// What the receipt says.
        given: B256,
        /// Where the path leads.
        computed: B256,
    },
    /// The key is no point of the curve.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key is another author's.
    #[error("the key is author {computed}, not {author}")]
    NotTheAuthor {
        /// The message's author.
        author: Address,
        /// The author that the key is.
        computed: Address,
    },
    /// The sign-in can't be read.
    #[error("certificate.message: {0}")]
    SignIn(#[from] SiweError),
    /// The sign-in is another account's.
    #[error("the certificate is of account {given}, not of {author}")]
    OtherAccount {
        /// The certificate's account.
        given: Address,
        /// The message's author.
        author: Address,
    },
    /// The sign-in is for another chain.
    #[error("the certificate is for chain {given}, the receipt is of chain {expected}")]
    Chain {
        /// The certificate's chain.
        given: u64,
        /// The receipt's chain.
        expected: u64,
    },
    /// The sign-in delegates to no key, or to another one.
    #[error("the certificate does not delegate to key {0}")]
    OtherKey(PublicKey),
    /// The sign-in is for other streams.
    #[error("the certificate is for other streams than this one")]
    OtherStream,
    /// The certificate's times are not those of the sign-in.
    #[error("the certificate says {given}, but its sign-in says {signed}")]
    Life {
        /// The second that the certificate says.
        given: UnixSec,
        /// The second that follows from the sign-in.
        signed: UnixSec,
    },
    /// The key did not sign for the author at the message's time.
    #[error("the key was valid from second {issued} to {until}, and the message is of second {time}: {why}")]
    NotValid {
        /// The second of the message.
        time: UnixSec,
        /// From when the key signed for the author.
        issued: UnixSec,
        /// Until when it did.
        until: UnixSec,
        /// Too early, expired or revoked.
        why: &'static str,
    },
}

impl ReceiptAuthor {
    /// Returns what the signature is over.
    pub fn signed(&self, stream: &ReceiptStream, message: &ReceiptMessage) -> GroupDigest {
        GroupDigest {
            stream: stream.id,
            author: message.author,
            producer: self.producer,
            first: self.group.first,
            count: self.group.count,
            previous: self.group.previous,
            root: self.group.root,
        }
    }

    /// Checks that the group has the message, and that the certificate says of the key that it was the author's at the message's
    /// time. Neither the group's signature nor the wallet's is verified.
    pub(super) fn check(
        &self,
        stream: &ReceiptStream,
        message: &ReceiptMessage,
        chain_id: u64,
    ) -> Result<(), AuthorError> {
        self.check_group(message.payload_hash())?;
        check_certificate(&self.certificate, &self.key, message.author, chain_id)?;
        check_stream(&self.certificate, stream.id, &stream.name)?;
        check_time(&self.certificate, message.time.to_sec())
    }

    fn check_group(&self, payload_hash: B256) -> Result<(), AuthorError> {
        let ReceiptGroup { first, count, .. } = self.group;
        if count == 0 || count as usize > MAX_GROUP_MESSAGES {
            return Err(AuthorError::Count(count));
        }
        let (seq, end) = (self.producer_seq, first.saturating_add(u64::from(count)));
        if seq < first || seq >= end {
            return Err(AuthorError::Range { seq, first, end });
        }
        if self.group.previous.is_zero() != (first == 0) {
            return Err(AuthorError::Previous(first));
        }
        if self.group.proof.len() > MAX_GROUP_PROOF_HASHES {
            return Err(AuthorError::ProofLength(self.group.proof.len()));
        }
        let computed = process_proof(group_leaf(seq, payload_hash), &self.group.proof);
        if computed != self.group.root {
            let given = self.group.root;
            return Err(AuthorError::Proof { given, computed });
        }
        Ok(())
    }
}

/// Checks that a certificate is `author`'s for `key`, whatever the time. A wallet's signature is not verified.
pub fn check_certificate(
    certificate: &Certificate,
    key: &PublicKey,
    author: Address,
    chain_id: u64,
) -> Result<(), AuthorError> {
    match certificate {
        Certificate::Own {} => {
            let computed = author_of(key)?;
            (computed == author)
                .then_some(())
                .ok_or(AuthorError::NotTheAuthor { author, computed })
        }
        Certificate::Wallet {
            message,
            issued,
            expires,
            ..
        } => {
            let sign_in = SignIn::parse(message)?;
            if sign_in.address != author {
                let given = sign_in.address;
                return Err(AuthorError::OtherAccount { given, author });
            }
            if sign_in.chain_id != chain_id {
                let (given, expected) = (sign_in.chain_id, chain_id);
                return Err(AuthorError::Chain { given, expected });
            }
            let delegation = sign_in.delegation()?.filter(|delegation| delegation.key == *key);
            let delegation = delegation.ok_or(AuthorError::OtherKey(*key))?;
            for (given, signed) in [(*issued, delegation.issued), (*expires, delegation.expires)] {
                if given != signed {
                    return Err(AuthorError::Life { given, signed });
                }
            }
            Ok(())
        }
        // Which account made the service's API key, and that the key is the service's, the operator says.
        Certificate::Service { .. } => Ok(key.point().map(|_| ())?),
    }
}

impl Certificate {
    /// Returns from when and until when it counts, both seconds included: from `issued` to the earlier of `expires` and `revoked`.
    pub fn span(&self) -> (UnixSec, UnixSec) {
        let (issued, expires) = match self {
            Self::Own {} => (UnixSec(0), None),
            Self::Wallet { issued, expires, .. } => (*issued, Some(*expires)),
            Self::Service { issued, expires, .. } => (*issued, *expires),
        };
        let until = [expires, self.revoked()].into_iter().flatten().min();
        (issued, until.unwrap_or(UnixSec(u64::MAX)))
    }

    /// Returns when it was revoked.
    pub fn revoked(&self) -> Option<UnixSec> {
        match self {
            Self::Own {} => None,
            Self::Wallet { revoked, .. } | Self::Service { revoked, .. } => *revoked,
        }
    }
}

/// Checks that a certificate is for a stream: a sign-in for certain streams delegates for these alone.
pub fn check_stream(certificate: &Certificate, id: StreamId, name: &StreamName) -> Result<(), AuthorError> {
    match certificate {
        Certificate::Wallet { message, .. } if !SignIn::parse(message)?.is_for(id, name) => {
            Err(AuthorError::OtherStream)
        }
        _ => Ok(()),
    }
}

/// Checks that a certificate was valid in a second: from `issued` to the earlier of `expires` and `revoked`, both included.
pub fn check_time(certificate: &Certificate, time: UnixSec) -> Result<(), AuthorError> {
    if matches!(certificate, Certificate::Own {}) {
        return Ok(());
    }
    let (issued, until) = certificate.span();
    let why = match time {
        time if time < issued => "it did not sign for the author yet",
        time if time <= until => return Ok(()),
        _ if certificate.revoked() == Some(until) => "it was revoked",
        _ => "it had expired",
    };
    Err(AuthorError::NotValid {
        time,
        issued,
        until,
        why,
    })
}

/// A producer's id as `0x` and digits: in receipts all bytes are written so.
mod prefixed {
    use crate::ids::ProducerId;
    use alloy_primitives::hex;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &ProducerId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode_prefixed(id.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ProducerId, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[path = "author_tests.rs"]
mod tests;
