//! What messages cost on chain at the moment: estimates of the node at its present fees, nothing remembered.
//!
//! Four transactions are estimated that the sender might send: an anchor, a stored anchor, and an anchor together with
//! [`SAMPLE`] digests or messages. Where a stream of ours was anchored lately, it is that stream's next transaction; else
//! the first one of a new stream, which opens it too and costs more.

use alloy_primitives::{Address, Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use serde::Serialize;
use streamchain_protocol::ids::{Seq, StreamId};

use crate::abi::{self, Anchor, Message, Publication, emitDigestsCall, emitMessagesCall, openCall};
use crate::ethereum::{self, FeePolicy};
use crate::ethereum::{FeeHistory, Request};

/// Messages in the estimated transactions: enough that what they share hardly counts.
pub const SAMPLE: u64 = 10;
/// The payload of an estimated message, in bytes.
pub const PAYLOAD_BYTES: u64 = 100;
/// Messages that share an anchor in the figures per message.
pub const MESSAGES_PER_ANCHOR: u64 = 100;
/// No stream can have it: names have no spaces.
const NO_STREAM: &str = "an estimate";

/// The questions for one account.
#[derive(Clone, Copy, Debug)]
pub struct Estimates {
    /// Who would send the transactions.
    pub account: Address,
    /// The contract.
    pub contract: Address,
    /// A stream that the account anchors, and its next seq.
    pub known: Option<(StreamId, Seq)>,
}

/// Gas, and what it costs now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Gas.
    pub gas: u64,
    /// Wei, as decimal text.
    pub wei: String,
}

/// The costs of the modes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Costs {
    /// The next block's base fee and the tip, in wei per gas, as decimal text.
    pub gas_price_wei: String,
    /// What a message is taken to have, in bytes.
    pub payload_bytes: u64,
    /// How many messages are taken to share an anchor.
    pub messages_per_anchor: u64,
    /// Whether the figures are those of a new stream's first anchor.
    pub opens: bool,
    /// One anchor of one stream.
    pub anchor: Cost,
    /// One stored anchor of one stream.
    pub anchor_stored: Cost,
    /// One message of a stream whose mode is `root`.
    pub root: Cost,
    /// One message of a stream whose mode is `hash`.
    pub hash: Cost,
    /// One message of a stream whose mode is `payload`.
    pub payload: Cost,
}

impl Estimates {
    /// What to ask a node, in the order that [`Self::costs`] takes the answers in.
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
        // Whether we would pay that much is another question: the fee cap makes anchoring wait.
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
