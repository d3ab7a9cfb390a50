//! What a stream of a large deployment costs a month at Cloudflare.
//!
//! What rounds cost is counted by the simulation. What the Stream object and the Worker cost is not simulated: the
//! constants beside "measured" are what `npm run bench -- streams` and `tests/edge/rows.spec.ts` print.

use super::meters::{Meter, Report};

/// The gas of a round on average in steady state, at most: `contracts/snapshots` has what it is.
pub(super) const GAS_PER_ROUND: u64 = 42_000;

const MONTH_S: f64 = 30.0 * 86_400.0;

/// Published prices (2026), in dollars a million.
const WORKER_REQUESTS: f64 = 0.30;
const WORKER_CPU_MS: f64 = 0.02;
const OBJECT_REQUESTS: f64 = 0.15;
const ROWS: f64 = 1.0;
const GB_SECONDS: f64 = 12.5;
/// Memory that an object is billed for.
const OBJECT_GB: f64 = 0.128;

/// Measured: rows that a stream's object writes for a commit, its alarms included.
const OBJECT_ROWS_PER_COMMIT: f64 = 1.0;
/// Measured: rows that follow from a segment: in the object, and in the database with what the archive deletes later.
const ROWS_PER_SEGMENT: f64 = 6.0;
/// Measured: requests of objects for a segment: the alarm, the offer, and what they ask.
const OBJECT_REQUESTS_PER_SEGMENT: f64 = 3.0;
/// Measured: CPU of the edge for a commit with all that follows from it, in ms.
const CPU_MS_PER_COMMIT: f64 = 3.0;
/// A full segment: so many messages.
const MESSAGES_PER_SEGMENT: f64 = 1_000.0;

/// Dollars a month, by what they are for.
#[derive(Clone, Debug)]
pub struct Dollars {
    /// Of the Worker: requests and CPU.
    pub worker: f64,
    /// Of the stream's object: requests and rows for commits and segments.
    pub object: f64,
    /// The stream's object in memory.
    pub duration: f64,
    /// The stream's part of batchers, Anchorer and database, for rounds.
    pub rounds: f64,
}

impl Dollars {
    /// All together.
    pub fn all(&self) -> f64 {
        self.worker + self.object + self.duration + self.rounds
    }
}

/// What a stream costs that commits a message each `period_ms` and is in a round each `interval_s`.
pub fn dollars_of_stream(report: &Report, period_ms: f64, interval_s: f64) -> Dollars {
    let commits = MONTH_S * 1_000.0 / period_ms / 1e6;
    let segment_s = interval_s.min(MESSAGES_PER_SEGMENT * period_ms / 1_000.0);
    let segments = MONTH_S / segment_s / 1e6;
    let always_on = MONTH_S / 1e6 * OBJECT_GB * GB_SECONDS;
    // What was counted, for one stream and in millions a month.
    let millions =
        |counted: u64| counted as f64 / report.streams as f64 / report.seconds as f64 * MONTH_S / 1e6;
    let meters = &report.meters;
    let rows = meters.batcher_rows + meters.anchorer_rows + meters.database_rows;
    let requests = meters.batcher_requests() + meters.of(Meter::Anchorer).total + meters.notices;
    // A notice changes the stream's marks: one row.
    let rounds_rows = millions(rows + meters.notices) * ROWS;
    let objects = report.batchers as f64 + 2.0; // and Anchorer and Listener
    Dollars {
        worker: commits * (WORKER_REQUESTS + WORKER_CPU_MS * CPU_MS_PER_COMMIT),
        object: commits * (OBJECT_REQUESTS + ROWS * OBJECT_ROWS_PER_COMMIT)
            + segments * (ROWS * ROWS_PER_SEGMENT + OBJECT_REQUESTS * OBJECT_REQUESTS_PER_SEGMENT),
        duration: always_on,
        rounds: rounds_rows
            + millions(requests) * OBJECT_REQUESTS
            + objects * always_on / report.streams as f64,
    }
}
