//! When open batches close: those of all streams of a shard together, so that they go to the edge in one request.
//!
//! What always holds: a batch closes at most one interval after its first message; two closing times are at least one
//! interval apart, so that no stream commits more often than one that is alone.

use std::time::{Duration, Instant};

/// The closing times of one shard.
#[derive(Debug)]
pub(crate) struct CommitClock {
    interval: Duration,
    next: Option<Instant>,
}

impl CommitClock {
    /// A clock whose batches stay open for `interval` at most.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, next: None }
    }

    /// How long a batch stays open at most.
    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// When the batch closes that a message of `now` is in: with those that are open, or an interval from now.
    pub(crate) fn due(&mut self, now: Instant) -> Instant {
        let due = self
            .next
            .filter(|next| *next > now)
            .unwrap_or(now + self.interval);
        self.next = Some(due);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INTERVAL: Duration = Duration::from_millis(50);

    #[test]
    fn messages_of_one_interval_close_together() {
        let start = Instant::now();
        let mut clock = CommitClock::new(INTERVAL);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(clock.due(at(0)), at(50));
        assert_eq!(clock.due(at(49)), at(50));
        assert_eq!(clock.due(at(50)), at(100), "that batch is closed");
        assert_eq!(
            clock.due(at(500)),
            at(550),
            "after a pause the first message waits as long as alone"
        );
    }

    proptest! {
        #[test]
        fn closings_are_an_interval_apart_and_nothing_waits_longer(
            waits in prop::collection::vec(0..120_u64, 1..100),
        ) {
            let (mut now, mut clock) = (Instant::now(), CommitClock::new(INTERVAL));
            let mut last: Option<Instant> = None;
            for wait in waits {
                now += Duration::from_millis(wait);
                let due = clock.due(now);
                prop_assert!(due > now && due <= now + INTERVAL);
                prop_assert!(last.is_none_or(|last| due == last || due >= last + INTERVAL));
                last = Some(due);
            }
        }
    }
}
