//! The Stream object's part in direct connections between browsers: their mailboxes.

use super::api::PostSignal;
use super::object::{Stream, asked};
use crate::problem::{Kind, Problem};
use crate::response::{Answer, json};
use streamchain_edge_core::signalling::{MailboxError, Peer};
use streamchain_edge_core::stream_log::StreamLog;
use streamchain_protocol::ids::SessionId;
use worker::Date;

impl Stream {
    /// A session looks into its mailbox: `?author=` whose it is, `?after=` what it has read.
    pub(super) fn look(&self, url: &str, session: SessionId) -> Answer {
        let (author, after) = (asked(url, "author")?, asked(url, "after")?);
        let owner = Peer { session, author };
        self.check_peer(owner)?;
        let looked = self
            .mailboxes
            .borrow_mut()
            .look(owner, after, Date::now().as_millis());
        json(200, &looked.map_err(refused)?)
    }

    pub(super) fn signal(&self, session: SessionId, posted: PostSignal) -> Answer {
        let PostSignal { author, to, signal } = posted;
        let from = Peer { session, author };
        self.check_peer(from)?;
        let now_ms = Date::now().as_millis();
        let left = self.mailboxes.borrow_mut().post(from, to, signal, now_ms);
        left.map_err(refused)?;
        json(202, &serde_json::json!({}))
    }

    /// Only where the stream's owner wants it, and only for a session of that author's.
    fn check_peer(&self, peer: Peer) -> Result<(), Problem> {
        if !self.step(StreamLog::state)?.settings.p2p {
            let detail = "this stream has no direct connections: its setting p2p is off";
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        self.step(|log| log.session_of(peer.session, peer.author))?;
        Ok(())
    }
}

fn refused(error: MailboxError) -> Problem {
    let kind = match error {
        MailboxError::Size => Kind::TooLarge,
        MailboxError::Absent => Kind::NoSuchSession,
        MailboxError::Full => Kind::Full,
    };
    Problem::new(kind, error.to_string())
}
