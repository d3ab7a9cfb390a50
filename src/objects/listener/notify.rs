//! What becomes of a batch of events: D1, the Anchorer, the Stream objects, the relays; in this order, so that whoever
//! learns of an anchor finds it in the database.
//!
//! All of it may be repeated. Events of streams that this edge does not have are left out: the contract is open to
//! everybody.

use super::object::Listener;
use crate::api::anchorer::{ApplyAnchors, anchorer_object};
use crate::api::call::{new_request_id, within};
use crate::api::relays::{PostNotices, RelayNotice, relays_object};
use crate::api::stream::{ApplyNotices, stream_object};
use crate::clock::now;
use crate::config::Config;
use crate::problem::{Kind, Problem};
use crate::storage::d1::{self, anchors, chain_events, streams};
use std::time::Duration;
use streamchain_chain::listener::Batch;
use streamchain_edge_core::chain_notices;
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::ids::{RelayId, Seq, StreamId};
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::wire::Notice;
use worker::{D1Database, D1PreparedStatement, Error, console_error};

/// Most statements of one D1 batch: a batch is one transaction, and D1 has one thread.
const MAX_STATEMENTS_AT_ONCE: usize = 100;
/// Most bytes of payloads in one D1 batch; a payload has 64 KiB at most.
const MAX_BYTES_AT_ONCE: usize = 512 * 1024;
/// Most notices in one call of a Stream object: each has a payload of 64 KiB at most.
const MAX_NOTICES_AT_ONCE: usize = 32;
/// How long an object may take.
const OBJECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a batch is repeated for a Stream object that does not answer; then the rest goes on without it. The next
/// notice has the state that it missed, and the database has it all.
const MAX_REPEATS: u32 = 3;

impl Listener {
    /// Writes a batch to the database and notifies everybody of it.
    pub(super) async fn apply(&self, batch: &Batch) -> Result<(), Problem> {
        let db = self.kept.env().d1("DB")?;
        let known = streams::known(&db, &chain_notices::streams(batch)).await?;
        let batch = &chain_notices::of_known(batch, &known);
        if batch.is_empty() {
            return Ok(());
        }
        let id = new_request_id();
        write(&db, batch).await?;
        self.notify_anchorer(&id, batch).await?;
        let (notices, failed) = self.notify_streams(&id, batch).await;
        self.notify_relays(&id, notices).await?;
        match failed {
            Some(error) if self.failed_batches.get() < MAX_REPEATS => {
                self.failed_batches.set(self.failed_batches.get() + 1);
                Err(error)
            }
            _ => {
                self.failed_batches.set(0);
                Ok(())
            }
        }
    }

    async fn notify_anchorer(&self, id: &RequestId, batch: &Batch) -> Result<(), Problem> {
        let asked = ApplyAnchors::of(batch);
        if asked.anchors.is_empty() {
            return Ok(());
        }
        let config = Config::of(self.kept.env()).map_err(Problem::internal)?;
        let anchorer = anchorer_object(self.kept.env(), id, &config)?;
        within(OBJECT_TIMEOUT, anchorer.call(asked)).await
    }

    /// Gives the notices for the relays, and the last failure, if any.
    async fn notify_streams(&self, id: &RequestId, batch: &Batch) -> (Vec<RelayNotice>, Option<Problem>) {
        let (mut notices, mut failed) = (Vec::new(), None);
        for (stream, of_stream) in chain_notices::by_stream(batch) {
            match self.notify_stream(id, stream, &of_stream).await {
                Ok(Some(relay)) => {
                    let for_relay = |notice| RelayNotice {
                        relay: relay.clone(),
                        notice,
                    };
                    notices.extend(of_stream.into_iter().map(for_relay));
                }
                Ok(None) => {}
                Err(error) => {
                    console_error!("request {id}: listener: stream {stream}: {error}");
                    failed = Some(error);
                }
            }
        }
        (notices, failed)
    }

    /// Gives the stream's relay, if it has one.
    async fn notify_stream(
        &self,
        id: &RequestId,
        stream: StreamId,
        notices: &[Notice],
    ) -> Result<Option<RelayId>, Problem> {
        let mut relay = None;
        let mut missing = None;
        for notices in notices.chunks(MAX_NOTICES_AT_ONCE) {
            let object = stream_object(self.kept.env(), id, stream.short())?;
            let notices = notices.to_vec();
            match within(OBJECT_TIMEOUT, object.call(ApplyNotices { notices })).await {
                Ok(applied) => (relay, missing) = (applied.relay, applied.missing_anchor),
                // The stream never was used here.
                Err(problem) if problem.kind() == Kind::NoSuchStream => return Ok(None),
                Err(problem) => return Err(problem),
            }
        }
        if let Some(missing) = missing {
            self.look_for(stream, missing).await?;
        }
        Ok(relay)
    }

    /// Has the anchor over a message looked for: that of a later one was seen.
    async fn look_for(&self, stream: StreamId, missing: Seq) -> Result<(), Problem> {
        let db = self.kept.env().d1("DB")?;
        let (from, to) = anchors::blocks_around(&db, stream, missing).await?;
        if let Some(to) = to {
            self.kept
                .with(|machine| machine.handle_missing(stream, missing, from, to, now()))?;
        }
        Ok(())
    }

    async fn notify_relays(&self, id: &RequestId, notices: Vec<RelayNotice>) -> Result<(), Problem> {
        if notices.is_empty() {
            return Ok(());
        }
        let relays = relays_object(self.kept.env(), id)?;
        within(OBJECT_TIMEOUT, relays.call(PostNotices { notices }))
            .await
            .map(drop)
    }
}

async fn write(db: &D1Database, batch: &Batch) -> Result<(), Error> {
    let mut writer = Writer::new(db);
    for event in &batch.undone {
        writer.add(anchors::remove(db, event)?, 0).await?;
        writer.add(chain_events::remove(db, event)?, 0).await?;
    }
    for event in &batch.seen {
        let state = AnchorState::of(batch.is_final(event));
        writer.add(anchors::put(db, event, state)?, 0).await?;
        let bytes = event.payload().len();
        writer.add(chain_events::put(db, event, state)?, bytes).await?;
    }
    for event in &batch.finalized {
        writer
            .add(anchors::put(db, event, AnchorState::Final)?, 0)
            .await?;
        writer.add(chain_events::settle(db, event)?, 0).await?;
    }
    writer.flush().await
}

/// Collects statements, and has them carried out in batches within both bounds.
struct Writer<'a> {
    db: &'a D1Database,
    statements: Vec<D1PreparedStatement>,
    bytes: usize,
}

impl<'a> Writer<'a> {
    fn new(db: &'a D1Database) -> Self {
        Self {
            db,
            statements: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds a statement, if there is one, that writes so many bytes of payload.
    async fn add(&mut self, statement: Option<D1PreparedStatement>, bytes: usize) -> Result<(), Error> {
        let Some(statement) = statement else {
            return Ok(());
        };
        if self.statements.len() >= MAX_STATEMENTS_AT_ONCE || self.bytes + bytes > MAX_BYTES_AT_ONCE {
            self.flush().await?;
        }
        self.statements.push(statement);
        self.bytes += bytes;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.bytes = 0;
        let statements = std::mem::take(&mut self.statements);
        match statements.is_empty() {
            true => Ok(()),
            false => d1::batch(self.db, statements).await,
        }
    }
}
