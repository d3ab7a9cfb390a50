//! Which runs go into a round.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Address;
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::limits::MAX_RUNS_PER_LIST;
use streamchain_protocol::proof::bucket::{BucketRoot, bucket_of, bucket_root};
use streamchain_protocol::proof::run::RunEntry;

use super::machine::{Batcher, CloseError, line_key};
use crate::rounds::GroupRoots;

impl Batcher {
    /// Compares what is known here of the newest closed round with how it was fixed.
    pub(super) fn compare(&mut self, previous: &GroupRoots) -> Result<(), CloseError> {
        let round = previous.round;
        let is_newest = round.checked_add(1) == Some(self.state.closed);
        let is_written = round < self.state.written;
        match (previous.roots.is_empty(), is_newest, is_written) {
            // It was fixed without these runs after all: its maker had lost that it was fixed with them.
            (true, true, true) => self.state.written = round,
            (true, ..) => {}
            (false, true, true) if previous.roots != self.frozen_roots() => {
                return Err(CloseError::Different(round));
            }
            (false, _, false) => return Err(CloseError::NotWritten(round)),
            (false, ..) => {}
        }
        Ok(())
    }

    /// Chooses the runs of a round: those of older rounds that were left out, then what is pending, of each owner in turn.
    pub(super) fn freeze(&mut self, round: u64) {
        let written = self.state.written;
        self.roots = None;
        let mut left_out = BTreeSet::new();
        for stream in std::mem::take(&mut self.frozen) {
            let Some(line) = self.lines.get_mut(&stream) else {
                continue;
            };
            line.row.frozen.take_if(|frozen| frozen.round < written);
            if let Some(frozen) = &mut line.row.frozen {
                frozen.round = round;
                self.journal.put(line_key(stream), &line.row);
                left_out.insert(stream);
            }
        }
        self.frozen = left_out;
        for stream in self.choose(MAX_RUNS_PER_LIST.saturating_sub(self.frozen.len())) {
            let Some(line) = self.lines.get_mut(&stream) else {
                continue;
            };
            line.freeze(stream, round);
            self.shares.take(line.row.owner);
            self.turn = Some(line.row.owner);
            self.frozen.insert(stream);
            self.journal.put(line_key(stream), &line.row);
        }
        self.state.closed = round.saturating_add(1);
        self.state.written = match self.frozen.is_empty() {
            true => self.state.closed,
            false => self.state.written.min(round),
        };
        self.save_state();
    }

    /// Up to `room` streams with a pending run and none frozen: of each owner the one that waits longest, then of each the
    /// next one. Who comes after the owner of the last turn is first.
    fn choose(&self, room: usize) -> Vec<StreamId> {
        let mut owners: BTreeMap<(bool, Address), Vec<(u64, StreamId)>> = BTreeMap::new();
        for (stream, line) in &self.lines {
            if line.row.pending.is_some() && !self.frozen.contains(stream) {
                let is_later = self.turn.is_some_and(|turn| line.row.owner <= turn);
                let of_owner = owners.entry((is_later, line.row.owner)).or_default();
                of_owner.push((line.waits_since, *stream));
            }
        }
        let mut ranked = Vec::new();
        for (place, streams) in owners.values_mut().enumerate() {
            streams.sort_unstable();
            let of_owner = streams.iter().take(room).enumerate();
            ranked.extend(of_owner.map(|(rank, (_, stream))| (rank, place, *stream)));
        }
        ranked.sort_unstable();
        ranked.into_iter().take(room).map(|(.., stream)| stream).collect()
    }

    /// The runs that are frozen, in the order of their stream ids.
    pub(super) fn frozen_runs(&self) -> impl Iterator<Item = RunEntry> {
        self.frozen.iter().filter_map(|stream| {
            let frozen = self.lines.get(stream)?.row.frozen.as_ref()?;
            Some(frozen.entry(*stream))
        })
    }

    /// The buckets over the runs that are frozen.
    pub(super) fn frozen_roots(&mut self) -> Vec<(u8, BucketRoot)> {
        if let Some(roots) = &self.roots {
            return roots.clone();
        }
        let mut roots = Vec::new();
        let mut bucket: Vec<RunEntry> = Vec::new();
        for run in self.frozen_runs() {
            if let Some(last) = bucket
                .last()
                .filter(|last| bucket_of(last.stream) != bucket_of(run.stream))
            {
                roots.push((bucket_of(last.stream), bucket_root(&bucket)));
                bucket.clear();
            }
            bucket.push(run);
        }
        if let Some(last) = bucket.last() {
            roots.push((bucket_of(last.stream), bucket_root(&bucket)));
        }
        self.roots = Some(roots.clone());
        roots
    }
}
