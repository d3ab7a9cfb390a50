//! Receipts, and what Ethereum nodes and wallets give.

use crate::fixed::{SIGNED_HASH, WALLET};
use streamchain_chain::ethereum::eip6492::Undeployed;
use streamchain_chain::ethereum::{BlockId, LogBlocks, Request, eip191};
use streamchain_protocol::proof::Receipt;
use streamchain_protocol::proof::bucket::bucket_root;
use streamchain_protocol::proof::run::{check_runs, decode_runs, encode_runs};
use streamchain_protocol::util::json;
use streamchain_protocol::{Address, B256, Bytes};

pub(super) fn receipt(bytes: &[u8]) {
    let Ok(receipt) = json::from_bytes::<Receipt>(bytes) else {
        return;
    };
    if receipt.check().is_ok() {
        let mut other = receipt.clone();
        other.message.time.0 ^= 1;
        assert!(other.check().is_err(), "a receipt holds for one time alone");
    }
}

pub(super) fn runs(bytes: &[u8]) {
    let Ok(runs) = decode_runs(bytes) else {
        return;
    };
    assert_eq!(encode_runs(&runs), bytes, "a list has one encoding");
    assert_eq!(check_runs(&runs), Ok(()), "a list that is read keeps the rules");
    let root = bucket_root(&runs);
    assert_eq!(root.runs as usize, runs.len());
    assert_eq!(root.root.is_zero(), runs.is_empty());
}

/// Each kind of request reads the same answer: what one expects is nonsense to the others.
pub(super) fn json_rpc(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let address = Address::ZERO;
    let requests = [
        Request::ChainId,
        Request::Syncing,
        Request::Block(BlockId::Latest),
        Request::Logs {
            address,
            topics: vec![B256::ZERO],
            streams: Vec::new(),
            blocks: LogBlocks::Hash(B256::ZERO),
        },
        Request::TransactionCount(address),
        Request::Balance(address),
        Request::FeeHistory,
        Request::Call {
            to: address,
            data: Bytes::new(),
            at: BlockId::Latest,
        },
        Request::Send(Bytes::new()),
        Request::Receipt(B256::ZERO),
        Request::BlockTransactions(B256::ZERO),
        Request::BlockReceipts(1),
        Request::Blocks(1, 2),
        Request::Transaction(B256::ZERO),
    ];
    for request in requests {
        let _ = request.decode(text);
    }
}

pub(super) fn signature(bytes: &[u8]) {
    if eip191::signer(SIGNED_HASH, bytes) == Some(WALLET) {
        assert_eq!(bytes.len(), 65, "a signature has one length");
    }
    if let Some(undeployed) = Undeployed::parse(bytes) {
        let program = undeployed.program(Address::ZERO, B256::ZERO);
        assert!(!program.is_empty(), "a wallet that is read can be asked");
    }
}
