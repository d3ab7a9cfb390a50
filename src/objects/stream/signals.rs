//! The Stream object's part in direct connections between browsers: their mailboxes.

use super::object::Stream;
use crate::api::stream::{PostSignal, ReadSignals};
use crate::clock;
use crate::problem::{Kind, Problem};
use streamchain_edge_core::signalling::{Looked, MailboxError, Peer};

impl Stream {
    /// A session reads its mailbox.
    pub(super) fn read_signals(&self, asked: &ReadSignals) -> Result<Looked, Problem> {
        let owner = Peer {
            session: asked.session,
            author: asked.author,
        };
        self.check_peer(owner)?;
        let now = clock::now();
        let mut mailboxes = self.mailboxes.borrow_mut();
        let mut looked = mailboxes
            .look(&asked.client, owner, asked.after, now)
            .map_err(to_problem)?;
        looked.gone = mailboxes.absent(&asked.peers);
        Ok(looked)
    }

    /// A session leaves a signal for another one.
    pub(super) fn post_signal(&self, asked: PostSignal) -> Result<(), Problem> {
        let from = Peer {
            session: asked.session,
            author: asked.author,
        };
        self.check_peer(from)?;
        let now = clock::now();
        let posted = self
            .mailboxes
            .borrow_mut()
            .post(from, asked.to, asked.signal, now);
        posted.map(drop).map_err(to_problem)
    }

    /// Only where the stream's owner wants it, and only for a session of that author's.
    fn check_peer(&self, peer: Peer) -> Result<(), Problem> {
        if !self.state()?.settings.p2p {
            let detail = "this stream has no direct connections: its setting p2p is off";
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        self.look(|log| log.session_of(peer.session, peer.author))?;
        Ok(())
    }
}

fn to_problem(error: MailboxError) -> Problem {
    let kind = match error {
        MailboxError::Size => Kind::TooLarge,
        MailboxError::Absent => Kind::NoSuchSession,
        MailboxError::Full => Kind::Full,
    };
    Problem::new(kind, error.to_string())
}
