//! The Stream object's part in sessions: which relay a session goes to, and its end.

use super::object::Stream;
use crate::api::relays::{ChooseRelay, RelayNotice, relays_object};
use crate::api::stream::{EndSession, FindSession, OpenSession, SessionFound, SessionOpened};
use crate::clock;
use crate::problem::{Kind, Problem};
use streamchain_edge_core::directory::Chosen;
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::stream_log::{LogState, Session};
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::limits::CHOSEN_LIFE_MS;
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
        self.limit_sessions(&asked, now)?;
        if let Some(new) = &asked.create {
            self.create_limited(id, new, &asked.client, asked.account).await?;
        }
        let rights = self.session_rights(&asked)?;
        for _ in 0..MAX_CHOICES {
            let state = self.state()?;
            let chosen = match &asked.joins {
                None => self.choose(id, &state, now).await?,
                Some(relay) => self.choose_joined(id, &state, relay, now).await?,
            };
            let session = Session {
                id: asked.session,
                author: asked.author,
                relay: chosen.relay.clone(),
                created: now,
            };
            let opened = self.step(|log| {
                let opened = log.open_session(&session, state.assigned.as_ref())?;
                if opened && rights.has(Right::Write) {
                    log.admit_author(session.author, &session.relay, now)?;
                }
                Ok(opened)
            })?;
            if opened {
                return Ok(SessionOpened { chosen, rights });
            }
            self.chosen.replace(None);
        }
        let detail = "the stream is moving from relay to relay: try again";
        Err(Problem::new(Kind::NoRelay, detail).header("retry-after", "1"))
    }

    /// The stream's relay while it lives, or another; asks the directory at most once a second.
    async fn choose(&self, id: &RequestId, state: &LogState, now: UnixMs) -> Result<Chosen, Problem> {
        let recent = |(chosen, at): &&(Chosen, UnixMs)| {
            now.since(*at) < CHOSEN_LIFE_MS && state.assigned.as_ref() == Some(&chosen.relay)
        };
        let known = self
            .chosen
            .borrow()
            .as_ref()
            .filter(recent)
            .map(|(chosen, _)| chosen.clone());
        if let Some(chosen) = known {
            return Ok(chosen);
        }
        let asked = ChooseRelay {
            stream: state.id.short(),
            current: state.assigned.clone(),
        };
        let chosen = relays_object(&self.env, id)?.call(asked).await?;
        self.chosen.replace(Some((chosen.clone(), now)));
        Ok(chosen)
    }

    /// The relay of the connection that a session joins, if it may serve this stream: it does already, or no living relay does.
    async fn choose_joined(
        &self,
        id: &RequestId,
        state: &LogState,
        relay: &RelayId,
        now: UnixMs,
    ) -> Result<Chosen, Problem> {
        let mut chosen = self.choose(id, state, now).await?;
        if chosen.relay != *relay && state.assigned.as_ref() != Some(&chosen.relay) {
            let asked = ChooseRelay {
                stream: state.id.short(),
                current: Some(relay.clone()),
            };
            chosen = relays_object(&self.env, id)?.call(asked).await?;
        }
        match chosen.relay == *relay && chosen.joins {
            true => Ok(chosen),
            false => {
                let detail = "the connection's relay does not serve this stream, or takes one stream on a connection alone: \
                              open another session for it";
                Err(Problem::new(Kind::CannotJoin, detail))
            }
        }
    }

    /// The relay that a session was sent to, for its author.
    pub(super) fn find_session(&self, asked: &FindSession) -> Result<SessionFound, Problem> {
        let session = self.step(|log| log.session_of(asked.session, asked.author))?;
        Ok(SessionFound { relay: session.relay })
    }

    /// The relay is notified first: should that fail, the session is still here and the request can be repeated.
    pub(super) async fn end_session(&self, id: &RequestId, asked: &EndSession) -> Result<(), Problem> {
        let session = self.step(|log| log.session_of(asked.session, asked.author))?;
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
