//! The members of JSON-RPC objects that are read; the others are ignored.

use alloy_primitives::{Address, B256, Bloom, BloomInput, Bytes, U64, U128};
use serde::{Deserialize, Deserializer};
use streamchain_protocol::time::UnixSec;

/// The part of a block's header that is read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// The block's height.
    #[serde(deserialize_with = "quantity")]
    pub number: u64,
    /// The block's hash.
    pub hash: B256,
    /// The hash of the block before it.
    pub parent_hash: B256,
    /// The block's time, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub timestamp: UnixSec,
    /// Which contracts and topics its logs may have; `None` where the node does not say so.
    #[serde(default, deserialize_with = "bloom")]
    pub logs_bloom: Option<Box<Bloom>>,
}

/// An event that a contract emitted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// The contract that emitted it.
    pub address: Address,
    /// The event's signature and its indexed fields.
    pub topics: Vec<B256>,
    /// The other fields, ABI-encoded.
    pub data: Bytes,
    /// The height of its block.
    #[serde(deserialize_with = "quantity")]
    pub block_number: u64,
    /// The hash of its block.
    pub block_hash: B256,
    /// The transaction that caused it.
    pub transaction_hash: B256,
    /// Its position among all logs of its block.
    #[serde(deserialize_with = "quantity")]
    pub log_index: u64,
    /// Whether the node says that a reorganisation took it back.
    #[serde(default)]
    pub removed: bool,
}

/// The receipt of a transaction that is in a block.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The transaction's hash.
    pub transaction_hash: B256,
    /// The height of its block.
    #[serde(deserialize_with = "quantity")]
    pub block_number: u64,
    /// The hash of its block.
    pub block_hash: B256,
    /// 1 when it succeeded, 0 when it reverted (EIP-658).
    #[serde(deserialize_with = "quantity")]
    pub status: u64,
    /// The gas it used.
    #[serde(deserialize_with = "quantity")]
    pub gas_used: u64,
    /// The events it caused.
    #[serde(default)]
    pub logs: Vec<Log>,
}

impl Block {
    /// Whether the block may have an event of this contract with one of these signatures. Many blocks may that do not: a
    /// bloom filter only ever denies for certain.
    pub(crate) fn may_have(&self, address: Address, topics: &[B256]) -> bool {
        self.logs_bloom.as_ref().is_some_and(|bloom| {
            let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
            has(address.as_slice()) && topics.iter().any(|topic| has(topic.as_slice()))
        })
    }
}

impl Receipt {
    /// Whether the transaction did not revert.
    pub fn succeeded(&self) -> bool {
        self.status == 1
    }
}

/// Base fees and tips of the newest blocks (EIP-1559).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeeHistory {
    /// The base fee of each block, oldest first, and last that of the block to come.
    #[serde(default)]
    base_fee_per_gas: Vec<U128>,
    /// For each block the tips at the percentiles asked for; we ask for the median only.
    #[serde(default)]
    reward: Option<Vec<Vec<U128>>>,
}

impl FeeHistory {
    /// A history with these base fees (the last one is the next block's) and median tips, in wei per gas.
    pub fn new(base_fees: &[u128], median_tips: &[u128]) -> Self {
        Self {
            base_fee_per_gas: base_fees.iter().map(|&fee| U128::from(fee)).collect(),
            reward: Some(median_tips.iter().map(|&tip| vec![U128::from(tip)]).collect()),
        }
    }

    /// The base fee of the block to come, in wei per gas.
    pub(crate) fn next_base_fee(&self) -> Option<u128> {
        self.base_fee_per_gas.last().map(|fee| fee.to())
    }

    /// The median tip of each block, in wei per gas; zero for an empty block.
    pub(crate) fn median_tips(&self) -> Vec<u128> {
        self.reward
            .iter()
            .flatten()
            .filter_map(|tips| tips.first())
            .map(|tip| tip.to())
            .collect()
    }
}

/// A bloom filter of 256 bytes; anything else counts as none.
fn bloom<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Bloom>>, D::Error> {
    let bytes = Option::<Bytes>::deserialize(deserializer).unwrap_or_default();
    Ok(bytes
        .filter(|bytes| bytes.len() == Bloom::len_bytes())
        .map(|bytes| Box::new(Bloom::from_slice(&bytes))))
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixSec, D::Error> {
    quantity(deserializer).map(UnixSec)
}

fn quantity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    U64::deserialize(deserializer).map(|number| number.to())
}
