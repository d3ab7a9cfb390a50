//! The sessions that the edge opened on a stream: who may end one, and which relay must hear of it.
//!
//! Bounded and expiring: they are bookkeeping, and a session that the edge forgot only can't be ended from here.

use super::{LogError, LogStore, Refusal, Step, StreamLog};
use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{RelayId, SessionId};

/// Most sessions remembered for one stream, the newest: a stream's relay serves fewer at a time.
pub(super) const SESSIONS_MAX: usize = 20_000;

/// How long a session is remembered, milliseconds (a day).
pub(super) const SESSION_LIFE_MS: u64 = 24 * 3_600 * 1_000;

/// A session that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Who opened it.
    pub author: Address,
    /// The relay that it was sent to.
    pub relay: RelayId,
    /// When, Unix milliseconds.
    pub created: u64,
}

impl<S: LogStore> StreamLog<S> {
    /// Sends a new session to its relay, and all later ones, and remembers it. The old leader keeps its epoch
    /// until that relay takes the stream up.
    ///
    /// `seen` is the relay that the stream was assigned to when the session's was chosen. `false`, and nothing is
    /// done, if it was assigned elsewhere meanwhile: choose again, so that a stream's sessions meet at one relay.
    pub fn open_session(&self, session: &Session, seen: Option<&RelayId>) -> Step<bool, S> {
        let mut state = self.state()?;
        if state.assigned.as_ref() != Some(&session.relay) {
            if state.assigned.as_ref() != seen {
                return Ok(false);
            }
            state.assigned = Some(session.relay.clone());
            self.save(&state)?;
        }
        self.store.put_session(session).map_err(LogError::Store)?;
        let before = session.created.saturating_sub(SESSION_LIFE_MS);
        self.store
            .prune_sessions(before, SESSIONS_MAX)
            .map_err(LogError::Store)?;
        Ok(true)
    }

    /// The session, if it is `author`'s.
    pub fn session_of(&self, session: SessionId, author: Address) -> Step<Session, S> {
        let found = self
            .store
            .session(session)
            .map_err(LogError::Store)?
            .ok_or(Refusal::NoSuchSession)?;
        if found.author != author {
            return Err(Refusal::NotYourSession.into());
        }
        Ok(found)
    }

    /// Forgets a session once its relay was told that it is over.
    pub fn forget_session(&self, session: SessionId) -> Step<(), S> {
        self.store.drop_session(session).map_err(LogError::Store)
    }
}
