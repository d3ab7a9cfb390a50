//! The steps of a round.

use super::event::Batch;
use super::fork::ForkSearch;
use super::heal::{Heal, Mend};
use super::holes::HoleKey;
use super::reader::BlockReader;
use super::ring::Mark;
use crate::ethereum::{Block, Log};

/// Where the round is. Each step but `Idle` waits for one outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// No round is under way.
    Idle,
    /// Ask whether the node is still syncing.
    AskSyncing,
    /// Ask for the newest block.
    AskHead,
    /// The newest block is known; ask for the finalized one.
    AskFinalized(Block),
    /// Ask whether our newest block at or below the head is still on the chain.
    CheckTip(View, Mark),
    /// It is not: search for our newest block that is.
    FindFork(ForkSearch),
    /// Read blocks.
    Scan(View, Scan),
    /// Read again what is missing.
    Heal(Heal),
    /// Have a batch carried out, then go on.
    Apply(Batch, Next),
}

/// The chain as the node showed it at the beginning of the round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) head: Block,
    pub(super) finalized: Option<Mark>,
}

/// A reading of blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// One block: read its header.
    Header(u64),
    /// One block: read its events.
    Block(Box<BlockReader>),
    /// A range: read the header of its last block.
    RangeEnd(u64),
    /// A range: read its logs.
    RangeLogs(Mark),
    /// A range: ask whether its last block is still there.
    Confirm(Mark, Vec<Log>),
    /// A range: ask whether the last block that was read before it is still there.
    ConfirmBefore(Mark, Mark, Vec<Log>),
}

/// What to do when a batch is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Release the events that were undone and begin a new round.
    Undone,
    /// Move the cursor past this block, and read on.
    Scanned(View, Mark),
    /// Note what became of a hole.
    Mended(HoleKey, Mend),
    /// Move the finalized mark here; the round is over.
    Finalized(Mark),
}
