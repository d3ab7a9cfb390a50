//! What is known to be missing: blocks that could not be read, and anchors that must be there. Each is read again, less and
//! less often, until it is found.
//!
//! What always holds: the list has a bound; beyond it two holes become one that covers both, so nothing is forgotten.

use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::{BackoffBounds, SortedMap};

use crate::journal::{self, Journal, RestoreError};

/// The prefix of this module's rows.
pub(super) const PREFIX: &str = "hole/";
/// Holes kept at most: a hole costs an attacker a block full of gas.
const MAX_HOLES: usize = 500;
/// Holes shown at most: the status is for people.
const MAX_SHOWN: usize = 20;
/// Characters kept of a reason at most: it goes into a row and the status.
const MAX_REASON_CHARS: usize = 200;
/// How often a block is read again that only its bloom filter speaks for; then it counts as read.
const MAX_DOUBT_TRIES: u32 = 5;
/// How long to wait before a hole is read again: soon, and in the end once an hour.
const WAITS: BackoffBounds = BackoffBounds {
    first_ms: 5_000,
    max_ms: 3_600_000,
};

/// What is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hole {
    /// The first block that is to be read again.
    pub(super) from: u64,
    /// The last one.
    pub(super) to: u64,
    /// The one stream whose anchor is missing, and the seq that it covers; `None` for all events.
    pub(super) anchor: Option<(StreamId, Seq)>,
    /// Whether something is missing for certain.
    is_certain: bool,
    /// Whether an answer to a log query is not enough: receipts have to say that nothing is missing.
    pub(super) is_thorough: bool,
    /// Since when it is known.
    since: UnixMs,
    /// How often it was read again in vain.
    tries: u32,
    /// When it is read again.
    due: UnixMs,
    /// The reason, for people.
    reason: String,
}

/// Blocks of which events are missing, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// The first block.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// The only stream that is concerned; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamId>,
    /// Since when it is known.
    pub since: UnixMs,
    /// How often the blocks were read again in vain.
    pub tries: u32,
    /// The reason, for people.
    pub reason: String,
}

/// Names a hole: its first block, and the stream that it is about.
pub(super) type HoleKey = (u64, Option<StreamId>);

/// All holes.
#[derive(Debug, Default)]
pub(super) struct Holes {
    holes: SortedMap<HoleKey, Hole>,
}

impl Holes {
    /// Takes in one saved row.
    pub(super) fn restore(&mut self, key: &str, value: &str) -> Result<(), RestoreError> {
        let hole: Hole = journal::read(key, value)?;
        self.holes.insert(hole.key(), hole);
        Ok(())
    }

    /// Notes that events of a block are missing: for certain, for this reason, or perhaps.
    pub(super) fn add_block(
        &mut self,
        block: u64,
        reason: Option<String>,
        is_thorough: bool,
        now: UnixMs,
        journal: &mut Journal,
    ) {
        let is_certain = reason.is_some();
        let reason = reason.unwrap_or_else(|| "the block's header promises events that no node gives".into());
        let touching = self.all().rev().find(|hole| {
            let is_alike = (hole.is_certain, hole.is_thorough, hole.tries) == (is_certain, is_thorough, 0);
            is_alike && hole.anchor.is_none() && hole.from <= block && hole.to + 1 >= block
        });
        let hole = match touching {
            Some(hole) => Hole {
                to: hole.to.max(block),
                ..hole.clone()
            },
            None => Hole {
                is_certain,
                is_thorough,
                ..Hole::new(block..=block, None, reason, now)
            },
        };
        self.put(hole, journal);
        self.bound(journal);
    }

    /// Notes that the anchor of a stream that covers a seq is missing, and lies in these blocks.
    pub(super) fn add_anchor(
        &mut self,
        (stream, missing): (StreamId, Seq),
        blocks: core::ops::RangeInclusive<u64>,
        now: UnixMs,
        journal: &mut Journal,
    ) {
        let is_known = |hole: &Hole| hole.anchor == Some((stream, missing));
        if self.all().any(is_known) || self.holes.entries().len() >= MAX_HOLES {
            return; // a stream says so again with each event
        }
        let reason = format!("the anchor over message {missing} is missing");
        self.put(Hole::new(blocks, Some((stream, missing)), reason, now), journal);
    }

    /// The hole that is to be read again now.
    pub(super) fn due(&self, now: UnixMs) -> Option<&Hole> {
        let due = self.all().filter(|hole| hole.due <= now);
        due.min_by_key(|hole| hole.due)
    }

    /// The hole with this name.
    pub(super) fn get(&self, key: HoleKey) -> Option<&Hole> {
        self.holes.get(&key)
    }

    /// The blocks of a hole up to `to` have been read again.
    pub(super) fn shrink(&mut self, key: HoleKey, to: u64, now: UnixMs, journal: &mut Journal) {
        let Some(hole) = self.remove(key, journal).filter(|hole| hole.to > to) else {
            return;
        };
        let rest = Hole {
            from: to + 1,
            tries: 0,
            due: now,
            ..hole
        };
        self.put(rest, journal);
    }

    /// A hole was read again in vain: it is left alone for a while, or given up when it never was certain.
    pub(super) fn postpone(
        &mut self,
        key: HoleKey,
        reason: String,
        is_certain: bool,
        now: UnixMs,
        journal: &mut Journal,
    ) {
        let Some(hole) = self.remove(key, journal) else {
            return;
        };
        let tries = hole.tries.saturating_add(1);
        let is_certain = hole.is_certain || is_certain;
        if !is_certain && tries >= MAX_DOUBT_TRIES {
            let to = hole.from;
            self.put(hole, journal);
            return self.shrink(key, to, now, journal);
        }
        let postponed = Hole {
            tries,
            due: now.plus_ms(WAITS.wait_ms(tries)),
            is_certain,
            reason: reason.chars().take(MAX_REASON_CHARS).collect(),
            ..hole
        };
        self.put(postponed, journal);
    }

    /// Drops what is above a block, or everything.
    pub(super) fn cut_above(&mut self, block: Option<u64>, journal: &mut Journal) {
        let keys: Vec<HoleKey> = self.all().map(Hole::key).collect();
        for key in keys {
            let touches = |hole: &&Hole| block.is_none_or(|block| hole.to > block);
            if self.holes.get(&key).filter(touches).is_none() {
                continue;
            }
            let Some(hole) = self.remove(key, journal) else {
                continue;
            };
            if let Some(to) = block.filter(|block| *block >= hole.from) {
                self.put(Hole { to, ..hole }, journal);
            }
        }
    }

    /// What is missing for certain, for people, and how many blocks may lack something.
    pub(super) fn shown(&self) -> (Vec<Gap>, u64) {
        let certain = self.all().filter(|hole| hole.is_certain);
        let gaps = certain.take(MAX_SHOWN).map(Hole::shown).collect();
        (gaps, self.doubtful_blocks())
    }

    /// How many blocks may lack something.
    pub(super) fn doubtful_blocks(&self) -> u64 {
        let doubtful = self.all().filter(|hole| !hole.is_certain);
        doubtful.map(|hole| hole.to - hole.from + 1).sum()
    }

    fn all(&self) -> impl DoubleEndedIterator<Item = &Hole> {
        self.holes.entries().iter().map(|(_, hole)| hole)
    }

    fn put(&mut self, hole: Hole, journal: &mut Journal) {
        journal.put(row_key(hole.key()), &hole);
        self.holes.insert(hole.key(), hole);
    }

    fn remove(&mut self, key: HoleKey, journal: &mut Journal) -> Option<Hole> {
        let hole = self.holes.remove(&key)?;
        journal.remove(row_key(key));
        Some(hole)
    }

    /// Joins the two oldest holes in blocks where there are too many.
    fn bound(&mut self, journal: &mut Journal) {
        if self.holes.entries().len() <= MAX_HOLES {
            return;
        }
        let blocks = self.all().filter(|hole| hole.anchor.is_none());
        let [Some(first), Some(second)] = ({
            let mut oldest = blocks.cloned();
            [oldest.next(), oldest.next()]
        }) else {
            return;
        };
        self.remove(second.key(), journal);
        let joined = Hole {
            to: first.to.max(second.to),
            is_certain: first.is_certain || second.is_certain,
            is_thorough: first.is_thorough || second.is_thorough,
            ..first
        };
        self.put(joined, journal);
    }
}

impl Hole {
    fn new(
        blocks: core::ops::RangeInclusive<u64>,
        anchor: Option<(StreamId, Seq)>,
        reason: String,
        now: UnixMs,
    ) -> Self {
        Self {
            from: *blocks.start(),
            to: *blocks.end(),
            anchor,
            is_certain: true,
            is_thorough: false,
            since: now,
            tries: 0,
            due: now.plus_ms(WAITS.wait_ms(0)),
            reason,
        }
    }

    pub(super) fn key(&self) -> HoleKey {
        (self.from, self.anchor.map(|(stream, _)| stream))
    }

    fn shown(&self) -> Gap {
        Gap {
            from: self.from,
            to: self.to,
            stream: self.anchor.map(|(stream, _)| stream),
            since: self.since,
            tries: self.tries,
            reason: self.reason.clone(),
        }
    }
}

fn row_key((from, stream): HoleKey) -> String {
    let stream = stream.map(|stream| format!("/{stream}")).unwrap_or_default();
    format!("{PREFIX}{from:020}{stream}")
}
