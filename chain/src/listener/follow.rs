//! The head of the chain, the search for a fork, and what a fork undoes.

use alloy_primitives::B256;

use super::event::{Batch, ChainEvent};
use super::fork::ForkSearch;
use super::machine::Listener;
use super::ring::Mark;
use super::step::{Next, Step, View};
use crate::ethereum::{Answer, Block, BlockId, Request, RpcError};
use crate::machine::Command;
use streamchain_protocol::time::UnixMs;

/// How far the head may be below what we have read before the node is rejected. A node behind the same address may lag
/// a few blocks; a fork that makes a chain shorter is shallower than this.
const MAX_FALL: u64 = 128;

impl Listener {
    pub(super) fn begin_round(&mut self, now: UnixMs) {
        self.calls = 0;
        self.check_pace.begin();
        self.last_poll = Some(now);
        self.step = if self.synced {
            Step::AskHead
        } else {
            Step::AskSyncing
        };
    }

    pub(super) fn command(&self) -> Option<Command<Batch>> {
        let block = |id| Command::Call(Request::Block(id));
        Some(match &self.step {
            Step::Idle => return None,
            Step::AskSyncing => Command::Call(Request::Syncing),
            Step::AskHead => block(BlockId::Latest),
            Step::AskFinalized(head) => block(match self.settings.finality_depth {
                Some(depth) => BlockId::Number(head.number.saturating_sub(depth)),
                None => BlockId::Finalized,
            }),
            Step::CheckTip(_, mark) => block(BlockId::Number(mark.number)),
            Step::FindFork(search) => block(BlockId::Number(search.next()?.number)),
            Step::Scan(_, scan) => Command::Call(self.scan_request(scan)),
            Step::Heal(heal) => Command::Call(self.heal_request(heal)),
            Step::Check(from, to) => Command::Call(Self::check_request(*from, *to)),
            Step::Apply(batch, _) => Command::Do(batch.clone()),
        })
    }

    pub(super) fn dispatch(&mut self, outcome: Result<Answer, RpcError>, now: UnixMs) {
        let step = std::mem::replace(&mut self.step, Step::Idle);
        match (step, outcome) {
            (Step::Scan(view, scan), outcome) => self.handle_scan(view, scan, outcome, now),
            (Step::Heal(heal), outcome) => self.handle_heal(heal, outcome, now),
            (Step::Check(from, to), outcome) => self.handle_check((from, to), outcome, now),
            (_, Err(error)) if error.is_of_whole_node() || error.is_rate_limited() => {
                self.fail(error.to_string(), now);
            }
            (Step::AskSyncing, Ok(Answer::Syncing(true))) => {
                self.reject_node("it is still syncing".into(), now);
            }
            // Some providers do not offer the method; they sync behind the scenes.
            (Step::AskSyncing, Ok(Answer::Syncing(false)) | Err(_)) => {
                self.synced = true;
                self.step = Step::AskHead;
            }
            // A chain that is too young, or has no finality at all.
            (Step::AskFinalized(head), Err(_)) => self.handle_finalized(head, None, now),
            (_, Err(error)) => self.fail(error.to_string(), now),
            (Step::CheckTip(..) | Step::FindFork(_), Ok(Answer::Block(None))) => {
                self.fail("the node does not know a block below its head".into(), now);
            }
            (Step::AskHead, Ok(Answer::Block(Some(head)))) => self.handle_head(head, now),
            (Step::AskFinalized(head), Ok(Answer::Block(finalized))) => {
                self.handle_finalized(head, finalized, now);
            }
            (Step::CheckTip(view, mark), Ok(Answer::Block(found))) => {
                match found.is_some_and(|block| Mark::from(&block) == mark) {
                    true => self.handle_tip_holds(view, mark, now),
                    false => self.handle_tip_gone(mark, now),
                }
            }
            (Step::FindFork(search), Ok(Answer::Block(found))) => {
                let is_on_chain = found.as_ref().map(Mark::from) == search.next();
                self.search(search.narrowed(is_on_chain), now);
            }
            (_, Ok(_)) => self.reject_node("the answer belongs to another question".into(), now),
        }
    }

    fn handle_head(&mut self, head: Block, now: UnixMs) {
        let read = self.cursor.next.saturating_sub(1);
        if read > head.number + MAX_FALL {
            let head = head.number;
            return self.reject_node(
                format!("its head is block {head}, and we have read block {read}"),
                now,
            );
        }
        if let Some(mark) = self.cursor.finalized.filter(|mark| mark.number > head.number) {
            let (head, number) = (head.number, mark.number);
            let reason = format!("its head is block {head}, and block {number} is finalized");
            return self.reject_node(reason, now);
        }
        self.head = Some(Mark::from(&head));
        self.step = Step::AskFinalized(head);
    }

    fn handle_finalized(&mut self, head: Block, finalized: Option<Block>, now: UnixMs) {
        // A finalized block above the head can only be a newer answer: the head will be there in the next pass.
        // One before the contract's first block protects nothing.
        let useful = self.settings.start_block..=head.number;
        let finalized = finalized
            .map(|block| Mark::from(&block))
            .filter(|mark| useful.contains(&mark.number));
        if let (Some(known), Some(found)) = (self.cursor.finalized, finalized)
            && known.number == found.number
            && known.hash != found.hash
        {
            return self.refuse_rewrite(known, now);
        }
        let view = View { head, finalized };
        let Some(tip) = self.ring.at_or_below(view.head.number) else {
            // Nothing read yet, or nothing that low (then nothing is final yet either): the head has to grow.
            return match self.ring.last() {
                None => self.scan_on(view, now),
                Some(_) => self.rest(now),
            };
        };
        let head = &view.head;
        if tip.number == head.number || tip.number + 1 == head.number {
            let found = if tip.number == head.number {
                head.hash
            } else {
                head.parent_hash
            };
            match found == tip.hash {
                true => self.handle_tip_holds(view, tip, now),
                false => self.handle_tip_gone(tip, now),
            }
        } else {
            self.step = Step::CheckTip(view, tip);
        }
    }

    /// Our newest block at or below the head is on the node's chain.
    fn handle_tip_holds(&mut self, view: View, tip: Mark, now: UnixMs) {
        if self.ring.last() == Some(tip) {
            self.scan_on(view, now);
        } else {
            self.rest(now); // the same chain, but the node is behind us
        }
    }

    fn handle_tip_gone(&mut self, tip: Mark, now: UnixMs) {
        self.search(ForkSearch::new(self.ring.below(tip.number)), now);
    }

    /// Goes on with the search for the fork; once it is found, undoes what is above it.
    fn search(&mut self, search: ForkSearch, now: UnixMs) {
        if search.next().is_some() {
            self.step = Step::FindFork(search);
            return;
        }
        let fork = search.fork();
        let denies = |finalized: &Mark| fork.is_none_or(|fork| fork.number < finalized.number);
        match self.cursor.finalized.filter(denies) {
            Some(finalized) => self.refuse_rewrite(finalized, now),
            None => self.undo_above(fork, now),
        }
    }

    /// Moves the cursor back first, so that the events above are in doubt, then has them undone.
    fn undo_above(&mut self, fork: Option<Mark>, now: UnixMs) {
        let fork = fork.map(|mark| mark.number);
        self.cursor.next = fork.map_or(self.settings.start_block, |number| number + 1);
        self.ring.cut_above(fork, &mut self.journal);
        self.holes.cut_above(fork, &mut self.journal);
        self.mined.cut_above(fork, &mut self.journal);
        self.unchecked.cut_above(fork, &mut self.journal);
        self.save_cursor();
        if !self.undo_doubtful() {
            self.next_round = now; // read on at once
        }
    }

    /// Has all events that are in doubt undone, newest first, in one batch; `false` when there are none.
    pub(super) fn undo_doubtful(&mut self) -> bool {
        let undone: Vec<ChainEvent> = self.doubtful().rev().cloned().collect();
        let any = !undone.is_empty();
        if any {
            self.step = Step::Apply(
                Batch {
                    undone,
                    ..Batch::default()
                },
                Next::Undone,
            );
        }
        any
    }

    /// Held events at or above the cursor.
    pub(super) fn doubtful(&self) -> impl DoubleEndedIterator<Item = &ChainEvent> {
        self.held
            .range((self.cursor.next, 0, B256::ZERO)..)
            .map(|(_, event)| event)
    }

    /// Takes in whether the last batch was carried out. If it was not, or not all of it, the same or
    /// a newer batch comes after a while.
    pub fn handle_applied(&mut self, outcome: Result<(), String>, now: UnixMs) {
        let Step::Apply(batch, next) = std::mem::replace(&mut self.step, Step::Idle) else {
            return;
        };
        self.waiting = false;
        if let Err(reason) = outcome {
            // As after a crash: events in doubt are in a batch again when their blocks are read again.
            return self.fail(reason, now);
        }
        // Undone or final: they will be in no batch any more.
        let seen_final = batch.seen.iter().filter(|event| batch.is_final(event));
        for event in batch.undone.iter().chain(&batch.finalized).chain(seen_final) {
            self.release(event);
        }
        match next {
            Next::Undone => self.next_round = now,
            Next::Scanned(view, to) => self.pass(view, to, now),
            Next::Mended(key, mend) => self.mend(key, mend, now),
            Next::Finalized(mark) => {
                self.settle(mark);
                self.finish(now);
            }
        }
    }

    /// The blocks up to the node's head are read: marks what is final by now.
    pub(super) fn finalize(&mut self, view: View, now: UnixMs) {
        let known = self.cursor.finalized;
        let newer = |mark: &Mark| {
            mark.number < self.cursor.next && known.is_none_or(|known| mark.number > known.number)
        };
        let found = view.finalized.filter(newer);
        if found.is_some_and(|mark| self.ring.get(mark.number).is_some_and(|hash| hash != mark.hash)) {
            return self.reject_node("its finalized block is not on its own chain".into(), now);
        }
        let Some(mark) = found.or(known) else {
            return self.finish(now);
        };
        let below = ..(mark.number + 1, 0, B256::ZERO);
        let finalized: Vec<ChainEvent> = self.held.range(below).map(|(_, event)| event.clone()).collect();
        if !finalized.is_empty() {
            self.step = Step::Apply(
                Batch {
                    finalized,
                    ..Batch::default()
                },
                Next::Finalized(mark),
            );
            return;
        }
        if known != Some(mark) {
            self.settle(mark);
        }
        self.finish(now);
    }

    pub(super) fn settle(&mut self, mark: Mark) {
        self.cursor.finalized = Some(mark);
        self.ring.push(mark, &mut self.journal);
        self.ring.prune(mark.number, &mut self.journal);
        self.save_cursor();
    }

    fn finish(&mut self, now: UnixMs) {
        self.backoff.succeed();
        let full = self.is_full();
        self.last_error = full.then(|| "too many events wait for finality; reading waits too".to_owned());
        self.heal_or_check(now);
    }

    fn refuse_rewrite(&mut self, mark: Mark, now: UnixMs) {
        let Mark { number, hash } = mark;
        let reason = format!("it denies the finalized block {number} ({hash})");
        self.reject_node(reason, now);
    }
}
