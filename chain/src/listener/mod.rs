//! The listener: follows the contract's events, and takes back what a reorganisation takes back.
//!
//! What always holds:
//! - every event that was in a batch as seen is *held* (saved) from before that batch until it is final, or was in a
//!   batch as undone; held events at or above the cursor are in doubt, and are in a batch again, as seen or as undone,
//!   before the cursor passes them;
//! - blocks at or below the finalized mark are never undone: a node that says otherwise is rejected;
//! - the cursor moves only after the owner has carried out the events of the blocks below it.
//!
//! One pass: newest and finalized block → is the last block we read still on the chain? If not, search for the
//! fork and undo → read what is new, block by block near the head (by block hash, so that nothing can slip between
//! two answers), in ranges further back → mark final → read a hole again, or compare some headers of what was read in ranges.

mod check;
mod event;
mod follow;
mod fork;
mod heal;
mod holes;
mod machine;
mod mined;
mod reader;
mod ring;
mod scan;
mod status;
mod step;
mod unchecked;

pub use event::{Batch, ChainEvent, EventId, EventKind, is_final};
pub use holes::Gap;
pub use machine::{Listener, Settings};
pub use status::Status;

use crate::ethereum::{Answer, RpcError};
use crate::journal::Row;
use crate::machine::{Command, Machine};
use machine::Cursor;
use step::{Heal, Scan, Step};
use streamchain_protocol::time::UnixMs;

/// Calls of one pass at most: a Worker may make 1,000 an invocation.
const MAX_CALLS_PER_ROUND: u32 = 400;

impl Listener {
    /// Returns the changes to save that were made outside of [`Machine::next_command`].
    pub fn take_unsaved(&mut self) -> Vec<Row> {
        self.journal.take()
    }

    /// Begins again at the first block, for an owner that has lost, or dropped, the events: all of them come again in
    /// batches, and those that are held and not on the chain are undone. The finalized mark is forgotten as well: it
    /// becomes what the node says in the next pass.
    pub fn replay(&mut self) {
        self.cursor = Cursor {
            next: self.settings.start_block,
            finalized: None,
        };
        self.ring.cut_above(None, &mut self.journal);
        self.holes.cut_above(None, &mut self.journal);
        self.mined.cut_above(None, &mut self.journal);
        self.unchecked.cut_above(None, &mut self.journal);
        (self.reading, self.healing) = (None, None);
        self.save_cursor();
        self.handle_interruption();
        self.next_round = UnixMs(0);
    }
}

impl Listener {
    /// The pass has had its calls: the rest comes in the next pass, at once.
    fn interrupt(&mut self, now: UnixMs) {
        match std::mem::replace(&mut self.step, Step::Idle) {
            Step::Scan(_, Scan::Block(reader)) => self.reading = Some(reader),
            Step::Heal(Heal::Block(_, reader)) => self.healing = Some(reader),
            Step::Heal(Heal::Anchors(key, ..)) => {
                let reason = "the blocks are too many for one pass";
                self.holes
                    .postpone(key, reason.into(), true, now, &mut self.journal);
            }
            _ => {}
        }
        self.calls = 0;
        self.next_round = now;
    }
}

impl Machine for Listener {
    type Task = Batch;

    fn handle_interruption(&mut self) {
        self.step = Step::Idle;
        self.waiting = false;
    }

    fn poll_timeout(&self, _now: UnixMs) -> Option<UnixMs> {
        Some(self.next_round)
    }

    fn next_command(&mut self, now: UnixMs) -> Option<Command<Batch>> {
        if !self.journal.is_empty() {
            return Some(Command::Save(self.journal.take()));
        }
        if let Some(reason) = self.distrust.take() {
            return Some(Command::Distrust(reason));
        }
        if self.waiting {
            return None;
        }
        if matches!(self.step, Step::Idle) && now >= self.next_round {
            self.begin_round(now);
        }
        if self.calls >= MAX_CALLS_PER_ROUND && !matches!(self.step, Step::Apply(..)) {
            self.interrupt(now);
            return None;
        }
        let command = self.command()?;
        self.waiting = true;
        Some(command)
    }

    fn handle_answer(&mut self, outcome: Result<Answer, RpcError>, now: UnixMs) {
        if !self.waiting || matches!(self.step, Step::Apply(..)) {
            return; // an answer to a call that was given up
        }
        self.waiting = false;
        self.calls += 1;
        self.dispatch(outcome, now);
    }
}
