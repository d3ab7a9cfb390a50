//! A chain with the contract's rules and a mempool with the replacement rule.

use std::collections::BTreeMap;

use super::fake_contract::execute;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256, keccak256};
use alloy_rlp::{Decodable, Header};
use streamchain_chain::ethereum::{
    Answer, Block, BlockId, FeeHistory, Log, LogBlocks, Receipt, Request, RpcError,
};

use streamchain_protocol::ids::StreamId;
use streamchain_protocol::time::UnixSec;

pub const CHAIN_ID: u64 = 31337;
pub const CONTRACT: Address = Address::repeat_byte(0xc0);
pub const GWEI: u128 = 1_000_000_000;

/// A transaction: ours as raw bytes, or a stranger's as its effect.
#[derive(Clone, Debug)]
pub struct FakeTx {
    pub hash: B256,
    pub from: Address,
    pub nonce: u64,
    pub max_fee: u128,
    pub tip: u128,
    pub data: Bytes,
}

#[derive(Clone, Debug, Default)]
pub struct State {
    pub streams: BTreeMap<B256, (Address, u64)>,
    pub nonces: BTreeMap<Address, u64>,
    /// What the contract has at each height of the range of a stream of rounds.
    pub peaks: BTreeMap<(B256, u8), B256>,
    /// Whether the contract is of the version before rounds.
    pub has_no_rounds: bool,
}

#[derive(Clone, Debug)]
pub struct FakeBlock {
    pub number: u64,
    pub hash: B256,
    pub parent: B256,
    pub txs: Vec<FakeTx>,
    pub receipts: Vec<Receipt>,
    pub after: State,
}

/// What becomes of the transactions that a reorganisation takes out of their blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// Gone, as if no pool had kept them.
    Dropped,
    /// Back in the pool.
    Pooled,
}

#[derive(Debug)]
pub struct FakeChain {
    pub account: Address,
    pub blocks: Vec<FakeBlock>,
    pub pool: Vec<FakeTx>,
    pub base_fee: u128,
    pub balance: U256,
    pub finalized_depth: u64,
    /// The largest range of a log query.
    pub log_range: u64,
    /// Every transaction that ever reached the node.
    pub received: Vec<B256>,
    /// What each byte of calldata costs beside the 50,000 of a transaction.
    pub gas_per_byte: u64,
    /// Whether headers have bloom filters.
    pub has_blooms: bool,
    /// Refuses every transaction with these words.
    pub refuses: Option<&'static str>,
    salt: u64,
}

fn node_error(message: &str) -> RpcError {
    RpcError::Node {
        code: -32000,
        message: message.into(),
        revert: None,
    }
}

fn reverted(data: Bytes) -> RpcError {
    RpcError::Node {
        code: 3,
        message: "execution reverted".into(),
        revert: Some(data),
    }
}

impl FakeChain {
    pub fn new(account: Address) -> Self {
        let mut chain = Self {
            account,
            blocks: Vec::new(),
            pool: Vec::new(),
            base_fee: GWEI,
            balance: U256::from(10).pow(U256::from(20)),
            finalized_depth: 8,
            log_range: 1_000,
            received: Vec::new(),
            gas_per_byte: 0,
            has_blooms: true,
            refuses: None,
            salt: 0,
        };
        chain.mine_empty();
        chain
    }

    pub fn head(&self) -> &FakeBlock {
        self.blocks.last().unwrap()
    }

    pub fn finalized(&self) -> u64 {
        self.head().number.saturating_sub(self.finalized_depth)
    }

    pub fn next_seq(&self, stream: StreamId) -> u64 {
        self.head()
            .after
            .streams
            .get(&stream.word())
            .map_or(0, |state| state.1)
    }

    /// What the contract has at a height of the range of rounds.
    pub fn peak(&self, rounds: StreamId, height: u8) -> B256 {
        let peaks = &self.head().after.peaks;
        peaks.get(&(rounds.word(), height)).copied().unwrap_or_default()
    }

    /// All events of the contract, in order.
    pub fn logs(&self) -> Vec<Log> {
        self.blocks
            .iter()
            .flat_map(|block| &block.receipts)
            .flat_map(|it| it.logs.clone())
            .collect()
    }

    /// All transactions in blocks, and whether they succeeded.
    pub fn mined(&self) -> Vec<(B256, bool)> {
        let receipts = self.blocks.iter().flat_map(|block| &block.receipts);
        receipts
            .map(|receipt| (receipt.transaction_hash, receipt.succeeded()))
            .collect()
    }

    /// Changes what the contract holds of a stream, as some transaction of somebody would.
    pub fn set_stream(&mut self, stream: StreamId, anchorer: Address, next_seq: u64) {
        self.mine_empty();
        self.blocks
            .last_mut()
            .unwrap()
            .after
            .streams
            .insert(stream.word(), (anchorer, next_seq));
    }

    /// A stranger's transaction, mined with the next block.
    pub fn stranger(&mut self, from: Address, data: impl Into<Bytes>) {
        let nonce = self.pool.iter().filter(|tx| tx.from == from).count() as u64
            + self.head().after.nonces.get(&from).copied().unwrap_or(0);
        self.salt += 1;
        let hash = keccak256(self.salt.to_be_bytes());
        self.pool.push(FakeTx {
            hash,
            from,
            nonce,
            max_fee: u128::MAX,
            tip: GWEI,
            data: data.into(),
        });
    }

    pub fn mine_empty(&mut self) {
        let pool = std::mem::take(&mut self.pool);
        self.mine();
        self.pool = pool;
    }

    /// One block with all that the pool has and can pay.
    pub fn mine(&mut self) {
        self.salt += 1;
        let mut state = self
            .blocks
            .last()
            .map(|block| block.after.clone())
            .unwrap_or_default();
        let number = self.blocks.len() as u64;
        let parent = self.blocks.last().map_or(B256::ZERO, |block| block.hash);
        let hash = keccak256([parent.as_slice(), &self.salt.to_be_bytes()].concat());
        let mut waiting = std::mem::take(&mut self.pool);
        waiting.sort_by_key(|tx| tx.nonce);
        let (mut txs, mut receipts, mut log_index) = (Vec::new(), Vec::new(), 0);
        for tx in waiting {
            let nonce = state.nonces.entry(tx.from).or_default();
            if tx.nonce < *nonce {
                continue; // replaced or stale
            }
            if tx.nonce > *nonce || tx.max_fee < self.base_fee {
                self.pool.push(tx);
                continue;
            }
            *nonce += 1;
            let mut after = state.clone();
            let outcome = execute(&mut after, tx.from, &tx.data);
            let events = outcome.clone().map(|(_, events)| events).unwrap_or_default();
            if outcome.is_ok() {
                state = after;
            }
            let logs = events.into_iter().map(|(topics, data)| {
                log_index += 1;
                Log {
                    address: CONTRACT,
                    topics,
                    data,
                    block_number: number,
                    block_hash: hash,
                    transaction_hash: tx.hash,
                    log_index: log_index - 1,
                    removed: false,
                }
            });
            receipts.push(Receipt {
                transaction_hash: tx.hash,
                block_number: number,
                block_hash: hash,
                status: u64::from(outcome.is_ok()),
                gas_used: self.gas_of(&tx.data),
                logs: logs.collect(),
            });
            txs.push(tx);
        }
        self.blocks.push(FakeBlock {
            number,
            hash,
            parent,
            txs,
            receipts,
            after: state,
        });
    }

    pub fn mine_many(&mut self, count: u64) {
        for _ in 0..count {
            self.mine();
        }
    }

    /// Takes the newest `depth` blocks back. The caller mines the new branch.
    pub fn take_back(&mut self, depth: u64, orphans: Orphans) {
        let keep = self.blocks.len() - depth as usize;
        let gone = self.blocks.split_off(keep);
        if orphans == Orphans::Pooled {
            self.pool.extend(gone.into_iter().flat_map(|block| block.txs));
        }
    }

    /// A reorganisation: `depth` blocks go, one more comes.
    pub fn reorg(&mut self, depth: u64, orphans: Orphans) {
        self.take_back(depth, orphans);
        self.mine_many(depth + 1);
    }

    fn gas_of(&self, data: &[u8]) -> u64 {
        50_000 + self.gas_per_byte * data.len() as u64
    }

    fn block(&self, id: BlockId) -> Option<&FakeBlock> {
        match id {
            BlockId::Latest => self.blocks.last(),
            BlockId::Finalized => self.blocks.get(self.finalized() as usize),
            BlockId::Number(number) => self.blocks.get(number as usize),
        }
    }

    fn header(&self, block: &FakeBlock) -> Block {
        Block {
            number: block.number,
            hash: block.hash,
            parent_hash: block.parent,
            timestamp: UnixSec(block.number * 12),
            logs_bloom: self.has_blooms.then(|| Box::new(bloom_of(&block.receipts))),
        }
    }

    pub fn answer(&mut self, request: &Request) -> Result<Answer, RpcError> {
        let latest = self.head().after.clone();
        Ok(match request {
            Request::ChainId => Answer::ChainId(CHAIN_ID),
            Request::Syncing => Answer::Syncing(false),
            Request::Block(id) => Answer::Block(self.block(*id).map(|block| self.header(block))),
            Request::Blocks(from, to) => Answer::Blocks(
                (*from..=*to)
                    .filter_map(|number| self.block(BlockId::Number(number)))
                    .map(|block| self.header(block))
                    .collect(),
            ),
            Request::Logs {
                topics,
                streams,
                blocks,
                ..
            } => Answer::Logs(self.query(topics, streams, *blocks)?),
            Request::TransactionCount(account) => {
                Answer::TransactionCount(latest.nonces.get(account).copied().unwrap_or(0))
            }
            Request::Balance(_) => Answer::Balance(self.balance),
            Request::FeeHistory => Answer::FeeHistory(FeeHistory::new(&[self.base_fee; 2], &[GWEI])),
            Request::EstimateGas { from, data, .. } => {
                let mut state = latest;
                execute(&mut state, *from, data).map_err(reverted)?;
                Answer::Gas(self.gas_of(data))
            }
            Request::Call { data, at, .. } => {
                let mut state = self.block(*at).unwrap().after.clone();
                let returned = execute(&mut state, Address::ZERO, data);
                Answer::Returned(returned.map_err(reverted)?.0)
            }
            Request::Run { .. } => unreachable!("neither sender nor listener runs a program"),
            Request::Send(raw) => Answer::Sent(self.receive(raw)?),
            Request::BlockReceipts(number) => Answer::Receipts(
                self.blocks
                    .get(*number as usize)
                    .map(|block| block.receipts.clone()),
            ),
            Request::BlockTransactions(hash) => {
                let block = self.blocks.iter().find(|block| block.hash == *hash);
                Answer::Transactions(block.map(|block| block.txs.iter().map(|tx| tx.hash).collect()))
            }
            Request::Transaction(hash) => Answer::Known(
                self.pool
                    .iter()
                    .chain(self.blocks.iter().flat_map(|block| &block.txs))
                    .any(|tx| tx.hash == *hash),
            ),
            Request::Receipt(hash) => {
                let receipts = self.blocks.iter().flat_map(|block| &block.receipts);
                Answer::Receipt(
                    receipts
                        .into_iter()
                        .find(|it| it.transaction_hash == *hash)
                        .cloned(),
                )
            }
        })
    }

    fn query(&self, topics: &[B256], streams: &[StreamId], blocks: LogBlocks) -> Result<Vec<Log>, RpcError> {
        let range = match blocks {
            LogBlocks::Hash(hash) => {
                let block = self.blocks.iter().find(|block| block.hash == hash);
                let number = block.ok_or_else(|| node_error("unknown block"))?.number;
                number..=number
            }
            LogBlocks::Range(from, to) if to - from >= self.log_range => {
                return Err(node_error("query exceeds max block range"));
            }
            LogBlocks::Range(from, to) => from..=to,
        };
        let wanted = |log: &Log| {
            let is_of_stream =
                streams.is_empty() || streams.iter().any(|stream| stream.word() == log.topics[1]);
            range.contains(&log.block_number) && topics.contains(&log.topics[0]) && is_of_stream
        };
        Ok(self.logs().into_iter().filter(wanted).collect())
    }

    fn receive(&mut self, raw: &Bytes) -> Result<B256, RpcError> {
        if let Some(words) = self.refuses {
            return Err(node_error(words));
        }
        let tx = decode(raw, self.account);
        let mined = self
            .blocks
            .iter()
            .flat_map(|block| &block.txs)
            .any(|old| old.hash == tx.hash);
        if mined || self.pool.iter().any(|old| old.hash == tx.hash) {
            return Err(node_error("already known"));
        }
        if tx.nonce < self.head().after.nonces.get(&tx.from).copied().unwrap_or(0) {
            return Err(node_error("nonce too low"));
        }
        if self.balance < U256::from(tx.max_fee) * U256::from(60_000) {
            return Err(node_error("insufficient funds for gas * price + value"));
        }
        let rival = self
            .pool
            .iter()
            .position(|old| old.from == tx.from && old.nonce == tx.nonce);
        if let Some(rival) = rival {
            let old = &self.pool[rival];
            if tx.max_fee * 10 < old.max_fee * 11 || tx.tip * 10 < old.tip * 11 {
                return Err(node_error("replacement transaction underpriced"));
            }
            self.pool.remove(rival);
        }
        self.received.push(tx.hash);
        let hash = tx.hash;
        self.pool.push(tx);
        Ok(hash)
    }
}

fn bloom_of(receipts: &[Receipt]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for log in receipts.iter().flat_map(|receipt| &receipt.logs) {
        bloom.accrue_raw_log(log.address, &log.topics);
    }
    bloom
}

/// Reads a signed EIP-1559 transaction; who signed it is known here.
fn decode(raw: &Bytes, from: Address) -> FakeTx {
    assert_eq!(raw[0], 2, "an EIP-1559 transaction");
    let mut fields = Header::decode_bytes(&mut &raw[1..], true).unwrap();
    let fields = &mut fields;
    assert_eq!(u64::decode(fields), Ok(CHAIN_ID));
    let nonce = u64::decode(fields).unwrap();
    let tip = u128::decode(fields).unwrap();
    let max_fee = u128::decode(fields).unwrap();
    u64::decode(fields).unwrap();
    assert_eq!(Address::decode(fields), Ok(CONTRACT));
    U256::decode(fields).unwrap();
    let data = Bytes::decode(fields).unwrap();
    FakeTx {
        hash: keccak256(raw),
        from,
        nonce,
        max_fee,
        tip,
        data,
    }
}
