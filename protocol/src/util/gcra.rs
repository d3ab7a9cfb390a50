//! Rate limits: the generic cell rate algorithm (a token bucket in one number), for one key or for many.
//!
//! What always holds: within any span of time, no key gets more than its quota's amount at once plus what the quota
//! refills in that span; memory is bounded, whatever keys come. Time is an argument.

use crate::time::UnixMs;
use std::collections::HashMap;
use std::hash::Hash;

/// Nanoseconds in a millisecond.
const NS_PER_MS: u64 = 1_000_000;

/// How much may pass: `amount` at once at most, and as much again in each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Units (requests, messages, bytes); 0 stands for no limit.
    pub amount: u32,
    /// In how many milliseconds an empty bucket fills again.
    pub window_ms: u32,
}

impl Quota {
    /// No limit.
    pub const NONE: Self = Self::new(0, 1);

    /// `amount` in each `window_ms`.
    pub const fn new(amount: u32, window_ms: u32) -> Self {
        Self { amount, window_ms }
    }

    /// Returns whether the quota limits anything.
    pub const fn limits(self) -> bool {
        self.amount > 0
    }

    /// Returns how long `cost` units take to come back, nanoseconds.
    const fn time_of(self, cost: u64) -> u64 {
        (self.window_ms as u64 * NS_PER_MS).saturating_mul(cost) / self.amount as u64
    }
}

/// The answer to units that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Units that may still pass now.
    pub remaining: u32,
    /// When the bucket is full again, milliseconds from now, rounded up.
    pub reset_ms: u64,
}

/// The answer to units that did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// When it may be tried again, milliseconds from now, rounded up.
    pub retry_ms: u64,
}

/// One key's bucket: when it will be full. What lies in the past is full, so a fresh bucket is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    full_at_ns: u64,
}

impl Bucket {
    /// Takes `cost` units at `now_ns`, all or none. A cost above the whole quota passes when the bucket is full.
    pub fn take(&mut self, quota: Quota, cost: u64, now_ns: u64) -> Result<Passed, Exceeded> {
        if !quota.limits() {
            return Ok(Passed {
                remaining: u32::MAX,
                reset_ms: 0,
            });
        }
        let window = quota.time_of(u64::from(quota.amount));
        // A clock that was set back must not make anybody wait longer than a window.
        let full_at = self.full_at_ns.clamp(now_ns, now_ns.saturating_add(window));
        let taken = quota.time_of(cost.min(u64::from(quota.amount)));
        let after = full_at.saturating_add(taken);
        let debt = after - now_ns;
        if debt > window {
            return Err(Exceeded {
                retry_ms: (debt - window).div_ceil(NS_PER_MS),
            });
        }
        self.full_at_ns = after;
        let left = u128::from(window - debt) * u128::from(quota.amount) / u128::from(window);
        Ok(Passed {
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            reset_ms: debt.div_ceil(NS_PER_MS),
        })
    }

    /// Returns whether the bucket is full, and so the same as a fresh one.
    pub fn is_full(self, now_ns: u64) -> bool {
        self.full_at_ns <= now_ns
    }
}

/// Buckets of many keys, in bounded memory.
///
/// Full buckets are forgotten. When all places hold buckets that are not full, further keys share one bucket: a flood
/// of keys can't take memory, and can't pass the limit by numbers.
#[derive(Debug)]
pub struct Meter<K> {
    buckets: HashMap<K, Bucket>,
    shared: Bucket,
    places: usize,
    swept_ns: u64,
}

/// A full table is looked through for full buckets this often at most, nanoseconds: a second.
const SWEEP_INTERVAL_NS: u64 = 1_000 * NS_PER_MS;

impl<K: Hash + Eq> Meter<K> {
    /// Returns a meter that remembers `places` keys at most.
    pub fn new(places: usize) -> Self {
        Self {
            buckets: HashMap::new(),
            shared: Bucket::default(),
            places,
            swept_ns: 0,
        }
    }

    /// Returns how many keys are remembered.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Returns whether `key` would share a bucket with others: as many keys are remembered as may be, and it is not one.
    pub fn is_shared(&self, key: &K) -> bool {
        self.buckets.len() >= self.places && !self.buckets.contains_key(key)
    }

    /// Returns whether no key is remembered.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Takes `cost` units of `key` at `now`.
    pub fn take(&mut self, key: K, quota: Quota, cost: u64, now: UnixMs) -> Result<Passed, Exceeded> {
        let now_ns = now.0.saturating_mul(NS_PER_MS);
        let is_crowded = self.buckets.len() >= self.places;
        if is_crowded && now_ns.saturating_sub(self.swept_ns) >= SWEEP_INTERVAL_NS {
            self.swept_ns = now_ns;
            self.buckets.retain(|_, bucket| !bucket.is_full(now_ns));
        }
        let has_room = self.buckets.len() < self.places;
        let bucket = match self.buckets.contains_key(&key) || has_room {
            true => self.buckets.entry(key).or_default(),
            false => &mut self.shared,
        };
        bucket.take(quota, cost, now_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten in a second.
    const TEN: Quota = Quota::new(10, 1_000);

    fn ns(ms: u64) -> u64 {
        ms * NS_PER_MS
    }

    #[test]
    fn a_burst_passes_and_then_one_for_each_that_came_back() {
        let mut bucket = Bucket::default();
        let burst = (0..10).map(|_| bucket.take(TEN, 1, ns(0)).unwrap().remaining);
        assert_eq!(burst.collect::<Vec<_>>(), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(bucket.take(TEN, 1, ns(0)), Err(Exceeded { retry_ms: 100 }));
        assert_eq!(bucket.take(TEN, 1, ns(99)), Err(Exceeded { retry_ms: 1 }));
        assert!(
            bucket.take(TEN, 1, ns(100)).is_ok(),
            "waiting as long as it was asked to is enough"
        );
        assert_eq!(bucket.take(TEN, 1, ns(100)), Err(Exceeded { retry_ms: 100 }));
    }

    #[test]
    fn a_refusal_costs_nothing() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(TEN, 10, 0).is_ok());
        (0..1_000).for_each(|_| assert!(bucket.take(TEN, 1, ns(50)).is_err()));
        assert!(bucket.take(TEN, 1, ns(100)).is_ok());
    }

    #[test]
    fn any_span_passes_the_burst_and_what_was_refilled() {
        let mut bucket = Bucket::default();
        let passed = (0..10_000)
            .filter(|ms| bucket.take(TEN, 1, ns(*ms)).is_ok())
            .count();
        assert_eq!(passed, 10 + 99, "10 at once and one for each 100 ms that passed");
    }

    #[test]
    fn a_cost_above_the_quota_passes_a_full_bucket() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(TEN, 25, 0).unwrap().remaining, 0);
        assert_eq!(bucket.take(TEN, 25, ns(400)), Err(Exceeded { retry_ms: 600 }));
        assert!(bucket.take(TEN, 25, ns(1_000)).is_ok());
    }

    #[test]
    fn a_clock_set_back_costs_a_window_at_most() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(TEN, 10, ns(1_000_000)).is_ok());
        assert_eq!(bucket.take(TEN, 1, ns(5)), Err(Exceeded { retry_ms: 100 }));
    }

    #[test]
    fn no_quota_is_no_limit() {
        let mut bucket = Bucket::default();
        (0..100).for_each(|_| assert!(bucket.take(Quota::NONE, u64::MAX, 0).is_ok()));
        assert!(bucket.is_full(0));
    }

    #[test]
    fn large_units_and_times_do_not_overflow() {
        let bytes = Quota::new(u32::MAX, u32::MAX);
        let mut bucket = Bucket::default();
        let today = ns(1_800_000_000_000);
        assert_eq!(
            bucket.take(bytes, u64::from(u32::MAX), today).unwrap().remaining,
            0
        );
        assert!(bucket.take(bytes, 65_536, today).is_err());
    }

    #[test]
    fn each_key_has_its_own_bucket() {
        let mut meter = Meter::new(4);
        assert!(meter.take("ann", TEN, 10, UnixMs(0)).is_ok());
        assert!(meter.take("ann", TEN, 1, UnixMs(0)).is_err());
        assert!(meter.take("bob", TEN, 10, UnixMs(0)).is_ok());
    }

    #[test]
    fn a_flood_of_keys_takes_no_memory_and_shares_one_bucket() {
        let mut meter = Meter::new(8);
        for key in 0..8 {
            assert!(meter.take(key, TEN, 1, UnixMs(0)).is_ok());
        }
        let passed = (8..10_000)
            .filter(|key| meter.take(*key, TEN, 1, UnixMs(0)).is_ok())
            .count();
        assert_eq!((passed, meter.len()), (10, 8), "strangers share one bucket");
        assert_eq!(
            meter.take(0, TEN, 1, UnixMs(0)).unwrap().remaining,
            8,
            "who was known keeps its own"
        );
        assert!(meter.take(20_000, TEN, 10, UnixMs(1_000)).is_ok());
        assert_eq!(meter.len(), 1, "full buckets are forgotten");
    }
}
