//! Messages that come by HTTP: written here when no relay holds the stream, else fetched by the relay that does.
//!
//! While any of them waits the alarm runs: it reminds the relay, and writes them itself once that relay is dead.

use super::api::{APPEND_WAIT_MAX_MS, Append, AppendAnswer};
use super::object::Stream;
use crate::auth::bearer as auth;
use crate::objects::call::{Method, call, expect_json, json_body};
use crate::objects::relays::api::{NoticesPosted, PostNotices, RelayNotice};
use crate::objects::{relays_stub, to_error};
use crate::problem::{Kind, Problem};
use crate::response::{Answer, json};
use std::time::Duration;
use streamchain_edge_core::stream_log::{Appended, NewStream, StreamLog};
use streamchain_protocol::auth::Right;
use streamchain_protocol::ids::{Epoch, RelayId};
use streamchain_protocol::limits::PAYLOAD_MAX_BYTES;
use streamchain_protocol::wire::Record;
use streamchain_protocol::wire::{Notice, NoticeEvent};
use worker::{Date, Delay, Error, Response, console_error};

/// How often a waiting request looks whether its message is stored: one indexed read each.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How often the relay is reminded, milliseconds: as often as it renews.
const REMIND_INTERVAL_MS: u64 = 2_000;

impl Stream {
    /// `POST /append`
    pub(super) async fn append(&self, asked: Append) -> Answer {
        if asked.payload.len() > PAYLOAD_MAX_BYTES {
            let detail = format!(
                "payload: {} bytes, at most {PAYLOAD_MAX_BYTES}",
                asked.payload.len()
            );
            return Err(Problem::new(Kind::TooLarge, detail));
        }
        let begun = Date::now().as_millis();
        if !asked.system {
            self.limit_messages(&asked, begun)?;
        }
        if let Some(new) = &asked.create
            && let Some(refused) = self.create_by(new, &asked).await?
        {
            return Ok(refused);
        }
        self.check_append(&asked)?;
        let record = Record {
            time: begun,
            author: asked.author,
            producer: asked.producer,
            producer_seq: asked.producer_seq,
            payload: asked.payload,
        };
        let mut appended = self.step(|log| log.append(&record))?;
        self.waiters.notify();
        // No await since the step: the alarm is set with it or not at all.
        self.arm().await?;
        if let Appended::Waits(relay) = &appended {
            let relay = relay.clone();
            if let Err(error) = self.remind(&relay).await {
                console_error!("append: {error}"); // the alarm tries again
            }
            appended = self.step(|log| log.append(&record))?;
        }
        let until = begun + asked.wait_ms.min(APPEND_WAIT_MAX_MS);
        while matches!(appended, Appended::Waits(_)) && Date::now().as_millis() < until {
            Delay::from(LOOK_INTERVAL).await;
            appended = self.step(|log| log.append(&record))?;
        }
        json(
            200,
            &match appended {
                Appended::Committed(seq) => AppendAnswer { stored: true, seq },
                Appended::Waits(_) => AppendAnswer {
                    stored: false,
                    seq: None,
                },
            },
        )
    }

    /// Makes the stream, should it not be there; a response when there were too many.
    async fn create_by(&self, new: &NewStream, asked: &Append) -> Result<Option<Response>, Problem> {
        if asked.system {
            self.create(new).await?;
            return Ok(None);
        }
        let account = asked.account.map(|account| account.to_string());
        let client = Some(asked.client.as_str());
        let refused = self.limit_creation(client, account.as_deref()).await?;
        if refused.is_none() {
            self.create_for(new, client, account.as_deref()).await?;
        }
        Ok(refused)
    }

    /// Decided here, in one turn with the step: a right that was revoked before is not used.
    fn check_append(&self, asked: &Append) -> Result<(), Problem> {
        if asked.system {
            return Ok(());
        }
        if self.step(StreamLog::state)?.name.is_system() {
            let detail = "streams whose name begins with _ are written by the system alone";
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        let access = self.step(|log| log.access(asked.account))?;
        let rights = access.rights(asked.account, asked.operator).and(asked.limit);
        auth::check(asked.account.is_some(), rights, Right::Write)
    }

    /// `GET /inbox`: what waits, for the relay that holds the stream.
    pub(super) fn inbox(&self, relay: &RelayId, epoch: Epoch) -> Answer {
        let records = self.step(|log| log.waiting(relay, epoch))?;
        Ok(Response::from_bytes(records)?)
    }

    /// Tells the relay that something waits, unless it was told just now; writes it here if that relay is dead.
    async fn remind(&self, relay: &RelayId) -> Result<(), Error> {
        let now_ms = Date::now().as_millis();
        if now_ms.saturating_sub(self.reminded.get()) < REMIND_INTERVAL_MS {
            return Ok(());
        }
        self.reminded.set(now_ms);
        let notice = Notice {
            stream: self.step(StreamLog::state).map_err(to_error)?.id.short(),
            event: NoticeEvent::Append,
        };
        let notices = PostNotices {
            notices: vec![RelayNotice {
                relay: relay.clone(),
                notice,
            }],
        };
        let stub = relays_stub(&self.env)?;
        let told = call(&stub, Method::Post, "/notices", json_body(&notices)?).await?;
        let told: NoticesPosted = expect_json(told).await?;
        if told.dead.contains(relay) {
            self.step(|log| log.take_over(relay)).map_err(to_error)?;
            self.waiters.notify();
        }
        Ok(())
    }

    /// The alarm's part: whatever waits is fetched or written in the end.
    pub(super) async fn serve_inbox(&self) -> Result<(), Error> {
        let state = self.step(StreamLog::state).map_err(to_error)?;
        if state.inbox.messages == 0 {
            return Ok(());
        }
        match state.relay_leader() {
            Some(relay) => self.remind(relay).await,
            None => {
                self.step(StreamLog::commit_waiting).map_err(to_error)?;
                self.waiters.notify();
                Ok(())
            }
        }
    }
}
