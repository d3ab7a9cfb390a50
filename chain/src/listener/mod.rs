//! The listener: follows the contract's events, and takes back what a reorganisation takes back.
//!
//! What always holds:
//! - every event that its owner was told of as seen is *held* (saved) from before it was told until it is final or
//!   was told of as undone; held events at or above the cursor are in doubt, and are told of again, one way or the
//!   other, before the cursor passes them;
//! - blocks at or below the finalized mark are never undone: a node that says otherwise is not believed;
//! - the cursor moves only after the owner has carried out what the blocks below it hold.
//!
//! One round: newest and finalized block → is the last block we read still on the chain? if not, walk back to the
//! fork and undo → read what is new, block by block near the head (by block hash, so that nothing can slip between
//! two answers), in ranges further back → mark final.

mod event;
mod follow;
mod ring;
mod scan;
mod status;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

pub use event::{ChainEvent, EventId, EventKind};
pub use status::Status;

use crate::backoff::Backoff;
use crate::ethereum::{Block, Request};
use crate::journal::{self, Journal, RestoreError, Row};
use follow::Step;
use ring::Ring;

/// Events held at most, that is not final yet: about 30 MB. Above it, reading waits for finality.
pub const MAX_HELD_EVENTS: usize = 100_000;
/// Calls of one round at most: a Worker may make 1,000 an invocation.
pub const MAX_CALLS_PER_ROUND: u32 = 400;

const CURSOR_KEY: &str = "cursor";
const EVENT_PREFIX: &str = "event/";
const RING_PREFIX: &str = "ring/";

/// What does not change while the listener runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The chain's id, for the status.
    pub chain_id: u64,
    /// The contract.
    pub contract: Address,
    /// The block the contract was deployed in: nothing is read before it.
    pub start_block: u64,
    /// The pause between rounds, in ms.
    pub interval_ms: u64,
    /// Blocks asked for by one log query at most; halved whenever a node says that it is too many.
    pub max_range: u64,
}

/// A block on the chain we follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

impl From<&Block> for Mark {
    fn from(block: &Block) -> Self {
        Self {
            number: block.number,
            hash: block.hash,
        }
    }
}

/// What changed on the chain; to be carried out in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Events that a reorganisation took back (their payloads are left out).
    pub undone: Vec<ChainEvent>,
    /// Events in new blocks, in the order of the chain.
    pub seen: Vec<ChainEvent>,
    /// Events seen before that are final now (their payloads are left out).
    pub finalized: Vec<ChainEvent>,
    /// Events of `seen` in blocks up to this height are final already.
    pub final_to: Option<u64>,
}

impl Batch {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.undone.is_empty() && self.seen.is_empty() && self.finalized.is_empty()
    }

    /// Whether an event of `seen` is final already.
    pub fn is_final(&self, event: &ChainEvent) -> bool {
        self.final_to.is_some_and(|height| event.block <= height)
    }
}

/// What the owner of the machine must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Write these rows, all or none, before asking for the next command. If that fails, drop the machine and
    /// restore it from what is saved.
    Save(Vec<Row>),
    /// Ask a node, and give the outcome to [`Listener::handle_answer`].
    Call(Request),
    /// Tell the world, idempotently: the same batch, or one that overlaps it, may come again. Then call
    /// [`Listener::handle_applied`] with whether all of it was done.
    Apply(Batch),
    /// The node gives answers that cannot be true: ask another one from now on, if there is one.
    Distrust(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// The next block to read.
    next: u64,
    /// The newest finalized block that we have read past.
    finalized: Option<Mark>,
}

/// The machine. See the module's text.
#[derive(Debug)]
pub struct Listener {
    settings: Settings,
    journal: Journal,
    cursor: Cursor,
    ring: Ring,
    /// Events that are not final.
    held: BTreeMap<EventId, ChainEvent>,
    step: Step,
    waiting: bool,
    calls: u32,
    /// Whether the node has said, since the last failure, that it is not syncing.
    synced: bool,
    /// Blocks asked for by the next log query.
    range: u64,
    next_round_ms: u64,
    backoff: Backoff,
    distrust: Option<String>,
    head: Option<Mark>,
    last_error: Option<String>,
    last_poll_ms: Option<u64>,
}

impl Listener {
    /// A machine with the state that was saved; without rows, a new one.
    pub fn restore<'a>(
        settings: Settings,
        rows: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RestoreError> {
        let mut cursor = Cursor {
            next: settings.start_block,
            finalized: None,
        };
        let mut ring = Ring::default();
        let mut held = BTreeMap::new();
        for (key, value) in rows {
            if key == CURSOR_KEY {
                cursor = journal::read(key, value)?;
            } else if let Some(number) = key.strip_prefix(RING_PREFIX) {
                ring.restore(journal::read_key_part(key, number)?, journal::read(key, value)?);
            } else if key.starts_with(EVENT_PREFIX) {
                let event: ChainEvent = journal::read(key, value)?;
                held.insert(event.id(), event);
            }
        }
        let range = settings.max_range.max(1);
        Ok(Self {
            settings,
            journal: Journal::default(),
            cursor,
            ring,
            held,
            step: Step::Idle,
            waiting: false,
            calls: 0,
            synced: false,
            range,
            next_round_ms: 0,
            backoff: Backoff::default(),
            distrust: None,
            head: None,
            last_error: None,
            last_poll_ms: None,
        })
    }

    /// The owner lost track of a command (it was interrupted): the round begins anew.
    pub fn handle_interruption(&mut self) {
        self.step = Step::Idle;
        self.waiting = false;
    }

    /// Begins anew at the first block, for an owner that has lost, or dropped, what it was told: all events are told
    /// of again, and those that are held and not on the chain are undone. That blocks were final is forgotten as well:
    /// what the node says is final in the next round is.
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

    /// What to do now; `None`: nothing before [`Self::poll_timeout`], or before the outcome of the last command.
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

    fn save_cursor(&mut self) {
        self.journal.put(CURSOR_KEY.to_owned(), &self.cursor);
    }

    fn hold(&mut self, event: &ChainEvent) {
        let light = event.without_payload();
        let id = light.id();
        if self.held.get(&id) != Some(&light) {
            self.journal.put(event_key(id), &light);
            self.held.insert(id, light);
        }
    }

    fn release(&mut self, event: &ChainEvent) {
        if self.held.remove(&event.id()).is_some() {
            self.journal.remove(event_key(event.id()));
        }
    }
}

fn event_key((block, log_index, block_hash): EventId) -> String {
    format!("{EVENT_PREFIX}{block:020}/{log_index:010}/{block_hash}")
}
