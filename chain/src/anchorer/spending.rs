//! The gas that the account's transactions use in a day.
//!
//! What always holds: before a transaction is signed, all the gas that it may use is counted against the day of its
//! signing; once its receipt is known, what it did not use is given back to that day. A transaction that was given up
//! keeps its share: some pool may still have it.

use serde::{Deserialize, Serialize};
use streamchain_protocol::time::UnixMs;

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
    /// The gas counted against the day of `now`.
    pub(super) fn gas(&self, now: UnixMs) -> u64 {
        if self.day == day(now) { self.gas } else { 0 }
    }

    /// Counts `gas` against the day of `now`.
    pub(super) fn reserve(&mut self, gas: u64, now: UnixMs) {
        *self = Self {
            day: day(now),
            gas: self.gas(now).saturating_add(gas),
        };
    }

    /// Gives `gas` back that was reserved at `reserved_at`, unless that day is over.
    pub(super) fn give_back(&mut self, gas: u64, reserved_at: UnixMs) {
        if self.day == day(reserved_at) {
            self.gas = self.gas.saturating_sub(gas);
        }
    }
}

/// When the day of `now` ends, in Unix ms.
pub(super) fn end_of_day(now: UnixMs) -> UnixMs {
    UnixMs((day(now) + 1) * DAY_MS)
}

fn day(now: UnixMs) -> u64 {
    now.0 / DAY_MS
}
