//! The part of the Anchorer that has to do with rounds: what the maker asks for, and what becomes of that.

use streamchain_protocol::time::UnixMs;

use super::{Anchorer, Asked};
use crate::journal::Journal;
use crate::rounds::{Closed, FixedRound, NewestRound, RoundMaker, RoundTask};

impl Anchorer {
    /// The batcher whose group begins with this bucket has runs for a round. Returns whether there can be such a batcher;
    /// the answer is safe once what [`Self::take_unsaved`] returns is written.
    pub fn handle_runs_waiting(&mut self, first_bucket: u8) -> bool {
        let maker = self.rounds.as_mut();
        maker.is_some_and(|maker| maker.wait_for(first_bucket, &mut self.journal))
    }

    /// Takes in the outcome of [`RoundTask::ReadNewest`]: the newest round, if there is one.
    pub fn handle_newest(&mut self, outcome: Result<Option<NewestRound>, String>, now: UnixMs) {
        self.take_round(|maker, journal| maker.take_newest(outcome, now, journal));
    }

    /// Takes in the answers to [`RoundTask::Close`] that came in time, by the first bucket of each batcher.
    pub fn handle_closed(&mut self, answers: Vec<(u8, Result<Closed, String>)>, now: UnixMs) {
        self.take_round(|maker, journal| {
            maker.take_closed(answers, now, journal);
            None
        });
    }

    /// Takes in the answers to [`RoundTask::Fix`]: which batchers have written their lists.
    pub fn handle_fixed(&mut self, answers: Vec<(u8, Result<(), String>)>, now: UnixMs) {
        self.take_round(|maker, journal| {
            maker.take_written(answers, now, journal);
            None
        });
    }

    /// Takes in the outcome of [`RoundTask::Store`].
    pub fn handle_round_stored(&mut self, outcome: Result<(), String>, now: UnixMs) {
        self.take_round(|maker, journal| maker.take_stored(outcome, now, journal));
    }

    /// Gives the outcome of the last task to the maker. A round that it returns is handed over to be sent, in the same write.
    fn take_round(&mut self, take: impl FnOnce(&mut RoundMaker, &mut Journal) -> Option<FixedRound>) {
        if self.asked != Asked::Round {
            return; // it answers what was given up
        }
        self.asked = Asked::Nothing;
        let Some(maker) = &mut self.rounds else { return };
        let (owner, fixed) = (maker.owner(), take(maker, &mut self.journal));
        if let Some(FixedRound { round, root, .. }) = fixed {
            self.pending.insert_round(owner, round, root, &mut self.journal);
        }
    }

    /// What the maker asks for now.
    pub(super) fn next_round_task(&mut self, now: UnixMs) -> Option<RoundTask> {
        let is_on_chain = self.pending.has_all_rounds();
        self.rounds.as_mut()?.next_task(is_on_chain, now)
    }

    /// When the maker asks for something.
    pub(super) fn making_due(&self) -> Option<UnixMs> {
        self.rounds.as_ref()?.due(self.pending.has_all_rounds())
    }

    /// When the contract is asked whether it has rounds.
    pub(super) fn contract_read_at(&self) -> Option<UnixMs> {
        self.rounds
            .as_ref()?
            .contract_read_at(self.pending.has_all_rounds())
    }
}
