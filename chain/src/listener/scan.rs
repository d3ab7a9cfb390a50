//! How blocks are read.
//!
//! Near the head: one block at a time, its header by number, then its events as [`BlockReader`] finds them. Further back: ranges by number; the blocks at
//! both ends are asked for again afterwards, so that no reorganisation can have slipped in between.

use alloy_primitives::B256;

use super::event::{Batch, ChainEvent, TOPICS, events_of};
use super::machine::Listener;
use super::reader::{BlockReader, Certainty, Found, Reading};
use super::ring::Mark;
use super::step::{Next, Scan, Step, View};
use crate::ethereum::{Answer, Block, BlockId, Log, LogBlocks, Request, RpcError};
use streamchain_protocol::time::UnixMs;

/// The newest blocks, which are read one by one: nodes behind one address often differ by a few.
const BY_HASH_WINDOW: u64 = 8;

/// Log queries that fail in a row for a reason that is not theirs, as the node says, after which they are made smaller.
const MAX_RANGE_FAILURES: u32 = 3;
/// Transactions remembered whose events were seen: one's own are asked about within seconds.
const MAX_RECENT: usize = 1_024;

/// Streams remembered whose events were seen, the newest: they are asked for by name where a block can't be read whole.
const MAX_KNOWN_STREAMS: usize = 256;

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
            Scan::Block(reader) => reader.request(),
            Scan::RangeLogs(end) => logs(LogBlocks::Range(self.cursor.next, end.number)),
            Scan::Confirm(mark, _) | Scan::ConfirmBefore(mark, ..) => {
                Request::Block(BlockId::Number(mark.number))
            }
        }
    }

    /// Reads the next blocks, or ends the pass.
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
        self.step = if next <= quiet_to && self.range > 1 {
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
            (Scan::Block(reader), outcome) => self.handle_reading(view, reader.handle(outcome), now),
            (Scan::RangeLogs(end), Err(error)) => self.handle_range_error(view, end, error, now),
            (_, Err(error)) => self.fail(error.to_string(), now),
            (_, Ok(Answer::Block(None))) => self.fail(gone.into(), now),
            (Scan::Header(number), Ok(Answer::Block(Some(block)))) if block.number == number => {
                self.handle_header(view, block, now);
            }
            (Scan::RangeEnd(number), Ok(Answer::Block(Some(block)))) if block.number == number => {
                self.step = Step::Scan(view, Scan::RangeLogs(Mark::from(&block)));
            }
            (Scan::RangeLogs(end), Ok(Answer::Logs(logs))) => {
                self.widen();
                (self.range_answered, self.range_failures) = (true, 0);
                self.step = Step::Scan(view, Scan::Confirm(end, logs));
            }
            (Scan::Confirm(end, logs), Ok(Answer::Block(Some(block)))) => {
                if Mark::from(&block) != end {
                    return self.fail(gone.into(), now);
                }
                match self.ring.last() {
                    Some(before) => self.step = Step::Scan(view, Scan::ConfirmBefore(before, end, logs)),
                    None => self.read_logs(view, end, &logs, now),
                }
            }
            (Scan::ConfirmBefore(before, end, logs), Ok(Answer::Block(Some(block)))) => {
                match Mark::from(&block) == before {
                    true => self.read_logs(view, end, &logs, now),
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
            // A reorganisation since the pass began: the next pass finds the fork.
            return self.rest(now);
        }
        let mark = Mark::from(&block);
        let unfinished = self.reading.take().filter(|reader| reader.mark() == mark);
        let reader = unfinished.unwrap_or_else(|| {
            let expected = self.mined.in_block(mark);
            let reader = BlockReader::new(&block, self.settings.contract, expected)
                .with_streams(self.streams.iter().copied().collect());
            Box::new(if self.is_in_parts {
                reader.in_parts()
            } else {
                reader
            })
        });
        self.step = Step::Scan(view, Scan::Block(reader));
    }

    fn handle_reading(&mut self, view: View, reading: Reading, now: UnixMs) {
        match reading {
            Reading::Ask(reader) => self.step = Step::Scan(view, Scan::Block(reader)),
            Reading::Later(reader, reason) => {
                self.reading = Some(reader);
                self.fail(reason, now);
            }
            Reading::Untrue(reader, reason) => {
                self.reading = Some(reader);
                self.reject_node(reason.into(), now);
            }
            Reading::Done(found) => self.read_block(view, found, now),
        }
    }

    /// Takes in what one block has. What is missing is noted before the cursor passes the block.
    fn read_block(&mut self, view: View, found: Found, now: UnixMs) {
        let number = found.mark.number;
        self.holes
            .cut_above(Some(number.saturating_sub(1)), &mut self.journal);
        match found.certainty {
            Certainty::Certain => {}
            Certainty::Doubtful => self.holes.add_block(number, None, false, now, &mut self.journal),
            Certainty::Missing(reason) => {
                let is_seen = |tx: &B256| found.events.iter().any(|event| event.tx == *tx);
                let is_owed = !self.mined.in_block(found.mark).iter().all(is_seen);
                self.holes
                    .add_block(number, Some(reason), is_owed, now, &mut self.journal);
            }
        }
        self.is_in_parts = found.is_in_parts;
        if self.range == 1 && !self.is_in_parts {
            self.widen();
        }
        self.take_events(view, found.mark, found.events, now);
    }

    /// The log query over a range failed. What fails again and again is asked for in smaller parts, whatever is said: in
    /// the end block by block. Where it is sure that less helps, there is no wait before that.
    fn handle_range_error(&mut self, view: View, end: Mark, error: RpcError, now: UnixMs) {
        let asked = end.number - self.cursor.next + 1;
        if error.is_of_whole_node() || error.is_rate_limited() {
            self.range_failures += 1;
            if self.range_failures >= MAX_RANGE_FAILURES {
                self.range = (asked / 4).max(1);
            }
            return self.fail(error.to_string(), now);
        }
        // The range had just grown, and the smaller one before was answered.
        let was_answered = std::mem::take(&mut self.range_answered);
        if error.asks_for_less() || was_answered {
            self.range = (asked / 2).max(1);
            return self.scan_on(view, now);
        }
        self.range = (asked / 4).max(1);
        self.fail(error.to_string(), now);
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
    fn read_logs(&mut self, view: View, to: Mark, logs: &[Log], now: UnixMs) {
        let blocks = self.cursor.next..=to.number;
        let seen = match events_of(self.settings.contract, blocks, Some(to), logs) {
            Ok(seen) => seen,
            Err(reason) => {
                self.range = (self.range / 4).max(1);
                return self.reject_node(reason.into(), now);
            }
        };
        let from = self.cursor.next.saturating_sub(1);
        self.holes.cut_above(Some(from), &mut self.journal);
        for (mark, tx) in self.mined.up_to(to.number) {
            if !seen.iter().any(|event| event.tx == tx) {
                self.miss(mark.number, now);
            }
        }
        let with_events = seen.iter().map(|event| event.block).collect();
        self.unchecked
            .add(self.cursor.next, to.number, with_events, &mut self.journal);
        self.take_events(view, to, seen, now);
    }

    /// Has the events of all blocks from the cursor to `to` carried out.
    fn take_events(&mut self, view: View, to: Mark, seen: Vec<ChainEvent>, now: UnixMs) {
        let final_to = view.finalized.map(|mark| mark.number);
        // Events of an interrupted pass that are not on the chain any more.
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
        self.remember(&batch.seen);
        // These are saved before they are in a batch. What is final cannot be taken back.
        for event in batch.seen.iter().filter(|event| !batch.is_final(event)) {
            self.hold(event);
        }
        match batch.is_empty() {
            true => self.pass(view, to, now),
            false => self.step = Step::Apply(batch, Next::Scanned(view, to)),
        }
    }

    /// Notes which transactions were seen, and of which streams.
    fn remember(&mut self, seen: &[ChainEvent]) {
        for event in seen {
            self.streams.retain(|known| *known != event.stream);
            self.streams.push_back(event.stream);
        }
        let surplus = self.streams.len().saturating_sub(MAX_KNOWN_STREAMS);
        self.streams.drain(..surplus);
        self.recent.extend(seen.iter().map(|event| event.tx));
        let surplus = self.recent.len().saturating_sub(MAX_RECENT);
        self.recent.drain(..surplus);
    }

    /// Moves the cursor: the events of all blocks up to `to` are carried out.
    pub(super) fn pass(&mut self, view: View, to: Mark, now: UnixMs) {
        self.backoff.succeed();
        self.cursor.next = to.number + 1;
        self.mined.settle(to.number, &mut self.journal);
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
