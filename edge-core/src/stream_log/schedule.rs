//! When a stream's object has something to do: sealing by need, offers to the batcher, and what failed.
//!
//! What always holds:
//! - what is open becomes a segment at [`SEAL_BYTES`], at [`SEAL_MESSAGES`], when the oldest of it is as old as the
//!   deployment allows, or when a run is due to be offered, whichever comes first;
//! - runs are offered at most once an interval;
//! - whatever waits has a time at which it is due, so that an object which sets its alarm for [`Schedule::next_due`]
//!   leaves nothing behind.
//!
//! It is kept in memory. What is open when an instance begins is sealed at once.

use super::outbox::{FLUSH_BACKOFF, REFUSED_MS};
use super::state::LogState;
use streamchain_protocol::stream_settings::Anchoring;
use streamchain_protocol::time::UnixMs;

/// How long a stream waits until it is listed, and how often the leader is notified of what waits, milliseconds.
pub const GATHER_MS: u64 = 1_000;

/// Encoded bytes that are made a segment without waiting for more: a third of what one takes.
const SEAL_BYTES: u64 = 256 * 1024;

/// Messages that are made a segment without waiting for more: a quarter of what one takes.
const SEAL_MESSAGES: u64 = 1_000;

/// How much earlier than it was set an alarm may come, milliseconds: what is due by then is done with it.
const EARLY_MS: u64 = 50;

/// When things are due.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    /// Since when messages are open, as far as this instance knows.
    open_since: Option<UnixMs>,
    /// When a run was offered last.
    offered_at: Option<UnixMs>,
    /// Until when nothing is handed over, since there was no room for it.
    refused_until: UnixMs,
    /// Flushes that failed in a row.
    failures: u32,
}

/// How long things may wait: the deployment's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Oldest that an open message may get, milliseconds.
    pub max_age_ms: u64,
    /// Least time between two offers, milliseconds.
    pub offer_interval_ms: u64,
}

impl Schedule {
    /// Notes what an instance finds that begins: what is open is of an unknown age.
    pub fn handle_restart(&mut self, state: &LogState) {
        self.open_since = (state.flushed < state.head).then_some(UnixMs(0));
    }

    /// Notes that something may have been committed.
    pub(super) fn handle_commit(&mut self, state: &LogState, now: UnixMs) {
        match state.flushed < state.head {
            true => self.open_since = self.open_since.or(Some(now)),
            false => self.open_since = None,
        }
    }

    /// Notes that a flush which began at `begun` sealed what was open then.
    pub fn handle_sealed(&mut self, state: &LogState, begun: UnixMs) {
        self.open_since = (state.flushed < state.head).then_some(begun);
    }

    /// Notes that a run was offered, and taken or not needed.
    pub fn handle_offer(&mut self, now: UnixMs) {
        self.offered_at = Some(now);
    }

    /// Notes that there was no room for what was handed over.
    pub fn handle_refusal(&mut self, now: UnixMs) {
        self.refused_until = now.plus_ms(REFUSED_MS);
    }

    /// Notes that a flush succeeded, or failed.
    pub fn handle_flush(&mut self, succeeded: bool) {
        self.failures = match succeeded {
            true => 0,
            false => self.failures.saturating_add(1),
        };
    }

    /// Returns whether nothing is to be handed over yet, since there was no room.
    pub fn is_refused(&self, now: UnixMs) -> bool {
        now < self.refused_until
    }

    /// Returns whether what is open is to be sealed now.
    pub fn is_seal_due(&self, pace: Pace, state: &LogState, now: UnixMs) -> bool {
        self.seal_due(pace, state)
            .is_some_and(|due| due <= now.plus_ms(EARLY_MS))
    }

    /// Returns whether the run that waits is to be offered now.
    pub fn is_offer_due(&self, pace: Pace, state: &LogState, now: UnixMs) -> bool {
        self.offer_due(pace, state)
            .is_some_and(|due| due <= now.plus_ms(EARLY_MS))
    }

    /// Returns when the object has to look again; `None` when nothing waits. `has_unacked` says whether segments wait for
    /// the Anchorer.
    pub fn next_due(&self, pace: Pace, state: &LogState, has_unacked: bool, now: UnixMs) -> Option<UnixMs> {
        let gathered = now.plus_ms(GATHER_MS);
        let dues = [
            (!state.listed || state.inbox.messages > 0).then_some(gathered),
            self.seal_due(pace, state),
            self.offer_due(pace, state),
            has_unacked.then_some(self.refused_until),
        ];
        let due = dues.into_iter().flatten().min()?.max(now);
        match self.failures {
            0 => Some(due),
            failures => Some(due.max(now.plus_ms(FLUSH_BACKOFF.wait_ms(failures)))),
        }
    }

    /// Returns when what is open becomes a segment.
    fn seal_due(&self, pace: Pace, state: &LogState) -> Option<UnixMs> {
        let messages = state.head.0.saturating_sub(state.flushed.0);
        if messages == 0 {
            return None;
        }
        let is_full = messages >= SEAL_MESSAGES || state.backlog >= SEAL_BYTES;
        let since = self.open_since.filter(|_| !is_full && state.sealing.is_none());
        let Some(since) = since else {
            return Some(UnixMs(0));
        };
        let offer = self.next_offer(pace).filter(|offer| *offer > since);
        let offer = offer.filter(|_| state.settings.anchor == Anchoring::Shared);
        let aged = since.plus_ms(pace.max_age_ms);
        Some(offer.map_or(aged, |offer| offer.min(aged)))
    }

    /// Returns when the run that waits is offered.
    fn offer_due(&self, pace: Pace, state: &LogState) -> Option<UnixMs> {
        state.pending_run()?;
        Some(self.next_offer(pace).unwrap_or_default().max(self.refused_until))
    }

    fn next_offer(&self, pace: Pace) -> Option<UnixMs> {
        Some(self.offered_at?.plus_ms(pace.offer_interval_ms))
    }
}
