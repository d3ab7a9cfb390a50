//! Far behind the head, blocks are read by log queries over ranges, without their headers. Their headers are read afterwards,
//! a few in each pass, and compared with what the queries gave: no events are no evidence there either.

use streamchain_protocol::time::UnixMs;

use super::event::TOPICS;
use super::machine::Listener;
use super::step::Step;
use crate::ethereum::{Answer, Block, BlockId, Request, RpcError};

/// Requests for headers in one pass at most: they cost as much as the log queries that they check, and can wait. So a pass
/// compares 96 headers, more than any chain makes blocks meanwhile.
const MAX_CHECKS_PER_PASS: u32 = 6;
/// Blocks that wait to be read again because of their headers, above which no more headers are read: each may cost the
/// receipts of a whole block, and on a busy chain every fifth header promises events that are not there.
const MAX_DOUBTED: u64 = 32;

impl Listener {
    /// Compares the next headers, or ends the pass.
    pub(super) fn check_or_rest(&mut self, now: UnixMs) {
        let pace = &mut self.check_pace;
        let may_ask = pace.requests < MAX_CHECKS_PER_PASS && pace.rests_until <= now;
        let next = self.unchecked.next(pace.at_once);
        match next.filter(|_| may_ask && self.holes.doubtful_blocks() < MAX_DOUBTED) {
            Some((from, to)) => {
                pace.requests += 1;
                self.step = Step::Check(from, to);
            }
            None => self.rest(now),
        }
    }

    pub(super) fn check_request(from: u64, to: u64) -> Request {
        match from == to {
            true => Request::Block(BlockId::Number(from)),
            false => Request::Blocks(from, to),
        }
    }

    /// Takes in headers. A failure ends the pass and is no fault of it: what was read before stands.
    pub(super) fn handle_check(
        &mut self,
        (from, to): (u64, u64),
        outcome: Result<Answer, RpcError>,
        now: UnixMs,
    ) {
        let blocks = match outcome {
            Ok(Answer::Block(Some(block))) => vec![block],
            Ok(Answer::Blocks(blocks)) => blocks,
            _ => Vec::new(),
        };
        if !self.are_headers(&blocks, from, to) {
            self.check_pace.fail(now);
            return self.rest(now);
        }
        self.check_pace.succeed();
        for block in &blocks {
            let is_promised = block.may_have(self.settings.contract, &TOPICS);
            if is_promised && !self.unchecked.was_seen(block.number) {
                self.holes
                    .add_block(block.number, None, false, now, &mut self.journal);
            }
        }
        self.unchecked.pass(to, &mut self.journal);
        self.check_or_rest(now);
    }

    /// Whether these are the headers of the blocks `from` to `to`: each names the one before it, and no other block is known
    /// at its height.
    fn are_headers(&self, blocks: &[Block], from: u64, to: u64) -> bool {
        let are_linked = blocks
            .array_windows()
            .all(|[one, next]| next.parent_hash == one.hash);
        let is_ours = |block: &Block| {
            let known = self.ring.get(block.number);
            known.is_none_or(|hash| hash == block.hash)
        };
        are_linked && blocks.iter().all(is_ours) && blocks.iter().map(|block| block.number).eq(from..=to)
    }
}
