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
use crate::config::Config;
use crate::problem::{Kind, Problem};
use crate::storage::d1::{self, anchors, chain_events, streams};
use std::time::Duration;
use streamchain_chain::listener::Batch;
use streamchain_edge_core::chain_notices;
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::ids::{RelayId, StreamId};
use streamchain_protocol::proof::AnchorState;
use streamchain_protocol::wire::Notice;
use worker::{D1Database, D1PreparedStatement, Error, console_error};

/// Most statements of one D1 batch: a batch is one transaction, and D1 has one thread.
const MAX_STATEMENTS_AT_ONCE: usize = 100;
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
        let object = stream_object(self.kept.env(), id, stream.short())?;
        let notices = notices.to_vec();
        match within(OBJECT_TIMEOUT, object.call(ApplyNotices { notices })).await {
            Ok(applied) => Ok(applied.relay),
            // The stream never was used here.
            Err(problem) if problem.kind() == Kind::NoSuchStream => Ok(None),
            Err(problem) => Err(problem),
        }
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
    let mut statements: Vec<D1PreparedStatement> = Vec::new();
    for event in &batch.undone {
        statements.extend(anchors::remove(db, event)?);
        statements.extend(chain_events::remove(db, event)?);
    }
    for event in &batch.seen {
        let state = AnchorState::of(batch.is_final(event));
        statements.extend(anchors::put(db, event, state)?);
        statements.extend(chain_events::put(db, event, state)?);
    }
    for event in &batch.finalized {
        statements.extend(anchors::put(db, event, AnchorState::Final)?);
        statements.extend(chain_events::settle(db, event)?);
    }
    while !statements.is_empty() {
        let rest = statements.split_off(statements.len().min(MAX_STATEMENTS_AT_ONCE));
        d1::batch(db, statements).await?;
        statements = rest;
    }
    Ok(())
}
