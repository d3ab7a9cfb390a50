//! The Stream object: one per stream, the only writer of its head. A shell over [`Log`].

use super::tables::StreamRows;
use super::waiters::Waiters;
use crate::api::by_method::answer_call;
use crate::api::call::{Encoded, reply, serve};
use crate::api::relays::{NoticesPosted, PostNotices, RelayNotice, relays_object};
use crate::api::stream::*;
use crate::clock;
use crate::problem::Problem;
use crate::rate_limit::Gate;
use crate::storage::alarm::Alarm;
use crate::storage::sql;
use std::cell::{Cell, RefCell};
use streamchain_edge_core::directory::Choices;
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::signalling::Mailboxes;
use streamchain_edge_core::stream_log::{
    FlushedSegments, InboxShares, LogError, LogState, NewStream, ReportedPresence, Schedule, Step, StreamLog,
};
use streamchain_edge_core::webhooks::Wakening;
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::{Batch, Committed, ProducerState};
use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Error, Request, Response, State, console_error, durable_object};

type Log = StreamLog<StreamRows>;

/// One stream.
#[durable_object(alarm)]
pub struct Stream {
    pub(super) state: State,
    pub(super) env: Env,
    pub(super) log: Log,
    /// Whether this instance looked for work that an earlier one left.
    pub(super) looked: Cell<bool>,
    pub(super) alarm: Alarm,
    /// When the relay was last notified that messages wait for it.
    pub(super) notified: Cell<UnixMs>,
    /// The requests that wait for a change.
    pub(super) waiters: Waiters,
    /// Whose messages wait for the relay.
    pub(super) inbox_shares: RefCell<InboxShares>,
    /// When what waits is due.
    pub(super) schedule: RefCell<Schedule>,
    /// What this instance wrote to the database lately.
    pub(super) flushed: RefCell<FlushedSegments>,
    /// When a reader asked for news last.
    pub(super) asked: Cell<Option<UnixMs>>,
    /// Whether the batcher knows that somebody watches the stream, as far as this instance said so.
    pub(super) is_watch_told: Cell<bool>,
    /// How much clients ask for.
    pub(super) gate: Gate,
    /// The relays chosen last.
    pub(super) choices: RefCell<Choices>,
    /// When the leader committed last, as far as this instance saw it.
    pub(super) committed: Cell<UnixMs>,
    /// What it knows of the stream's webhooks.
    pub(super) wakening: RefCell<Wakening>,
    /// What browsers leave for each other.
    pub(super) mailboxes: RefCell<Mailboxes>,
    /// What the leader reported of who is there.
    pub(super) presence: RefCell<Option<ReportedPresence>>,
}

impl DurableObject for Stream {
    fn new(state: State, env: Env) -> Self {
        let log = StreamLog::new(StreamRows::new(state.storage().sql()));
        Self {
            state,
            env,
            log,
            looked: Cell::new(false),
            alarm: Alarm::default(),
            schedule: RefCell::default(),
            flushed: RefCell::default(),
            asked: Cell::new(None),
            is_watch_told: Cell::new(false),
            gate: Gate::default(),
            notified: Cell::new(UnixMs(0)),
            waiters: Waiters::default(),
            inbox_shares: RefCell::default(),
            choices: RefCell::default(),
            committed: Cell::new(UnixMs(0)),
            wakening: RefCell::default(),
            mailboxes: RefCell::default(),
            presence: RefCell::default(),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, id| self.answer(asked, id).await).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.on_alarm().await;
        Response::empty()
    }
}

#[wasm_bindgen(wasm_bindgen_futures = ::worker::wasm_bindgen_futures, js_sys = ::worker::js_sys)]
impl Stream {
    /// Answers a request that comes as a call of this method: `Handle::call_method`.
    pub async fn call(
        &self,
        name: String,
        shape: u32,
        id: String,
        body: Vec<u8>,
    ) -> Result<JsValue, JsValue> {
        let answer = async |asked, id: &RequestId| self.answer(asked, id).await;
        answer_call((&name, shape), &id, body, answer).await
    }
}

impl Stream {
    /// One step of the machine, in one transaction.
    pub(super) fn step<T>(&self, step: impl FnOnce(&Log) -> Step<T, StreamRows>) -> Step<T, StreamRows> {
        let outcome = sql::atomically(&self.state.storage(), || step(&self.log).map_err(StepError));
        outcome.map_err(|StepError(error)| {
            self.log.rows().forget();
            if !matches!(error, LogError::Refused(_)) {
                self.log.forget();
            }
            error
        })
    }

    /// An alarm that failed again and again is dropped by the platform: the first request sets it anew.
    pub(super) async fn resume(&self) -> Result<(), Problem> {
        if self.looked.get() {
            return Ok(());
        }
        if self.discard_if_empty().await? {
            self.looked.set(true);
        } else if self.finds_work() {
            let storage = self.state.storage();
            self.alarm.adopt(&storage).await?;
            self.alarm.arm(&storage, self.next_round()).await?;
        }
        Ok(())
    }

    /// Deletes what an earlier version left that made the tables before it refused the stream.
    pub(super) async fn discard_if_empty(&self) -> Result<bool, Error> {
        if !self.log.rows().is_empty()? {
            return Ok(false);
        }
        self.state.storage().delete_alarm().await?;
        self.state.storage().delete_all().await?;
        self.log.rows().forget();
        Ok(true)
    }

    async fn answer(&self, asked: StreamRequest, id: &RequestId) -> Result<Vec<u8>, Problem> {
        use StreamRequest as Asked;
        self.resume().await?;
        match asked {
            Asked::Create(asked) => reply::<Create>(self.create_for(id, &asked).await),
            Asked::GetState(_) => reply::<GetState>(self.state()),
            Asked::GetOverview(_) => reply::<GetOverview>(self.overview()),
            Asked::GetAccess(asked) => reply::<GetAccess>(self.access(asked.account)),
            Asked::ChangeSettings(asked) => {
                reply::<ChangeSettings>(self.change_settings(id, &asked.change).await)
            }
            Asked::ListMembers(_) => reply::<ListMembers>(self.members()),
            Asked::PutMember(asked) => reply::<PutMember>(self.put_member(id, &asked).await),
            Asked::RemoveMember(asked) => reply::<RemoveMember>(self.remove_member(id, &asked).await),
            Asked::Withdraw(asked) => {
                let authors = asked.authors.into_iter().map(Some);
                reply::<Withdraw>(self.withdraw(id, authors).await)
            }
            Asked::OpenSession(asked) => reply::<OpenSession>(self.open_session(id, asked).await),
            Asked::FindSession(asked) => reply::<FindSession>(self.find_session(&asked)),
            Asked::EndSession(asked) => reply::<EndSession>(self.end_session(id, &asked).await),
            Asked::PostSignal(asked) => reply::<PostSignal>(self.post_signal(asked)),
            Asked::ReadSignals(asked) => reply::<ReadSignals>(self.read_signals(&asked)),
            Asked::Acquire(asked) => reply::<Acquire>(self.acquire(id, &asked).await),
            Asked::Release(asked) => reply::<Release>(self.release(&asked).await),
            Asked::ReportPresence(asked) => reply::<ReportPresence>(self.take_presence(asked)),
            Asked::ReadInbox(asked) => reply::<ReadInbox>(self.read_inbox(&asked)),
            Asked::GetProducer(asked) => reply::<GetProducer>(self.producer(&asked)),
            Asked::Commit(asked) => reply::<Commit>(self.commit(&asked).await),
            Asked::Append(asked) => reply::<Append>(self.append(id, asked).await),
            Asked::ReadTail(asked) => {
                let tail = self.step(|log| log.tail(&asked.reader, asked.from, asked.max_bytes));
                reply::<ReadTail>(tail.map_err(Problem::from))
            }
            Asked::ReadNews(asked) => reply::<ReadNews>(self.read_news(&asked).await),
            Asked::FlushTo(asked) => reply::<FlushTo>(self.flush_to(&asked).await),
            Asked::ForgetErased(asked) => reply::<ForgetErased>(self.forget_erased(id, &asked).await),
            Asked::ApplyNotices(asked) => reply::<ApplyNotices>(self.apply_notices(&asked).await),
            Asked::SetWatch(asked) => reply::<SetWatch>(self.set_watch(&asked)),
            Asked::ReadAsWebhook(asked) => reply::<ReadAsWebhook>(self.read_as_webhook(&asked)),
        }
    }

    /// What the stream is, if it was made.
    pub(super) fn state(&self) -> Result<LogState, Problem> {
        Ok(self.log.state()?)
    }

    /// Makes the stream, if it is not there, and lists it in the database.
    pub(super) async fn create(&self, id: &RequestId, new: &NewStream) -> Result<Created, Problem> {
        let now = clock::now();
        self.log.rows().prepare()?;
        let (state, created) = self.step(|log| log.create(new, now))?;
        if !state.listed {
            self.arm().await?;
            // Before anybody learns that it is made: the Listener passes over events of streams that the list lacks,
            // and the first may follow at once. A database that is down knows no streams at all: then the alarm does it.
            if let Err(error) = self.list().await {
                console_error!("request {id}: listing the stream: {error}");
            }
        }
        Ok(Created { state, created })
    }

    /// The messages that wait, for the relay that is the leader.
    fn read_inbox(&self, asked: &ReadInbox) -> Result<Vec<u8>, Problem> {
        Ok(self.step(|log| log.waiting(&asked.relay, asked.epoch))?)
    }

    fn producer(&self, asked: &GetProducer) -> Result<Encoded<ProducerState>, Problem> {
        Ok(Encoded::of(&self.step(|log| {
            log.producer(&asked.relay, asked.epoch, asked.producer, asked.author)
        })?))
    }

    async fn commit(&self, asked: &Commit) -> Result<Encoded<Committed>, Problem> {
        let batch = Batch::decode(&asked.batch)?;
        let committed = self.step(|log| log.commit(&asked.relay, &batch))?;
        self.committed.set(clock::now());
        self.waiters.notify();
        // No await since the commit: the alarm is set with it or not at all.
        self.arm().await?;
        Ok(Encoded::of(&committed))
    }

    /// What the chain says of the stream. Answers which relay is to have the notices too.
    async fn apply_notices(&self, asked: &ApplyNotices) -> Result<NoticesApplied, Problem> {
        let mut state = self.step(Log::state)?;
        for notice in &asked.notices {
            state = self.step(|log| match asked.in_rounds {
                true => log.apply_round(&notice.event),
                false => log.apply_notice(&notice.event),
            })?;
        }
        self.waiters.notify();
        // No await since the steps: the alarm that wakes the webhooks is set with them or not at all.
        let (storage, now) = (self.state.storage(), clock::now());
        self.alarm.arm(&storage, self.wake_due(now)).await?;
        Ok(NoticesApplied {
            relay: state.relay().cloned(),
            missing_anchor: state.missing_anchor(),
        })
    }

    pub(super) async fn post_notices(
        &self,
        id: &RequestId,
        notices: Vec<RelayNotice>,
    ) -> Result<NoticesPosted, Problem> {
        relays_object(&self.env, id)?.call(PostNotices { notices }).await
    }
}

/// A step's error with the conversion that [`sql::atomically`] asks for.
struct StepError(LogError<worker::Error>);

impl From<worker::Error> for StepError {
    fn from(error: worker::Error) -> Self {
        Self(LogError::Store(error))
    }
}
