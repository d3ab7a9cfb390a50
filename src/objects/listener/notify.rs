//! What becomes of a batch of events: D1, the Anchorer, the Stream objects, the relays; in this order, so that who
//! hears of an anchor finds it in the database.
//!
//! All of it may be repeated. Events of streams that this edge does not have are left out: the contract is open to
//! everybody.

use super::object::Listener;
use crate::config::Config;
use crate::objects::anchorer::api::{AnchoredBody, EventsBody};
use crate::objects::call::{Method, call, expect_json, json_body, within};
use crate::objects::relays::api::{PostNotices, RelayNotice};
use crate::objects::to_error;
use crate::objects::{anchorer_stub, relays_stub, stream_stub};
use crate::storage::d1::anchors::ChainState;
use crate::storage::d1::{anchors, chain_events, streams};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use streamchain_chain::listener::{Batch, ChainEvent, EventKind};
use streamchain_protocol::ids::{RelayId, StreamId};
use streamchain_protocol::proof::{AnchorRef, AnchorState};
use streamchain_protocol::util::SortedMap;
use streamchain_protocol::wire::{Notice, NoticeEvent};
use worker::{D1Database, D1PreparedStatement, Error, console_error};

/// Statements of one D1 batch: a batch is one transaction, and D1 has one thread.
const STATEMENTS_AT_ONCE: usize = 100;
/// How long an object may take, ms.
const OBJECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a batch is repeated for the sake of a Stream object that does not answer; then the rest goes on without
/// it. It learns what it missed from the next notice, and the database has it all.
const PATIENCE: u32 = 3;

#[derive(Serialize)]
struct StreamNotices<'a> {
    notices: &'a [Notice],
}

#[derive(Deserialize)]
struct Heard {
    relay: Option<RelayId>,
}

impl Listener {
    /// Tells everybody of a batch.
    pub(super) async fn tell(&self, batch: &Batch) -> Result<(), Error> {
        let db = self.env.d1("DB")?;
        let batch = &ours(&db, batch).await?;
        if batch.is_empty() {
            return Ok(());
        }
        write(&db, batch).await?;
        self.tell_anchorer(batch).await?;
        let (notices, failed) = self.tell_streams(batch).await?;
        self.tell_relays(notices).await?;
        match failed {
            Some(error) if self.untold.get() < PATIENCE => {
                self.untold.set(self.untold.get() + 1);
                Err(error)
            }
            _ => {
                self.untold.set(0);
                Ok(())
            }
        }
    }

    async fn tell_anchorer(&self, batch: &Batch) -> Result<(), Error> {
        let bodies =
            |events: &[ChainEvent], state: &dyn Fn(&ChainEvent) -> AnchorState| -> Vec<AnchoredBody> {
                events
                    .iter()
                    .filter_map(|event| AnchoredBody::of(event, state(event)))
                    .collect()
            };
        let seen = |event: &ChainEvent| AnchorState::of(batch.is_final(event));
        let mut anchored = bodies(&batch.seen, &seen);
        anchored.extend(bodies(&batch.finalized, &|_| AnchorState::Final));
        let body = EventsBody {
            anchored,
            reverted: bodies(&batch.undone, &|_| AnchorState::Reverted),
        };
        if body.is_empty() {
            return Ok(());
        }
        let config = Config::of(&self.env).map_err(to_error)?;
        let stub = anchorer_stub(&self.env, &config)?;
        let told = within(
            OBJECT_TIMEOUT,
            call(&stub, Method::Post, "/events", json_body(&body)?),
        )
        .await?;
        expect_json::<serde_json::Value>(told).await.map(drop)
    }

    /// Gives what the relays have to hear, and the last failure, if any.
    async fn tell_streams(&self, batch: &Batch) -> Result<(Vec<RelayNotice>, Option<Error>), Error> {
        let (mut notices, mut failed) = (Vec::new(), None);
        for (stream, of_stream) in notices_by_stream(batch) {
            match self.tell_stream(stream, &of_stream).await {
                Ok(Some(relay)) => {
                    let for_relay = |notice| RelayNotice {
                        relay: relay.clone(),
                        notice,
                    };
                    notices.extend(of_stream.into_iter().map(for_relay));
                }
                Ok(None) => {}
                Err(error) => {
                    console_error!("listener: stream {stream}: {error}");
                    failed = Some(error);
                }
            }
        }
        Ok((notices, failed))
    }

    /// Gives the relay that holds the stream, if any.
    async fn tell_stream(&self, stream: StreamId, notices: &[Notice]) -> Result<Option<RelayId>, Error> {
        let stub = stream_stub(&self.env, stream.short())?;
        let body = json_body(&StreamNotices { notices })?;
        let mut told = within(OBJECT_TIMEOUT, call(&stub, Method::Post, "/notices", body)).await?;
        if told.status_code() == 404 {
            told.text().await?; // it never was used here
            return Ok(None);
        }
        Ok(expect_json::<Heard>(told).await?.relay)
    }

    async fn tell_relays(&self, notices: Vec<RelayNotice>) -> Result<(), Error> {
        if notices.is_empty() {
            return Ok(());
        }
        let stub = relays_stub(&self.env)?;
        let body = json_body(&PostNotices { notices })?;
        let told = within(OBJECT_TIMEOUT, call(&stub, Method::Post, "/notices", body)).await?;
        expect_json::<serde_json::Value>(told).await.map(drop)
    }
}

/// The batch without the events of streams that this edge does not have.
async fn ours(db: &D1Database, batch: &Batch) -> Result<Batch, Error> {
    let events = batch.undone.iter().chain(&batch.seen).chain(&batch.finalized);
    let named: BTreeSet<StreamId> = events.map(|event| event.stream).collect();
    let named: Vec<StreamId> = named.into_iter().collect();
    let known = streams::known(db, &named).await?;
    let of_ours = |events: &[ChainEvent]| -> Vec<ChainEvent> {
        events
            .iter()
            .filter(|event| known.contains(&event.stream))
            .cloned()
            .collect()
    };
    Ok(Batch {
        undone: of_ours(&batch.undone),
        seen: of_ours(&batch.seen),
        finalized: of_ours(&batch.finalized),
        final_to: batch.final_to,
    })
}

async fn write(db: &D1Database, batch: &Batch) -> Result<(), Error> {
    let mut statements: Vec<D1PreparedStatement> = Vec::new();
    for event in &batch.undone {
        statements.extend(anchors::remove(db, event)?);
        statements.extend(chain_events::remove(db, event)?);
    }
    for event in &batch.seen {
        let state = ChainState::of(batch.is_final(event));
        statements.extend(anchors::put(db, event, state)?);
        statements.extend(chain_events::put(db, event, state)?);
    }
    for event in &batch.finalized {
        statements.extend(anchors::put(db, event, ChainState::Final)?);
        statements.extend(chain_events::settle(db, event)?);
    }
    while !statements.is_empty() {
        let rest = statements.split_off(statements.len().min(STATEMENTS_AT_ONCE));
        db.batch(statements).await?;
        statements = rest;
    }
    Ok(())
}

fn notices_by_stream(batch: &Batch) -> SortedMap<StreamId, Vec<Notice>> {
    let undone = batch
        .undone
        .iter()
        .map(|event| (event, AnchorState::Reverted, false));
    let seen = batch.seen.iter().map(|event| {
        (
            event,
            if batch.is_final(event) {
                AnchorState::Final
            } else {
                AnchorState::Anchored
            },
            true,
        )
    });
    let finalized = batch
        .finalized
        .iter()
        .map(|event| (event, AnchorState::Final, false));
    let mut notices: SortedMap<StreamId, Vec<Notice>> = SortedMap::default();
    for (event, state, is_new) in undone.chain(seen).chain(finalized) {
        let stream = event.stream;
        notices
            .or_default(stream)
            .push(notice(stream, event, state, is_new));
    }
    notices
}

fn notice(stream: StreamId, event: &ChainEvent, state: AnchorState, is_new: bool) -> Notice {
    let event = match &event.kind {
        EventKind::Anchored {
            first, count, root, ..
        } => NoticeEvent::Anchored(AnchorRef {
            first: *first,
            count: (*count).into(),
            root: *root,
            tx: event.tx,
            block: event.block,
            state,
        }),
        EventKind::Published { author, payload } => NoticeEvent::Chain {
            block: event.block,
            log_index: event.log_index,
            author: *author,
            payload: is_new.then(|| payload.clone()),
            tx: event.tx,
            state,
        },
    };
    Notice {
        stream: stream.short(),
        event,
    }
}
