//! Back-off after failures: doubling, bounded, reset by success.

/// The wait after the first failure, in ms: a single failure should cost about one polling interval.
const FIRST_WAIT_MS: u64 = 1_000;
/// The longest wait, in ms: a node that is back is noticed within half a minute.
const MAX_WAIT_MS: u64 = 30_000;

/// Counts failures in a row, to wait longer after each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Notes a failure and returns how long to wait, in ms.
    pub(super) fn fail(&mut self) -> u64 {
        let wait = FIRST_WAIT_MS << self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        wait.min(MAX_WAIT_MS)
    }

    /// Notes a success: the next failure is the first again.
    pub(super) fn succeed(&mut self) {
        self.failures = 0;
    }
}
