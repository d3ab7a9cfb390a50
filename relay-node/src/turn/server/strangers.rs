//! How many answers a client without credentials gets: a bound on what a spoofed source is sent through us.

use super::limits::{STRANGER_ANSWERS_PER_SECOND, STRANGER_COUNTERS};
use std::hash::{DefaultHasher, Hash, Hasher};
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::util::Network;

/// Counts of the second that is under way; see [`STRANGER_COUNTERS`].
#[derive(Debug)]
pub(crate) struct Strangers {
    /// Random, so that an attacker can't choose addresses that share a counter with a victim's.
    seed: u64,
    second: UnixSec,
    counts: Vec<u16>,
}

impl Strangers {
    /// With a random `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            second: UnixSec(0),
            counts: vec![0; STRANGER_COUNTERS],
        }
    }

    /// Whether `network` may be answered once more at `now`.
    pub(crate) fn may_answer(&mut self, network: Network, now: UnixMs) -> bool {
        if self.second != now.to_sec() {
            self.second = now.to_sec();
            self.counts.fill(0);
        }
        let mut hasher = DefaultHasher::new();
        (self.seed, network).hash(&mut hasher);
        // A remainder of STRANGER_COUNTERS fits any usize, and is an index of the counters.
        let index = (hasher.finish() % STRANGER_COUNTERS as u64) as usize;
        let Some(count) = self.counts.get_mut(index) else {
            return false;
        };
        *count = count.saturating_add(1);
        *count <= STRANGER_ANSWERS_PER_SECOND
    }
}
