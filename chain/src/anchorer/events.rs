//! What the listener tells.

use super::Anchorer;
use super::pending::Run;

impl Anchorer {
    /// The chain has this run, in a block that may still be taken back.
    pub fn handle_anchored(&mut self, run: &Run, now_ms: u64) {
        if let Some((_, next)) = self.latest.as_mut().filter(|(stream, _)| *stream == run.stream) {
            *next = run.end().max(*next);
        }
        self.pending.see(run, now_ms);
    }

    /// A reorganisation took this run back: the contract is read again before anything is sent for its stream.
    pub fn handle_reverted(&mut self, run: &Run) {
        self.pending.forget_coverage(&run.stream);
    }

    /// The chain has this run for good: its segments, and all before them, are forgotten.
    pub fn handle_final(&mut self, run: &Run, now_ms: u64) {
        self.pending.see(run, now_ms);
        self.pending.settle(run.stream, run.end(), &mut self.journal);
        if self.pending.held() == 0 && self.flight.is_none() {
            self.succeed(); // whatever went wrong before is over
        }
    }
}
