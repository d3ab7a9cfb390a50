//! What the maker of rounds does when it, or a batcher, has lost something: it goes on behind rounds that only the contract
//! has, and makes a round without a batcher that does not write its list.
//!
//! What always holds: a round that was handed over keeps its root for ever. Before that, nobody but the batchers has heard
//! of it, and it may be fixed anew with fewer of them.

use std::collections::BTreeSet;

use streamchain_protocol::proof::bucket::{BucketRoot, round_root};
use streamchain_protocol::proof::range;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::BackoffBounds;

use super::maker::{Contract, FIXED_KEY, RoundMaker, STATE_KEY};
use super::message::FixedRound;
use super::rows::{Ahead, Fixed, LeftOut};
use crate::abi::RoundsOnChain;
use crate::journal::Journal;

/// How long the contract must stay at its next round before rounds below it that nobody here knows are taken for lost:
/// another deployment with the same owner would have made more by then, and their blocks are final on the chains that
/// we know of. Three intervals, where that is longer.
const ADOPT_AFTER_MS: u64 = 1_200_000;
/// How long the batchers in a fixed round may take to write their lists: nine tries of 20 s. Others' receipts wait no longer.
const MAX_FIX_MS: u64 = 180_000;
/// How often a batcher is asked at least before a round is made without it.
const MIN_FIX_TRIES: u32 = 3;
/// How long a batcher that a round was made without is not asked to close another one: others' rounds do not wait for the same
/// trouble each time.
const LEFT_OUT_WAITS: BackoffBounds = BackoffBounds {
    first_ms: MAX_FIX_MS,
    max_ms: 3_600_000,
};

impl RoundMaker {
    /// What follows from what the contract says of its rounds; `None` when it has none. It is asked again at `again` if no
    /// round can be made.
    pub(crate) fn judge(&self, found: Option<RoundsOnChain>, now: UnixMs, again: UnixMs) -> Contract {
        let own = self.state.as_ref().map_or(0, |state| state.next);
        match found {
            None => Contract::HasNone(again),
            Some(found) if found.next > own => {
                let known = self.state.as_ref().and_then(|state| state.ahead);
                let ahead = known.filter(|ahead| ahead.next == found.next).unwrap_or(Ahead {
                    next: found.next,
                    since: now,
                });
                let is_at_rest = now.since(ahead.since) >= ADOPT_AFTER_MS.max(3 * self.interval_ms);
                match is_at_rest && self.can_adopt(&found) {
                    true => Contract::IsLeft(found),
                    false => Contract::IsAhead(ahead, again),
                }
            }
            Some(_) => Contract::HasRounds,
        }
    }

    /// Whether rounds that only the contract has can be taken for this deployment's own, of before it lost its database: it
    /// has made none since it read that.
    fn can_adopt(&self, found: &RoundsOnChain) -> bool {
        let is_new = self.state.as_ref().is_some_and(|state| state.is_found);
        let peaks = range::peaks(found.next);
        let has = |height: &u8| {
            let mut peaks = found.peaks.iter();
            peaks.any(|(of, hash)| of == height && !hash.is_zero())
        };
        is_new && self.under_way().is_none() && peaks.iter().all(|(height, _)| has(height))
    }

    /// Why no rounds are made while the contract is ahead.
    pub(super) fn reason_ahead(&self, next: u64) -> String {
        let what = format!("the contract has rounds below {next}, which are not in this database");
        match self.state.as_ref().is_some_and(|state| state.is_found) {
            true => format!(
                "{what}: they are taken for lost, and rounds go on behind them, once there were no more of them for {} min",
                ADOPT_AFTER_MS.max(3 * self.interval_ms) / 60_000
            ),
            false => format!("{what}: another deployment has this account"),
        }
    }

    /// Notes what is known of the contract; goes on behind its rounds when these are left from before.
    pub(crate) fn set_contract(&mut self, contract: Contract, journal: &mut Journal) {
        if let Some(state) = &mut self.state {
            let ahead = match &contract {
                Contract::IsAhead(ahead, _) => Some(*ahead),
                _ => None,
            };
            let is_changed = state.ahead != ahead || matches!(contract, Contract::IsLeft(_));
            state.ahead = ahead;
            if let Contract::IsLeft(found) = &contract {
                let has = range::peaks(found.next);
                let is_peak = |(height, _): &&(u8, _)| has.iter().any(|(of, _)| of == height);
                state.next = found.next;
                state.peaks = found.peaks.iter().filter(is_peak).copied().collect();
                state.is_adopted = true;
                self.fixed = None;
                journal.remove(FIXED_KEY.to_owned());
            }
            if is_changed {
                journal.put(STATE_KEY.to_owned(), &*state);
            }
        }
        self.contract = match contract {
            Contract::IsLeft(_) => Contract::HasRounds,
            other => other,
        };
    }

    /// Takes in which batchers have written the fixed round, and why the others have not. After some time the round is made
    /// without those.
    pub(crate) fn take_written(
        &mut self,
        answers: Vec<(u8, Result<(), String>)>,
        now: UnixMs,
        journal: &mut Journal,
    ) {
        let Some(fixed) = &mut self.fixed else { return };
        let round = fixed.round.round;
        let mut reason = "no answer".to_owned();
        let mut written = BTreeSet::new();
        for (group, answer) in answers {
            match answer {
                Ok(()) => {
                    fixed.unwritten.remove(&group);
                    written.insert(group);
                }
                Err(error) => reason = error,
            }
        }
        fixed.tries += 1;
        let first = fixed.unwritten.first().copied();
        let is_late = fixed.tries >= MIN_FIX_TRIES && now.since(fixed.fixed_at) >= MAX_FIX_MS;
        self.forget_left_out(&written, journal);
        match first {
            None => {
                self.save_fixed(journal);
                self.succeed();
            }
            Some(group) if is_late => {
                self.leave_out(now, journal);
                self.succeed();
                self.problem = Some(format!(
                    "round {round} was made without batcher {group}, which did not write its list: {reason}"
                ));
            }
            Some(group) => {
                let reason = format!("round {round} waits for batcher {group} to write its list: {reason}");
                self.fail(reason, now);
            }
        }
    }

    /// These batchers write again.
    fn forget_left_out(&mut self, written: &BTreeSet<u8>, journal: &mut Journal) {
        let Some(state) = &mut self.state else { return };
        let before = state.left_out.len();
        state.left_out.retain(|one| !written.contains(&one.group));
        if state.left_out.len() != before {
            journal.put(STATE_KEY.to_owned(), &*state);
        }
    }

    /// Fixes the round anew, without the batchers that did not write their lists: their runs stay frozen, and go into a later
    /// round as they are. Without any other runs there is no round, and the number is used for the next one.
    fn leave_out(&mut self, now: UnixMs, journal: &mut Journal) {
        let (Some(fixed), Some(state)) = (self.fixed.take(), &mut self.state) else {
            return;
        };
        let FixedRound {
            round, mut buckets, ..
        } = fixed.round;
        for group in &fixed.unwritten {
            let known = state.left_out.iter().find(|one| one.group == *group);
            let times = known.map_or(0, |known| known.times.saturating_add(1));
            state.left_out.retain(|one| one.group != *group);
            state.left_out.push(LeftOut {
                group: *group,
                round,
                times,
                until: now.plus_ms(LEFT_OUT_WAITS.wait_ms(times)),
            });
            let first = usize::from(*group);
            let of_group = buckets
                .iter_mut()
                .skip(first)
                .take(self.settings.buckets_each.into());
            of_group.for_each(|bucket| *bucket = BucketRoot::default());
            self.waiting.insert(*group);
        }
        journal.put(STATE_KEY.to_owned(), &*state);
        self.save_waiting(journal);
        if buckets.iter().all(|bucket| bucket.runs == 0) {
            journal.remove(FIXED_KEY.to_owned());
            return;
        }
        let root = round_root(round, &buckets);
        let round = FixedRound { round, root, buckets };
        self.fixed = Some(Fixed {
            round,
            fixed_at: fixed.fixed_at,
            unwritten: BTreeSet::new(),
            tries: 0,
        });
        self.save_fixed(journal);
    }

    /// Until when a batcher is not asked to close a round.
    pub(super) fn rests(&self, group: u8) -> UnixMs {
        let left_out = self.state.as_ref().map(|state| state.left_out.as_slice());
        let mut left_out = left_out.unwrap_or_default().iter();
        left_out
            .find(|one| one.group == group)
            .map_or(UnixMs(0), |one| one.until)
    }
}
