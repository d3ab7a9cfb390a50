//! Authors that sign groups, and the check of what was stored of them.

use anyhow::{Context, Result, bail};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use std::collections::HashMap;
use std::sync::Arc;
use streamchain_protocol::ids::{ProducerId, StreamId};
use streamchain_protocol::signed::{
    GroupDigest, GroupWalker, Point, ProducerChain, PublicKey, Signature, Walked, author_of, group_root,
};
use streamchain_protocol::wire::Record;
use streamchain_protocol::{Address, B256, keccak256};

/// A P-256 key pair.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<EcdsaKeyPair>,
    public: PublicKey,
}

impl SigningKey {
    /// A new one.
    pub fn generate() -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let point = pair.public_key().as_ref();
        let (x, y) = point
            .get(1..)
            .and_then(|point| point.split_first_chunk::<32>())
            .context("an uncompressed point")?;
        let y = y.try_into().context("32 bytes of y")?;
        let public = PublicKey::of_point(&Point { x: *x, y });
        let pair = Arc::new(pair);
        Ok(Self { pair, public })
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The author that the key is.
    pub fn author(&self) -> Result<Address> {
        Ok(author_of(&self.public)?)
    }

    /// Signs a group.
    pub fn sign(&self, group: &GroupDigest) -> Result<Signature> {
        let signed = self.pair.sign(&SystemRandom::new(), &group.preimage())?;
        Ok(Signature(signed.as_ref().try_into().context("64 bytes")?))
    }
}

/// A group, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedFrame {
    /// The number of its first message.
    pub first: u64,
    /// The digest of the group before it.
    pub previous: B256,
    /// The signature.
    pub signature: Signature,
}

/// A producer that signs: keeps its numbers and its chain.
#[derive(Clone)]
pub struct GroupSigner {
    key: SigningKey,
    stream: StreamId,
    author: Address,
    producer: ProducerId,
    chain: ProducerChain,
}

impl GroupSigner {
    /// A producer of `author` without messages.
    pub fn new(key: SigningKey, stream: StreamId, author: Address, producer: ProducerId) -> Self {
        let chain = ProducerChain::default();
        Self {
            key,
            stream,
            author,
            producer,
            chain,
        }
    }

    /// The number of the next group's first message.
    pub fn next(&self) -> u64 {
        self.chain.next()
    }

    /// The digest of a group that begins at the next number.
    pub fn digest(&self, payloads: &[&[u8]]) -> GroupDigest {
        let hashes: Vec<B256> = payloads.iter().map(keccak256).collect();
        GroupDigest {
            stream: self.stream,
            author: self.author,
            producer: self.producer,
            first: self.chain.next(),
            count: u32::try_from(payloads.len()).unwrap_or(u32::MAX),
            previous: self.chain.last().unwrap_or_default(),
            root: group_root(self.chain.next(), &hashes),
        }
    }

    /// Signs the next group, which the one after it follows.
    pub fn sign(&mut self, payloads: &[&[u8]]) -> Result<SignedFrame> {
        let digest = self.digest(payloads);
        let signature = self.key.sign(&digest)?;
        self.chain.push_group(&digest)?;
        Ok(SignedFrame {
            first: digest.first,
            previous: digest.previous,
            signature,
        })
    }
}

/// What a check of stored messages found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Whole groups whose signatures hold.
    pub groups: u64,
    /// The messages in them.
    pub messages: u64,
}

/// Checks a whole stream from seq 0 on: every group is whole, its signature holds, and every producer's groups follow each other
/// without a gap.
pub fn verify_records(stream: StreamId, records: &[Record]) -> Result<Verified> {
    let mut walker = GroupWalker::new(stream);
    let mut chains: HashMap<(Address, ProducerId), ProducerChain> = HashMap::new();
    let mut verified = Verified::default();
    for record in records {
        let chain = chains.entry((record.author, record.producer)).or_default();
        match walker.push(record)? {
            Walked::Unsigned => chain.push_unsigned(record.producer_seq)?,
            Walked::Inside => {}
            Walked::Group(group) => {
                chain.push_group(&group.signed)?;
                let point = group.key.point()?.to_uncompressed();
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                if key.verify(&group.signed.preimage(), &group.signature.0).is_err() {
                    bail!(
                        "the signature of the group at number {} does not hold",
                        group.signed.first
                    );
                }
                verified.groups += 1;
                verified.messages += u64::from(group.signed.count);
            }
        }
    }
    walker.finish()?;
    Ok(verified)
}
