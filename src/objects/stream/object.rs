//! The Stream object: one per stream, the only writer of its head. A shell over [`Log`].
//!
//! Internal paths (the Worker has authenticated whoever asks): `POST /streams`, `GET /state`, `GET /access`,
//! `PATCH /settings`, `GET /members`, `PUT` and `DELETE /members/{address}`, `POST /withdraw`, `POST /sessions`,
//! `DELETE /sessions/{session}`, `PUT /holder`, `GET /producers/{producer}`, `POST /batches`, `GET /tail`,
//! `POST /notices`, `POST /append`, `GET /inbox`, `DELETE /holder`, `GET /news`.

use super::access::to_address;
use super::api::*;
use super::tables::StreamRows;
use super::waiters::Waiters;
use crate::objects::call::{Method, Outcome, call, json_body, outcome};
use crate::objects::relays::api::{ChooseRelay, PostNotices, RelayNotice};
use crate::objects::relays_stub;
use crate::problem::{Kind, Problem};
use crate::query;
use crate::rate_limit::Gate;
use crate::request::from_json;
use crate::response::Answer;
use crate::response::json;
use crate::storage::sql;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::str::FromStr;
use streamchain_edge_core::directory::Chosen;
use streamchain_edge_core::signalling::Mailboxes;
use streamchain_edge_core::stream_log::{LogError, LogState, NewStream, Session, Step, StreamLog};
use streamchain_protocol::ids::{Epoch, ProducerId, Seq, SessionId};
use streamchain_protocol::limits::CHOSEN_LIFE_MS;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::Batch;
use streamchain_protocol::wire::{AcquireEpoch, Notice, NoticeEvent};
use worker::{Date, DurableObject, Env, Request, Response, State, console_error, durable_object};

/// How often a session's relay is chosen again when the stream moved meanwhile.
const CHOOSE_TRIES: usize = 3;

type Log = StreamLog<StreamRows>;

/// One stream.
#[durable_object(alarm)]
pub struct Stream {
    pub(super) state: State,
    pub(super) env: Env,
    pub(super) log: Log,
    /// Whether this instance looked for work that an earlier one left.
    pub(super) looked: Cell<bool>,
    /// Whether an alarm is set, as far as this instance knows.
    pub(super) armed: Cell<bool>,
    /// When the relay was last told that messages wait for it.
    pub(super) reminded: Cell<u64>,
    /// Rung when there is something new for readers.
    pub(super) waiters: Waiters,
    /// Flushes that failed in a row.
    pub(super) failures: Cell<u32>,
    /// How much clients ask for.
    pub(super) gate: Gate,
    /// The relay chosen last, and when.
    pub(super) chosen: RefCell<Option<(Chosen, u64)>>,
    /// What browsers leave for each other.
    pub(super) mailboxes: RefCell<Mailboxes>,
}

impl DurableObject for Stream {
    fn new(state: State, env: Env) -> Self {
        let log = StreamLog::new(StreamRows::new(state.storage().sql()));
        let (armed, failures) = (Cell::new(false), Cell::new(0));
        Self {
            state,
            env,
            log,
            looked: Cell::new(false),
            armed,
            failures,
            gate: Gate::default(),
            reminded: Cell::new(0),
            waiters: Waiters::default(),
            chosen: RefCell::new(None),
            mailboxes: RefCell::default(),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        match self.answer(request).await {
            Ok(response) => Ok(response),
            Err(problem) => problem.into_response(),
        }
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.on_alarm().await;
        Response::empty()
    }
}

impl Stream {
    /// One step of the machine, in one transaction.
    pub(super) fn step<T>(&self, step: impl FnOnce(&Log) -> Step<T, StreamRows>) -> Step<T, StreamRows> {
        sql::atomically(&self.state.storage(), || step(&self.log).map_err(StepError)).map_err(|error| error.0)
    }

    /// An alarm that failed again and again is dropped by the platform: the first request sets it anew.
    pub(super) async fn resume(&self) -> Result<(), Problem> {
        if !self.looked.replace(true) && self.step(Log::has_work).unwrap_or(false) {
            self.arm().await?;
        }
        Ok(())
    }

    pub(super) async fn answer(&self, mut request: Request) -> Answer {
        self.resume().await?;
        let (url, path) = (request.inner().url(), request.path());
        let path: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (request.method(), path.as_slice()) {
            (Method::Post, ["streams"]) => {
                let (client, account) = (
                    query::parameter(&url, "client"),
                    query::parameter(&url, "account"),
                );
                let new = read(&mut request).await?;
                if let Some(refused) = self.limit_creation(client.as_deref(), account.as_deref()).await? {
                    return Ok(refused);
                }
                self.create_for(&new, client.as_deref(), account.as_deref()).await
            }
            (Method::Get, ["state"]) => json(200, &self.step(Log::state)?),
            (Method::Get, ["access"]) => self.access(&url),
            (Method::Patch, ["settings"]) => self.change_settings(&read(&mut request).await?).await,
            (Method::Get, ["members"]) => self.members(),
            (Method::Put, ["members", member]) => {
                self.put_member(to_address(member)?, &read(&mut request).await?)
            }
            (Method::Post, ["withdraw"]) => {
                let asked: WithdrawHere = read(&mut request).await?;
                self.withdraw(asked.authors.into_iter().map(Some)).await
            }
            (Method::Delete, ["members", member]) => self.drop_member(to_address(member)?),
            (Method::Post, ["sessions"]) => self.open_session(read(&mut request).await?).await,
            (Method::Delete, ["sessions", session]) => {
                let asked: EndSession = read(&mut request).await?;
                self.end_session(session.parse()?, &asked).await
            }
            (Method::Post, ["sessions", session, "signals"]) => {
                self.signal(session.parse()?, read(&mut request).await?)
            }
            (Method::Get, ["sessions", session, "signals"]) => self.look(&url, session.parse()?),
            (Method::Put, ["holder"]) => {
                let (relay, acquired): (_, AcquireEpoch) = (asked(&url, "relay")?, read(&mut request).await?);
                json(
                    200,
                    &self.step(|log| log.acquire_epoch(&relay, acquired.incarnation))?,
                )
            }
            (Method::Delete, ["holder"]) => {
                let (relay, epoch) = (asked(&url, "relay")?, Epoch(asked(&url, "epoch")?));
                self.step(|log| log.release(&relay, epoch))?;
                self.waiters.notify();
                self.arm().await?;
                json(200, &serde_json::json!({}))
            }
            (Method::Post, ["append"]) => self.append(read(&mut request).await?).await,
            (Method::Get, ["news"]) => {
                let cursor = asked(&url, "after")?;
                self.news(cursor, asked(&url, "wait")?).await
            }
            (Method::Get, ["inbox"]) => self.inbox(&asked(&url, "relay")?, Epoch(asked(&url, "epoch")?)),
            (Method::Get, ["producers", producer]) => self.producer(&url, producer.parse()?),
            (Method::Post, ["batches"]) => self.commit(&url, &request.bytes().await?).await,
            (Method::Get, ["tail"]) => self.tail(&url),
            (Method::Post, ["notices"]) => self.apply_notice(&read(&mut request).await?),
            _ => Err(Problem::internal(format!(
                "the Stream object has no {}",
                path.join("/")
            ))),
        }
    }

    pub(super) async fn create(&self, new: &NewStream) -> Answer {
        let now_ms = Date::now().as_millis();
        self.log.rows().prepare()?;
        let (state, created) = self.step(|log| log.create(new, UnixMs(now_ms)))?;
        if !state.listed {
            self.arm().await?;
            // Before anybody hears that it is made: the Listener passes over events of streams that the list lacks,
            // and the first may follow at once. A database that is down knows no streams at all: then the alarm does it.
            if let Err(error) = self.list().await {
                console_error!("listing the stream: {error}");
            }
        }
        json(if created { 201 } else { 200 }, &state)
    }

    pub(super) async fn open_session(&self, asked: OpenSession) -> Answer {
        let now_ms = Date::now().as_millis();
        self.limit_sessions(&asked, now_ms)?;
        if let Some(new) = &asked.create {
            let account = asked.account.map(|account| account.to_string());
            if let Some(refused) = self
                .limit_creation(Some(&asked.client), account.as_deref())
                .await?
            {
                return Ok(refused);
            }
            self.create_for(new, Some(&asked.client), account.as_deref())
                .await?;
        }
        let rights = self.session_rights(&asked)?;
        for _ in 0..CHOOSE_TRIES {
            let state = self.step(Log::state)?;
            let relay = match self.choose(&state, now_ms).await? {
                Outcome::Done(chosen) => chosen,
                Outcome::Refused(response) => return Ok(response),
            };
            let (id, author) = (asked.session, asked.author);
            let session = Session {
                id,
                author,
                relay: relay.relay.clone(),
                created: UnixMs(now_ms),
            };
            if self.step(|log| log.open_session(&session, state.assigned.as_ref()))? {
                let chosen = relay;
                return json(201, &SessionOpened { chosen, rights });
            }
            self.chosen.replace(None);
        }
        let detail = "the stream is moving from relay to relay: try again";
        Err(Problem::new(Kind::NoRelay, detail).header("retry-after", "1"))
    }

    /// The stream's relay while it lives, or another; asks the directory at most once a second.
    pub(super) async fn choose(&self, state: &LogState, now_ms: u64) -> Result<Outcome<Chosen>, Problem> {
        let recent = |(chosen, at): &&(Chosen, u64)| {
            now_ms.saturating_sub(*at) < CHOSEN_LIFE_MS && state.assigned.as_ref() == Some(&chosen.relay)
        };
        let known = self
            .chosen
            .borrow()
            .as_ref()
            .filter(recent)
            .map(|(chosen, _)| chosen.clone());
        if let Some(chosen) = known {
            return Ok(Outcome::Done(chosen));
        }
        let asked = ChooseRelay {
            stream: state.id.short(),
            current: state.assigned.clone(),
        };
        let stub = relays_stub(&self.env)?;
        let answer: Outcome<Chosen> =
            outcome(call(&stub, Method::Post, "/choose", json_body(&asked)?).await?).await?;
        if let Outcome::Done(chosen) = &answer {
            self.chosen.replace(Some((chosen.clone(), now_ms)));
        }
        Ok(answer)
    }

    /// The relay hears of it first: should that fail, the session is still here and the request can be repeated.
    pub(super) async fn end_session(&self, id: SessionId, asked: &EndSession) -> Answer {
        let session = self.step(|log| log.session_of(id, asked.author))?;
        let stream = self.step(Log::state)?.id.short();
        let notice = Notice {
            stream,
            event: NoticeEvent::SessionEnded { session: id },
        };
        let relay = session.relay;
        self.tell_relays(vec![RelayNotice { relay, notice }]).await?;
        self.step(|log| log.forget_session(id))?;
        self.mailboxes.borrow_mut().leave(id);
        json(200, &serde_json::json!({}))
    }

    pub(super) async fn tell_relays(&self, notices: Vec<RelayNotice>) -> Result<(), Problem> {
        let stub = relays_stub(&self.env)?;
        let notices = PostNotices { notices };
        let told = call(&stub, Method::Post, "/notices", json_body(&notices)?).await?;
        crate::objects::call::expect_json::<serde_json::Value>(told).await?;
        Ok(())
    }

    pub(super) fn producer(&self, url: &str, producer: ProducerId) -> Answer {
        let (relay, epoch) = (asked(url, "relay")?, Epoch(asked(url, "epoch")?));
        json(200, &self.step(|log| log.producer(&relay, epoch, producer))?)
    }

    pub(super) async fn commit(&self, url: &str, body: &[u8]) -> Answer {
        let relay = asked(url, "relay")?;
        let batch = Batch::decode(body)?;
        let committed = self.step(|log| log.commit(&relay, &batch))?;
        self.waiters.notify();
        // No await since the commit: the alarm is set with it or not at all.
        self.arm().await?;
        json(200, &committed)
    }

    pub(super) fn tail(&self, url: &str) -> Answer {
        let (from, bytes) = (Seq(asked(url, "from")?), asked(url, "bytes")?);
        let tail = self.step(|log| log.tail(from, bytes))?;
        Ok(TailAnswer::respond(tail)?)
    }

    /// What the chain says of the stream. Answers who holds it, so that the Listener can pass the news on.
    pub(super) fn apply_notice(&self, heard: &StreamNotices) -> Answer {
        let mut state = self.step(Log::state)?;
        for notice in &heard.notices {
            state = self.step(|log| log.apply_notice(&notice.event))?;
        }
        self.waiters.notify();
        json(200, &serde_json::json!({ "relay": state.relay() }))
    }
}

/// A step's error with the conversion that [`sql::atomically`] asks for.
struct StepError(LogError<worker::Error>);

impl From<worker::Error> for StepError {
    fn from(error: worker::Error) -> Self {
        Self(LogError::Store(error))
    }
}

async fn read<T: DeserializeOwned>(request: &mut Request) -> Result<T, Problem> {
    from_json(&request.bytes().await?)
}

/// A parameter of an internal query.
pub(super) fn asked<T: FromStr<Err: Display>>(url: &str, name: &str) -> Result<T, Problem> {
    let text = query::parameter(url, name).unwrap_or_default();
    text.parse()
        .map_err(|error| Problem::new(Kind::BadRequest, format!("{name}: {error}")))
}
