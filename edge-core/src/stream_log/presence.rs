//! Who is at a stream, as its leader reported it last.
//!
//! What always holds: a report is shown only while its leader leads under the same epoch, and for [`PRESENCE_LIFE_MS`]. It is kept
//! in memory alone: an object that begins anew shows nothing until the next report.

use super::state::LogState;
use streamchain_protocol::ids::Epoch;
use streamchain_protocol::limits::PRESENCE_LIFE_MS;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Presence;

/// What a leader reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedPresence {
    presence: Presence,
    epoch: Epoch,
    at: UnixMs,
}

impl ReportedPresence {
    /// Returns what the leader of `epoch` reported `now`.
    pub fn new(presence: Presence, epoch: Epoch, now: UnixMs) -> Self {
        Self {
            presence,
            epoch,
            at: now,
        }
    }

    /// Returns who is at the stream, as far as that is known `now`.
    pub fn shown(&self, state: &LogState, now: UnixMs) -> Option<&Presence> {
        let is_led = state.relay_leader().is_some() && state.epoch == self.epoch;
        let is_fresh = now.since(self.at) < PRESENCE_LIFE_MS;
        (is_led && is_fresh).then_some(&self.presence)
    }
}
