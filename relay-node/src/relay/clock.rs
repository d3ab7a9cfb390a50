//! The clocks, which are read here and in no machine.

use crate::core::Now;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use streamchain_protocol::time::UnixMs;

/// Reads both clocks.
pub fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now {
        instant: Instant::now(),
        unix: UnixMs(u64::try_from(unix.as_millis()).unwrap_or(u64::MAX)),
    }
}
