//! Points in time. In JSON they are plain numbers.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMs(pub u64);

/// Seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixSec(pub u64);

impl UnixMs {
    /// Returns the second in which it lies.
    pub const fn to_sec(self) -> UnixSec {
        UnixSec(self.0 / 1_000)
    }

    /// Returns the time `ms` milliseconds later; the last one that can be written when that is behind it.
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Returns the time `ms` milliseconds earlier; the epoch itself when that is before it.
    pub const fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Returns the milliseconds since `earlier`; 0 when that lies ahead, as after a clock was set back.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl UnixSec {
    /// Returns the first millisecond of the second.
    pub const fn to_ms(self) -> UnixMs {
        UnixMs(self.0.saturating_mul(1_000))
    }

    /// Returns the time `s` seconds later; the last one that can be written when that is behind it.
    pub const fn plus_s(self, s: u64) -> Self {
        Self(self.0.saturating_add(s))
    }

    /// Returns the seconds since `earlier`; 0 when that lies ahead.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for UnixSec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stay_within_what_they_can_say() {
        assert_eq!(UnixMs(1).minus_ms(5), UnixMs(0));
        assert_eq!(UnixMs(9).since(UnixMs(3)), 6);
        assert_eq!(UnixMs(1).since(UnixMs(3)), 0);
    }

    #[test]
    fn seconds_and_milliseconds_turn_into_each_other() {
        assert_eq!(UnixMs(1_999).to_sec(), UnixSec(1));
        assert_eq!(UnixSec(2).to_ms(), UnixMs(2_000));
        assert_eq!(UnixSec(u64::MAX).to_ms(), UnixMs(u64::MAX));
        assert_eq!(UnixMs(u64::MAX).plus_ms(1), UnixMs(u64::MAX));
        assert_eq!(UnixSec(5).plus_s(2).since(UnixSec(3)), 4);
    }

    #[test]
    fn a_time_is_a_plain_number_in_json() {
        assert_eq!(serde_json::to_string(&UnixMs(5)).unwrap(), "5");
        assert_eq!(serde_json::from_str::<UnixMs>("7").unwrap(), UnixMs(7));
    }
}
