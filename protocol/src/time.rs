//! Points in time. In JSON they are plain numbers.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMs(pub u64);

impl UnixMs {
    /// Returns the time `ms` milliseconds earlier; the epoch itself when that is before it.
    pub const fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Returns the milliseconds since `earlier`; 0 when that lies ahead, as after a clock was set back.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
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
    fn a_time_is_a_plain_number_in_json() {
        assert_eq!(serde_json::to_string(&UnixMs(5)).unwrap(), "5");
        assert_eq!(serde_json::from_str::<UnixMs>("7").unwrap(), UnixMs(7));
    }
}
