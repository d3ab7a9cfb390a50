//! Reads the events of one block in whatever way a node can give them: all at once, by topic, by transaction, and in the
//! end by stream.
//!
//! What always holds: a reading ends. It is *certain* when a header or receipts bear it out, or nothing speaks against it;
//! otherwise it says what speaks against it, so that the block is read again.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bloom};

use super::event::{ChainEvent, EventId, TOPICS, events_of};
use super::ring::Mark;
use crate::ethereum::{Answer, Block, Log, LogBlocks, Receipt, Request, RpcError};
use streamchain_protocol::ids::StreamId;

/// Failures in a row after which a block is passed over and noted: with the back-off between them about 15 s.
const MAX_FAILURES: u32 = 5;
/// Failures in words that mean nothing after which a block is asked for in smaller parts: it may also be a block that
/// a reorganisation took back.
const MAX_WHOLE_FAILURES: u32 = 2;
/// While blocks cannot be read as a whole, one in so many is tried: a node may have no log queries at all, or limit them
/// in words that nobody knows.
const WHOLE_EVERY: u64 = 64;
/// Transactions of a block that are asked for one by one at most, where it cannot be read otherwise: several times what
/// any block of Ethereum has.
const MAX_TRANSACTIONS: usize = 4_096;
/// The same where the block was read, and only its bloom filter speaks against the answer: on a busy chain that does so for
/// every fifth block without reason.
const MAX_DOUBTED_TRANSACTIONS: usize = 32;

/// Queries by stream for one block at most: what is known of a block without them is little, and each is tried in vain where
/// a node has no log queries at all.
const MAX_STREAM_QUERIES: u32 = 64;

/// How sure a reading is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// These are the block's events.
    Certain,
    /// The node gives no events, and the block's header says that there may be some.
    Doubtful,
    /// Events are missing, for this reason.
    Missing(String),
}

/// What a block was found to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) mark: Mark,
    pub(super) events: Vec<ChainEvent>,
    pub(super) certainty: Certainty,
    /// Whether it could not be read as a whole.
    pub(super) is_in_parts: bool,
}

/// What follows from an answer.
#[derive(Debug)]
pub(super) enum Reading {
    /// There is one more question.
    Ask(Box<BlockReader>),
    /// The reading is over.
    Done(Found),
    /// The pass fails for this reason; the reading goes on in a later one.
    Later(Box<BlockReader>, String),
    /// The answer cannot be true; the reading goes on in a later pass.
    Untrue(Box<BlockReader>, &'static str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// All events, by the block's hash.
    Whole,
    /// The events of one topic.
    Topic(usize),
    /// All receipts at once: they show whether an answer without events is true.
    Receipts,
    /// The hashes of the block's transactions.
    Hashes,
    /// The receipt of one transaction.
    Receipt { hashes: Vec<B256>, next: usize },
    /// The events of known streams, where others can't be read: those of the last part, then of the part before it.
    Streams(Vec<Vec<StreamId>>),
}

/// A reading of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlockReader {
    mark: Mark,
    contract: Address,
    bloom: Option<Box<Bloom>>,
    may_have: bool,
    /// Transactions of the block that have events, as their receipts say.
    expected: Vec<B256>,
    /// Whether only receipts count.
    is_thorough: bool,
    stage: Stage,
    events: BTreeMap<EventId, ChainEvent>,
    failures: u32,
    /// Why the block cannot be read as a whole.
    fault: Option<String>,
    /// Why a part of it cannot be read.
    missing: Option<String>,
    /// Streams whose events are asked for where the block can't be read otherwise.
    streams: Vec<StreamId>,
    /// How many queries by stream were made.
    stream_queries: u32,
}

impl BlockReader {
    /// Begins to read a block. Each of the `expected` transactions has an event of the contract in it.
    pub(super) fn new(block: &Block, contract: Address, expected: Vec<B256>) -> Self {
        Self {
            mark: Mark::from(block),
            contract,
            bloom: block.logs_bloom.clone(),
            may_have: block.may_have(contract, &TOPICS),
            expected,
            is_thorough: false,
            stage: Stage::Whole,
            events: BTreeMap::new(),
            failures: 0,
            fault: None,
            missing: None,
            streams: Vec::new(),
            stream_queries: 0,
        }
    }

    /// The same, for streams whose events are wanted even where those of others can't be read.
    pub(super) fn with_streams(self, streams: Vec<StreamId>) -> Self {
        Self { streams, ..self }
    }

    /// The same, but for certain: an answer to a log query is not enough.
    pub(super) fn thorough(self) -> Self {
        Self {
            is_thorough: true,
            ..self
        }
    }

    /// The same, where the block before could not be read as a whole: receipts are asked for at once, but for one block in
    /// [`WHOLE_EVERY`].
    pub(super) fn in_parts(mut self) -> Self {
        match self.mark.number.is_multiple_of(WHOLE_EVERY) {
            true => self.failures = MAX_WHOLE_FAILURES - 1,
            false => {
                self.stage = Stage::Receipts;
                self.fault = Some("the block before could not be read as a whole".into());
            }
        }
        self
    }

    /// The block.
    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// What to ask now.
    pub(super) fn request(&self) -> Request {
        let logs = |topics: &[B256], streams: &[StreamId]| Request::Logs {
            address: self.contract,
            topics: topics.to_vec(),
            streams: streams.to_vec(),
            blocks: LogBlocks::Hash(self.mark.hash),
        };
        match &self.stage {
            Stage::Whole => logs(&TOPICS, &[]),
            Stage::Topic(index) => logs(TOPICS.get(*index..=*index).unwrap_or_default(), &[]),
            Stage::Streams(parts) => logs(&TOPICS, parts.last().map_or(&[], Vec::as_slice)),
            Stage::Receipts => Request::BlockReceipts(self.mark.number),
            Stage::Hashes => Request::BlockTransactions(self.mark.hash),
            Stage::Receipt { hashes, next } => {
                Request::Receipt(hashes.get(*next).copied().unwrap_or_default())
            }
        }
    }

    /// What follows from an answer to [`Self::request`].
    pub(super) fn handle(mut self: Box<Self>, outcome: Result<Answer, RpcError>) -> Reading {
        match (self.stage.clone(), outcome) {
            (_, Err(error)) if error.is_of_whole_node() || error.is_rate_limited() => {
                Reading::Later(self, error.to_string())
            }
            (Stage::Whole, Ok(Answer::Logs(logs))) => match self.take(&logs) {
                Ok(()) => self.check(),
                Err(reason) => self.untrue(reason),
            },
            (Stage::Whole, Err(error)) => {
                self.failures += 1;
                self.fault = Some(error.to_string());
                if self.failures < MAX_WHOLE_FAILURES && !error.asks_for_less() {
                    return Reading::Later(self, error.to_string());
                }
                self.ask(Stage::Topic(0))
            }
            (Stage::Topic(index), Ok(Answer::Logs(logs))) => match self.take(&logs) {
                Ok(()) if index + 1 < TOPICS.len() => self.ask(Stage::Topic(index + 1)),
                Ok(()) => self.check(),
                Err(reason) => self.untrue(reason),
            },
            (Stage::Receipts, Ok(Answer::Receipts(Some(receipts)))) if self.are_whole(&receipts) => {
                let logs: Vec<Log> = receipts.into_iter().flat_map(|receipt| receipt.logs).collect();
                self.take_own(&logs);
                self.done(Certainty::Certain)
            }
            (Stage::Topic(_) | Stage::Receipts, _) => self.ask(Stage::Hashes),
            (Stage::Hashes, Ok(Answer::Transactions(Some(hashes))))
                if hashes.len() <= self.max_transactions() =>
            {
                self.ask_receipt(hashes, 0)
            }
            (Stage::Receipt { hashes, next }, outcome) => {
                let hash = hashes.get(next).copied().unwrap_or_default();
                self.take_receipt(hash, outcome);
                self.ask_receipt(hashes, next + 1)
            }
            (Stage::Streams(parts), outcome) => self.handle_streams(parts, outcome),
            (_, Err(error)) => self.give_up(error.to_string()),
            (_, Ok(_)) => self.give_up("no node gives the block's transactions".into()),
        }
    }

    fn ask(mut self: Box<Self>, stage: Stage) -> Reading {
        self.stage = stage;
        Reading::Ask(self)
    }

    fn ask_receipt(self: Box<Self>, hashes: Vec<B256>, next: usize) -> Reading {
        if next < hashes.len() {
            return self.ask(Stage::Receipt { hashes, next });
        }
        match self.missing.clone() {
            Some(reason) => self.ask_by_stream(reason),
            None => self.done(Certainty::Certain),
        }
    }

    /// Events are missing for certain, and no other way is left to find all of them: those of known streams are asked for.
    fn ask_by_stream(mut self: Box<Self>, reason: String) -> Reading {
        self.missing = Some(reason);
        let all = std::mem::take(&mut self.streams);
        self.ask_streams(vec![all])
    }

    fn ask_streams(self: Box<Self>, mut parts: Vec<Vec<StreamId>>) -> Reading {
        parts.retain(|part| !part.is_empty());
        if !parts.is_empty() && self.stream_queries < MAX_STREAM_QUERIES {
            return self.ask(Stage::Streams(parts));
        }
        let reason = self.missing.clone().unwrap_or_default();
        self.done(Certainty::Missing(reason))
    }

    /// Takes in the events of the last part; one that can't be read is asked for in two.
    fn handle_streams(
        mut self: Box<Self>,
        mut parts: Vec<Vec<StreamId>>,
        outcome: Result<Answer, RpcError>,
    ) -> Reading {
        self.stream_queries += 1;
        let mut part = parts.pop().unwrap_or_default();
        let is_read = matches!(&outcome, Ok(Answer::Logs(logs)) if self.take(logs).is_ok());
        if !is_read && part.len() > 1 {
            let other = part.split_off(part.len() / 2);
            parts.extend([other, part]);
        }
        self.ask_streams(parts)
    }

    fn done(self, certainty: Certainty) -> Reading {
        Reading::Done(Found {
            mark: self.mark,
            events: self.events.into_values().collect(),
            certainty,
            is_in_parts: self.fault.is_some(),
        })
    }

    /// Ends the reading if nothing speaks against it: no events are no evidence.
    fn check(self: Box<Self>) -> Reading {
        let has = |tx: &B256| self.events.values().any(|event| event.tx == *tx);
        let is_borne_out =
            !self.is_thorough && self.expected.iter().all(has) && (!self.events.is_empty() || !self.may_have);
        match is_borne_out {
            true => self.done(Certainty::Certain),
            false => self.ask(Stage::Receipts),
        }
    }

    fn untrue(mut self: Box<Self>, reason: &'static str) -> Reading {
        self.failures += 1;
        if self.failures < MAX_FAILURES {
            return Reading::Untrue(self, reason);
        }
        self.fault = Some(reason.into());
        self.ask(Stage::Hashes)
    }

    /// The last way failed as well.
    fn give_up(mut self: Box<Self>, reason: String) -> Reading {
        let Some(fault) = self.fault.clone() else {
            let certainty = match self.is_only_doubted() {
                true => Certainty::Doubtful,
                false => Certainty::Missing("no node gives an event that is there by its receipt".into()),
            };
            return self.done(certainty);
        };
        self.failures += 1;
        if self.failures < MAX_FAILURES {
            self.stage = Stage::Whole;
            return Reading::Later(self, reason);
        }
        self.ask_by_stream(fault)
    }

    /// Whether nothing but the bloom filter speaks against an answer without events.
    fn is_only_doubted(&self) -> bool {
        self.expected.is_empty() && !self.is_thorough
    }

    fn max_transactions(&self) -> usize {
        match self.fault.is_none() && self.is_only_doubted() {
            true => MAX_DOUBTED_TRANSACTIONS,
            false => MAX_TRANSACTIONS,
        }
    }

    /// Takes in logs that were asked for; an error says why they cannot be true.
    fn take(&mut self, logs: &[Log]) -> Result<(), &'static str> {
        let number = self.mark.number;
        let events = events_of(self.contract, number..=number, Some(self.mark), logs)?;
        self.events
            .extend(events.into_iter().map(|event| (event.id(), event)));
        Ok(())
    }

    /// Takes in those of a receipt's logs that are the contract's.
    fn take_own(&mut self, logs: &[Log]) {
        let own = logs.iter().filter(|log| log.address == self.contract);
        let events = own.filter_map(ChainEvent::decode);
        self.events.extend(events.map(|event| (event.id(), event)));
    }

    fn take_receipt(&mut self, hash: B256, outcome: Result<Answer, RpcError>) {
        match outcome {
            Ok(Answer::Receipt(Some(receipt)))
                if receipt.block_hash == self.mark.hash && receipt.transaction_hash == hash =>
            {
                self.take_own(&receipt.logs);
            }
            Ok(_) => self.missing = Some(format!("no node gives the receipt of transaction {hash}")),
            Err(error) => self.missing = Some(error.to_string()),
        }
    }

    /// Whether these are all receipts of the block: their logs give the bloom filter of its header.
    fn are_whole(&self, receipts: &[Receipt]) -> bool {
        let mut bloom = Bloom::ZERO;
        for log in receipts.iter().flat_map(|receipt| &receipt.logs) {
            bloom.accrue_raw_log(log.address, &log.topics);
        }
        let is_of_block = receipts
            .iter()
            .all(|receipt| receipt.block_hash == self.mark.hash);
        is_of_block && self.bloom.as_deref() == Some(&bloom)
    }
}
