//! How blocks are read.
//!
//! Near the head: one block at a time, its header by number, then its logs by its hash; a node that does not know
//! the block answers with an error, so an empty list means no events. Further back: ranges by number; the blocks at
//! both ends are asked for again afterwards, so that no reorganisation can have slipped in between.

use alloy_primitives::B256;

use super::event::{Batch, ChainEvent, TOPICS};
use super::machine::Listener;
use super::ring::Mark;
use super::step::{Next, Scan, Step, View};
use crate::ethereum::{Answer, Block, BlockId, Log, LogBlocks, Request, RpcError};
use streamchain_protocol::time::UnixMs;

/// The newest blocks, which are read one by one: nodes behind one address often differ by a few.
const BY_HASH_WINDOW: u64 = 8;

/// Events kept at most that are not final: about 30 MB. Above it, reading waits for finality.
const MAX_HELD_EVENTS: usize = 100_000;

impl Listener {
    pub(super) fn scan_request(&self, scan: &Scan) -> Request {
        let logs = |blocks| Request::Logs {
            address: self.settings.contract,
            topics: TOPICS.to_vec(),
            streams: Vec::new(),
            blocks,
        };
        match scan {
            Scan::Header(number) | Scan::RangeEnd(number) => Request::Block(BlockId::Number(*number)),
            Scan::LogsOf(mark) => logs(LogBlocks::Hash(mark.hash)),
            Scan::RangeLogs(end) => logs(LogBlocks::Range(self.cursor.next, end.number)),
            Scan::Confirm(mark, _) | Scan::ConfirmBefore(mark, ..) => {
                Request::Block(BlockId::Number(mark.number))
            }
        }
    }

    /// Reads the next blocks, or ends the round.
    pub(super) fn scan_on(&mut self, view: View, now: UnixMs) {
        let (next, head) = (self.cursor.next, view.head.number);
        if next > head {
            // What is still in doubt lies above the head: it is not on this chain.
            if !self.undo_doubtful() {
                self.finalize(view, now);
            }
            return;
        }
        if self.is_full() {
            return self.finalize(view, now);
        }
        let quiet_to = head.saturating_sub(BY_HASH_WINDOW);
        self.step = if next <= quiet_to {
            let end = quiet_to.min(next.saturating_add(self.range - 1));
            Step::Scan(view, Scan::RangeEnd(end))
        } else if next == head {
            let block = view.head.clone();
            return self.handle_header(view, block, now);
        } else {
            Step::Scan(view, Scan::Header(next))
        };
    }

    pub(super) fn handle_scan(
        &mut self,
        view: View,
        scan: Scan,
        outcome: Result<Answer, RpcError>,
        now: UnixMs,
    ) {
        let gone = "a block went away while it was read";
        match (scan, outcome) {
            (Scan::RangeLogs(end), Err(error)) => self.handle_range_error(view, end, error, now),
            (_, Err(error)) => self.fail(error.to_string(), now),
            (_, Ok(Answer::Block(None))) => self.fail(gone.into(), now),
            (Scan::Header(number), Ok(Answer::Block(Some(block)))) if block.number == number => {
                self.handle_header(view, block, now);
            }
            (Scan::LogsOf(mark), Ok(Answer::Logs(logs))) => self.read_logs(view, mark, logs, now),
            (Scan::RangeEnd(number), Ok(Answer::Block(Some(block)))) if block.number == number => {
                self.step = Step::Scan(view, Scan::RangeLogs(Mark::from(&block)));
            }
            (Scan::RangeLogs(end), Ok(Answer::Logs(logs))) => {
                self.widen();
                self.step = Step::Scan(view, Scan::Confirm(end, logs));
            }
            (Scan::Confirm(end, logs), Ok(Answer::Block(Some(block)))) => {
                if Mark::from(&block) != end {
                    return self.fail(gone.into(), now);
                }
                match self.ring.last() {
                    Some(before) => self.step = Step::Scan(view, Scan::ConfirmBefore(before, end, logs)),
                    None => self.read_logs(view, end, logs, now),
                }
            }
            (Scan::ConfirmBefore(before, end, logs), Ok(Answer::Block(Some(block)))) => {
                match Mark::from(&block) == before {
                    true => self.read_logs(view, end, logs, now),
                    false => self.fail(gone.into(), now),
                }
            }
            (_, Ok(_)) => self.reject_node("the answer belongs to another question".into(), now),
        }
    }

    fn handle_header(&mut self, view: View, block: Block, now: UnixMs) {
        let linked = self
            .ring
            .last()
            .is_none_or(|last| last.number + 1 != block.number || last.hash == block.parent_hash);
        if !linked {
            // A reorganisation since the round began: the next round finds the fork.
            return self.rest(now);
        }
        self.step = Step::Scan(view, Scan::LogsOf(Mark::from(&block)));
    }

    fn handle_range_error(&mut self, view: View, end: Mark, error: RpcError, now: UnixMs) {
        let asked = end.number - self.cursor.next + 1;
        let smaller_helps = error.asks_for_less() || matches!(error, RpcError::Timeout(_));
        if !smaller_helps || asked <= 1 {
            return self.fail(error.to_string(), now);
        }
        self.range = (asked / 2).max(1);
        self.scan_on(view, now);
    }

    /// Asks for a little more next time, after a range that the node answered. The range grows slowly, so that a provider
    /// with a fixed limit refuses about one query in six.
    fn widen(&mut self) {
        self.range = (self.range + self.range / 8 + 1).min(self.settings.max_range.max(1));
    }

    pub(super) fn is_full(&self) -> bool {
        self.held.len() >= MAX_HELD_EVENTS
    }

    /// Takes in the logs of all blocks from the cursor to `to`.
    fn read_logs(&mut self, view: View, to: Mark, logs: Vec<Log>, now: UnixMs) {
        let seen = match self.checked(to, logs) {
            Ok(seen) => seen,
            Err(reason) => return self.reject_node(reason.into(), now),
        };
        let final_to = view.finalized.map(|mark| mark.number);
        // Events of an interrupted round that are not on the chain any more.
        let undone: Vec<ChainEvent> = self
            .doubtful()
            .take_while(|event| event.block <= to.number)
            .filter(|held| !seen.iter().any(|event| event.id() == held.id()))
            .cloned()
            .collect();
        let batch = Batch {
            undone,
            seen,
            finalized: Vec::new(),
            final_to,
        };
        // These are saved before they are in a batch. What is final cannot be taken back.
        for event in batch.seen.iter().filter(|event| !batch.is_final(event)) {
            self.hold(event);
        }
        match batch.is_empty() {
            true => self.pass(view, to, now),
            false => self.step = Step::Apply(batch, Next::Scanned(view, to)),
        }
    }

    /// Returns the logs as events in the order of the chain, or why they cannot be true.
    fn checked(&self, to: Mark, logs: Vec<Log>) -> Result<Vec<ChainEvent>, &'static str> {
        let blocks = self.cursor.next..=to.number;
        let mut events = Vec::with_capacity(logs.len());
        let mut hash_of: Option<(u64, B256)> = None;
        for log in &logs {
            if log.address != self.settings.contract || log.removed || !blocks.contains(&log.block_number) {
                return Err("it gives logs that were not asked for");
            }
            if log.block_number == to.number && log.block_hash != to.hash {
                return Err("it gives logs of another block");
            }
            if hash_of.is_some_and(|(number, hash)| number == log.block_number && hash != log.block_hash) {
                return Err("it gives logs of two blocks with one height");
            }
            hash_of = Some((log.block_number, log.block_hash));
            events.push(ChainEvent::decode(log).ok_or("it gives logs that the contract cannot emit")?);
        }
        events.sort_by_key(ChainEvent::id);
        let place = |event: &ChainEvent| (event.block, event.log_index);
        let mut pairs = events.iter().zip(events.iter().skip(1));
        match pairs.any(|(one, next)| place(one) == place(next)) {
            true => Err("it gives two logs with one place"),
            false => Ok(events),
        }
    }

    /// Moves the cursor: the events of all blocks up to `to` are carried out.
    pub(super) fn pass(&mut self, view: View, to: Mark, now: UnixMs) {
        self.cursor.next = to.number + 1;
        match view.finalized {
            Some(finalized) if finalized.number >= to.number => self.settle(to),
            _ => {
                self.ring.push(to, &mut self.journal);
                self.save_cursor();
            }
        }
        self.scan_on(view, now);
    }
}
