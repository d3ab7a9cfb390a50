//! The Stream object's part in sessions: which relay a session goes to, and its end.

use super::object::Stream;
use crate::api::relays::{ChooseRelay, RelayNotice, relays_object};
use crate::api::stream::{EndSession, FindSession, OpenSession, SessionOpened};
use crate::clock;
use crate::problem::{Kind, Problem};
use streamchain_edge_core::directory::{Choice, Wanted};
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::stream_log::{Destination, LogState, Session};
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::{Notice, NoticeEvent};

/// How often a session's relay is chosen again when the stream moved meanwhile.
const MAX_CHOICES: usize = 3;

impl Stream {
    pub(super) async fn open_session(
        &self,
        id: &RequestId,
        asked: OpenSession,
    ) -> Result<SessionOpened, Problem> {
        let now = clock::now();
        self.limit_session_opener(&asked, now)?;
        // Outsiders use up none of the stream's rate.
        let is_made_here = asked.create.is_some() && self.is_new();
        if !is_made_here {
            self.session_rights(&asked)?;
        }
        self.limit_stream_sessions(now)?;
        if let Some(new) = &asked.create {
            self.create_limited(id, new, &asked.client, asked.account).await?;
        }
        let rights = self.session_rights(&asked)?;
        for _ in 0..MAX_CHOICES {
            let state = self.state()?;
            let choice = match &asked.joins {
                None => self.choose(id, &state, &asked, now).await?,
                Some(relay) => self.choose_joined(id, &state, &asked, relay, now).await?,
            };
            let session = Session {
                id: asked.session,
                author: asked.author,
                relay: choice.chosen.relay.clone(),
                created: now,
            };
            let to = Destination {
                seen: state.assigned.as_ref(),
                shares: choice.shares,
                follows: choice.follows,
                gone: &choice.gone,
            };
            let opened = self.step(|log| {
                let opened = log.open_session(&session, to)?;
                if opened && rights.has(Right::Write) {
                    log.admit_author(session.author, &session.relay, now)?;
                }
                Ok(opened)
            })?;
            if opened {
                let chosen = choice.chosen;
                return Ok(SessionOpened { chosen, rights });
            }
            self.choices.borrow_mut().forget(asked.location);
        }
        let detail = "the stream is moving from relay to relay: try again";
        Err(Problem::new(Kind::NoRelay, detail).header("retry-after", "1"))
    }

    /// The relay for a session; asks the directory at most once a second for clients in the same place.
    async fn choose(
        &self,
        id: &RequestId,
        state: &LogState,
        asked: &OpenSession,
        now: UnixMs,
    ) -> Result<Choice, Problem> {
        let mut wanted = Wanted {
            client: asked.location,
            ..state.wanted(now)
        };
        let known = self.choices.borrow_mut().take(&wanted, asked.session, now);
        if let Some(known) = known {
            return Ok(known);
        }
        wanted.handed = self.choices.borrow_mut().forget(wanted.client);
        let directory = relays_object(&self.env, id)?;
        let placed = directory
            .call(ChooseRelay {
                wanted: wanted.clone(),
            })
            .await?;
        let mut choices = self.choices.borrow_mut();
        Ok(choices.keep(&wanted, placed, asked.session, now))
    }

    /// The relay of the connection that a session joins, if it may get this stream.
    async fn choose_joined(
        &self,
        id: &RequestId,
        state: &LogState,
        asked: &OpenSession,
        relay: &RelayId,
        now: UnixMs,
    ) -> Result<Choice, Problem> {
        let wanted = Wanted {
            client: asked.location,
            only: Some(relay.clone()),
            ..state.wanted(now)
        };
        let placed = relays_object(&self.env, id)?.call(ChooseRelay { wanted }).await;
        match placed {
            Ok(placed) if placed.chosen.joins => Ok(Choice::of(&placed, asked.session)),
            Err(problem) if problem.kind() != Kind::NoRelay => Err(problem),
            _ => {
                let detail = "the connection's relay does not serve this stream, or takes one stream on a connection alone: \
                              open another session for it";
                Err(Problem::new(Kind::CannotJoin, detail))
            }
        }
    }

    /// The relay that a session was sent to, for its author.
    pub(super) fn find_session(&self, asked: &FindSession) -> Result<RelayId, Problem> {
        let session = self.look(|log| log.session_of(asked.session, asked.author))?;
        Ok(session.relay)
    }

    /// The relay is notified first: should that fail, the session is still here and the request can be repeated.
    pub(super) async fn end_session(&self, id: &RequestId, asked: &EndSession) -> Result<(), Problem> {
        let session = self.look(|log| log.session_of(asked.session, asked.author))?;
        let stream = self.state()?.id.short();
        let notice = Notice {
            stream,
            event: NoticeEvent::SessionEnded {
                session: asked.session,
            },
        };
        let relay = session.relay;
        self.post_notices(id, vec![RelayNotice { relay, notice }]).await?;
        self.step(|log| log.forget_session(asked.session))?;
        self.mailboxes.borrow_mut().leave(asked.session);
        Ok(())
    }
}
