//! The state of the machine, and the changes that all of its steps share.

use std::collections::{BTreeMap, VecDeque};

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use super::event::{ChainEvent, EventId};
use super::holes::{self, Gap, Holes};
use super::mined::{self, Mined};
use super::reader::BlockReader;
use super::ring::{self, Mark, Ring};
use super::status::Status;
use super::step::Step;
use super::unchecked::{self, Pace, Unchecked};
use crate::backoff::node_backoff;
use crate::journal::{self, Journal, RestoreError};
use streamchain_protocol::ids::StreamId;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::Backoff;

const CURSOR_KEY: &str = "cursor";
const EVENT_PREFIX: &str = "event/";

/// What does not change while the machine runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The chain's id, for the status.
    pub chain_id: u64,
    /// The address of the StreamChain contract.
    pub contract: Address,
    /// The block in which the contract was deployed: nothing is read before it.
    pub start_block: u64,
    /// The pause between passes, in ms.
    pub interval_ms: u64,
    /// Blocks asked for by one log query at most; halved whenever a node says that it is too many.
    pub max_range: u64,
    /// So many blocks behind the newest one the chain counts as final; `None` where it names its finalized block.
    pub finality_depth: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The next block to read.
    pub(super) next: u64,
    /// The newest finalized block that we have read past.
    pub(super) finalized: Option<Mark>,
}

/// The machine that follows the contract; the module's text says what always holds.
#[derive(Debug)]
pub struct Listener {
    pub(super) settings: Settings,
    pub(super) journal: Journal,
    pub(super) cursor: Cursor,
    pub(super) ring: Ring,
    /// The events that are not final.
    pub(super) held: BTreeMap<EventId, ChainEvent>,
    pub(super) step: Step,
    pub(super) waiting: bool,
    pub(super) calls: u32,
    /// Whether the node has said, since the last failure, that it is not syncing.
    pub(super) synced: bool,
    /// Blocks asked for by the next log query.
    pub(super) range: u64,
    /// Whether the last log query over a range was answered.
    pub(super) range_answered: bool,
    /// Log queries over a range that failed in a row, for a reason that is not theirs.
    pub(super) range_failures: u32,
    /// Whether the last block could not be read as a whole.
    pub(super) is_in_parts: bool,
    /// A block that is read in parts, or that failed.
    pub(super) reading: Option<Box<BlockReader>>,
    /// What is missing.
    pub(super) holes: Holes,
    /// A block of a hole that is read in parts.
    pub(super) healing: Option<Box<BlockReader>>,
    /// Blocks asked for by the next log query for a hole.
    pub(super) hole_range: u64,
    /// Blocks that were read in ranges, and whose headers are yet to be compared.
    pub(super) unchecked: Unchecked,
    pub(super) check_pace: Pace,
    /// Transactions of our own in blocks that are yet to be read.
    pub(super) mined: Mined,
    /// Transactions whose events were seen lately. They are not saved.
    pub(super) recent: VecDeque<B256>,
    /// Streams whose events were seen lately, each once. They are not saved.
    pub(super) streams: VecDeque<StreamId>,
    pub(super) next_round: UnixMs,
    pub(super) backoff: Backoff,
    pub(super) distrust: Option<String>,
    pub(super) head: Option<Mark>,
    pub(super) last_error: Option<String>,
    pub(super) last_poll: Option<UnixMs>,
}

impl Listener {
    /// Makes a machine with the state that was saved; without rows, a new one.
    pub fn restore<'a>(
        settings: Settings,
        rows: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RestoreError> {
        let mut cursor = Cursor {
            next: settings.start_block,
            finalized: None,
        };
        let mut ring = Ring::default();
        let (mut holes, mut mined) = (Holes::default(), Mined::default());
        let mut unchecked = Unchecked::default();
        let mut held = BTreeMap::new();
        for (key, value) in rows {
            if key == CURSOR_KEY {
                cursor = journal::read(key, value)?;
            } else if let Some(number) = key.strip_prefix(ring::PREFIX) {
                ring.restore(journal::read_key_part(key, number)?, journal::read(key, value)?);
            } else if key.starts_with(holes::PREFIX) {
                holes.restore(key, value)?;
            } else if let Some(from) = key.strip_prefix(unchecked::PREFIX) {
                unchecked.restore(journal::read_key_part(key, from)?, value, key)?;
            } else if key.starts_with(mined::PREFIX) {
                mined.restore(key, value)?;
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
            range_answered: false,
            range_failures: 0,
            is_in_parts: false,
            reading: None,
            holes,
            healing: None,
            hole_range: range,
            unchecked,
            check_pace: Pace::new(),
            mined,
            recent: VecDeque::new(),
            streams: VecDeque::new(),
            next_round: UnixMs(0),
            backoff: node_backoff(),
            distrust: None,
            head: None,
            last_error: None,
            last_poll: None,
        })
    }

    pub(super) fn save_cursor(&mut self) {
        self.journal.put(CURSOR_KEY.to_owned(), &self.cursor);
    }

    pub(super) fn hold(&mut self, event: &ChainEvent) {
        let light = event.without_payload();
        let id = light.id();
        if self.held.get(&id) != Some(&light) {
            self.journal.put(event_key(id), &light);
            self.held.insert(id, light);
        }
    }

    pub(super) fn release(&mut self, event: &ChainEvent) {
        if self.held.remove(&event.id()).is_some() {
            self.journal.remove(event_key(event.id()));
        }
    }

    pub(super) fn rest(&mut self, now: UnixMs) {
        self.step = Step::Idle;
        self.next_round = now.plus_ms(self.settings.interval_ms);
    }

    /// The node's answer cannot be true: nothing changes until a node answers better.
    pub(super) fn reject_node(&mut self, reason: String, now: UnixMs) {
        self.synced = false;
        self.fail(format!("RPC node rejected: {reason}"), now);
        self.distrust = Some(reason);
    }

    pub(super) fn fail(&mut self, reason: String, now: UnixMs) {
        self.last_error = Some(reason);
        self.step = Step::Idle;
        self.next_round = now.plus_ms(self.backoff.fail().max(self.settings.interval_ms));
    }

    /// Whether the chain is read: the last pass went well.
    pub fn is_reached(&self) -> bool {
        self.last_error.is_none() && self.head.is_some()
    }

    /// The state of the machine, for people.
    pub fn status(&self) -> Status {
        let head = self.head.map(|head| head.number);
        let (gaps, doubtful_blocks) = self.holes.shown();
        let missing = gaps.first().map(|gap| {
            let Gap { from, to, reason, .. } = gap;
            format!("events of the blocks {from} to {to} are missing: {reason}")
        });
        Status {
            ok: self.is_reached() && gaps.is_empty(),
            id: self.settings.chain_id,
            head,
            finalized: self.cursor.finalized.map(|mark| mark.number),
            cursor: self.cursor.next,
            lag: head.map_or(0, |head| (head + 1).saturating_sub(self.cursor.next)),
            held_events: self.held.len(),
            error: self.last_error.clone().or(missing),
            gaps,
            doubtful_blocks,
            unchecked_blocks: self.unchecked.blocks(),
            last_poll: self.last_poll,
        }
    }
}

fn event_key((block, log_index, block_hash): EventId) -> String {
    format!("{EVENT_PREFIX}{block:020}/{log_index:010}/{block_hash}")
}
