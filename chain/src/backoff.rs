//! The bounds of the back-off that the machines share.

use streamchain_protocol::util::Backoff;

/// The wait after the first failure, in ms: a single failure should cost about one polling interval.
const FIRST_WAIT_MS: u64 = 1_000;
/// The longest wait, in ms: a node that is back is noticed within half a minute.
const MAX_WAIT_MS: u64 = 30_000;

/// A back-off without failures.
pub(super) const fn node_backoff() -> Backoff {
    Backoff::new(FIRST_WAIT_MS, MAX_WAIT_MS)
}
