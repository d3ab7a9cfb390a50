//! The listener: follows the contract's events, and takes back what a reorganisation takes back.
//!
//! What always holds:
//! - every event that was in a batch as seen is *held* (saved) from before that batch until it is final, or was in a
//!   batch as undone; held events at or above the cursor are in doubt, and are in a batch again, as seen or as undone,
//!   before the cursor passes them;
//! - blocks at or below the finalized mark are never undone: a node that says otherwise is rejected;
//! - the cursor moves only after the owner has carried out the events of the blocks below it.
//!
//! One round: newest and finalized block → is the last block we read still on the chain? If not, search for the
//! fork and undo → read what is new, block by block near the head (by block hash, so that nothing can slip between
//! two answers), in ranges further back → mark final.

mod event;
mod follow;
mod fork;
mod machine;
mod ring;
mod scan;
mod status;
mod step;

pub use event::{Batch, ChainEvent, EventId, EventKind, is_final};
pub use machine::{Command, Listener, Settings};
pub use status::Status;

use machine::Cursor;
use step::Step;

/// Calls of one round at most: a Worker may make 1,000 an invocation.
const MAX_CALLS_PER_ROUND: u32 = 400;

impl Listener {
    /// The owner lost track of a command (it was interrupted): the round begins again.
    pub fn handle_interruption(&mut self) {
        self.step = Step::Idle;
        self.waiting = false;
    }

    /// Begins again at the first block, for an owner that has lost, or dropped, the events: all of them come again in
    /// batches, and those that are held and not on the chain are undone. The finalized mark is forgotten as well: it
    /// becomes what the node says in the next round.
    pub fn replay(&mut self) {
        self.cursor = Cursor {
            next: self.settings.start_block,
            finalized: None,
        };
        self.ring.cut_above(None, &mut self.journal);
        self.save_cursor();
        self.handle_interruption();
        self.next_round_ms = 0;
    }

    /// When to call [`Self::next_command`] again, in Unix ms.
    pub fn poll_timeout(&self) -> u64 {
        self.next_round_ms
    }

    /// Returns what to do now; `None` means nothing before [`Self::poll_timeout`], or before the outcome of the last
    /// command.
    pub fn next_command(&mut self, now_ms: u64) -> Option<Command> {
        if !self.journal.is_empty() {
            return Some(Command::Save(self.journal.take()));
        }
        if let Some(reason) = self.distrust.take() {
            return Some(Command::Distrust(reason));
        }
        if self.waiting {
            return None;
        }
        if matches!(self.step, Step::Idle) && now_ms >= self.next_round_ms {
            self.begin_round(now_ms);
        }
        if self.calls >= MAX_CALLS_PER_ROUND && !matches!(self.step, Step::Apply(..)) {
            // The rest in the next round, at once.
            self.step = Step::Idle;
            self.calls = 0;
            self.next_round_ms = now_ms;
            return None;
        }
        let command = self.command()?;
        self.waiting = true;
        Some(command)
    }
}
