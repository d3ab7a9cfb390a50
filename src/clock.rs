//! The clock, read from the platform.

use streamchain_protocol::time::UnixMs;
use worker::Date;

/// The time of this event: on Cloudflare it stands still while nothing is waited for.
pub(crate) fn now() -> UnixMs {
    UnixMs(Date::now().as_millis())
}
