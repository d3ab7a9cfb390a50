//! The gas that the account's transactions use in a day.
//!
//! What always holds: before a transaction is signed, all the gas that it may use is counted against the day of its
//! signing; once its receipt is known, what it did not use is given back to that day. A transaction that was given up
//! keeps its share: some pool may still have it.

use serde::{Deserialize, Serialize};

/// A UTC day, which is the period of the operator's budget.
const DAY_MS: u64 = 86_400_000;

/// The gas counted so far against one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spending {
    /// Days since 1970-01-01 UTC.
    day: u64,
    /// Gas that was used, or that the transaction under way reserves.
    gas: u64,
}

impl Spending {
    /// The gas counted against the day of `now_ms`.
    pub(super) fn gas(&self, now_ms: u64) -> u64 {
        if self.day == day(now_ms) { self.gas } else { 0 }
    }

    /// Counts `gas` against the day of `now_ms`.
    pub(super) fn reserve(&mut self, gas: u64, now_ms: u64) {
        *self = Self {
            day: day(now_ms),
            gas: self.gas(now_ms).saturating_add(gas),
        };
    }

    /// Gives `gas` back that was reserved at `reserved_ms`, unless that day is over.
    pub(super) fn give_back(&mut self, gas: u64, reserved_ms: u64) {
        if self.day == day(reserved_ms) {
            self.gas = self.gas.saturating_sub(gas);
        }
    }
}

/// When the day of `now_ms` ends, in Unix ms.
pub(super) fn end_of_day(now_ms: u64) -> u64 {
    (day(now_ms) + 1) * DAY_MS
}

fn day(now_ms: u64) -> u64 {
    now_ms / DAY_MS
}
