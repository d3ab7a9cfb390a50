//! The contract's interface, read from the Solidity source itself, so that no ABI is written twice.

#![allow(missing_docs, clippy::too_many_arguments)] // `sol!` carries the Solidity comments over only in part

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolInterface, SolValue, sol};
use streamchain_protocol::ids::{Seq, StreamId};

sol!("sol/IStreamChain.sol");

sol! {
    /// Contract wallets (EIP-1271).
    interface IERC1271 {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
    }
}

pub use IStreamChain::{
    Anchor, Anchored, IStreamChainErrors as ContractError, Message, Published, anchorCall, anchorRoundCall,
    anchorStoredCall, emitDigestsCall, emitMessagesCall, multicallCall, openCall, peakCall, streamsCall,
};

/// The id of the stream that `owner` names: `keccak256(abi.encode(owner, nameHash))`.
pub fn stream_id(owner: Address, name_hash: B256) -> StreamId {
    StreamId(keccak256((owner, name_hash).abi_encode()).0)
}

/// The calls of one transaction, in this order; the contract does all of them or none.
#[derive(Default)]
pub(crate) struct Publication {
    /// The streams that it opens for the account.
    pub(crate) opens: Vec<openCall>,
    /// Encoded calls of `emitDigests` and `emitMessages`.
    pub(crate) emissions: Vec<Bytes>,
    /// The runs that are anchored by event only.
    pub(crate) anchors: Vec<Anchor>,
    /// The runs that are stored, so that contracts can check their messages.
    pub(crate) stored: Vec<Anchor>,
    /// The rounds that are anchored, in order.
    pub(crate) rounds: Vec<anchorRoundCall>,
}

impl Publication {
    /// The calldata: the call itself where there is one, otherwise a `multicall` of all.
    pub(crate) fn encode(self) -> Bytes {
        let mut calls: Vec<Bytes> = self.opens.iter().map(|open| open.abi_encode().into()).collect();
        calls.extend(self.emissions);
        if !self.anchors.is_empty() {
            let anchors = self.anchors;
            calls.push(anchorCall { anchors }.abi_encode().into());
        }
        if !self.stored.is_empty() {
            let anchors = self.stored;
            calls.push(anchorStoredCall { anchors }.abi_encode().into());
        }
        calls.extend(self.rounds.iter().map(|round| round.abi_encode().into()));
        match calls.len() {
            1 => calls.remove(0),
            _ => multicallCall { data: calls }.abi_encode().into(),
        }
    }
}

/// The calldata that reads `streams(id)` of many streams by one `eth_call`.
pub(crate) fn read_streams(ids: &[StreamId]) -> Bytes {
    let data = ids
        .iter()
        .map(|id| streamsCall { stream: id.word() }.abi_encode().into())
        .collect();
    multicallCall { data }.abi_encode().into()
}

/// Heights of peaks that are read: of more rounds than there will be in a thousand years at one a second.
const PEAKS_READ: u8 = 35;

/// What the contract has of a stream of rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoundsOnChain {
    /// The number of the next round.
    pub(crate) next: u64,
    /// What it stores at each height; those of [`range::peaks`](streamchain_protocol::proof::range::peaks) are peaks.
    pub(crate) peaks: Vec<(u8, B256)>,
}

/// The calldata that reads how far a stream of rounds is anchored, and the peaks of its range; a contract of the version
/// before, which has no peaks, refuses it.
pub(crate) fn read_rounds(stream: StreamId) -> Bytes {
    let rounds = stream.word();
    let state = streamsCall { stream: rounds }.abi_encode().into();
    let peak = |height: u8| {
        let height = U256::from(height);
        peakCall { rounds, height }.abi_encode().into()
    };
    let data = std::iter::once(state).chain((0..PEAKS_READ).map(peak)).collect();
    multicallCall { data }.abi_encode().into()
}

/// Reads the answer to [`read_rounds`]; `None` when it is not that of a contract with rounds.
pub(crate) fn decode_rounds(answer: &[u8]) -> Option<RoundsOnChain> {
    let results = multicallCall::abi_decode_returns(answer).ok()?;
    let (state, peaks) = results.split_first()?;
    if peaks.len() != usize::from(PEAKS_READ) {
        return None;
    }
    let peaks = (0..).zip(peaks).map(|(height, peak)| {
        let peak = peakCall::abi_decode_returns(peak).ok()?;
        Some((height, peak))
    });
    let state = streamsCall::abi_decode_returns(state).ok()?;
    Some(RoundsOnChain {
        next: state.nextSeq.try_into().ok()?,
        peaks: peaks.collect::<Option<_>>()?,
    })
}

/// What the contract stores for one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamState {
    /// The account that may anchor it; zero when the stream is not open.
    pub(crate) anchorer: Address,
    /// How many messages are anchored: the seq at which the next anchor begins.
    pub(crate) next_seq: Seq,
}

impl StreamState {
    /// Whether the stream was opened.
    pub(crate) fn is_open(&self) -> bool {
        self.anchorer != Address::ZERO
    }
}

/// Reads the answer to [`read_streams`]; `None` when it is malformed or has another number of streams.
pub(crate) fn decode_streams(answer: &[u8], expected: usize) -> Option<Vec<StreamState>> {
    let results = multicallCall::abi_decode_returns(answer).ok()?;
    if results.len() != expected {
        return None;
    }
    results
        .iter()
        .map(|result| {
            let state = streamsCall::abi_decode_returns(result).ok()?;
            Some(StreamState {
                anchorer: state.anchorer,
                next_seq: Seq(state.nextSeq.try_into().ok()?),
            })
        })
        .collect()
}

/// Reads a custom error of the contract from revert data.
pub(crate) fn decode_revert(data: &[u8]) -> Option<ContractError> {
    ContractError::abi_decode(data).ok()
}
