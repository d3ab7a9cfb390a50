//! The steps of a pass.

use super::event::Batch;
use super::fork::ForkSearch;
use super::holes::HoleKey;
use super::reader::BlockReader;
use super::ring::Mark;
use crate::ethereum::{Block, Log};

/// Where the pass is. Each step but `Idle` waits for one outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// No pass is under way.
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
    /// Compare the headers of these blocks, the first to the last, with what was seen in them.
    Check(u64, u64),
    /// Have a batch carried out, then go on.
    Apply(Batch, Next),
}

/// The chain as the node showed it at the beginning of the pass.
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
    /// Release the events that were undone and begin a new pass.
    Undone,
    /// Move the cursor past this block, and read on.
    Scanned(View, Mark),
    /// Note what became of a hole.
    Mended(HoleKey, Mend),
    /// Move the finalized mark here; the pass is over.
    Finalized(Mark),
}

/// A hole that is read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heal {
    /// Its first block: read the header.
    Header(HoleKey),
    /// Its first block: read the events.
    Block(HoleKey, Box<BlockReader>),
    /// The anchors of its stream in these blocks.
    Anchors(HoleKey, u64, u64),
}

/// What becomes of a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// Its blocks up to this height were read.
    Read(u64),
    /// It stays, for this reason; the flag says whether something is missing for certain.
    Again(String, bool),
}
