//! What becomes of a batch of events: D1, the Anchorer, the batchers, the Stream objects, the relays; in this order, so
//! that whoever learns of an anchor finds it in the database.
//!
//! All of it may be repeated. Events of streams that this edge does not have are left out: the contract is open to
//! everybody. Of the stream of rounds there is no Stream object: the batchers notify the streams that are in a round.

use super::object::Listener;
use crate::api::anchorer::{ApplyAnchors, anchorer_object};
use crate::api::batcher::{ApplyRounds, SeenRound, batcher_of_group, seen_rounds};
use crate::api::call::{new_request_id, within};
use crate::api::side_by_side::side_by_side;
use crate::clock::now;
use crate::config::Config;
use crate::objects::notify::{Notified, OBJECT_TIMEOUT, StreamNotices, notify};
use crate::problem::Problem;
use crate::storage::d1::{self, anchors, chain_events, rounds, streams};
use streamchain_chain::listener::Batch;
use streamchain_chain::rounds::RoundAnchor;
use streamchain_edge_core::chain_notices;
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::proof::AnchorState;
use worker::{D1Database, D1PreparedStatement, Error, console_error};

/// Most statements of one D1 batch: a batch is one transaction, and D1 has one thread.
const MAX_STATEMENTS_AT_ONCE: usize = 100;
/// Most bytes of payloads in one D1 batch; a payload has 64 KiB at most.
const MAX_BYTES_AT_ONCE: usize = 512 * 1024;
/// How often a batch is repeated for an object that does not answer; then the rest goes on without it. The next
/// notice has the state that it missed, and the database has it all.
const MAX_REPEATS: u32 = 3;
/// Most batchers that are notified at a time.
const MAX_BATCHERS_AT_ONCE: usize = 32;

impl Listener {
    /// Writes a batch to the database and notifies everybody of it.
    pub(super) async fn apply(&self, batch: &Batch) -> Result<(), Problem> {
        let config = Config::of(self.kept.env()).map_err(Problem::internal)?;
        let db = self.kept.env().d1("DB")?;
        let mut known = streams::known(&db, &chain_notices::streams(batch)).await?;
        known.insert(config.rounds);
        let batch = &chain_notices::of_known(batch, &known);
        if batch.is_empty() {
            return Ok(());
        }
        let id = new_request_id();
        write(&db, batch).await?;
        self.notify_anchorer(&id, &config, batch).await?;
        let batchers = self.notify_batchers(&id, &config, batch).await;
        let Notified { mut failed, missing } = self.notify_streams(&id, &config, batch).await;
        for (stream, missing) in missing {
            self.look_for(stream, missing).await?;
        }
        match batchers.err().or_else(|| failed.pop().map(|(_, error)| error)) {
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

    async fn notify_anchorer(&self, id: &RequestId, config: &Config, batch: &Batch) -> Result<(), Problem> {
        let asked = ApplyAnchors::of(batch);
        if asked.anchors.is_empty() {
            return Ok(());
        }
        let anchorer = anchorer_object(self.kept.env(), id, config)?;
        within(OBJECT_TIMEOUT, anchorer.call(asked)).await
    }

    /// Notifies every batcher of the rounds in a batch. The last failure is returned, once all were notified.
    async fn notify_batchers(&self, id: &RequestId, config: &Config, batch: &Batch) -> Result<(), Problem> {
        let seen = seen_rounds(config.rounds, batch);
        if seen.is_empty() {
            return Ok(());
        }
        self.look_for_round(config.rounds, &seen).await?;
        let rounds = self.own_rounds(seen).await?;
        let work = config.batchers.groups().map(|first_bucket| {
            let rounds = rounds.clone();
            async move {
                let batcher = batcher_of_group(self.kept.env(), id, first_bucket)?;
                within(OBJECT_TIMEOUT, batcher.call(ApplyRounds { rounds })).await
            }
        });
        let mut outcome = Ok(());
        for notified in side_by_side(work, MAX_BATCHERS_AT_ONCE).await {
            if let Err(error) = notified {
                console_error!("request {id}: listener: a batcher was not notified: {error}");
                outcome = Err(error);
            }
        }
        outcome
    }

    /// The rounds whose roots are those that this edge has: another root says nothing of its runs.
    async fn own_rounds(&self, seen: Vec<SeenRound>) -> Result<Vec<RoundAnchor>, Problem> {
        let numbers: Vec<u64> = seen.iter().map(|one| one.anchor.round).collect();
        let own = rounds::roots(&self.kept.env().d1("DB")?, &numbers).await?;
        let is_own = |one: &SeenRound| own.contains(&(one.anchor.round, one.root));
        let (own, foreign): (Vec<_>, Vec<_>) = seen.into_iter().partition(is_own);
        for one in foreign {
            let round = one.anchor.round;
            console_error!("listener: round {round} on the chain has a root that is not of this edge");
        }
        Ok(own.into_iter().map(|one| one.anchor).collect())
    }

    /// Notifies the streams that have anchors of their own, and those that somebody published to.
    async fn notify_streams(&self, id: &RequestId, config: &Config, batch: &Batch) -> Notified {
        let by_stream = chain_notices::by_stream(batch).into_iter();
        let by_stream = by_stream.filter(|(stream, _)| *stream != config.rounds);
        let streams = by_stream.map(|(stream, notices)| StreamNotices::own(stream, notices));
        notify(self.kept.env(), id, streams.collect()).await
    }

    /// Has the round before the first of these looked for, if its anchor was not seen.
    async fn look_for_round(&self, stream: StreamId, seen: &[SeenRound]) -> Result<(), Problem> {
        let first = seen.iter().map(|one| one.anchor);
        let first = first.filter(|anchor| anchor.state != AnchorState::Reverted);
        let first = first.map(|anchor| anchor.round).min();
        let Some(before) = first.and_then(|first| first.checked_sub(1)) else {
            return Ok(());
        };
        let db = self.kept.env().d1("DB")?;
        match anchors::covering(&db, stream, Seq(before)).await? {
            Some(_) => Ok(()),
            None => self.look_for(stream, Seq(before)).await,
        }
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
