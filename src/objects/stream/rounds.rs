//! The Stream object's part in rounds: it offers the run of all that is sealed and in no round to its batcher.

use super::object::Stream;
use super::outbox::ACK_TIMEOUT;
use crate::api::batcher::{OfferRun, RunOffered, WatchStream, batcher_object};
use crate::api::call::{new_request_id, within};
use crate::api::relays::RelayNotice;
use crate::clock;
use crate::config::Config;
use crate::problem::Problem;
use crate::storage::d1::runs::{self, RunRow};
use crate::storage::d1::segments;
use std::time::Duration;
use streamchain_edge_core::stream_log::{LogState, OutboxSegment, PendingRun, Run};
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::limits::MAX_SEGMENTS_PER_RUN;
use streamchain_protocol::proof::AnchorRef;
use streamchain_protocol::wire::{Notice, NoticeEvent};
use worker::console_error;

/// How often a run is offered in one round of the alarm: once, and once more from where the batcher says that it begins.
const MAX_OFFERS: usize = 2;

/// How long a reader's question may wait until the batcher knows of it.
const WATCH_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs that are read at most when somebody begins to watch: those that are not final, which are few.
const MAX_RUNS_CAUGHT_UP: usize = 64;

/// How long a reader of events counts as watching the stream after its last question, milliseconds.
const WATCHED_MS: u64 = 300_000;

impl Stream {
    /// Offers the run that waits, if that is due.
    pub(super) async fn offer_run(&self) -> Result<(), Problem> {
        let (pace, now) = (self.pace()?, clock::now());
        for _ in 0..MAX_OFFERS {
            let state = self.state()?;
            let Some(pending) = state.pending_run() else {
                return Ok(());
            };
            if !self.schedule.borrow().is_offer_due(pace, &state, now) {
                return Ok(());
            }
            let run = self.run_of(&state, pending).await?;
            let RunOffered { begin, refused } = self.offer(&state, &run).await?;
            if let Some(reason) = refused {
                console_error!("outbox: the batcher has no room: {reason}");
                self.schedule.borrow_mut().handle_refusal(now);
                return Ok(());
            }
            self.look(|log| log.mark_offered(&run, begin))?;
            if begin == run.first {
                self.schedule.borrow_mut().handle_offer(now);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Offers the run that ends with a segment which the database has and which is not marked as flushed yet, if that is due
    /// and the run is known here; what it is and what the batcher answered. `None`, and [`Self::offer_run`] does it, where the
    /// batcher does not answer.
    pub(super) async fn offer_with(&self, segment: &OutboxSegment) -> Result<Option<(Run, Seq)>, Problem> {
        let (pace, now) = (self.pace()?, clock::now());
        let state = self.state()?.with_flushed(&segment.segment);
        let pending = state.pending_run();
        let pending = pending.filter(|_| self.schedule.borrow().is_offer_due(pace, &state, now));
        let Some(run) = pending.and_then(|pending| self.flushed.borrow().run(pending)) else {
            return Ok(None);
        };
        let Ok(RunOffered { begin, refused }) = within(ACK_TIMEOUT, self.offer(&state, &run)).await else {
            return Ok(None);
        };
        if let Some(reason) = refused {
            console_error!("outbox: the batcher has no room: {reason}");
            self.schedule.borrow_mut().handle_refusal(now);
            return Ok(None);
        }
        if begin == run.first {
            self.schedule.borrow_mut().handle_offer(now);
        }
        Ok(Some((run, begin)))
    }

    /// The run that waits, made of the roots that this instance wrote, or else of those that the database has.
    async fn run_of(&self, state: &LogState, pending: PendingRun) -> Result<Run, Problem> {
        if let Some(run) = self.flushed.borrow().run(pending) {
            return Ok(run);
        }
        let db = self.env.d1("DB")?;
        let rows = segments::list(&db, state.id, pending.first, MAX_SEGMENTS_PER_RUN).await?;
        let rows = rows.into_iter().map(|row| (row.first, row.count, row.root));
        let absent = || format!("no segment of {} begins at {}", state.id, pending.first);
        pending
            .of_segments(rows)
            .ok_or_else(|| Problem::internal(absent()))
    }

    async fn offer(&self, state: &LogState, run: &Run) -> Result<RunOffered, Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let watched = self.is_watched(state);
        let offer = OfferRun {
            stream: state.id,
            owner: state.owner,
            first: run.first,
            count: run.count,
            root: run.root,
            watched,
        };
        let offered = batcher_object(&self.env, &new_request_id(), &config, state.id)?
            .call_method(offer)
            .await?;
        // A reader who came meanwhile says so with the next question.
        self.is_watch_told.set(self.is_watch_told.get() && watched);
        Ok(offered)
    }

    /// Somebody watches the stream from now on: the batcher is told, so that what becomes of its runs is heard of without
    /// waiting for the next offer, and what became of them while nobody did is taken in. A failure is tried again with the
    /// next question.
    pub(super) async fn begin_watching(&self) {
        let waits = self.state().is_ok_and(|state| state.waits_for_rounds());
        if !waits || self.is_watch_told.get() {
            return;
        }
        match within(WATCH_TIMEOUT, self.catch_up()).await {
            Ok(()) => self.is_watch_told.set(true),
            Err(error) => {
                console_error!("rounds: the batcher does not know that the stream is watched: {error}")
            }
        }
    }

    async fn catch_up(&self) -> Result<(), Problem> {
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let (id, state) = (new_request_id(), self.state()?);
        let watch = WatchStream {
            stream: state.id,
            owner: state.owner,
        };
        batcher_object(&self.env, &id, &config, state.id)?
            .call(watch)
            .await?;
        let db = self.env.d1("DB")?;
        let found = runs::list(&db, config.rounds, state.id, state.finalized, MAX_RUNS_CAUGHT_UP).await?;
        let notices = found.iter().filter_map(|run| notice(state.id, run));
        let notices: Vec<Notice> = notices.collect();
        for notice in &notices {
            // The batcher may have notified the stream meanwhile.
            let is_older =
                |anchor: &AnchorRef| self.state().is_ok_and(|state| anchor.end() <= state.finalized);
            if !matches!(&notice.event, NoticeEvent::Anchored(anchor) if is_older(anchor)) {
                self.step(|log| log.apply_round(&notice.event))?;
            }
        }
        self.waiters.notify();
        let Some(relay) = state.relay().cloned() else {
            return Ok(());
        };
        let for_relay = notices.into_iter().map(|notice| RelayNotice {
            relay: relay.clone(),
            notice,
        });
        let for_relay: Vec<RelayNotice> = for_relay.collect();
        match for_relay.is_empty() {
            true => Ok(()),
            false => self.post_notices(&id, for_relay).await.map(drop),
        }
    }

    /// Whether somebody learns from this object what becomes of the stream's runs.
    fn is_watched(&self, state: &LogState) -> bool {
        let asked = self.asked.get();
        let is_read = asked.is_some_and(|asked| clock::now().since(asked) < WATCHED_MS);
        state.relay_leader().is_some() || state.watch.is_some() || is_read
    }
}

/// What a stream hears of one of its runs; `None` while its round is not on the chain.
fn notice(stream: StreamId, run: &RunRow) -> Option<Notice> {
    let place = run.place?;
    let event = NoticeEvent::Anchored(AnchorRef {
        first: run.first,
        count: run.count.into(),
        root: run.root,
        tx: place.tx,
        block: place.block,
        state: place.state,
    });
    let stream = stream.short();
    Some(Notice { stream, event })
}
