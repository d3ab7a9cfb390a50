//! What is known of the links to other relays, for the metrics.

use crate::core::counters::Latencies;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Counters and gauges that all links share.
#[derive(Debug, Default)]
pub(crate) struct LinkStatus {
    connections: AtomicU64,
    followed: AtomicU64,
    followers: AtomicU64,
    opened: AtomicU64,
    failed: AtomicU64,
    lost: AtomicU64,
    refused: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    delays: Mutex<Latencies>,
}

/// Which end of a link is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// This relay follows.
    Lower,
    /// This relay leads.
    Upper,
}

/// What is open as long as this lives.
pub(super) struct Counted<'a>(&'a AtomicU64);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn count(gauge: &AtomicU64) -> Counted<'_> {
    gauge.fetch_add(1, Ordering::Relaxed);
    Counted(gauge)
}

impl LinkStatus {
    /// A connection with another relay begins.
    pub(super) fn connection(&self) -> Counted<'_> {
        count(&self.connections)
    }

    /// A link begins.
    pub(super) fn link(&self, end: End) -> Counted<'_> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        count(match end {
            End::Lower => &self.followed,
            End::Upper => &self.followers,
        })
    }

    /// A link that this relay wanted to open could not be.
    pub(super) fn count_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A link ended that neither end had ended.
    pub(super) fn count_lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// A ticket, or a connection, was refused.
    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A message came over a link so long after its leader gave it a seq.
    pub(super) fn observe_delay(&self, delay: Duration) {
        let mut delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        delays.observe(delay);
    }

    /// How long messages took over links.
    pub(crate) fn delays(&self) -> Latencies {
        *self.delays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count_in(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_out(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Name, help and value of what is open now.
    pub(crate) fn gauges(&self) -> [(&'static str, &'static str, u64); 3] {
        let read = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        [
            (
                "link_connections",
                "Connections with other relays.",
                read(&self.connections),
            ),
            (
                "links_followed",
                "Streams that this relay follows at others.",
                read(&self.followed),
            ),
            (
                "links_followers",
                "Followers that other relays have of streams that this one leads.",
                read(&self.followers),
            ),
        ]
    }

    /// Name, help and value of what was counted since the start.
    pub(crate) fn counters(&self) -> [(&'static str, &'static str, u64); 6] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            (
                "links_opened",
                "Links with other relays that began.",
                read(&self.opened),
            ),
            (
                "links_failed",
                "Links to leaders that could not be opened.",
                read(&self.failed),
            ),
            (
                "links_lost",
                "Links that ended and that neither relay had ended.",
                read(&self.lost),
            ),
            (
                "links_refused",
                "Tickets, and connections without one, that were refused.",
                read(&self.refused),
            ),
            (
                "link_bytes_in",
                "Bytes of frames that came over links from other relays.",
                read(&self.bytes_in),
            ),
            (
                "link_bytes_out",
                "Bytes of frames sent over links to other relays.",
                read(&self.bytes_out),
            ),
        ]
    }
}
