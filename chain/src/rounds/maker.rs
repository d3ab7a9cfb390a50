//! The maker of rounds: asks the batchers what they have, fixes the round, waits until it is written, hands it over.
//!
//! One round at a time: close → fix → written by batchers → written by the database → handed over → on the chain.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, hex};
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::proof::bucket::{BucketRoot, encode_buckets, round_root};
use streamchain_protocol::proof::range::{self, RangeNode, range_leaf};
use streamchain_protocol::proof::rounds_stream;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::Backoff;

use super::message::{Closed, FixedRound, no_buckets};
use super::rows::{Ahead, Fixed, FixedRow, StateRow};
use super::task::{CloseRound, FixRound, NewestRound, RoundTask, RoundsStatus, StoreRound};
use crate::abi::RoundsOnChain;
use crate::backoff::node_backoff;
use crate::journal::{self, Journal, RestoreError};

/// The prefix of this machine's rows, with the version of their form.
const PREFIX: &str = "rounds/1/";
pub(super) const STATE_KEY: &str = "rounds/1/state";
pub(super) const FIXED_KEY: &str = "rounds/1/fixed";
const WAITING_KEY: &str = "rounds/1/waiting";

/// What does not change while the machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The account that the stream of rounds belongs to; it opens the stream itself unless it is the anchoring account.
    pub owner: Address,
    /// How many buckets each batcher has.
    pub buckets_each: u16,
}

/// Whether the contract has rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    /// It is asked when a round is to be made.
    Unknown,
    /// It has.
    HasRounds,
    /// It has not; it is asked again at this time.
    HasNone(UnixMs),
    /// It has rounds that were not made here; it is asked again at this time.
    IsAhead(Ahead, UnixMs),
    /// It has rounds of this deployment of before it lost its database: others go on behind them.
    IsLeft(RoundsOnChain),
}

/// The maker of rounds, a part of the Anchorer.
#[derive(Debug)]
pub(crate) struct RoundMaker {
    pub(super) settings: Settings,
    stream: StreamId,
    pub(super) interval_ms: u64,
    pub(super) state: Option<StateRow>,
    pub(super) fixed: Option<Fixed>,
    /// The batchers that have something for the next round.
    pub(super) waiting: BTreeSet<u8>,
    /// The batchers that are being asked.
    asking: BTreeSet<u8>,
    pub(crate) contract: Contract,
    rests_until: UnixMs,
    backoff: Backoff,
    pub(super) problem: Option<String>,
}

impl RoundMaker {
    /// A maker that has made no round. Rounds are at least `interval_ms` apart.
    pub(crate) fn new(settings: Settings, interval_ms: u64) -> Self {
        Self {
            settings,
            stream: rounds_stream(settings.owner),
            interval_ms,
            state: None,
            fixed: None,
            waiting: BTreeSet::new(),
            asking: BTreeSet::new(),
            contract: Contract::Unknown,
            rests_until: UnixMs(0),
            backoff: node_backoff(),
            problem: None,
        }
    }

    /// Takes in a saved row, if it is one of the maker's.
    pub(crate) fn restore(&mut self, key: &str, value: &str) -> Result<(), RestoreError> {
        match key {
            STATE_KEY => self.state = Some(journal::read(key, value)?),
            WAITING_KEY => self.waiting = journal::read(key, value)?,
            FIXED_KEY => {
                let row: FixedRow = journal::read(key, value)?;
                self.fixed = Some(Fixed::read(&row).ok_or_else(|| RestoreError {
                    key: key.to_owned(),
                    reason: "its buckets are malformed".to_owned(),
                })?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a saved row is one of the maker's.
    pub(crate) fn has_row(key: &str) -> bool {
        key.starts_with(PREFIX)
    }

    /// The account that the stream of rounds belongs to.
    pub(crate) fn owner(&self) -> Address {
        self.settings.owner
    }

    /// A batcher has runs for the next round. Returns whether there is such a batcher.
    pub(crate) fn wait_for(&mut self, group: u8, journal: &mut Journal) -> bool {
        if u16::from(group) % self.settings.buckets_each.max(1) != 0 {
            return false;
        }
        if self.waiting.insert(group) && !self.asking.contains(&group) {
            self.save_waiting(journal);
        }
        true
    }

    /// Everything that was asked for is asked for again.
    pub(crate) fn interrupt(&mut self) {
        self.waiting.append(&mut self.asking);
    }

    /// The fixed round that is not handed over yet.
    pub(super) fn under_way(&self) -> Option<&Fixed> {
        let next = self.state.as_ref()?.next;
        self.fixed.as_ref().filter(|fixed| fixed.round.round == next)
    }

    /// Whether the next thing to do is to begin a round, and since when that can be. `is_on_chain`: whether the chain has
    /// all that was handed over, as far as known.
    fn begins_at(&self, is_on_chain: bool) -> Option<UnixMs> {
        let state = self.state.as_ref()?;
        let can_begin = is_on_chain && state.buckets_each == self.settings.buckets_each;
        if self.waiting.is_empty() || self.under_way().is_some() || !can_begin {
            return None;
        }
        let fixed_at = self.fixed.as_ref().map(|fixed| fixed.fixed_at);
        let due = fixed_at.map_or(UnixMs(0), |at| at.plus_ms(self.interval_ms));
        let ready = self.waiting.iter().map(|group| self.rests(*group)).min();
        Some(due.max(self.rests_until).max(ready.unwrap_or_default()))
    }

    /// Whether a round was made here.
    pub(crate) fn is_used(&self) -> bool {
        self.fixed.is_some() || self.state.as_ref().is_some_and(|state| state.next > 0)
    }

    /// When the contract has to be asked whether it has rounds, if it has to be.
    pub(crate) fn contract_read_at(&self, is_on_chain: bool) -> Option<UnixMs> {
        let begins_at = self.begins_at(is_on_chain)?;
        match &self.contract {
            Contract::Unknown | Contract::IsLeft(_) => Some(begins_at),
            Contract::HasRounds => None,
            Contract::HasNone(until) | Contract::IsAhead(_, until) => Some(begins_at.max(*until)),
        }
    }

    /// When [`Self::next_task`] has something.
    pub(crate) fn due(&self, is_on_chain: bool) -> Option<UnixMs> {
        // Without a state, the newest round may be one that the chain does not have.
        if self.state.is_none() || self.under_way().is_some() {
            return Some(self.rests_until);
        }
        let begins_at = self.begins_at(is_on_chain);
        begins_at.filter(|_| self.contract == Contract::HasRounds)
    }

    /// What is to be done now.
    pub(crate) fn next_task(&mut self, is_on_chain: bool, now: UnixMs) -> Option<RoundTask> {
        self.due(is_on_chain).filter(|due| *due <= now)?;
        let Some(state) = &self.state else {
            return Some(RoundTask::ReadNewest);
        };
        let round = state.next;
        let Some(fixed) = self.under_way() else {
            let left_out = state.left_out.iter().map(|one| (one.group, one.round)).collect();
            let (resting, asking) = self.waiting.iter().partition(|group| self.rests(**group) > now);
            (self.waiting, self.asking) = (resting, asking);
            return Some(RoundTask::Close(CloseRound {
                round,
                groups: self.asking.iter().copied().collect(),
                previous: self.fixed.as_ref().map(|fixed| fixed.round.clone()),
                left_out,
            }));
        };
        if !fixed.unwritten.is_empty() {
            return Some(RoundTask::Fix(FixRound {
                fixed: fixed.round.clone(),
                groups: fixed.unwritten.iter().copied().collect(),
            }));
        }
        let Some(nodes) = self.nodes(&fixed.round) else {
            self.fail(
                "the peaks of the range of rounds are not complete".to_owned(),
                now,
            );
            return None;
        };
        Some(RoundTask::Store(StoreRound {
            fixed: fixed.round.clone(),
            nodes,
            fixed_at: fixed.fixed_at,
        }))
    }

    /// The nodes that a round adds to the range.
    fn nodes(&self, fixed: &FixedRound) -> Option<Vec<RangeNode>> {
        let state = self.state.as_ref()?;
        let peak = |height: u8| {
            let peak = state.peaks.iter().find(|(of, _)| *of == height);
            peak.map(|(_, hash)| *hash)
        };
        let leaf = range_leaf(self.stream, fixed.round, fixed.root);
        let made = range::append(fixed.round, leaf, peak)?;
        if !state.is_adopted {
            return Some(made);
        }
        // The ways of later rounds to their peaks lead through those that were there before.
        let adopted = range::peaks(fixed.round)
            .into_iter()
            .filter_map(|(height, index)| {
                let hash = peak(height)?;
                Some(RangeNode { height, index, hash })
            });
        Some(adopted.chain(made).collect())
    }

    /// Takes in the newest round that the database has. Returns it, to be handed over again: whether the chain has it is
    /// not known.
    pub(crate) fn take_newest(
        &mut self,
        outcome: Result<Option<NewestRound>, String>,
        now: UnixMs,
        journal: &mut Journal,
    ) -> Option<FixedRound> {
        let newest = match outcome {
            Ok(newest) => newest,
            Err(reason) => {
                self.fail(format!("the newest round cannot be read: {reason}"), now);
                return None;
            }
        };
        let mut state = StateRow {
            next: 0,
            buckets_each: self.settings.buckets_each,
            peaks: Vec::new(),
            is_found: true,
            is_adopted: false,
            ahead: None,
            left_out: Vec::new(),
        };
        let mut found = None;
        if let Some(NewestRound {
            fixed,
            peaks,
            fixed_at,
        }) = newest
        {
            state.next = fixed.round.saturating_add(1);
            state.peaks = peaks.iter().map(|node| (node.height, node.hash)).collect();
            let has = |height: &u8| state.peaks.iter().any(|(of, _)| of == height);
            if !range::peaks(state.next).iter().all(|(height, _)| has(height)) {
                self.fail("the database lacks nodes of the range of rounds".to_owned(), now);
                return None;
            }
            found = Some(fixed.clone());
            self.set_fixed(fixed, fixed_at, journal);
        }
        // A round may have been fixed and forgotten: each batcher compares what it has with the newest one.
        let all = (0..=u8::MAX).step_by(usize::from(self.settings.buckets_each.max(1)));
        self.waiting.extend(all);
        self.save_waiting(journal);
        self.succeed();
        journal.put(STATE_KEY.to_owned(), &state);
        self.state = Some(state);
        found
    }

    /// Takes in what the batchers that were asked have for the round; a batcher that is not named did not answer in time.
    pub(crate) fn take_closed(
        &mut self,
        answers: Vec<(u8, Result<Closed, String>)>,
        now: UnixMs,
        journal: &mut Journal,
    ) {
        let Some(round) = self.state.as_ref().map(|state| state.next) else {
            return;
        };
        let asking = std::mem::take(&mut self.asking);
        let mut answers: BTreeMap<u8, Result<Closed, String>> = answers.into_iter().collect();
        let mut buckets = no_buckets();
        let (mut has_runs, mut silent) = (false, None);
        for group in asking {
            let answer = answers
                .remove(&group)
                .unwrap_or_else(|| Err("no answer".to_owned()));
            match answer.and_then(|closed| self.check(group, closed)) {
                Ok(closed) => {
                    has_runs |= !closed.roots.is_empty();
                    for (bucket, root) in closed.roots {
                        if let Some(place) = buckets.get_mut(usize::from(bucket)) {
                            *place = root;
                        }
                    }
                    if closed.more {
                        self.waiting.insert(group);
                    }
                }
                Err(reason) => {
                    self.waiting.insert(group);
                    silent = Some(format!("batcher {group} was left out of round {round}: {reason}"));
                }
            }
        }
        self.save_waiting(journal);
        if has_runs {
            let root = round_root(round, &buckets);
            self.set_fixed(FixedRound { round, root, buckets }, now, journal);
            self.succeed();
            self.problem = silent;
        } else if let Some(reason) = silent {
            self.fail(reason, now);
        } else {
            self.succeed();
            self.rests_until = now.plus_ms(self.interval_ms);
        }
    }

    /// Refuses an answer that names buckets of other batchers, or that no runs can give.
    fn check(&self, group: u8, closed: Closed) -> Result<Closed, String> {
        let end = u16::from(group) + self.settings.buckets_each;
        let is_own = |bucket: u8| bucket >= group && u16::from(bucket) < end;
        let is_right = |(bucket, root): &(u8, _)| {
            let BucketRoot { runs, root } = *root;
            is_own(*bucket) && runs > 0 && !root.is_zero()
        };
        match closed.roots.iter().all(is_right) {
            true => Ok(closed),
            false => Err("its answer names buckets that it cannot have".to_owned()),
        }
    }

    /// Takes in whether the database has the fixed round. Then it is returned, to be handed over.
    pub(crate) fn take_stored(
        &mut self,
        outcome: Result<(), String>,
        now: UnixMs,
        journal: &mut Journal,
    ) -> Option<FixedRound> {
        if let Err(reason) = outcome {
            self.fail(format!("the fixed round cannot be written: {reason}"), now);
            return None;
        }
        let fixed = self.under_way()?.round.clone();
        let peak = self.nodes(&fixed)?.pop()?;
        let state = self.state.as_mut()?;
        state.next = fixed.round.saturating_add(1);
        state.peaks.retain(|(height, _)| *height > peak.height);
        state.peaks.push((peak.height, peak.hash));
        (state.is_found, state.is_adopted) = (false, false);
        journal.put(STATE_KEY.to_owned(), &*state);
        self.succeed();
        Some(fixed)
    }

    /// The state of the maker.
    pub(crate) fn status(&self) -> RoundsStatus {
        let state = self.state.as_ref();
        let is_changed = state.is_some_and(|state| state.buckets_each != self.settings.buckets_each);
        let problem = match &self.contract {
            Contract::HasNone(_) => {
                let remedy = "deploy a newer one, or set NEW_STREAMS_ANCHOR to own for new streams";
                Some(format!("the contract has no rounds: {remedy}"))
            }
            Contract::IsAhead(ahead, _) => Some(self.reason_ahead(ahead.next)),
            _ if is_changed => {
                Some("BATCHERS was changed: no rounds are made until it is what it was".to_owned())
            }
            _ => self.problem.clone(),
        };
        let unwritten = self
            .under_way()
            .map(|fixed| fixed.unwritten.iter().copied().collect());
        RoundsStatus {
            next: state.map(|state| state.next),
            waiting_batchers: self.waiting.union(&self.asking).count(),
            unwritten: unwritten.unwrap_or_default(),
            left_out: state.map_or_else(Vec::new, |state| {
                state.left_out.iter().map(|one| one.group).collect()
            }),
            problem,
        }
    }

    fn set_fixed(&mut self, round: FixedRound, fixed_at: UnixMs, journal: &mut Journal) {
        self.fixed = Some(Fixed::new(round, fixed_at, self.settings.buckets_each));
        self.save_fixed(journal);
    }

    pub(super) fn save_fixed(&self, journal: &mut Journal) {
        let Some(fixed) = &self.fixed else { return };
        let row = FixedRow {
            round: fixed.round.round,
            root: fixed.round.root,
            buckets: hex::encode(encode_buckets(&fixed.round.buckets)),
            fixed_at: fixed.fixed_at,
            groups: fixed.unwritten.iter().copied().collect(),
        };
        journal.put(FIXED_KEY.to_owned(), &row);
    }

    pub(super) fn save_waiting(&self, journal: &mut Journal) {
        let waiting: BTreeSet<&u8> = self.waiting.union(&self.asking).collect();
        journal.put(WAITING_KEY.to_owned(), &waiting);
    }

    pub(super) fn succeed(&mut self) {
        self.backoff.succeed();
        self.problem = None;
    }

    pub(super) fn fail(&mut self, reason: String, now: UnixMs) {
        self.problem = Some(reason);
        self.rests_until = now.plus_ms(self.backoff.fail());
    }
}
