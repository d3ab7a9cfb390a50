//! The gas that the account's transactions use in a day, in all and for whom.
//!
//! What always holds: before a transaction is signed, all the gas that it may use is counted against the day of its
//! signing, and against the shares of those for whom it is used; once its receipt is known, what it did not use is given
//! back to that day. A transaction that was given up keeps its share: some pool may still have it.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use streamchain_protocol::time::UnixMs;

use crate::journal::{self, Journal, RestoreError};

/// A UTC day, which is the period of the operator's budget.
const DAY_MS: u64 = 86_400_000;
/// The key of the day's gas.
pub(super) const KEY: &str = "spending";
/// The prefix of the shares' keys, with the version of their form.
pub(super) const SHARES_PREFIX: &str = "gas-shares/1/";
/// The key of the parts of the transaction under way, with the version of their form.
pub(super) const PARTS_KEY: &str = "gas-parts/1";
/// One stranger's streams use at most a tenth of the day's budget.
const OWNER_PART: u64 = 10;
/// The streams of all strangers use at most half: the other half is the account's own streams' alone.
const FOREIGN_PART: u64 = 2;
/// Opening streams uses at most a quarter: anybody may make streams by name, where the deployment allows it.
const OPENING_PART: u64 = 4;

/// A quarter is for rounds alone: streams that have anchors of their own must not use up what all the others need.
const ROUNDS_PART: u64 = 4;

/// For whom gas is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Payee {
    /// Streams of the account itself that are opened.
    Openings,
    /// The rounds of all shared streams.
    Rounds,
    /// The streams of this owner, who is not the account.
    Owner(Address),
}

impl Payee {
    fn key(self) -> String {
        match self {
            Self::Openings => format!("{SHARES_PREFIX}openings"),
            Self::Rounds => format!("{SHARES_PREFIX}rounds"),
            Self::Owner(owner) => format!("{SHARES_PREFIX}{owner:?}"),
        }
    }

    /// Whether it is somebody who is not the account.
    fn is_owner(self) -> bool {
        matches!(self, Self::Owner(_))
    }

    fn of_key(key: &str, part: &str) -> Result<Self, RestoreError> {
        match part {
            "openings" => Ok(Self::Openings),
            "rounds" => Ok(Self::Rounds),
            owner => Ok(Self::Owner(journal::read_key_part(key, owner)?)),
        }
    }
}

/// A part of a transaction's gas, and whom it is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GasPart {
    /// For whom it is used.
    pub(super) payee: Payee,
    /// How much gas.
    pub(super) gas: u64,
}

/// The gas counted so far against one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct DayGas {
    /// Days since 1970-01-01 UTC.
    day: u64,
    /// Gas that was used, or that the transaction under way reserves.
    gas: u64,
}

impl DayGas {
    fn gas(&self, now: UnixMs) -> u64 {
        if self.day == day(now) { self.gas } else { 0 }
    }

    fn reserve(&mut self, gas: u64, now: UnixMs) {
        *self = Self {
            day: day(now),
            gas: self.gas(now).saturating_add(gas),
        };
    }

    fn give_back(&mut self, gas: u64, reserved_at: UnixMs) {
        if self.day == day(reserved_at) {
            self.gas = self.gas.saturating_sub(gas);
        }
    }
}

/// The gas counted against the day and its shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spending {
    total: DayGas,
    shares: BTreeMap<Payee, DayGas>,
}

impl Spending {
    /// Takes in a saved row: the day's, or one of its shares.
    pub(super) fn restore(&mut self, key: &str, value: &str) -> Result<(), RestoreError> {
        match key.strip_prefix(SHARES_PREFIX) {
            None => self.total = journal::read(key, value)?,
            Some(whom) => {
                let payee = Payee::of_key(key, whom)?;
                self.shares.insert(payee, journal::read(key, value)?);
            }
        }
        Ok(())
    }

    /// The gas counted against the day of `now`.
    pub(super) fn gas(&self, now: UnixMs) -> u64 {
        self.total.gas(now)
    }

    /// The gas counted for all strangers against the day of `now`.
    pub(super) fn foreign_gas(&self, now: UnixMs) -> u64 {
        let foreign = self.shares.iter().filter(|(payee, _)| payee.is_owner());
        foreign.map(|(_, counted)| counted.gas(now)).sum()
    }

    /// The gas that a transaction without rounds may still use in the day of `now`, where rounds are made.
    pub(super) fn left_beside_rounds(&self, daily: u64, now: UnixMs) -> u64 {
        let rounds = self.shares.get(&Payee::Rounds);
        let others = self
            .gas(now)
            .saturating_sub(rounds.map_or(0, |counted| counted.gas(now)));
        let left = (daily - daily / ROUNDS_PART).saturating_sub(others);
        left.min(daily.saturating_sub(self.gas(now)))
    }

    /// Counts a transaction's `gas`, and the parts of it that have shares, against the day of `now`.
    pub(super) fn reserve(&mut self, gas: u64, parts: &[GasPart], now: UnixMs, journal: &mut Journal) {
        self.total.reserve(gas, now);
        journal.put(KEY.to_owned(), &self.total);
        self.shares.retain(|payee, counted| {
            let is_today = counted.day == day(now);
            if !is_today {
                journal.remove(payee.key());
            }
            is_today
        });
        for part in parts {
            let counted = self.shares.entry(part.payee).or_default();
            counted.reserve(part.gas, now);
            journal.put(part.payee.key(), counted);
        }
    }

    /// Gives back what a transaction that reserved `gas` in these parts did not use, unless that day is over.
    pub(super) fn give_back(
        &mut self,
        unused: u64,
        gas: u64,
        parts: &[GasPart],
        reserved_at: UnixMs,
        journal: &mut Journal,
    ) {
        self.total.give_back(unused, reserved_at);
        journal.put(KEY.to_owned(), &self.total);
        for part in parts {
            if let Some(counted) = self.shares.get_mut(&part.payee) {
                counted.give_back(portion(unused, part.gas, gas), reserved_at);
                journal.put(part.payee.key(), counted);
            }
        }
    }

    /// How many streams can be opened for `each` gas with what the share for that has left. One can be opened each day,
    /// however small the budget is.
    pub(super) fn openings_left(&self, each: u64, daily: u64, now: UnixMs) -> u64 {
        let counted = self.shares.get(&Payee::Openings);
        let before = counted.map_or(0, |counted| counted.gas(now));
        let left = (daily / OPENING_PART).saturating_sub(before) / each.max(1);
        left.max(u64::from(before == 0))
    }

    /// The payees whose shares of `daily` do not hold these parts of a transaction that opens so many streams, each with
    /// the share's name.
    pub(super) fn beyond(
        &self,
        parts: &[GasPart],
        opened: u64,
        daily: u64,
        now: UnixMs,
    ) -> Vec<(Payee, &'static str)> {
        let foreign = parts.iter().filter(|part| part.payee.is_owner());
        let foreign: u64 = foreign.map(|part| part.gas).sum();
        let foreign_full = self.foreign_gas(now).saturating_add(foreign) > daily / FOREIGN_PART;
        let beyond = |part: &GasPart| {
            let counted = self.shares.get(&part.payee);
            let before = counted.map_or(0, |counted| counted.gas(now));
            let after = before.saturating_add(part.gas);
            let name = match part.payee {
                Payee::Openings if self.openings_left(part.gas / opened.max(1), daily, now) < opened => {
                    "the share of the day's gas for opening streams"
                }
                Payee::Owner(_) if after > daily / OWNER_PART => "its owner's share of the day's gas",
                Payee::Owner(_) if foreign_full => "the strangers' share of the day's gas",
                _ => return None,
            };
            Some((part.payee, name))
        };
        parts.iter().filter_map(beyond).collect()
    }
}

/// The most gas of a day that one stranger's streams may use.
pub(super) fn owner_share(daily: u64) -> u64 {
    daily / OWNER_PART
}

/// The most gas of a day that the streams of all strangers may use.
pub(super) fn foreign_share(daily: u64) -> u64 {
    daily / FOREIGN_PART
}

/// Divides a transaction's gas by weights, and sums up what is used for each payee. What is used for the account's own
/// streams (`None`) is no part of any share.
pub(super) fn divide(gas: u64, weights: &[(Option<Payee>, u64)]) -> Vec<GasPart> {
    let all: u64 = weights.iter().map(|(_, weight)| *weight).sum();
    let mut parts: BTreeMap<Payee, u64> = BTreeMap::new();
    for (payee, weight) in weights {
        if let Some(payee) = payee {
            *parts.entry(*payee).or_default() += weight;
        }
    }
    let part = |(payee, weight)| GasPart {
        payee,
        gas: portion(gas, weight, all),
    };
    parts.into_iter().map(part).collect()
}

/// `amount` × `part` / `all`.
fn portion(amount: u64, part: u64, all: u64) -> u64 {
    let portion = u128::from(amount) * u128::from(part) / u128::from(all.max(1));
    u64::try_from(portion).unwrap_or(amount)
}

/// When the day of `now` ends.
pub(super) fn end_of_day(now: UnixMs) -> UnixMs {
    UnixMs((day(now) + 1) * DAY_MS)
}

fn day(now: UnixMs) -> u64 {
    now.0 / DAY_MS
}
