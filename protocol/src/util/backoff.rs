//! Back-off after failures: the wait doubles with each failure in a row, between two bounds. A success resets it.
//!
//! Pure: the caller adds the wait to its own clock, and hands in the random bits when it wants jitter.

/// Most doublings that are counted: further failures change nothing, and the shift cannot overflow.
const MAX_DOUBLINGS: u32 = 32;

/// The shortest and the longest wait, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffBounds {
    /// The wait after the first failure.
    pub first_ms: u64,
    /// The longest wait.
    pub max_ms: u64,
}

impl BackoffBounds {
    /// Returns the wait after a failure that `failures` others preceded, milliseconds.
    pub const fn wait_ms(self, failures: u32) -> u64 {
        let doublings = if failures < MAX_DOUBLINGS {
            failures
        } else {
            MAX_DOUBLINGS
        };
        let doubled = self.first_ms.saturating_mul(1 << doublings);
        if doubled < self.max_ms {
            doubled
        } else {
            self.max_ms
        }
    }

    /// As [`Self::wait_ms`], but somewhere between half of that wait and all of it, chosen by 64 random `bits`: callers
    /// that failed together do not come back together.
    pub fn jittered_ms(self, failures: u32, bits: u64) -> u64 {
        let longest = self.wait_ms(failures);
        let spread = longest - longest / 2;
        // The upper half of the product maps the bits evenly to 0..=spread.
        let part = (u128::from(bits) * (u128::from(spread) + 1)) >> 64;
        longest / 2 + u64::try_from(part).unwrap_or(spread)
    }
}

/// The failures in a row of one thing that is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    bounds: BackoffBounds,
    failures: u32,
}

impl Backoff {
    /// Starts without failures; the waits are between `first_ms` and `max_ms`.
    pub const fn new(first_ms: u64, max_ms: u64) -> Self {
        let bounds = BackoffBounds { first_ms, max_ms };
        Self { bounds, failures: 0 }
    }

    /// Notes a failure; returns how long to wait, milliseconds.
    pub fn fail(&mut self) -> u64 {
        let wait = self.bounds.wait_ms(self.failures);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// Notes a success.
    pub fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Returns the number of failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_double_up_to_the_longest_until_a_success() {
        let mut backoff = Backoff::new(1_000, 30_000);
        let waits: Vec<u64> = (0..7).map(|_| backoff.fail()).collect();
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(backoff.failures(), 7);
        backoff.succeed();
        assert_eq!((backoff.failures(), backoff.fail()), (0, 1_000));
    }

    #[test]
    fn the_extremes_of_jitter_are_half_the_wait_and_all_of_it() {
        let bounds = BackoffBounds {
            first_ms: 1_001,
            max_ms: 30_000,
        };
        assert_eq!(bounds.jittered_ms(0, 0), 500);
        assert_eq!(bounds.jittered_ms(0, u64::MAX), 1_001);
        assert_ne!(bounds.jittered_ms(3, 1 << 60), bounds.jittered_ms(3, 1 << 62));
    }

    proptest! {
        #[test]
        fn every_wait_is_within_the_bounds(
            first_ms in 1u64..=u64::MAX, max_ms in 1u64..=u64::MAX, failures: u32, bits: u64,
        ) {
            let bounds = BackoffBounds { first_ms, max_ms };
            let wait = bounds.wait_ms(failures);
            prop_assert!(wait >= first_ms.min(max_ms) && wait <= max_ms);
            prop_assert!((wait / 2..=wait).contains(&bounds.jittered_ms(failures, bits)));
        }
    }
}
