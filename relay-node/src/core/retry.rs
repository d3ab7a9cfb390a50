//! The one back-off of the relay: how long to wait before a failed request is sent again.

use crate::core::limits::{RETRY_FIRST, RETRY_LONGEST};
use std::time::{Duration, Instant};
use streamchain_protocol::util::{BackoffBounds, SplitMix64};

/// The bounds of a shard's requests to the edge.
const SHARD_REQUESTS: BackoffBounds = BackoffBounds {
    first_ms: RETRY_FIRST.as_millis() as u64,
    max_ms: RETRY_LONGEST.as_millis() as u64,
};

/// Waits that double with each failure in a row, with jitter.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Counts a failure, and returns how long to wait before the next try.
    pub(crate) fn fail(&mut self, bounds: BackoffBounds, jitter: &mut SplitMix64) -> Duration {
        let wait_ms = bounds.jittered_ms(self.failures, jitter.next_bits());
        self.failures = self.failures.saturating_add(1);
        Duration::from_millis(wait_ms)
    }

    /// Starts again with the first wait.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }
}

/// The retries of one request of a shard.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Retry {
    backoff: Backoff,
    at: Option<Instant>,
}

impl Retry {
    /// Plans the next try of a request that failed at `now`.
    pub(crate) fn fail(&mut self, now: Instant, jitter: &mut SplitMix64) {
        self.at = Some(now + self.backoff.fail(SHARD_REQUESTS, jitter));
    }

    /// When the request is to be sent again; `None` while it is under way.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Whether it is time; if so, the request counts as under way.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.at.is_some_and(|at| at <= now);
        if due {
            self.at = None;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_never_all_agree() {
        let (now, mut retry, mut jitter) = (Instant::now(), Retry::default(), SplitMix64::new(1));
        let waits: Vec<_> = (0..12)
            .map(|_| {
                retry.fail(now, &mut jitter);
                retry.at().unwrap() - now
            })
            .collect();
        assert!(waits[0] >= RETRY_FIRST / 2 && waits[0] <= RETRY_FIRST);
        assert!(waits[11] >= RETRY_LONGEST / 2 && waits[11] <= RETRY_LONGEST);
        assert_ne!(waits[10], waits[11]);
        assert!(!retry.is_due(now));
        assert!(retry.is_due(now + RETRY_LONGEST));
        assert!(!retry.is_due(now + RETRY_LONGEST), "it is under way now");
    }

    #[test]
    fn a_success_starts_again_with_the_first_wait() {
        let (mut backoff, mut jitter) = (Backoff::default(), SplitMix64::new(1));
        for _ in 0..9 {
            backoff.fail(SHARD_REQUESTS, &mut jitter);
        }
        assert!(backoff.fail(SHARD_REQUESTS, &mut jitter) > RETRY_FIRST);
        backoff.succeed();
        assert!(backoff.fail(SHARD_REQUESTS, &mut jitter) <= RETRY_FIRST);
    }
}
