//! The ranges of blocks whose events log queries gave, and whose headers are yet to be compared with that.
//!
//! What always holds: a range that a log query gave is noted here, in the write that comes before its events are carried out,
//! and stays until each of its headers was compared. The list has a bound; beyond it two ranges become one, whose
//! blocks are read again wherever their headers promise events.

use serde::{Deserialize, Serialize};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::{Backoff, SortedMap};

use crate::backoff::node_backoff;
use crate::journal::{self, Journal, RestoreError};

/// The prefix of this module's rows.
pub(super) const PREFIX: &str = "unchecked/";
/// Ranges kept at most: at the usual 2,000 blocks each, two months of Ethereum. A row has 16 KB at most.
const MAX_RANGES: usize = 256;
/// Headers asked for by one request, to begin with: a header names its transactions, 20 KB on a busy chain.
const MAX_HEADERS_AT_ONCE: u64 = 16;
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
    pub(super) at_once: u64,
    /// Requests of this pass.
    pub(super) requests: u32,
    /// Answers since the last failure, or since it became larger.
    answers: u32,
    pub(super) rests_until: UnixMs,
    backoff: Backoff,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            at_once: MAX_HEADERS_AT_ONCE,
            requests: 0,
            answers: 0,
            rests_until: UnixMs(0),
            backoff: node_backoff(),
        }
    }

    /// A pass begins.
    pub(super) fn begin(&mut self) {
        self.requests = 0;
    }

    pub(super) fn succeed(&mut self) {
        self.backoff.succeed();
        self.answers += 1;
        if self.answers >= GROW_AFTER {
            self.answers = 0;
            self.at_once = (self.at_once * 2).min(MAX_HEADERS_AT_ONCE);
        }
    }

    /// What fails again and again is asked for in smaller numbers, whatever is said: in the end header by header.
    pub(super) fn fail(&mut self, now: UnixMs) {
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
    pub(super) fn next(&self, at_once: u64) -> Option<(u64, u64)> {
        let (_, range) = self.ranges.entries().first()?;
        let end = range.next.saturating_add(at_once.saturating_sub(1));
        Some((range.next, end.min(range.to)))
    }

    /// Whether events of this block, which is among the next, were seen.
    pub(super) fn was_seen(&self, block: u64) -> bool {
        let range = self.ranges.entries().first();
        let seen = range.and_then(|(_, range)| range.seen.as_ref());
        seen.is_some_and(|seen| seen.contains(&block))
    }

    /// The headers up to this one, which is among the next, were compared.
    pub(super) fn pass(&mut self, to: u64, journal: &mut Journal) {
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

fn row_key(from: u64) -> String {
    format!("{PREFIX}{from:020}")
}
