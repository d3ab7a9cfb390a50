//! The Audit object: takes entries of the audit log in their order and brings them to the stream `_audit`.
//!
//! What always holds: an entry that was taken is in this object's SQLite until the stream has stored it; the entry's
//! number is its producer's number there, so that it is stored exactly once, whatever dies; the index in the database
//! follows.

use crate::api::audit::{AddEntry, AddLeftOut, AuditRequest};
use crate::api::call::{new_request_id, reply, serve};
use crate::api::stream::{Append, stream_object};
use crate::clock;
use crate::config::Config;
use crate::objects::to_error;
use crate::problem::Problem;
use crate::storage::alarm::{Alarm, MAX_ROUND_MS};
use crate::storage::d1::{self, audit};
use crate::storage::row::Row;
use crate::storage::schema;
use crate::storage::sql;
use std::cell::RefCell;
use streamchain_edge_core::attempt::{audit_producer, refusal_kind};
use streamchain_edge_core::audit_log::{Entry, LeftOut, Outcome, SUMMARY_MS, Sampler, summary};
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::stream_log::NewStream;
use streamchain_protocol::ids::{StreamId, StreamName};
use streamchain_protocol::stream_settings::{ReadAccess, StreamSettings, WriteAccess};
use streamchain_protocol::time::UnixMs;
use worker::{DurableObject, Env, Error, Request, Response, State, console_error, durable_object};

/// The stream's name.
const STREAM: &str = "_audit";

/// How long entries gather before they are brought to the stream, milliseconds.
const GATHER_MS: u64 = 500;

/// When to try again after a failure, milliseconds.
const RETRY_MS: u64 = 5_000;

/// Entries brought to the stream in one alarm; more follow with the next.
const MAX_ENTRIES_AT_ONCE: u64 = 50;

/// Entries that may wait. Above it refusals are no longer taken; changes are.
const MAX_WAITING: u64 = 10_000;

const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS waiting (
  id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  outcome TEXT NOT NULL, entry TEXT NOT NULL)",
    // What was left out since the last summary: nobody asks this object for anything meanwhile, so it may be taken out of
    // memory before the next one is due.
    "CREATE TABLE left_out (one INTEGER PRIMARY KEY CHECK (one = 1), since INTEGER NOT NULL, json TEXT NOT NULL)",
];

struct Waiting {
    id: u64,
    time: UnixMs,
    actor: String,
    action: String,
    outcome: String,
    entry: String,
}

impl Waiting {
    fn read(row: &mut Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.number()?,
            time: UnixMs(row.number()?),
            actor: row.text()?,
            action: row.text()?,
            outcome: row.text()?,
            entry: row.text()?,
        })
    }
}

/// The audit log's way in.
#[durable_object(alarm)]
pub struct Audit {
    state: State,
    env: Env,
    alarm: Alarm,
    sampler: RefCell<Sampler>,
}

impl DurableObject for Audit {
    fn new(state: State, env: Env) -> Self {
        if let Err(error) = schema::upgrade(&state.storage().sql(), SCHEMA) {
            console_error!("audit: {error}");
        }
        Self {
            state,
            env,
            alarm: Alarm::default(),
            sampler: RefCell::default(),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, _| match asked {
            AuditRequest::AddEntry(asked) => reply::<AddEntry>(self.add(asked).await),
            AuditRequest::AddLeftOut(asked) => reply::<AddLeftOut>(self.add_left_out(&asked.left_out).await),
        })
        .await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        let storage = self.state.storage();
        self.alarm.begin(&storage, MAX_ROUND_MS).await;
        let flushed = async {
            self.write_summary()?;
            self.flush().await
        };
        let next = match flushed.await {
            Ok(0) => None,
            Ok(_) => Some(GATHER_MS),
            Err(error) => {
                console_error!("audit: {error}");
                Some(RETRY_MS)
            }
        };
        let next = next.map(|wait| clock::now().plus_ms(wait));
        let next = next.or(self.summary_due().unwrap_or_default());
        self.alarm.end(&storage, next).await;
        Response::empty()
    }
}

impl Audit {
    async fn add(&self, asked: AddEntry) -> Result<(), Problem> {
        let now = clock::now();
        let mut entry = asked.into_entry();
        if entry.outcome != Outcome::Done {
            let kind = refusal_kind(&entry);
            let admitted = self.sampler.borrow_mut().admit(&kind, &entry, now);
            match admitted {
                Some(count) if self.waiting()? < MAX_WAITING => entry.count = count,
                _ => {
                    let left_out = self.sampler.borrow_mut().take_left_out(now, 0);
                    return self.add_left_out(&left_out.unwrap_or_default()).await;
                }
            }
        }
        self.put(&entry)?;
        // No await since the write: the alarm is set with it or not at all.
        let storage = self.state.storage();
        Ok(self.alarm.arm(&storage, Some(now.plus_ms(GATHER_MS))).await?)
    }

    /// Adds to what the next summary says, and makes sure that it is written, also when nothing more happens.
    async fn add_left_out(&self, left_out: &[LeftOut]) -> Result<(), Problem> {
        let now = clock::now();
        let (since, known) = self.left_out()?.unwrap_or((now, Vec::new()));
        let mut all = Sampler::default();
        all.add(&known, now);
        all.add(left_out, now);
        let Some(all) = all.take_left_out(now, 0) else {
            return Ok(());
        };
        let json = serde_json::to_string(&all).map_err(Problem::internal)?;
        sql::run(
            &self.state.storage().sql(),
            "INSERT OR REPLACE INTO left_out VALUES (1, ?, ?)",
            vec![sql::number(since.0), json.into()],
        )?;
        // No await since the write: the alarm is set with it or not at all.
        let due = since.plus_ms(SUMMARY_MS);
        Ok(self.alarm.arm(&self.state.storage(), Some(due)).await?)
    }

    /// What was left out since the last summary, and since when.
    fn left_out(&self) -> Result<Option<(UnixMs, Vec<LeftOut>)>, Error> {
        let query = "SELECT since, json FROM left_out";
        sql::first(&self.state.storage().sql(), query, Vec::new(), |row| {
            Ok((UnixMs(row.number()?), sql::own_json(&row.text()?)?))
        })
    }

    /// When the next summary is due, if anything was left out.
    fn summary_due(&self) -> Result<Option<UnixMs>, Error> {
        Ok(self.left_out()?.map(|(since, _)| since.plus_ms(SUMMARY_MS)))
    }

    /// Puts the entry about what was left out with those that wait, once it is due.
    fn write_summary(&self) -> Result<(), Error> {
        let now = clock::now();
        let Some((since, left_out)) = self.left_out()? else {
            return Ok(());
        };
        if now < since.plus_ms(SUMMARY_MS) {
            return Ok(());
        }
        self.put(&summary(left_out, now))?;
        sql::run(&self.state.storage().sql(), "DELETE FROM left_out", Vec::new())
    }

    fn put(&self, entry: &Entry) -> Result<(), Error> {
        let values = vec![
            sql::number(entry.time.0),
            entry.actor.clone().into(),
            entry.action.clone().into(),
            entry.outcome.as_str().into(),
            entry.to_json().into(),
        ];
        let put = "INSERT INTO waiting (time, actor, action, outcome, entry) VALUES (?, ?, ?, ?, ?)";
        sql::run(&self.state.storage().sql(), put, values)
    }

    fn waiting(&self) -> Result<u64, Error> {
        let query = "SELECT count(*) FROM waiting";
        let count = sql::first(&self.state.storage().sql(), query, Vec::new(), Row::number)?;
        Ok(count.unwrap_or(0))
    }

    /// Brings the oldest entries to the stream and to the index; how many still wait.
    async fn flush(&self) -> Result<u64, Error> {
        let database = self.state.storage().sql();
        let query = "SELECT id, time, actor, action, outcome, entry FROM waiting ORDER BY id LIMIT ?";
        let entries = sql::all(
            &database,
            query,
            vec![sql::number(MAX_ENTRIES_AT_ONCE)],
            Waiting::read,
        )?;
        if entries.is_empty() {
            return Ok(0);
        }
        let config = Config::of(&self.env).map_err(to_error)?;
        let db = self.env.d1("DB")?;
        let id = new_request_id();
        let mut index = Vec::with_capacity(entries.len());
        for one in &entries {
            let seq = self.append(&id, &config, one).await?;
            let columns = [one.actor.as_str(), &one.action, &one.outcome];
            index.push(audit::insert(&db, one.id, seq, columns, one.time, &one.entry)?);
        }
        d1::batch(&db, index).await?;
        let last = entries.last().map_or(0, |one| one.id);
        sql::run(
            &database,
            "DELETE FROM waiting WHERE id <= ?",
            vec![sql::number(last)],
        )?;
        self.waiting()
    }

    /// Stores one entry in the stream; the same again is the same message.
    async fn append(&self, id: &RequestId, config: &Config, one: &Waiting) -> Result<Option<u64>, Error> {
        let name: StreamName = STREAM.parse().map_err(to_error)?;
        let stream = StreamId::of(config.operator, &name);
        let settings = StreamSettings {
            read: ReadAccess::Private,
            write: WriteAccess::Closed,
            ..config.usual_settings()
        };
        let create = NewStream {
            owner: config.operator,
            name,
            settings,
        };
        let append = Append {
            create: Some(create),
            publisher: None,
            author: config.operator,
            producer: audit_producer(),
            producer_seq: one.id - 1,
            payload: one.entry.clone().into_bytes().into(),
            wait_ms: 0,
        };
        let object = stream_object(&self.env, id, stream.short())?;
        let appended = object.call(append).await.map_err(to_error)?;
        Ok(appended.seq.map(|seq| seq.0))
    }
}
