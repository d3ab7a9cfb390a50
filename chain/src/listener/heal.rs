//! What is missing is read again, when a pass has nothing else to do.

use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::time::UnixMs;

use super::event::{Batch, ChainEvent, EventKind, TOPICS, events_of};
use super::holes::HoleKey;
use super::machine::Listener;
use super::reader::{BlockReader, Certainty, Found, Reading};
use super::ring::Mark;
use super::step::{Heal, Mend, Next, Step};
use crate::ethereum::{Answer, Block, BlockId, LogBlocks, Request, RpcError};

impl Listener {
    /// A transaction of ours is in this block, as its receipt says: it has an event there.
    pub fn handle_mined(
        &mut self,
        block: u64,
        block_hash: alloy_primitives::B256,
        tx: alloy_primitives::B256,
        now: UnixMs,
    ) {
        let mark = Mark {
            number: block,
            hash: block_hash,
        };
        if block >= self.cursor.next {
            return self.mined.add(mark, tx, &mut self.journal);
        }
        let is_held = self
            .held
            .values()
            .any(|event| event.tx == tx && event.block_hash == block_hash);
        let is_gone = self.ring.get(block).is_some_and(|hash| hash != block_hash);
        if !is_held && !is_gone && !self.recent.contains(&tx) {
            self.miss(block, now);
        }
    }

    /// An anchor of a stream was seen whose predecessor was not: the one over the message `missing` lies in one of these
    /// blocks.
    pub fn handle_missing(&mut self, stream: StreamId, missing: Seq, from: u64, to: u64, now: UnixMs) {
        let from = from.max(self.settings.start_block);
        let to = to.min(self.cursor.next.saturating_sub(1));
        if from <= to {
            self.holes
                .add_anchor((stream, missing), from..=to, now, &mut self.journal);
        }
    }

    /// A block lacks an event that is there by a receipt.
    pub(super) fn miss(&mut self, block: u64, now: UnixMs) {
        let reason = "a transaction of this account has an event there that no log query gave";
        self.holes
            .add_block(block, Some(reason.into()), true, now, &mut self.journal);
    }

    /// Begins to read a hole again, or goes on with the headers.
    pub(super) fn heal_or_check(&mut self, now: UnixMs) {
        let next = self.cursor.next;
        let Some(hole) = self.holes.due(now).filter(|hole| hole.to < next) else {
            return self.check_or_rest(now);
        };
        let key = hole.key();
        self.step = Step::Heal(match hole.anchor {
            None => Heal::Header(key),
            Some(_) => Heal::Anchors(
                key,
                hole.from,
                hole.to.min(hole.from.saturating_add(self.hole_range - 1)),
            ),
        });
    }

    pub(super) fn heal_request(&self, heal: &Heal) -> Request {
        match heal {
            Heal::Header((from, _)) => Request::Block(BlockId::Number(*from)),
            Heal::Block(_, reader) => reader.request(),
            Heal::Anchors((_, stream), from, to) => Request::Logs {
                address: self.settings.contract,
                topics: TOPICS.first().copied().into_iter().collect(),
                streams: stream.iter().copied().collect(),
                blocks: LogBlocks::Range(*from, *to),
            },
        }
    }

    pub(super) fn handle_heal(&mut self, heal: Heal, outcome: Result<Answer, RpcError>, now: UnixMs) {
        match (heal, outcome) {
            (_, Err(error)) if error.is_of_whole_node() || error.is_rate_limited() => {
                self.fail(error.to_string(), now);
            }
            (Heal::Header(key), Ok(Answer::Block(Some(block)))) if block.number == key.0 => {
                self.heal_block(key, &block, now);
            }
            (Heal::Block(key, reader), outcome) => {
                self.handle_reading_again(key, reader.handle(outcome), now)
            }
            (Heal::Anchors(key, from, to), Ok(Answer::Logs(logs))) => {
                match events_of(self.settings.contract, from..=to, None, &logs) {
                    Ok(events) => self.take_anchors(key, to, events, now),
                    Err(reason) => {
                        self.holes
                            .postpone(key, reason.into(), true, now, &mut self.journal);
                        self.reject_node(reason.into(), now);
                    }
                }
            }
            (Heal::Anchors(key, from, to), Err(error)) => {
                self.hole_range = ((to - from) / 4).max(1);
                self.mend(key, Mend::Again(error.to_string(), true), now);
            }
            (Heal::Header(key), Err(error)) => self.mend(key, Mend::Again(error.to_string(), false), now),
            (Heal::Header(key) | Heal::Anchors(key, ..), Ok(_)) => {
                self.mend(key, Mend::Again("no node gives the block".into(), false), now);
            }
        }
    }

    fn heal_block(&mut self, key: HoleKey, block: &Block, now: UnixMs) {
        let mark = Mark::from(block);
        if self.ring.get(mark.number).is_some_and(|hash| hash != mark.hash) {
            return self.rest(now); // the next pass finds the fork
        }
        let is_thorough = self.holes.get(key).is_some_and(|hole| hole.is_thorough);
        let unfinished = self.healing.take().filter(|reader| reader.mark() == mark);
        let reader = unfinished.unwrap_or_else(|| {
            let reader = BlockReader::new(block, self.settings.contract, self.mined.in_block(mark));
            Box::new(if is_thorough { reader.thorough() } else { reader })
        });
        self.step = Step::Heal(Heal::Block(key, reader));
    }

    fn handle_reading_again(&mut self, key: HoleKey, reading: Reading, now: UnixMs) {
        match reading {
            Reading::Ask(reader) => self.step = Step::Heal(Heal::Block(key, reader)),
            Reading::Later(reader, reason) => {
                self.healing = Some(reader);
                self.mend(key, Mend::Again(reason, false), now);
            }
            Reading::Untrue(_, reason) => {
                self.holes
                    .postpone(key, reason.into(), false, now, &mut self.journal);
                self.reject_node(reason.into(), now);
            }
            Reading::Done(Found {
                mark,
                events,
                certainty,
                ..
            }) => {
                let mend = match certainty {
                    Certainty::Certain => Mend::Read(mark.number),
                    Certainty::Doubtful => Mend::Again("the block's header promises events".into(), false),
                    Certainty::Missing(reason) => Mend::Again(reason, true),
                };
                self.apply_found(key, events, mend, now);
            }
        }
    }

    fn take_anchors(&mut self, key: HoleKey, to: u64, events: Vec<ChainEvent>, now: UnixMs) {
        let Some(hole) = self.holes.get(key).cloned() else {
            return self.rest(now);
        };
        let covers = |event: &ChainEvent| match (&event.kind, hole.anchor) {
            (EventKind::Anchored { first, count, .. }, Some((stream, missing))) => {
                let end = first.0.saturating_add((*count).into());
                event.stream == stream && (first.0..end).contains(&missing.0)
            }
            _ => false,
        };
        if events.iter().any(covers) {
            return self.apply_found(key, events, Mend::Read(hole.to), now);
        }
        if to < hole.to {
            let end = hole.to.min(to.saturating_add(self.hole_range));
            self.step = Step::Heal(Heal::Anchors(key, to + 1, end));
            return;
        }
        self.mend(key, Mend::Again("no node gives the anchor".into(), true), now);
    }

    fn apply_found(&mut self, key: HoleKey, seen: Vec<ChainEvent>, mend: Mend, now: UnixMs) {
        let batch = Batch {
            seen,
            final_to: self.cursor.finalized.map(|mark| mark.number),
            ..Batch::default()
        };
        for event in batch.seen.iter().filter(|event| !batch.is_final(event)) {
            self.hold(event);
        }
        match batch.is_empty() {
            true => self.mend(key, mend, now),
            false => self.step = Step::Apply(batch, Next::Mended(key, mend)),
        }
    }

    /// Notes what became of a hole; the pass is over, and the next hole that is due is read at once.
    pub(super) fn mend(&mut self, key: HoleKey, mend: Mend, now: UnixMs) {
        match mend {
            Mend::Read(to) => self.holes.shrink(key, to, now, &mut self.journal),
            Mend::Again(reason, is_certain) => {
                self.holes
                    .postpone(key, reason, is_certain, now, &mut self.journal);
            }
        }
        self.rest(now);
        if self.holes.due(now).is_some() {
            self.next_round = now;
        }
    }
}
