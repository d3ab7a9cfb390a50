//! What is counted: requests at each object, rows and statements.

use std::collections::BTreeMap;

/// An object or a database that takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meter {
    /// One batcher, by its first bucket.
    Batcher(u8),
    /// The Anchorer.
    Anchorer,
    /// The database: statements, whose rows are counted elsewhere.
    Database,
}

/// Requests of one object.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requests {
    second: u64,
    in_second: u64,
    /// The most in one second.
    pub peak: u64,
    /// All of them.
    pub total: u64,
}

/// All that is counted.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    requests: BTreeMap<Meter, Requests>,
    /// Rows that batchers wrote.
    pub batcher_rows: u64,
    /// Rows that the Anchorer wrote.
    pub anchorer_rows: u64,
    /// Rows that were written to the database for rounds: lists, runs, rounds, nodes of the range.
    pub database_rows: u64,
    /// Requests with which batchers notified streams.
    pub notices: u64,
    /// Offers of streams.
    pub offers: u64,
}

impl Meters {
    /// So many requests come to an object in this second.
    pub fn count(&mut self, meter: Meter, second: u64, requests: u64) {
        let counted = self.requests.entry(meter).or_default();
        if counted.second != second {
            (counted.second, counted.in_second) = (second, 0);
        }
        counted.in_second += requests;
        counted.total += requests;
        counted.peak = counted.peak.max(counted.in_second);
    }

    /// What one object was asked.
    pub fn of(&self, meter: Meter) -> Requests {
        self.requests.get(&meter).copied().unwrap_or_default()
    }

    /// The most requests that one batcher had in a second.
    pub fn busiest_batcher(&self) -> u64 {
        let batchers = self
            .requests
            .iter()
            .filter(|(meter, _)| matches!(meter, Meter::Batcher(_)));
        batchers
            .map(|(_, requests)| requests.peak)
            .max()
            .unwrap_or_default()
    }

    /// Requests of all batchers.
    pub fn batcher_requests(&self) -> u64 {
        let batchers = self
            .requests
            .iter()
            .filter(|(meter, _)| matches!(meter, Meter::Batcher(_)));
        batchers.map(|(_, requests)| requests.total).sum()
    }
}

/// What a run of the simulation came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many streams were active.
    pub streams: usize,
    /// Virtual time, in seconds.
    pub seconds: u64,
    /// Rounds that the chain has.
    pub rounds: u64,
    /// Transactions in blocks of the standing chain.
    pub transactions: usize,
    /// How many batchers took their runs.
    pub batchers: usize,
    /// The oldest message that is in no round at the end, in seconds.
    pub oldest_s: u64,
    /// What was counted.
    pub meters: Meters,
}

impl Report {
    /// An amount a second.
    pub fn each_second(&self, amount: u64) -> f64 {
        amount as f64 / self.seconds as f64
    }

    /// The gas that a day's rounds use.
    pub fn gas_a_day(&self) -> u64 {
        self.transactions as u64 * super::costs::GAS_PER_ROUND * 86_400 / self.seconds
    }
}
