//! How many TCP connections there may be: in all, and from one client address.
//!
//! What always holds: the counts are those of the [`Permit`]s that are alive. A connection without a permit is
//! closed before a byte of it is read, so that a flood of them costs a system call each and no memory.

use crate::core::shares::Shares;
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use streamchain_protocol::util::Network;

/// Most TCP and TLS connections of one listener thread: at most 40 KiB each with TLS, 160 MiB in all, and well
/// below the usual limits of open files.
pub(crate) const MAX_CONNECTIONS: usize = 4_096;

/// Open files that are assumed where the system does not say how many a process may have.
const OPEN_FILES_ASSUMED: usize = 1_024;

/// Most from one client address (an IPv6 /64 counts as one): an office behind one address.
pub(crate) const MAX_CONNECTIONS_PER_NETWORK: usize = 256;

/// A new connection must have sent its first whole packet, TLS handshake included, after this many milliseconds.
pub(crate) const FIRST_PACKET_MS: u64 = 10_000;

/// A packet that began to come must be whole after this many milliseconds.
pub(crate) const WHOLE_PACKET_MS: u64 = 10_000;

/// A client must take what is sent to it within this many milliseconds.
pub(crate) const WRITE_MS: u64 = 10_000;

/// A connection on which nothing is set up is closed after this many milliseconds without a packet.
pub(crate) const IDLE_MS: u64 = 30_000;

/// How many connections each of `listeners` threads may have: half of all files that the process may open, so
/// that a flood leaves enough for connections to the edge.
pub(crate) fn share_of_open_files(listeners: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = open_files(&limits).unwrap_or(OPEN_FILES_ASSUMED);
    (files / 2 / listeners.max(1)).min(MAX_CONNECTIONS)
}

/// The soft limit of open files in the text of Linux's /proc/self/limits.
fn open_files(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        soft => soft.parse().ok(),
    }
}

/// Counts connections; one per thread.
#[derive(Debug, Clone)]
pub(crate) struct Connections(Rc<RefCell<Counts>>);

#[derive(Debug)]
struct Counts {
    shares: Shares,
    refused: u64,
}

/// The right to one connection, returned when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    counts: Rc<RefCell<Counts>>,
    network: Network,
}

impl Connections {
    /// Counts that never exceed `limit`.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Rc::new(RefCell::new(Counts {
            shares: Shares::with_share(limit, MAX_CONNECTIONS_PER_NETWORK),
            refused: 0,
        })))
    }

    /// Admits one more connection of `client`, unless there are too many.
    pub(crate) fn admit(&self, client: IpAddr) -> Option<Permit> {
        let network = Network::of(client);
        let mut counts = self.0.borrow_mut();
        if !counts.shares.take(network) {
            counts.refused += 1;
            return None;
        }
        Some(Permit {
            counts: self.0.clone(),
            network,
        })
    }

    pub(crate) fn open(&self) -> usize {
        self.0.borrow().shares.taken()
    }

    pub(crate) fn refused(&self) -> u64 {
        self.0.borrow().refused
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.counts.borrow_mut().shares.give_back(self.network);
    }
}

/// How long a stream may stay silent: until when (in the clock of `now_ms`) its next bytes must come.
///
/// `last_packet_ms` is when its last whole packet came (or when it was opened), `waiting_since_ms` when an
/// unfinished one began, and `in_use` whether something is set up on it; it then may stay silent as long as that
/// lasts, and is asked again after [`IDLE_MS`].
pub(crate) fn deadline_ms(
    last_packet_ms: Option<u64>,
    opened_ms: u64,
    waiting_since_ms: Option<u64>,
    in_use: bool,
    now_ms: u64,
) -> u64 {
    match (waiting_since_ms, last_packet_ms) {
        (Some(since), Some(_)) => since + WHOLE_PACKET_MS,
        (_, None) => opened_ms + FIRST_PACKET_MS,
        (None, Some(_)) if in_use => now_ms + IDLE_MS,
        (None, Some(last)) => last + IDLE_MS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: usize) -> IpAddr {
        IpAddr::from(u32::try_from(0x0A00_0000 + number).unwrap().to_be_bytes())
    }

    #[test]
    fn one_host_gets_no_more_connections_than_its_share() {
        let connections = Connections::new(MAX_CONNECTIONS);
        let permits: Vec<_> = (0..10_000).filter_map(|_| connections.admit(host(1))).collect();
        assert_eq!(permits.len(), MAX_CONNECTIONS_PER_NETWORK);
        assert!(connections.admit(host(2)).is_some(), "others are served");
        assert_eq!(connections.refused(), 10_000 - MAX_CONNECTIONS_PER_NETWORK as u64);
    }

    #[test]
    fn many_hosts_get_no_more_connections_than_the_limit() {
        let connections = Connections::new(MAX_CONNECTIONS);
        let permits: Vec<_> = (0..10_000)
            .filter_map(|number| connections.admit(host(number)))
            .collect();
        assert_eq!(
            (permits.len(), connections.open()),
            (MAX_CONNECTIONS, MAX_CONNECTIONS)
        );
        drop(permits);
        assert_eq!(connections.open(), 0);
        assert!(
            connections.admit(host(1)).is_some(),
            "and what is given back is free"
        );
    }

    #[test]
    fn the_limit_of_open_files_is_read() {
        let limits = |soft| format!("Limit  Soft Limit\nMax open files            {soft}   524288   files\n");
        assert_eq!(open_files(&limits("1024")), Some(1_024));
        assert_eq!(open_files(&limits("unlimited")), Some(usize::MAX));
        assert_eq!(open_files(""), None);
        assert!(share_of_open_files(1) <= MAX_CONNECTIONS);
        assert!(share_of_open_files(1_000_000) < share_of_open_files(1));
    }

    #[test]
    fn silence_is_bounded_unless_something_is_set_up() {
        assert_eq!(deadline_ms(None, 100, None, false, 5_000), 100 + FIRST_PACKET_MS);
        assert_eq!(
            deadline_ms(None, 100, Some(9_000), false, 9_500),
            100 + FIRST_PACKET_MS
        );
        assert_eq!(
            deadline_ms(Some(200), 100, Some(300), true, 400),
            300 + WHOLE_PACKET_MS
        );
        assert_eq!(deadline_ms(Some(200), 100, None, false, 400), 200 + IDLE_MS);
        assert_eq!(deadline_ms(Some(200), 100, None, true, 90_000), 90_000 + IDLE_MS);
    }
}
