//! Whether this relay's lease at the edge may have expired.
//!
//! What always holds: if the edge's lease ran out between two renewals, the second one says so. The edge counts
//! from when a renewal reached it, which is never before it was sent; so the time from the sending of one to the
//! answer to the next is never shorter than what the edge saw.

use crate::core::Now;
use std::time::Duration;
use streamchain_protocol::limits::RELAY_LEASE_MS;

/// The relay's lease at the edge, as the relay sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lease {
    /// When the last renewal that was answered had been sent.
    sent: Option<Now>,
}

impl Lease {
    /// A renewal that was sent at `sent` has been answered at `answered`; whether the lease may have run out since
    /// the one before. By both clocks: one stands still while the machine sleeps, the other may be set.
    pub(crate) fn renewed(&mut self, sent: Now, answered: Now) -> bool {
        let before = self.sent.replace(sent);
        before.is_some_and(|before| {
            let passed = answered.instant.saturating_duration_since(before.instant);
            let wall_ms = answered.unix.since(before.unix);
            passed >= Duration::from_millis(RELAY_LEASE_MS) || wall_ms >= RELAY_LEASE_MS
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use streamchain_protocol::time::UnixMs;

    /// Renewals as (sent, answered) in milliseconds by the monotonic clock, and how far the wall clock is ahead.
    fn lapses(renewals: &[(u64, u64, u64)]) -> Vec<bool> {
        let (start, mut lease) = (Instant::now(), Lease::default());
        let at = |ms, ahead| Now {
            instant: start + Duration::from_millis(ms),
            unix: UnixMs(1_700_000_000_000 + ms + ahead),
        };
        let lapsed =
            |&(sent, answered, ahead): &(u64, u64, u64)| lease.renewed(at(sent, ahead), at(answered, ahead));
        renewals.iter().map(lapsed).collect()
    }

    #[test]
    fn renewals_in_time_keep_the_lease() {
        assert_eq!(
            lapses(&[(0, 90, 0), (2_000, 2_010, 0), (7_000, 9_000, 0)]),
            [false; 3]
        );
    }

    #[test]
    fn a_pause_as_long_as_the_lease_is_noticed_by_a_late_answer() {
        assert_eq!(
            lapses(&[(0, 10, 0), (10_000, 10_010, 0), (12_000, 12_010, 0)]),
            [false, true, false]
        );
        assert_eq!(lapses(&[(0, 10, 0), (9_000, 10_500, 0)]), [false, true]);
    }

    #[test]
    fn a_machine_that_slept_is_noticed_by_the_wall_clock() {
        assert_eq!(lapses(&[(0, 10, 0), (2_000, 2_010, 3_600_000)]), [false, true]);
    }
}
