//! What messages cost on chain at the moment, by a node's estimates at its present fees.
//!
//! The node estimates four transactions that the anchorer might send: an anchor, a stored anchor, and an anchor together
//! with [`SAMPLE`] digests or messages. Where this account anchored a stream lately, they are that stream's next
//! transaction; otherwise the first one of a new stream, which opens it too and costs more.

use alloy_primitives::{Address, Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use serde::Serialize;
use streamchain_protocol::ids::{Seq, StreamId};

use crate::abi::{self, Anchor, Message, Publication, emitDigestsCall, emitMessagesCall, openCall};
use crate::ethereum::{self, FeePolicy};
use crate::ethereum::{FeeHistory, Request};

/// Messages in the estimated transactions: enough for the shared part to hardly count.
const SAMPLE: u64 = 10;
/// The payload of an estimated message, in bytes.
pub const PAYLOAD_BYTES: u64 = 100;
/// Messages that share an anchor in the figures per message.
pub const MESSAGES_PER_ANCHOR: u64 = 100;
/// A name that no stream can have, because it has spaces.
const NO_STREAM: &str = "an estimate";

/// The estimates for one account.
#[derive(Clone, Copy, Debug)]
pub struct Estimates {
    /// The account that would send the transactions.
    pub account: Address,
    /// The address of the StreamChain contract.
    pub contract: Address,
    /// A stream that the account anchors, and its next seq.
    pub known: Option<(StreamId, Seq)>,
}

/// An amount of gas, and what it costs now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// The amount of gas.
    pub gas: u64,
    /// Its price in wei, as decimal text.
    pub wei: String,
}

/// The costs of anchors, and of one message by the mode of its stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Costs {
    /// The next block's base fee and the tip, in wei per gas, as decimal text.
    pub gas_price_wei: String,
    /// The assumed payload of a message, in bytes.
    pub payload_bytes: u64,
    /// The assumed number of messages that share an anchor.
    pub messages_per_anchor: u64,
    /// Whether the figures are for the first anchor of a new stream.
    pub opens: bool,
    /// The cost of one anchor of one stream.
    pub anchor: Cost,
    /// The cost of one stored anchor of one stream.
    pub anchor_stored: Cost,
    /// The cost of one message of a stream whose mode is `root`.
    pub root: Cost,
    /// The cost of one message of a stream whose mode is `hash`.
    pub hash: Cost,
    /// The cost of one message of a stream whose mode is `payload`.
    pub payload: Cost,
}

impl Estimates {
    /// The questions for a node, in the order in which [`Self::costs`] takes the answers.
    pub fn requests(&self) -> [Request; 4] {
        let name_hash = keccak256(NO_STREAM);
        let new = (abi::stream_id(self.account, name_hash), Seq(0));
        let (stream, Seq(first)) = self.known.unwrap_or(new);
        let stream = stream.word();
        let request = |emission: Option<Bytes>, prove: bool| {
            let run = Anchor {
                stream,
                firstSeq: first,
                count: SAMPLE as u32,
                root: name_hash,
            };
            let mut publication = Publication::default();
            if self.known.is_none() {
                publication.opens.push(openCall {
                    nameHash: name_hash,
                    anchorer: self.account,
                });
            }
            publication.emissions.extend(emission);
            match prove {
                true => publication.stored.push(run),
                false => publication.anchors.push(run),
            }
            Request::EstimateGas {
                from: self.account,
                to: self.contract,
                data: publication.encode(),
            }
        };
        let digests = emitDigestsCall {
            stream,
            firstSeq: first,
            digests: vec![name_hash; SAMPLE as usize],
        };
        let message = Message {
            time: 1_700_000_000_000,
            author: self.account,
            payload: vec![b'a'; PAYLOAD_BYTES as usize].into(),
        };
        let messages = emitMessagesCall {
            stream,
            firstSeq: first,
            messages: vec![message; SAMPLE as usize],
        };
        [
            request(None, false),
            request(None, true),
            request(Some(digests.abi_encode().into()), false),
            request(Some(messages.abi_encode().into()), false),
        ]
    }

    /// The costs, from the answers to [`Self::requests`] and the node's fees; `None` without a base fee.
    pub fn costs(&self, gas: [u64; 4], history: &FeeHistory, policy: FeePolicy) -> Option<Costs> {
        let base_fee = history.next_base_fee()?;
        // The fee cap makes anchoring wait; it does not change what a message costs.
        let unbounded = FeePolicy {
            cap: u128::MAX,
            ..policy
        };
        let price = base_fee.saturating_add(ethereum::estimate_fees(history, unbounded).ok()?.tip);
        let cost = |gas: u64| Cost {
            gas,
            wei: (U256::from(gas) * U256::from(price)).to_string(),
        };
        let [anchor, stored, digests, messages] = gas;
        let share = anchor.div_ceil(MESSAGES_PER_ANCHOR);
        let each = |with: u64| share + with.saturating_sub(anchor).div_ceil(SAMPLE);
        Some(Costs {
            gas_price_wei: price.to_string(),
            payload_bytes: PAYLOAD_BYTES,
            messages_per_anchor: MESSAGES_PER_ANCHOR,
            opens: self.known.is_none(),
            anchor: cost(anchor),
            anchor_stored: cost(stored),
            root: cost(share),
            hash: cost(each(digests)),
            payload: cost(each(messages)),
        })
    }
}
