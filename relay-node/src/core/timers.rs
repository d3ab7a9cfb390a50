//! When what wants to be called.
//!
//! Entries are not taken out when a time changes: an owner remembers its earliest entry, and one that comes up
//! too early is put back. So a session that is busy costs one entry per turn at most.

use crate::core::keys::{PeerKey, SessionKey};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;
use streamchain_protocol::ids::ShortId;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Peer(PeerKey),
    Session(SessionKey),
    Stream(ShortId),
}

#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Instant, Owner)>>);

impl Timers {
    /// Makes sure that `owner` is called by `at`; `scheduled` is its earliest entry.
    pub(crate) fn schedule(&mut self, owner: Owner, at: Instant, scheduled: &mut Option<Instant>) {
        if scheduled.is_none_or(|earliest| at < earliest) {
            *scheduled = Some(at);
            self.0.push(Reverse((at, owner)));
        }
    }

    /// Takes out the next entry that is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Instant, Owner)> {
        let Reverse((at, _)) = self.0.peek()?;
        if *at > now {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }

    /// When the next entry is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }
}
