//! How full the database is, and what follows from it.

use serde::{Deserialize, Serialize};

/// From this share on the log and the status warn, percent: at the usual growth there are weeks left.
const WARN_PERCENT: u64 = 60;

/// From this share on no stream is created, percent: what is left is for the messages of the streams that exist.
const MAX_PERCENT_FOR_STREAMS: u64 = 90;

/// From this share on segments are packed although their packs will be small, percent.
const FILLING_PERCENT: u64 = 40;

/// How full the database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fullness {
    /// There is room.
    Low,
    /// There is room, and segments go to the archive sooner.
    Filling,
    /// The operator has to act.
    High,
    /// No stream is created any more.
    Full,
}

impl Fullness {
    /// Returns how full a database of `capacity` bytes is that has `bytes`.
    pub fn of(bytes: u64, capacity: u64) -> Self {
        match bytes.saturating_mul(100) / capacity.max(1) {
            MAX_PERCENT_FOR_STREAMS.. => Self::Full,
            WARN_PERCENT.. => Self::High,
            FILLING_PERCENT.. => Self::Filling,
            _ => Self::Low,
        }
    }

    /// Returns the word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Filling => "filling",
            Self::High => "high",
            Self::Full => "full",
        }
    }
}
