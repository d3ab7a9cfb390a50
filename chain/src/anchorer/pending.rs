//! The book: one line for each stream that is not settled, and the segments that wait, as far as there is room.
//!
//! What always holds: the database has every segment that was handed over, so what is dropped here is read there; a line
//! leaves only when the chain has all of its stream in finalized blocks, or when nothing of it can be sent and another
//! stream needs the room; what is known of the chain's state is never saved.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, keccak256};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::{ROUNDS_NAME, rounds_stream};
use streamchain_protocol::stream_settings::Mode;
use streamchain_protocol::time::UnixMs;

use super::obstacle::Obstacle;
use super::segment::{Run, Segment, SegmentError, end_of};
use super::settings::Settings;
use super::shares::{Lack, Share, Shares};
use super::stream::{SegmentRow, StreamEntry, StreamRow};
use crate::abi;
use crate::journal::{self, Journal, RestoreError};

/// Lines dropped together when there is no room: finding the oldest looks at all of them.
const LINES_DROPPED_AT_ONCE: usize = 64;
/// How often the pause between vain readings doubles: from 10 s to about 10 minutes, from a minute to about an hour.
const MAX_DOUBLINGS: u32 = 6;

/// The prefix of this module's rows; the name is that of the first version.
pub(super) const PREFIX: &str = "book/";

/// All streams that are not settled.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) streams: BTreeMap<StreamId, StreamEntry>,
    pub(super) shares: Shares,
    retry_ms: u64,
    recheck_ms: u64,
    touches: u64,
    /// Until when the account's own streams and those of others do not share transactions.
    pub(super) apart_until: UnixMs,
    /// The stream of rounds, where rounds are made.
    pub(super) rounds: Option<StreamId>,
}

impl Pending {
    /// No stream.
    pub(super) fn new(account: Address, settings: &Settings) -> Self {
        let rounds_owner = settings.rounds.map(|rounds| rounds.owner);
        let (retry_ms, recheck_ms) = (settings.retry_after_ms, settings.recheck_after_ms);
        Self {
            streams: BTreeMap::new(),
            shares: Shares::new(account, rounds_owner),
            rounds: rounds_owner.map(rounds_stream),
            retry_ms,
            recheck_ms,
            touches: 0,
            apart_until: UnixMs(0),
        }
    }

    /// Takes in one saved row: `book/<id>` or `book/<id>/<first>`, a stream before its segments.
    pub(super) fn restore(&mut self, key: &str, value: &str) -> Result<(), RestoreError> {
        let mut parts = key.split('/').skip(1);
        let id: StreamId = journal::read_key_part(key, parts.next().unwrap_or_default())?;
        let Some(first) = parts.next() else {
            let about: StreamRow = journal::read(key, value)?;
            self.shares.add(about.owner, LINE);
            self.streams.insert(id, StreamEntry::new(about));
            return Ok(());
        };
        let first = Seq(journal::read_key_part(key, first)?);
        let row = journal::read(key, value)?;
        let Some(entry) = self.streams.get_mut(&id) else {
            return Err(RestoreError {
                key: key.into(),
                reason: "its stream has no row".into(),
            });
        };
        entry.segments.insert(first, row);
        self.shares.add(entry.owner(), SEGMENT);
        Ok(())
    }

    /// Takes in segments, all or none, and returns how many it keeps that it did not have.
    pub(super) fn insert(
        &mut self,
        segments: &[Segment],
        journal: &mut Journal,
    ) -> Result<usize, SegmentError> {
        let mut new = BTreeMap::new();
        for segment in segments {
            self.check(segment)?;
            if !self.streams.contains_key(&segment.stream) {
                new.insert(segment.stream, segment.owner);
            }
        }
        let mut owners: BTreeMap<Address, usize> = BTreeMap::new();
        for owner in new.into_values() {
            *owners.entry(owner).or_default() += 1;
        }
        for (owner, streams) in owners {
            self.make_room(owner, streams, journal)?;
        }
        let before = self.held();
        for segment in segments {
            self.insert_one(segment, journal);
        }
        Ok(self.held().saturating_sub(before))
    }

    fn check(&self, segment: &Segment) -> Result<(), SegmentError> {
        let (stream, first) = (segment.stream, segment.first);
        if abi::stream_id(segment.owner, segment.name_hash) != stream {
            return Err(SegmentError::WrongId { stream });
        }
        if segment.count == 0 || first.0.checked_add(segment.count.into()).is_none() {
            return Err(SegmentError::BadRange { stream, first });
        }
        let entry = self.streams.get(&stream);
        match entry.and_then(|entry| entry.segments.get(&first)) {
            Some(row) if !row.has_messages_of(&segment.into()) => {
                Err(SegmentError::Different { stream, first })
            }
            _ => Ok(()),
        }
    }

    /// Drops lines of which nothing can be sent, those first that were handed nothing for longest, until so many more
    /// streams of this owner have room.
    fn make_room(
        &mut self,
        owner: Address,
        streams: usize,
        journal: &mut Journal,
    ) -> Result<(), SegmentError> {
        while let Some((lack, wanted)) = self.shares.lack(owner, streams) {
            let of = |entry: &StreamEntry| match lack {
                Lack::Own | Lack::Owner => entry.owner() == owner,
                Lack::Foreign => !self.shares.is_own(entry.owner()),
            };
            let idle = self
                .streams
                .iter()
                .filter(|(id, entry)| entry.is_idle() && of(entry) && !self.is_rounds(**id));
            let mut idle: Vec<_> = idle.map(|(id, entry)| (entry.touched, *id)).collect();
            if idle.len() < wanted {
                return Err(SegmentError::Full { owner });
            }
            idle.sort_unstable();
            for (_, id) in idle.into_iter().take(wanted.max(LINES_DROPPED_AT_ONCE)) {
                self.drop_line(id, journal);
            }
        }
        Ok(())
    }

    fn drop_line(&mut self, stream: StreamId, journal: &mut Journal) {
        let Some(entry) = self.streams.remove(&stream) else {
            return;
        };
        let segments = entry.segments.len();
        self.shares.take(entry.owner(), Share { segments, streams: 1 });
        for first in entry.segments.into_keys() {
            journal.remove(segment_key(stream, first));
        }
        journal.remove(stream_key(stream));
    }

    /// Takes in a segment that was checked and has room for its line.
    fn insert_one(&mut self, segment: &Segment, journal: &mut Journal) {
        let (stream, first, owner) = (segment.stream, segment.first, segment.owner);
        self.touches += 1;
        let shares = &mut self.shares;
        let entry = self.streams.entry(stream).or_insert_with(|| {
            let about = StreamRow::from(segment);
            journal.put(stream_key(stream), &about);
            shares.add(owner, LINE);
            StreamEntry::new(about)
        });
        let end = end_of(first, segment.count);
        entry.touched = self.touches;
        entry.hand_over(end);
        let is_anchored = entry.covered.is_some_and(|covered| end <= covered);
        // The one that is here stays: the settings may have changed since it was handed over.
        if is_anchored || entry.about.in_database || entry.segments.contains_key(&first) {
            return;
        }
        if !shares.has_room_for_segment(owner) {
            entry.about.in_database = true;
            journal.put(stream_key(stream), &entry.about);
            return;
        }
        let row = SegmentRow::from(segment);
        entry.segments.insert(first, row);
        shares.add(owner, SEGMENT);
        journal.put(segment_key(stream, first), &row);
    }

    /// Takes in a round. There is always room for one stream more.
    pub(super) fn insert_round(&mut self, owner: Address, round: u64, root: B256, journal: &mut Journal) {
        let segment = Segment {
            stream: rounds_stream(owner),
            owner,
            name: ROUNDS_NAME.to_owned(),
            name_hash: keccak256(ROUNDS_NAME),
            first: Seq(round),
            count: 1,
            root,
            mode: Mode::Root,
            prove: false,
        };
        self.insert_one(&segment, journal);
    }

    /// Whether this is the stream of rounds.
    pub(super) fn is_rounds(&self, stream: StreamId) -> bool {
        self.rounds == Some(stream)
    }

    /// Whether the chain has all rounds that were handed over, as far as known.
    pub(super) fn has_all_rounds(&self) -> bool {
        let entry = self.rounds.and_then(|stream| self.streams.get(&stream));
        entry.is_none_or(|entry| !entry.is_behind())
    }

    /// A stream's entry.
    pub(super) fn get(&self, stream: &StreamId) -> Option<&StreamEntry> {
        self.streams.get(stream)
    }

    /// Notes why a stream cannot be anchored, and leaves it alone for a while. One that waits for its owner keeps its line
    /// and nothing else.
    pub(super) fn block(&mut self, stream: StreamId, obstacle: Obstacle, now: UnixMs, journal: &mut Journal) {
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        let mut until = obstacle.until(now);
        if obstacle.waits_for_owner() {
            until = now.plus_ms(self.retry_ms << entry.vain_readings.min(MAX_DOUBLINGS));
            entry.vain_readings += 1;
            if !entry.about.waiting {
                let gone = std::mem::take(&mut entry.segments);
                self.shares.take(entry.owner(), segments(gone.len()));
                for first in gone.into_keys() {
                    journal.remove(segment_key(stream, first));
                }
                entry.about.waiting = true;
                entry.about.in_database = true;
                journal.put(stream_key(stream), &entry.about);
            }
        }
        entry.obstacle = Some((obstacle, until));
        entry.covered = None;
    }

    /// Notes up to where the chain has a stream, from the contract or from a receipt of ours. Its segments up to there are
    /// dropped: should the chain lose them, they are read from the database.
    pub(super) fn cover(&mut self, stream: StreamId, next: Seq, now: UnixMs, journal: &mut Journal) {
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        entry.read_at = now;
        entry.vain_readings = 0;
        // A contradiction stays in the status: only a person can repair it.
        entry
            .obstacle
            .take_if(|(obstacle, _)| !matches!(obstacle, Obstacle::OtherRoot { .. }));
        let (gone, mut changed) = entry.cover(next);
        changed |= std::mem::take(&mut entry.about.waiting);
        if changed {
            entry.vain_rechecks = 0;
            journal.put(stream_key(stream), &entry.about);
        }
        self.shares.take(entry.owner(), segments(gone.len()));
        for first in gone {
            journal.remove(segment_key(stream, first));
        }
        if entry.is_settled() {
            self.drop_line(stream, journal);
        }
    }

    /// The database has nothing of a stream behind `next`.
    pub(super) fn end_at(&mut self, stream: StreamId, next: Seq) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.end_at(next);
        }
    }

    /// Notes that a stream's state on the chain is not known.
    pub(super) fn forget_coverage(&mut self, stream: StreamId) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.covered = None;
        }
    }

    /// Notes that the finalized state was read for a stream; the latest state has to be read as well.
    pub(super) fn mark_read(&mut self, stream: StreamId, now: UnixMs) {
        if let Some(entry) = self.streams.get_mut(&stream) {
            entry.read_at = now;
            entry.vain_rechecks += 1;
            entry.covered = None;
        }
    }

    /// Notes that the chain has a run, according to an event, and whether it contradicts our segments.
    pub(super) fn see(&mut self, run: &Run, now: UnixMs, journal: &mut Journal) {
        let Some(entry) = self.streams.get_mut(&run.stream) else {
            return;
        };
        if entry.contradicts(run) {
            self.block(run.stream, Obstacle::OtherRoot { first: run.first }, now, journal);
            return;
        }
        entry.covered = entry.covered.map(|covered| covered.max(run.end()));
    }

    /// The chain has a stream up to `end` in a finalized block: nothing up to there has to be kept.
    pub(super) fn settle(&mut self, stream: StreamId, end: Seq, journal: &mut Journal) {
        let Some(entry) = self.streams.get_mut(&stream) else {
            return;
        };
        let before = (entry.segments.len(), entry.about.landed.len());
        while let Some(first) = entry.segments.first_entry()
            && end_of(*first.key(), first.get().count) <= end
        {
            let (first, _) = first.remove_entry();
            journal.remove(segment_key(stream, first));
        }
        entry.about.landed.retain(|landed| landed.end > end);
        let gone = before.0.saturating_sub(entry.segments.len());
        self.shares.take(entry.owner(), segments(gone));
        if entry.is_settled() {
            self.drop_line(stream, journal);
        } else if entry.about.landed.len() < before.1 {
            entry.vain_rechecks = 0;
            journal.put(stream_key(stream), &entry.about);
        }
    }

    /// A transaction that carried these runs reverted on the chain. What strangers can change between estimate and block
    /// is looked for in their streams: each is sent alone until it succeeds, and apart from the account's own for a while.
    pub(super) fn suspect(&mut self, runs: &[Run], now: UnixMs, apart_until: UnixMs, journal: &mut Journal) {
        let (mut own, mut foreign) = (0, Vec::new());
        for run in runs {
            match self.streams.get_mut(&run.stream) {
                Some(entry) if !self.shares.is_own(entry.owner()) => {
                    entry.suspect = true;
                    foreign.push(run.stream);
                }
                _ => own += 1,
            }
        }
        match (own, foreign.as_slice()) {
            (0, [alone]) => self.block(*alone, Obstacle::Reverted, now, journal),
            (0, _) | (_, []) => {}
            _ => self.apart_until = apart_until,
        }
    }

    /// The runs of a transaction are on the chain: their streams are suspected no more.
    pub(super) fn trust(&mut self, runs: &[Run]) {
        for run in runs {
            if let Some(entry) = self.streams.get_mut(&run.stream) {
                entry.suspect = false;
            }
        }
    }

    /// When the finalized state of a stream is read again: the less it helped so far, the later.
    fn recheck_at(&self, entry: &StreamEntry) -> Option<UnixMs> {
        let pause_ms = self.recheck_ms << entry.vain_rechecks.min(MAX_DOUBLINGS);
        (!entry.about.landed.is_empty()).then(|| entry.read_at.plus_ms(pause_ms))
    }

    /// Up to `limit` streams that may be final meanwhile.
    pub(super) fn unread(&self, now: UnixMs, limit: usize) -> Vec<StreamId> {
        let due = |entry: &StreamEntry| self.recheck_at(entry).is_some_and(|due| due <= now);
        let due = self.streams.iter().filter(|(_, entry)| due(entry));
        due.map(|(id, _)| *id).take(limit).collect()
    }

    /// When the finalized state is read next.
    pub(super) fn next_recheck(&self) -> Option<UnixMs> {
        self.streams
            .values()
            .filter_map(|entry| self.recheck_at(entry))
            .min()
    }

    /// How many segments are kept here.
    fn held(&self) -> usize {
        self.shares.segments()
    }

    /// How many segments are not final, as far as known.
    pub(super) fn unsettled(&self) -> usize {
        let landed = self.streams.values().map(StreamEntry::landed);
        self.held().saturating_add(landed.sum())
    }

    /// How many segments that are kept here are not on the chain, as far as known.
    pub(super) fn pending(&self) -> usize {
        self.streams.values().map(StreamEntry::pending).sum()
    }

    /// How many streams have more in the database than is kept here.
    pub(super) fn in_database(&self) -> usize {
        let entries = self.streams.values();
        entries.filter(|entry| entry.about.in_database).count()
    }

    /// The streams that cannot be anchored, and why.
    pub(super) fn blocked(&self) -> impl Iterator<Item = (StreamId, &Obstacle)> {
        self.streams
            .iter()
            .filter_map(|(id, entry)| Some((*id, &entry.obstacle.as_ref()?.0)))
    }
}

/// One stream without segments.
const LINE: Share = Share {
    segments: 0,
    streams: 1,
};
/// One segment of a stream that has its line.
const SEGMENT: Share = segments(1);

const fn segments(segments: usize) -> Share {
    Share { segments, streams: 0 }
}

/// The key of a stream's row; it sorts before those of the stream's segments.
fn stream_key(stream: StreamId) -> String {
    format!("{PREFIX}{stream}")
}

fn segment_key(stream: StreamId, first: Seq) -> String {
    format!("{PREFIX}{stream}/{:020}", first.0)
}
