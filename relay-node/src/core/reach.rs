//! Where a session's datagrams may go.
//!
//! What always holds:
//! - An address gets at most [`MAX_AMPLIFICATION`] times the bytes that came from it, until its client has been heard in DTLS
//!   from there (RFC 9000 §8 has the reasoning). The source of a UDP datagram may be forged, and a check may be repeated by
//!   whoever saw it; what only the client could have encrypted, and only once, may not.
//! - Once DTLS is up, what a session sends goes to an address that was heard in DTLS. One that a check nominates gets copies
//!   within its budget until then.

use crate::core::limits::{ADDRESSES_PER_SESSION, MAX_AMPLIFICATION};
use crate::core::path::{Path, Peer};
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy)]
struct Known {
    peer: Peer,
    /// Bytes that may still be sent there while it is not proven.
    credit: usize,
    is_proven: bool,
}

/// The addresses of one client.
#[derive(Debug)]
pub(crate) struct Reach {
    /// Where its datagrams come from, the newest last.
    known: VecDeque<Known>,
    current: Path,
    /// The path that it nominated since, and was not heard on in DTLS yet.
    pending: Option<Path>,
    /// By which path DTLS last came.
    heard: Option<Path>,
    is_connected: bool,
}

impl Reach {
    /// A client whose first check came by `path`.
    pub(crate) fn new(path: Path) -> Self {
        Self {
            known: VecDeque::new(),
            current: path,
            pending: None,
            heard: None,
            is_connected: false,
        }
    }

    /// Where what is not an answer to a check goes.
    pub(crate) fn current(&self) -> Path {
        self.current
    }

    /// The path that the client last nominated; until it has, that of its first check.
    pub(crate) fn nominated(&self) -> Path {
        self.pending.unwrap_or(self.current)
    }

    /// All addresses of the client.
    pub(crate) fn peers(&self) -> impl Iterator<Item = Peer> {
        self.known.iter().map(|known| known.peer)
    }

    /// Remembers an address of the client; returns one that is now too many, never the one in use.
    pub(crate) fn add(&mut self, path: Path) -> Option<Peer> {
        let peer = path.peer();
        let before = self.known.iter().position(|known| known.peer == peer);
        let known = before.and_then(|at| self.known.remove(at)).unwrap_or(Known {
            peer,
            credit: 0,
            is_proven: path.is_proven,
        });
        self.known.push_back(known);
        if self.known.len() <= ADDRESSES_PER_SESSION {
            return None;
        }
        let in_use = self.current.peer();
        // One that never proved itself goes first: checks that are repeated from elsewhere push out none that did.
        let spare = |known: &Known| known.peer != in_use && known.peer != peer;
        let unproven = self
            .known
            .iter()
            .position(|known| spare(known) && !known.is_proven);
        let oldest = unproven.or_else(|| self.known.iter().position(spare))?;
        self.known.remove(oldest).map(|known| known.peer)
    }

    /// Counts a datagram that came from the client, or from somebody who claims its address.
    pub(crate) fn received(&mut self, path: Path, bytes: usize) {
        if let Some(known) = self.find(path.peer()) {
            known.credit = known
                .credit
                .saturating_add(bytes.saturating_mul(MAX_AMPLIFICATION));
        }
    }

    /// The client was heard in DTLS.
    pub(crate) fn client_heard(&mut self, path: Path) {
        self.heard = Some(path);
        if self.is_connected {
            self.prove(path);
        }
    }

    /// DTLS is up: who was last heard has read what the relay sent before.
    pub(crate) fn connected(&mut self) {
        self.is_connected = true;
        let Some(heard) = self.heard else { return };
        if heard.peer() != self.current.peer() && !self.is_proven(self.current.peer()) {
            self.pending = Some(self.current);
            self.current = heard;
        }
        self.prove(heard);
    }

    fn prove(&mut self, path: Path) {
        if let Some(known) = self.find(path.peer()) {
            known.is_proven = true;
        }
        if let Some(pending) = self.pending.filter(|pending| pending.peer() == path.peer()) {
            self.current = pending;
            self.pending = None;
        }
    }

    /// The client has nominated this path. The last word counts, not the priority: a client nominates what works for it in both
    /// directions, and nominates again when that changes.
    pub(crate) fn nominate(&mut self, path: Path) {
        if !self.is_connected || self.is_proven(path.peer()) {
            self.current = path;
            self.pending = None;
        } else {
            self.pending = Some(path).filter(|path| *path != self.current);
        }
    }

    /// Whether a datagram may go to an address now; if so, it counts as sent.
    pub(crate) fn may_send(&mut self, peer: Peer, bytes: usize) -> bool {
        let Some(known) = self.find(peer) else {
            return false;
        };
        if known.is_proven {
            return true;
        }
        match known.credit.checked_sub(bytes) {
            Some(rest) => {
                known.credit = rest;
                true
            }
            None => false,
        }
    }

    /// Where a copy of a datagram goes, so that a client that moved and says nothing is heard there.
    pub(crate) fn copy_to(&mut self, bytes: usize) -> Option<Path> {
        let pending = self.pending?;
        self.may_send(pending.peer(), bytes).then_some(pending)
    }

    fn is_proven(&self, peer: Peer) -> bool {
        self.known
            .iter()
            .any(|known| known.peer == peer && known.is_proven)
    }

    fn find(&mut self, peer: Peer) -> Option<&mut Known> {
        self.known.iter_mut().find(|known| known.peer == peer)
    }
}

#[cfg(test)]
#[path = "reach_tests.rs"]
mod tests;
