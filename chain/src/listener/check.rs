//! Far behind the head, blocks are read by log queries over ranges, without their headers. Their headers are read afterwards,
//! a few in each pass, and compared with what the queries gave: no events are no evidence there either.
//!
//! What always holds: a range that a log query gave is noted here, in the write that comes before its events are carried out,
//! and stays until each of its headers was compared. The list has a bound; beyond it two ranges become one, whose
//! blocks are read again wherever their headers promise events.

use serde::{Deserialize, Serialize};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::SortedMap;

use super::event::TOPICS;
use super::machine::Listener;
use super::step::Step;
use crate::ethereum::{Answer, Block, BlockId, Request, RpcError};
use crate::journal::{self, Journal, RestoreError};

/// The prefix of this module's rows.
pub(super) const PREFIX: &str = "unchecked/";
/// Ranges kept at most: at the usual 2,000 blocks each, two months of Ethereum. A row has 16 KB at most.
const MAX_RANGES: usize = 256;
/// Headers asked for by one request, to begin with: a header names its transactions, 20 KB on a busy chain.
const MAX_HEADERS_AT_ONCE: u64 = 16;
/// Requests for headers in one pass at most: they cost as much as the log queries that they check, and can wait. So a pass
/// compares 96 headers, more than any chain makes blocks meanwhile.
const MAX_CHECKS_PER_PASS: u32 = 6;
/// Blocks that wait to be read again because of their headers, above which no more headers are read: each may cost the
/// receipts of a whole block, and on a busy chain every fifth header promises events that are not there.
const MAX_DOUBTED: u64 = 32;
/// So many answers in a row, and headers are asked for in larger numbers again.
const GROW_AFTER: u32 = 64;

/// A range of blocks whose headers were not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Range {
    /// The next block to compare.
    next: u64,
    /// The last one.
    to: u64,
    /// The blocks in which events were seen; `None` where that is not known any more.
    seen: Option<Vec<u64>>,
}

/// All ranges, by their first block.
#[derive(Debug, Default)]
pub(super) struct Unchecked {
    ranges: SortedMap<u64, Range>,
}

/// How headers are asked for. It is not saved.
#[derive(Debug)]
pub(super) struct Pace {
    /// Headers of the next request.
    at_once: u64,
    /// Requests of this pass.
    requests: u32,
    /// Answers since the last failure, or since it became larger.
    answers: u32,
    rests_until: UnixMs,
    backoff: streamchain_protocol::util::Backoff,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            at_once: MAX_HEADERS_AT_ONCE,
            requests: 0,
            answers: 0,
            rests_until: UnixMs(0),
            backoff: crate::backoff::node_backoff(),
        }
    }

    /// A pass begins.
    pub(super) fn begin(&mut self) {
        self.requests = 0;
    }

    fn succeed(&mut self) {
        self.backoff.succeed();
        self.answers += 1;
        if self.answers >= GROW_AFTER {
            self.answers = 0;
            self.at_once = (self.at_once * 2).min(MAX_HEADERS_AT_ONCE);
        }
    }

    /// What fails again and again is asked for in smaller numbers, whatever is said: in the end header by header.
    fn fail(&mut self, now: UnixMs) {
        self.answers = 0;
        self.at_once = (self.at_once / 4).max(1);
        self.rests_until = now.plus_ms(self.backoff.fail());
    }
}

impl Unchecked {
    /// Takes in one saved row.
    pub(super) fn restore(&mut self, from: u64, range: &str, key: &str) -> Result<(), RestoreError> {
        self.ranges.insert(from, journal::read(key, range)?);
        Ok(())
    }

    /// A log query gave the events of these blocks; `seen` are those that have some.
    pub(super) fn add(&mut self, from: u64, to: u64, mut seen: Vec<u64>, journal: &mut Journal) {
        seen.dedup();
        let range = Range {
            next: from,
            to,
            seen: Some(seen),
        };
        self.put(from, range, journal);
        let mut oldest = self.ranges.entries().iter();
        if self.ranges.entries().len() > MAX_RANGES
            && let (Some((first, range)), Some((second, behind))) = (oldest.next(), oldest.next())
        {
            let (first, second) = (*first, *second);
            let joined = Range {
                next: range.next,
                to: behind.to,
                seen: None,
            };
            self.remove(second, journal);
            self.put(first, joined, journal);
        }
    }

    /// The next headers to compare, at most so many: the first and the last.
    fn next(&self, at_once: u64) -> Option<(u64, u64)> {
        let (_, range) = self.ranges.entries().first()?;
        let end = range.next.saturating_add(at_once.saturating_sub(1));
        Some((range.next, end.min(range.to)))
    }

    /// Whether events of this block, which is among the next, were seen.
    fn was_seen(&self, block: u64) -> bool {
        let range = self.ranges.entries().first();
        let seen = range.and_then(|(_, range)| range.seen.as_ref());
        seen.is_some_and(|seen| seen.contains(&block))
    }

    /// The headers up to this one, which is among the next, were compared.
    fn pass(&mut self, to: u64, journal: &mut Journal) {
        let Some((from, range)) = self.ranges.entries().first().cloned() else {
            return;
        };
        if range.to <= to {
            return self.remove(from, journal);
        }
        let seen = range
            .seen
            .map(|seen| seen.into_iter().filter(|block| *block > to).collect());
        let rest = Range {
            next: to + 1,
            to: range.to,
            seen,
        };
        self.put(from, rest, journal);
    }

    /// Drops what is above a block, or everything.
    pub(super) fn cut_above(&mut self, block: Option<u64>, journal: &mut Journal) {
        for (from, range) in self.ranges.entries().to_vec() {
            match block {
                Some(block) if range.to <= block => {}
                Some(block) if range.next <= block => self.put(from, Range { to: block, ..range }, journal),
                _ => self.remove(from, journal),
            }
        }
    }

    /// How many headers were not compared.
    pub(super) fn blocks(&self) -> u64 {
        let ranges = self.ranges.entries().iter();
        ranges.map(|(_, range)| range.to - range.next + 1).sum()
    }

    fn put(&mut self, from: u64, range: Range, journal: &mut Journal) {
        journal.put(row_key(from), &range);
        self.ranges.insert(from, range);
    }

    fn remove(&mut self, from: u64, journal: &mut Journal) {
        self.ranges.remove(&from);
        journal.remove(row_key(from));
    }
}

impl Listener {
    /// Compares the next headers, or ends the pass.
    pub(super) fn check_or_rest(&mut self, now: UnixMs) {
        let pace = &mut self.check_pace;
        let may_ask = pace.requests < MAX_CHECKS_PER_PASS && pace.rests_until <= now;
        let next = self.unchecked.next(pace.at_once);
        match next.filter(|_| may_ask && self.holes.doubtful_blocks() < MAX_DOUBTED) {
            Some((from, to)) => {
                pace.requests += 1;
                self.step = Step::Check(from, to);
            }
            None => self.rest(now),
        }
    }

    pub(super) fn check_request(from: u64, to: u64) -> Request {
        match from == to {
            true => Request::Block(BlockId::Number(from)),
            false => Request::Blocks(from, to),
        }
    }

    /// Takes in headers. A failure ends the pass and is no fault of it: what was read before stands.
    pub(super) fn handle_check(
        &mut self,
        (from, to): (u64, u64),
        outcome: Result<Answer, RpcError>,
        now: UnixMs,
    ) {
        let blocks = match outcome {
            Ok(Answer::Block(Some(block))) => vec![block],
            Ok(Answer::Blocks(blocks)) => blocks,
            _ => Vec::new(),
        };
        if !self.are_headers(&blocks, from, to) {
            self.check_pace.fail(now);
            return self.rest(now);
        }
        self.check_pace.succeed();
        for block in &blocks {
            let is_promised = block.may_have(self.settings.contract, &TOPICS);
            if is_promised && !self.unchecked.was_seen(block.number) {
                self.holes
                    .add_block(block.number, None, false, now, &mut self.journal);
            }
        }
        self.unchecked.pass(to, &mut self.journal);
        self.check_or_rest(now);
    }

    /// Whether these are the headers of the blocks `from` to `to`: each names the one before it, and no other block is known
    /// at its height.
    fn are_headers(&self, blocks: &[Block], from: u64, to: u64) -> bool {
        let are_linked = blocks
            .array_windows()
            .all(|[one, next]| next.parent_hash == one.hash);
        let is_ours = |block: &Block| {
            let known = self.ring.get(block.number);
            known.is_none_or(|hash| hash == block.hash)
        };
        are_linked && blocks.iter().all(is_ours) && blocks.iter().map(|block| block.number).eq(from..=to)
    }
}

fn row_key(from: u64) -> String {
    format!("{PREFIX}{from:020}")
}
