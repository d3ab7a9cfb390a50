//! The contract's interface, read from the Solidity source itself, so that no ABI is written twice.

#![allow(missing_docs, clippy::too_many_arguments)] // `sol!` carries the Solidity comments over only in part

use alloy_primitives::{Address, B256, Bytes, keccak256};
use alloy_sol_types::{SolCall, SolInterface, SolValue, sol};

sol!("../contracts/src/IStreamChain.sol");

sol! {
    /// Contract wallets (EIP-1271).
    interface IERC1271 {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4);
    }
}

pub use IStreamChain::{
    Anchor, Anchored, IStreamChainErrors as ContractError, Message, Published, anchorCall, anchorStoredCall,
    emitDigestsCall, emitMessagesCall, multicallCall, openCall, streamsCall,
};

/// The id of the stream that `owner` names: `keccak256(abi.encode(owner, nameHash))`.
pub fn stream_id(owner: Address, name_hash: B256) -> B256 {
    keccak256((owner, name_hash).abi_encode())
}

/// What one transaction does, in this order; the contract does all of it or nothing.
#[derive(Default)]
pub struct Publication {
    /// Streams that it opens for the sender.
    pub opens: Vec<openCall>,
    /// Encoded `emitDigests` and `emitMessages`.
    pub emissions: Vec<Bytes>,
    /// Runs that are anchored by event only.
    pub anchors: Vec<Anchor>,
    /// Runs that are anchored so that contracts can check their messages.
    pub stored: Vec<Anchor>,
}

impl Publication {
    /// The calldata: the one call, where there is only one, or a `multicall` of all.
    pub fn encode(self) -> Bytes {
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
        match calls.len() {
            1 => calls.remove(0),
            _ => multicallCall { data: calls }.abi_encode().into(),
        }
    }
}

/// Calldata that reads `streams(id)` of many streams by one `eth_call`.
pub fn read_streams(ids: &[B256]) -> Bytes {
    let data = ids
        .iter()
        .map(|&stream| streamsCall { stream }.abi_encode().into())
        .collect();
    multicallCall { data }.abi_encode().into()
}

/// What the contract keeps of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// Who may anchor it; zero when nobody has opened it.
    pub anchorer: Address,
    /// How many messages are anchored: the seq at which the next anchor begins.
    pub next_seq: u64,
}

/// Reads the answer to [`read_streams`]; `None` when it has not the shape or the number that was asked for.
pub fn decode_streams(answer: &[u8], expected: usize) -> Option<Vec<StreamState>> {
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
                next_seq: state.nextSeq.try_into().ok()?,
            })
        })
        .collect()
}

/// The contract's custom error in revert data, if it is one of the contract's own.
pub fn decode_revert(data: &[u8]) -> Option<ContractError> {
    ContractError::abi_decode(data).ok()
}
