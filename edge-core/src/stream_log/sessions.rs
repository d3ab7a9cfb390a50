//! The sessions that the edge opened on a stream: who may end one, and which relay is to be notified of it.
//!
//! What always holds: they are bounded in number and expire. They are bookkeeping: a session that the edge forgot goes
//! on at its relay, and only cannot be ended from here.

use super::error::{LogError, Refusal};
use super::state::{LogState, Session};
use super::store::{LogStore, Step};
use alloy_primitives::Address;
use streamchain_protocol::ids::{RelayId, SessionId};

/// Most sessions remembered for one stream, the newest: a stream's relay serves fewer at a time.
pub(super) const MAX_SESSIONS: usize = 20_000;

/// How long a session is remembered, milliseconds (a day).
pub(super) const SESSION_LIFE_MS: u64 = 24 * 3_600 * 1_000;

/// The rows of the sessions.
pub(super) struct Sessions<'a, S>(pub(super) &'a S);

impl<S: LogStore> Sessions<'_, S> {
    /// Remembers a session, and assigns the stream to its relay. Returns `false` and does nothing when the stream was
    /// assigned to another relay than `seen` meanwhile.
    pub(super) fn open(
        &self,
        state: &mut LogState,
        session: &Session,
        seen: Option<&RelayId>,
    ) -> Result<bool, S::Error> {
        if state.assigned.as_ref() != Some(&session.relay) {
            if state.assigned.as_ref() != seen {
                return Ok(false);
            }
            state.assigned = Some(session.relay.clone());
        }
        self.0.put_session(session)?;
        let before = session.created.minus_ms(SESSION_LIFE_MS);
        self.0.prune_sessions(before, MAX_SESSIONS)?;
        Ok(true)
    }

    /// Returns the session, if `author` opened it.
    pub(super) fn of(&self, session: SessionId, author: Address) -> Step<Session, S> {
        let found = self.0.session(session).map_err(LogError::Store)?;
        let found = found.ok_or(Refusal::NoSuchSession)?;
        match found.author == author {
            true => Ok(found),
            false => Err(Refusal::NotYourSession.into()),
        }
    }
}
