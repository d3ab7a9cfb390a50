//! The object: its alarm, its status, and the lock between what it does by itself and what it is asked.
//!
//! What always holds: nobody else changes rows of `segments` that are there, or rows of `packs`; and what reads such a row
//! to write it anew holds the lock, so that no erased payload comes back.

use super::tables::SCHEMA;
use crate::api::archiver::{ArchiverRequest, ArchiverStatus, EnsureArchiver, Erase};
use crate::api::call::{Encoded, reply, serve};
use crate::clock;
use crate::config::Config;
use crate::objects::to_error;
use crate::problem::{Kind, Problem};
use crate::storage::alarm::{Alarm, MAX_ROUND_MS};
use crate::storage::archive::Archive;
use crate::storage::d1::packs::{self, PackSums};
use crate::storage::schema;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::time::Duration;
use streamchain_edge_core::archive::{Failures, Fullness};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::util::BackoffBounds;
use worker::{Delay, DurableObject, Env, Request, Response, State, console_error, durable_object};

/// How soon the next pass follows one that left something to do, milliseconds.
pub(super) const SOON_MS: u64 = 100;

/// The waits after passes that failed: the database or the archive is away.
const RETRY: BackoffBounds = BackoffBounds {
    first_ms: 1_000,
    max_ms: 60_000,
};

/// How long a request waits for a step of a pass at most; a step builds one pack.
const MAX_LOCK_WAIT_MS: u64 = 10_000;
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// How long the sums of packs are kept for each of them, milliseconds: adding them up reads all their rows.
const SUMS_LIFE_MS: u64 = 10;

/// The archiver of a deployment.
#[durable_object(alarm)]
pub struct Archiver {
    pub(super) state: State,
    pub(super) env: Env,
    pub(super) alarm: Alarm,
    locked: Cell<bool>,
    /// Passes that failed in a row.
    failed_passes: Cell<u32>,
    /// What failed when it was last done.
    pub(super) failures: RefCell<Failures>,
    /// Up to which number notes of erasures were looked at in this round of passes.
    pub(super) looked_at: Cell<u64>,
    sums: Cell<Option<(UnixMs, PackSums)>>,
    /// When the operator was last warned in the log.
    pub(super) warned: Cell<UnixMs>,
}

impl DurableObject for Archiver {
    fn new(state: State, env: Env) -> Self {
        if let Err(error) = schema::upgrade(&state.storage().sql(), SCHEMA) {
            console_error!("archiver: {error}");
        }
        Self {
            state,
            env,
            alarm: Alarm::default(),
            locked: Cell::new(false),
            failed_passes: Cell::new(0),
            failures: RefCell::default(),
            looked_at: Cell::new(0),
            sums: Cell::new(None),
            warned: Cell::new(UnixMs(0)),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        serve(request, async |asked, _| match asked {
            ArchiverRequest::EnsureArchiver(_) => reply::<EnsureArchiver>(self.ensure().await),
            ArchiverRequest::ArchiverStatus(_) => reply::<ArchiverStatus>(self.status().await),
            ArchiverRequest::Erase(asked) => reply::<Erase>(self.erase(&asked).await),
        })
        .await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        let storage = self.state.storage();
        self.alarm.begin(&storage, MAX_ROUND_MS).await;
        let outcome = self.pass().await;
        let problem = outcome.as_ref().err().map(Problem::to_string);
        self.failures.borrow_mut().handle_pass(problem);
        let wait = match outcome {
            Ok(wait) => {
                self.failed_passes.set(0);
                wait
            }
            Err(problem) => {
                console_error!("archiver: {problem}");
                self.failed_passes.set(self.failed_passes.get().saturating_add(1));
                RETRY.wait_ms(self.failed_passes.get())
            }
        };
        self.alarm.end(&storage, Some(clock::now().plus_ms(wait))).await;
        Response::empty()
    }
}

/// Held while rows are read to be written anew.
pub(super) struct Lock<'a>(&'a Cell<bool>);

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Archiver {
    /// Waits until nobody else changes rows.
    pub(super) async fn lock(&self) -> Result<Lock<'_>, Problem> {
        let until = clock::now().plus_ms(MAX_LOCK_WAIT_MS);
        while self.locked.replace(true) {
            if clock::now() >= until {
                let detail = "the archive is at work: try again in a moment";
                return Err(Problem::new(Kind::Overloaded, detail).header("retry-after", "2"));
            }
            Delay::from(LOCK_LOOK).await;
        }
        Ok(Lock(&self.locked))
    }

    async fn ensure(&self) -> Result<(), Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let due = clock::now().plus_ms(config.archive.interval_ms.min(MAX_ROUND_MS));
        // An alarm that stands for a pass that died with its instance is later than the next pass is due.
        self.alarm.adopt(&self.state.storage()).await?;
        Ok(self.alarm.arm(&self.state.storage(), Some(due)).await?)
    }

    /// What a person wants to know, and the page `/v1/status` shows.
    async fn status(&self) -> Result<Encoded<Value>, Problem> {
        self.ensure().await?;
        let config = Config::of(&self.env).map_err(to_error)?;
        let sums = self.sums().await?;
        let bytes = crate::counters::d1_size();
        let capacity = config.archive.database_bytes;
        Ok(Encoded::of(&json!({
            "database": {
                "bytes": bytes, "capacity": capacity, "state": Fullness::of(bytes, capacity).as_str(),
            },
            "archive": {
                "bound": Archive::of(&self.env).is_some(), "packs": sums.packs, "messages": sums.messages,
                "bytes": sums.bytes, "error": self.failures.borrow().shown(),
            },
        })))
    }

    /// The sums of all packs, as they were a moment ago.
    async fn sums(&self) -> Result<PackSums, Problem> {
        let now = clock::now();
        if let Some((at, sums)) = self.sums.get()
            && now.since(at) < SUMS_LIFE_MS * sums.packs
        {
            // The size of the database is asked for all the same.
            crate::storage::d1::size(&self.env.d1("DB")?).await?;
            return Ok(sums);
        }
        let sums = packs::sums(&self.env.d1("DB")?).await?;
        self.sums.set(Some((now, sums)));
        Ok(sums)
    }
}
