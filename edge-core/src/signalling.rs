//! Mailboxes in which two browsers on one stream leave each other what they need for a direct connection. The machine
//! of the Stream object's mailboxes.
//!
//! What always holds:
//! - a session has a mailbox only while it looks into it; a signal goes only to a session that does, and is dropped when
//!   it was fetched or after [`SIGNAL_LIFE_MS`];
//! - everything is bounded, and nothing is stored: what is lost delays a direct connection, and never costs a message.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use streamchain_protocol::ids::SessionId;
use streamchain_protocol::time::UnixMs;

/// The longest signal, bytes: an offer with its candidates has about two KiB.
pub(crate) const MAX_SIGNAL_BYTES: usize = 8 * 1_024;

/// Most signals that wait in a mailbox: an offer, an answer and a retry of each of its four peers, twice.
pub(crate) const SIGNALS_PER_MAILBOX: usize = 32;

/// Most signals from one sender in a mailbox, so that nobody fills another's mailbox.
pub(crate) const SIGNALS_PER_SENDER: usize = 8;

/// How long a signal waits, milliseconds: the sender of an offer that old has given up on it.
pub(crate) const SIGNAL_LIFE_MS: u64 = 30_000;

/// How long a session counts as present after it looked into its mailbox, milliseconds: three of its looks.
pub(crate) const PRESENT_MS: u64 = 30_000;

/// Most mailboxes of a stream: in a larger crowd the others are served by the relay alone.
pub(crate) const MAX_MAILBOXES: usize = 256;

/// Most mailboxes of one network on a stream: four networks at least have some.
pub(crate) const MAX_NETWORK_MAILBOXES: usize = MAX_MAILBOXES / 4;

/// Most sessions that one look may ask about; a client has fewer links.
pub const MAX_PEERS_ASKED: usize = 16;

/// Most peers in one answer; a client connects to fewer.
pub(crate) const PEERS_TOLD: usize = 16;

/// Why a signal was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// Above [`MAX_SIGNAL_BYTES`], or empty.
    #[error("the signal's size: expected 1 to {MAX_SIGNAL_BYTES} bytes")]
    Size,
    /// The other session does not look into its mailbox.
    #[error("that session is not looking for peers")]
    Absent,
    /// The mailbox is full, or the stream has as many mailboxes as it may have.
    #[error("the mailbox is full: try again in a moment")]
    Full,
}

/// A session that looks for peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its id.
    pub session: SessionId,
    /// The session's author, as the edge has verified.
    pub author: Address,
}

/// What one session left for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Grows from signal to signal of a mailbox.
    pub number: u64,
    /// Who left it.
    pub from: Peer,
    /// The signal itself, which only the two sessions understand.
    pub signal: String,
}

/// The answer to a look into a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looked {
    /// Sessions that look for peers as well, the latest first.
    pub peers: Vec<Peer>,
    /// The signals that wait, in order.
    pub signals: Vec<Signal>,
    /// Those of the sessions asked about that are not present.
    #[serde(default)]
    pub gone: Vec<SessionId>,
}

#[derive(Debug)]
struct Mailbox {
    owner: Peer,
    network: String,
    looked: UnixMs,
    last: u64,
    signals: VecDeque<(UnixMs, Signal)>,
}

/// The mailboxes of one stream.
#[derive(Debug, Default)]
pub struct Mailboxes {
    boxes: Vec<Mailbox>,
}

impl Mailboxes {
    /// Returns what is in a session's mailbox, which has read all signals up to the number `after`. The first look
    /// makes the mailbox.
    pub fn look(
        &mut self,
        network: &str,
        owner: Peer,
        after: u64,
        now: UnixMs,
    ) -> Result<Looked, MailboxError> {
        self.clean(now);
        let of_network = self.boxes.iter().filter(|mailbox| mailbox.network == network);
        let place = match self.place(owner.session) {
            Some(place) => place,
            None if self.boxes.len() >= MAX_MAILBOXES || of_network.count() >= MAX_NETWORK_MAILBOXES => {
                return Err(MailboxError::Full);
            }
            None => {
                self.boxes.push(Mailbox {
                    owner,
                    network: network.to_owned(),
                    looked: now,
                    // Goes on above what a mailbox before this one (of an earlier instance) may have given.
                    last: now.0,
                    signals: VecDeque::new(),
                });
                self.boxes.len() - 1
            }
        };
        let mailbox = self.boxes.get_mut(place).ok_or(MailboxError::Full)?;
        mailbox.looked = now;
        mailbox.signals.retain(|(_, signal)| signal.number > after);
        let signals = mailbox.signals.iter().map(|(_, signal)| signal.clone()).collect();
        let others = self.boxes.iter().rev().map(|mailbox| mailbox.owner);
        let peers = others
            .filter(|peer| peer.session != owner.session)
            .take(PEERS_TOLD)
            .collect();
        let gone = Vec::new();
        Ok(Looked { peers, signals, gone })
    }

    /// Returns those of these sessions that are not present: a direct connection to one of them is to end.
    pub fn absent(&self, sessions: &[SessionId]) -> Vec<SessionId> {
        let is_absent = |session: &&SessionId| self.place(**session).is_none();
        sessions.iter().filter(is_absent).copied().collect()
    }

    /// Leaves a signal for a session that is present.
    pub fn post(
        &mut self,
        from: Peer,
        to: SessionId,
        signal: String,
        now: UnixMs,
    ) -> Result<(), MailboxError> {
        if signal.is_empty() || signal.len() > MAX_SIGNAL_BYTES {
            return Err(MailboxError::Size);
        }
        self.clean(now);
        let place = self.place(to).ok_or(MailboxError::Absent)?;
        let mailbox = self.boxes.get_mut(place).ok_or(MailboxError::Absent)?;
        let of_sender = |(_, waiting): &&(UnixMs, Signal)| waiting.from.session == from.session;
        if mailbox.signals.len() >= SIGNALS_PER_MAILBOX
            || mailbox.signals.iter().filter(of_sender).count() >= SIGNALS_PER_SENDER
        {
            return Err(MailboxError::Full);
        }
        mailbox.last += 1;
        let number = mailbox.last;
        mailbox.signals.push_back((now, Signal { number, from, signal }));
        Ok(())
    }

    /// Drops the mailbox of a session that is over.
    pub fn leave(&mut self, session: SessionId) {
        self.boxes.retain(|mailbox| mailbox.owner.session != session);
    }

    /// Drops the mailboxes of an author whose rights were withdrawn, or (`None`) all: sessions that go on may look again.
    pub fn withdraw(&mut self, author: Option<Address>) {
        self.boxes
            .retain(|mailbox| author.is_some_and(|author| mailbox.owner.author != author));
    }

    fn place(&self, session: SessionId) -> Option<usize> {
        self.boxes
            .iter()
            .position(|mailbox| mailbox.owner.session == session)
    }

    fn clean(&mut self, now: UnixMs) {
        let young = |since: UnixMs, life: u64| now.since(since) < life;
        self.boxes.retain(|mailbox| young(mailbox.looked, PRESENT_MS));
        for mailbox in &mut self.boxes {
            mailbox.signals.retain(|(since, _)| young(*since, SIGNAL_LIFE_MS));
        }
    }
}

#[cfg(test)]
#[path = "signalling_tests.rs"]
mod tests;
