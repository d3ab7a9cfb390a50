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

/// Where a session is sent, as the directory chose it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Destination<'a> {
    /// The relay that the stream was assigned to when it was chosen.
    pub seen: Option<&'a RelayId>,
    /// Whether the session's relay shares streams with others.
    pub shares: bool,
    /// Whether it takes the stream from the relays that have it.
    pub follows: bool,
    /// The stream's relays that were found to be alive no more.
    pub gone: &'a [RelayId],
}

impl<'a> From<Option<&'a RelayId>> for Destination<'a> {
    /// A relay that shares no streams.
    fn from(seen: Option<&'a RelayId>) -> Self {
        Self {
            seen,
            ..Self::default()
        }
    }
}

impl<S: LogStore> Sessions<'_, S> {
    /// Remembers a session, and notes that its relay has the stream. Where that one takes it from no other, the stream is
    /// assigned to it alone. Returns `false` and does nothing when the stream was assigned to another relay than `seen`
    /// meanwhile, or has no room for one more.
    pub(super) fn open(
        &self,
        state: &mut LogState,
        session: &Session,
        to: &Destination<'_>,
    ) -> Result<bool, S::Error> {
        let (relay, now) = (&session.relay, session.created);
        let is_known = state.assigned.as_ref() == Some(relay) || to.follows && state.is_serving(relay);
        if !is_known && state.assigned.as_ref() != to.seen {
            return Ok(false);
        }
        if !to.follows && state.assigned.as_ref() != Some(relay) {
            state.assigned = Some(relay.clone());
            state.serving.clear();
        }
        if to.shares && !state.serve(relay, now) {
            return Ok(false);
        }
        state.note_gone(to.gone, now);
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
