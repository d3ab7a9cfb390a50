//! Ethereum JSON-RPC as values: requests, answers and errors, without a transport.
//!
//! What always holds: an [`Answer`] has the shape its [`Request`] asks for; anything else is an [`RpcError`].

mod error;
mod types;

use alloy_primitives::{Address, B256, Bytes, U64, U256, address};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::util::json;

pub use error::RpcError;
pub use types::{Block, FeeHistory, Log, Receipt};

/// The sender of calls and of programs, an address without a key. The default would be zero, which some wallets take for a
/// simulation and accept without a signature.
pub const ASKED_BY: Address = address!("7374726561636861696e2d7369676e2d696e2d61");

/// How many blocks of fee history to ask for: enough that one odd block does not set the tip.
const FEE_HISTORY_BLOCKS: u64 = 10;
/// The reward percentile asked for: half of the gas paid less.
const FEE_HISTORY_PERCENTILE: u64 = 50;

/// Names a block by its height or its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockId {
    /// The newest block the node knows.
    Latest,
    /// The newest block that the chain has finalized.
    Finalized,
    /// The block at this height.
    Number(u64),
}

impl BlockId {
    fn to_json(self) -> Value {
        match self {
            BlockId::Latest => json!("latest"),
            BlockId::Finalized => json!("finalized"),
            BlockId::Number(number) => json!(quantity(number)),
        }
    }
}

/// Names the blocks whose logs are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogBlocks {
    /// The block with this hash; a node that does not know it answers with an error (EIP-234).
    Hash(B256),
    /// The blocks at these heights, both included, on whatever chain the node follows at the moment.
    Range(u64, u64),
}

/// A call of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `eth_chainId`
    ChainId,
    /// `eth_syncing`
    Syncing,
    /// `eth_getBlockByNumber`, without the transactions.
    Block(BlockId),
    /// `eth_getBlockByNumber` of each height from the first to the last, in one batch.
    Blocks(u64, u64),
    /// `eth_getBlockByHash`, for the hashes of the block's transactions.
    BlockTransactions(B256),
    /// `eth_getBlockReceipts` of the block at this height.
    BlockReceipts(u64),
    /// `eth_getLogs` of one contract, where the first topic is any of those given.
    Logs {
        /// The contract.
        address: Address,
        /// The events' signatures.
        topics: Vec<B256>,
        /// The streams that the events are about; empty for all.
        streams: Vec<StreamId>,
        /// The blocks to look in.
        blocks: LogBlocks,
    },
    /// `eth_getTransactionCount` at the latest block: the nonce of the account's next transaction.
    TransactionCount(Address),
    /// `eth_getBalance` at the latest block.
    Balance(Address),
    /// `eth_feeHistory` up to the latest block.
    FeeHistory,
    /// `eth_estimateGas` at the latest block.
    EstimateGas {
        /// The account that would send it.
        from: Address,
        /// The contract that is called.
        to: Address,
        /// The calldata.
        data: Bytes,
    },
    /// `eth_call`
    Call {
        /// The contract that is called.
        to: Address,
        /// The calldata.
        data: Bytes,
        /// The block whose state is used.
        at: BlockId,
    },
    /// `eth_call` of creation code: the node runs a program and drops its changes.
    Run {
        /// The code; what it returns is the answer.
        program: Bytes,
        /// The account that the node takes for the sender.
        from: Address,
        /// The block whose state is used.
        at: BlockId,
    },
    /// `eth_sendRawTransaction`
    Send(Bytes),
    /// `eth_getTransactionReceipt`
    Receipt(B256),
    /// `eth_getTransactionByHash`, for whether the node knows it.
    Transaction(B256),
}

/// A node's answer, one variant per kind of [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The chain's id.
    ChainId(u64),
    /// Whether the node is still syncing.
    Syncing(bool),
    /// The block, or `None` when the node does not know it.
    Block(Option<Block>),
    /// The blocks, by height.
    Blocks(Vec<Block>),
    /// The hashes of a block's transactions, or `None` when the node does not know the block.
    Transactions(Option<Vec<B256>>),
    /// The receipts of a block's transactions, or `None` when the node does not know the block.
    Receipts(Option<Vec<Receipt>>),
    /// The logs found.
    Logs(Vec<Log>),
    /// The nonce of the account's next transaction.
    TransactionCount(u64),
    /// The account's balance in wei.
    Balance(U256),
    /// The fee history.
    FeeHistory(FeeHistory),
    /// The gas a call would use.
    Gas(u64),
    /// What a call returned.
    Returned(Bytes),
    /// The hash of the transaction that the node accepted.
    Sent(B256),
    /// The receipt, or `None` while the transaction is in no block.
    Receipt(Option<Receipt>),
    /// Whether the node knows the transaction: in its pool, or in a block.
    Known(bool),
}

impl Request {
    /// The JSON-RPC method.
    pub fn method(&self) -> &'static str {
        match self {
            Request::ChainId => "eth_chainId",
            Request::Syncing => "eth_syncing",
            Request::Block(_) | Request::Blocks(..) => "eth_getBlockByNumber",
            Request::Logs { .. } => "eth_getLogs",
            Request::TransactionCount(_) => "eth_getTransactionCount",
            Request::Balance(_) => "eth_getBalance",
            Request::FeeHistory => "eth_feeHistory",
            Request::EstimateGas { .. } => "eth_estimateGas",
            Request::Call { .. } | Request::Run { .. } => "eth_call",
            Request::Send(_) => "eth_sendRawTransaction",
            Request::BlockTransactions(_) => "eth_getBlockByHash",
            Request::BlockReceipts(_) => "eth_getBlockReceipts",
            Request::Receipt(_) => "eth_getTransactionReceipt",
            Request::Transaction(_) => "eth_getTransactionByHash",
        }
    }

    /// What a node can be good at or not: the method, and where nodes differ, its form.
    pub fn kind(&self) -> &'static str {
        match self {
            Request::Block(BlockId::Finalized) => "eth_getBlockByNumber of finalized",
            Request::Blocks(..) => "eth_getBlockByNumber in a batch",
            Request::Logs {
                blocks: LogBlocks::Hash(_),
                ..
            } => "eth_getLogs by block hash",
            other => other.method(),
        }
    }

    /// Whether an error is the answer itself: the call reverts, and would do so at every node.
    pub fn is_answered_by(&self, error: &RpcError) -> bool {
        let runs = matches!(
            self,
            Request::EstimateGas { .. } | Request::Call { .. } | Request::Run { .. }
        );
        runs && error.revert().is_some()
    }

    /// Whether the answer says nothing although there must be something: the node has no blocks yet.
    pub(super) fn is_left_open_by(&self, answer: &Answer) -> bool {
        matches!(
            (self, answer),
            (Request::Block(BlockId::Latest), Answer::Block(None))
        )
    }

    /// The JSON-RPC parameters.
    fn params(&self) -> Value {
        match self {
            Request::ChainId | Request::Syncing => json!([]),
            Request::Block(id) => json!([id.to_json(), false]),
            Request::Blocks(from, _) => json!([quantity(*from), false]),
            Request::Logs {
                address,
                topics,
                streams,
                blocks,
            } => {
                let topics = match streams.is_empty() {
                    true => json!([topics]),
                    false => json!([topics, streams]),
                };
                match blocks {
                    LogBlocks::Hash(hash) => {
                        json!([{ "address": address, "topics": topics, "blockHash": hash }])
                    }
                    LogBlocks::Range(from, to) => json!([{ "address": address, "topics": topics,
                        "fromBlock": quantity(*from), "toBlock": quantity(*to) }]),
                }
            }
            Request::TransactionCount(account) | Request::Balance(account) => json!([account, "latest"]),
            Request::FeeHistory => json!([quantity(FEE_HISTORY_BLOCKS), "latest", [FEE_HISTORY_PERCENTILE]]),
            // Without the block parameter: some nodes know only the one-parameter form, and all mean a state
            // that includes the latest block.
            Request::EstimateGas { from, to, data } => json!([{ "from": from, "to": to, "data": data }]),
            Request::Call { to, data, at } => {
                json!([{ "from": ASKED_BY, "to": to, "data": data }, at.to_json()])
            }
            Request::Run { program, from, at } => json!([{ "from": from, "data": program }, at.to_json()]),
            Request::Send(raw) => json!([raw]),
            Request::Receipt(hash) | Request::Transaction(hash) => json!([hash]),
            Request::BlockTransactions(hash) => json!([hash, false]),
            Request::BlockReceipts(number) => json!([quantity(*number)]),
        }
    }

    /// The whole JSON-RPC 2.0 request body.
    pub fn body(&self) -> String {
        let call = |id: u64, params| json!({ "jsonrpc": "2.0", "id": id, "method": self.method(), "params": params });
        match self {
            Request::Blocks(from, to) => {
                let each = (*from..=*to).map(|number| Request::Block(BlockId::Number(number)));
                let calls = (1..).zip(each).map(|(id, one)| call(id, one.params()));
                Value::Array(calls.collect()).to_string()
            }
            _ => call(1, self.params()).to_string(),
        }
    }

    /// Reads an HTTP response: many nodes send their JSON-RPC errors with a status of their own, and some statuses say more
    /// than the body.
    pub fn decode_response(&self, status: u16, body: &str) -> Result<Answer, RpcError> {
        let is_success = (200..300).contains(&status);
        match self.decode(body) {
            Err(RpcError::Node { message, revert, .. }) if status == 429 => Err(RpcError::Node {
                code: 429,
                message,
                revert,
            }),
            // Whoever is not let in is not answered, in whatever form that is said.
            Err(RpcError::Node { .. }) if matches!(status, 401..=403 | 407) => Err(RpcError::Http(status)),
            Err(error @ RpcError::Node { .. }) => Err(error),
            _ if !is_success => Err(RpcError::Http(status)),
            outcome => outcome,
        }
    }

    /// Reads a JSON-RPC 2.0 response body.
    pub fn decode(&self, body: &str) -> Result<Answer, RpcError> {
        let mut body = json::tree(body)
            .map_err(|error| RpcError::Malformed(format!("{}: not JSON: {error}", self.method())))?;
        match (self, &mut body) {
            (Request::Blocks(..), Value::Array(answers)) => {
                let results = answers.iter_mut().map(|one| self.result(one));
                let blocks = results.map(|result| read(self.method(), result?));
                let mut blocks: Vec<Block> = blocks.collect::<Result<_, _>>()?;
                blocks.sort_unstable_by_key(|block| block.number);
                Ok(Answer::Blocks(blocks))
            }
            (_, body) => self.decode_result(self.result(body)?),
        }
    }

    /// Gives what one call returned.
    fn result(&self, body: &mut Value) -> Result<Value, RpcError> {
        if let Some(error) = body.get("error").filter(|error| !error.is_null()) {
            return Err(RpcError::from_json(error));
        }
        match body.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(RpcError::Malformed(format!(
                "{}: neither result nor error",
                self.method()
            ))),
        }
    }

    fn decode_result(&self, result: Value) -> Result<Answer, RpcError> {
        let method = self.method();
        Ok(match self {
            Request::ChainId => Answer::ChainId(number(method, result)?),
            Request::Syncing => Answer::Syncing(is_syncing(&result)),
            // A pending block has neither number nor hash: it is not on the chain yet.
            Request::Block(_) if lacks(&result, &["number", "hash"]) => Answer::Block(None),
            Request::Block(_) => Answer::Block(read(method, result)?),
            Request::Blocks(..) => {
                return Err(RpcError::Malformed(format!(
                    "{method}: the node answers no batches"
                )));
            }
            Request::BlockTransactions(_) => Answer::Transactions(transactions(method, result)?),
            Request::BlockReceipts(_) => Answer::Receipts(read(method, result)?),
            Request::Logs { .. } => Answer::Logs(read(method, result)?),
            Request::TransactionCount(_) => Answer::TransactionCount(number(method, result)?),
            Request::Balance(_) => Answer::Balance(read::<U256>(method, result)?),
            Request::FeeHistory => Answer::FeeHistory(read(method, result)?),
            Request::EstimateGas { .. } => Answer::Gas(number(method, result)?),
            Request::Call { .. } | Request::Run { .. } => Answer::Returned(read(method, result)?),
            Request::Send(_) => Answer::Sent(read(method, result)?),
            // The receipt of a pending transaction, as some nodes make it.
            Request::Receipt(_) if lacks(&result, &["blockNumber", "blockHash"]) => Answer::Receipt(None),
            Request::Receipt(_) => Answer::Receipt(read(method, result)?),
            Request::Transaction(_) => Answer::Known(!result.is_null()),
        })
    }
}

/// A number as JSON-RPC writes it: `0x`, then hex without leading zeros.
fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

/// Whether one of these members is there and null.
fn lacks(result: &Value, members: &[&str]) -> bool {
    members
        .iter()
        .any(|name| result.get(name).is_some_and(Value::is_null))
}

/// Whether the node says that it is behind. Some nodes go on showing progress when they are in step.
fn is_syncing(result: &Value) -> bool {
    let height = |name| json::from_value::<U64>(result.get(name)?).ok();
    match (height("currentBlock"), height("highestBlock")) {
        (Some(current), Some(highest)) => current < highest,
        _ => !matches!(result, Value::Null | Value::Bool(false)),
    }
}

/// The hashes of a block's transactions.
fn transactions(method: &str, mut result: Value) -> Result<Option<Vec<B256>>, RpcError> {
    if result.is_null() {
        return Ok(None);
    }
    let hashes = result.get_mut("transactions").map(Value::take);
    read(method, hashes.unwrap_or_default()).map(Some)
}

/// A number, in hex or decimal, quoted or not. Nothing behind `0x` is no number.
fn number(method: &str, result: Value) -> Result<u64, RpcError> {
    match result.as_str() {
        Some("0x" | "") => Err(RpcError::Malformed(format!("{method}: an empty number"))),
        _ => Ok(read::<U64>(method, result)?.to()),
    }
}

fn read<T: DeserializeOwned>(method: &str, result: Value) -> Result<T, RpcError> {
    json::from_value(&result).map_err(|error| RpcError::Malformed(format!("{method}: {error}")))
}

#[cfg(test)]
mod tests;
