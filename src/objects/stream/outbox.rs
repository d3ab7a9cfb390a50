//! The Stream object's alarm: takes what was committed to the database and to the Anchorer.

use super::object::Stream;
use crate::api::anchorer::{AddSegments, SegmentsAdded, anchorer_object, segment_of};
use crate::api::call::{new_request_id, within};
use crate::clock;
use crate::config::Config;
use crate::problem::Problem;
use crate::storage::d1::{segments, streams};
use std::time::Duration;
use streamchain_edge_core::stream_log::{
    FLUSH_BACKOFF, LogState, OutboxSegment, Pace, SEGMENTS_PER_FLUSH, StreamLog,
};
use streamchain_protocol::stream_settings::Anchoring;
use streamchain_protocol::time::UnixMs;
use worker::{D1Database, console_error};

/// Most segments handed to the Anchorer in one request.
const MAX_SEGMENTS_AT_ONCE: usize = 100;

/// How long a segment that the database has waits for the Anchorer's acknowledgement before it is kept in a row, or for the
/// batcher's answer before it is marked without it.
pub(super) const ACK_TIMEOUT: Duration = Duration::from_secs(5);

impl Stream {
    /// How long things may wait.
    pub(super) fn pace(&self) -> Result<Pace, Problem> {
        Ok(Config::of(&self.env).map_err(Problem::internal)?.pace)
    }

    /// Sets the alarm unless it is set early enough. Called in the same turn as the write that needs it.
    pub(super) async fn arm(&self) -> Result<(), Problem> {
        let (pace, now) = (self.pace()?, clock::now());
        let due = self.log.next_due(&mut self.schedule.borrow_mut(), pace, now)?;
        let due = due.into_iter().chain(self.wake_due(now)).min();
        Ok(self.alarm.arm(&self.state.storage(), due).await?)
    }

    /// Looks, once for each instance, for work that an earlier one left. Returns whether there may be some.
    pub(super) fn finds_work(&self) -> bool {
        if self.looked.replace(true) {
            return false;
        }
        if let Ok(state) = self.log.state() {
            self.schedule.borrow_mut().handle_restart(&state);
        }
        self.log.has_work().unwrap_or(false)
    }

    /// Never fails and never panics on what others answer: an alarm that throws is dropped in the end.
    pub(super) async fn on_alarm(&self) {
        let storage = self.state.storage();
        if !self.log.is_loaded() && self.discard_if_empty().await.unwrap_or(false) {
            return self.alarm.rest();
        }
        self.finds_work();
        let has_work = || self.look(StreamLog::has_work).unwrap_or(true);
        if !has_work() && self.wake_due(clock::now()).is_none() {
            return self.alarm.rest();
        }
        self.alarm.begin_once(&storage, FLUSH_BACKOFF.wait_ms(1)).await;
        self.wake_webhooks().await;
        if !has_work() {
            return self.alarm.end(&storage, self.next_round()).await;
        }
        let flushed = self.flush().await;
        self.schedule.borrow_mut().handle_flush(flushed.is_ok());
        if let Err(error) = flushed {
            console_error!("outbox: {error}");
        }
        self.alarm.end(&storage, self.next_round()).await;
    }

    /// When the next round is due. An object that can't read its own rows tries again.
    pub(super) fn next_round(&self) -> Option<UnixMs> {
        let now = clock::now();
        let (Ok(pace), Ok(state)) = (self.pace(), self.state()) else {
            return Some(now.plus_ms(FLUSH_BACKOFF.max_ms));
        };
        let unacked = self.look(|log| log.unacked_segments(1));
        let has_unacked = unacked.map_or(true, |unacked| !unacked.is_empty());
        let due = self.schedule.borrow().next_due(pace, &state, has_unacked, now);
        due.into_iter().chain(self.wake_due(now)).min()
    }

    /// One round. What fails first is returned, but a database that is down does not keep the Anchorer waiting.
    async fn flush(&self) -> Result<(), Problem> {
        let written = self.write_segments().await;
        let served = self.serve_inbox().await;
        self.hand_to_anchorer(None).await?;
        written?;
        self.offer_run().await?;
        served
    }

    /// Puts the stream, as it is now, into the database's list of streams; what was put, or was there already.
    pub(super) async fn list(&self) -> Result<LogState, Problem> {
        let state = self.state()?;
        if !state.listed {
            streams::put(&self.env.d1("DB")?, &state).await?;
            self.look(|log| log.mark_listed(state.settings))?;
        }
        Ok(state)
    }

    /// Makes segments of what is open and due, and writes them.
    async fn write_segments(&self) -> Result<(), Problem> {
        let state = self.list().await?;
        let (pace, begun) = (self.pace()?, clock::now());
        if !self.schedule.borrow().is_seal_due(pace, &state, begun) {
            return Ok(());
        }
        let db = self.env.d1("DB")?;
        for _ in 0..SEGMENTS_PER_FLUSH {
            if !self.seal_one(&db).await? {
                break;
            }
            let state = self.state()?;
            self.schedule.borrow_mut().handle_sealed(&state, begun);
            if !self.schedule.borrow().is_seal_due(pace, &state, begun) {
                break;
            }
        }
        Ok(())
    }

    /// Makes a segment of what is open, due or not, and writes it. Returns whether there was anything.
    pub(super) async fn seal_one(&self, db: &D1Database) -> Result<bool, Problem> {
        let Some((segment, records)) = self.look(StreamLog::next_segment)? else {
            return Ok(false);
        };
        self.write_segment(db, &segment, &records).await?;
        Ok(true)
    }

    /// Writes one segment. The Anchorer gets the last one of a stream that is up to date with the same call that would
    /// acknowledge it, so that no row is kept for it; the batcher is offered the run that ends with it, so that one write notes
    /// both.
    async fn write_segment(
        &self,
        db: &D1Database,
        segment: &OutboxSegment,
        records: &[u8],
    ) -> Result<(), Problem> {
        let state = self.state()?;
        segments::insert(db, state.id, segment, records).await?;
        self.flushed.borrow_mut().add(&segment.segment);
        let is_last = segment.segment.end() == state.head;
        if segment.anchor == Anchoring::Shared
            && is_last
            && let Some((run, begin)) = self.offer_with(segment).await?
        {
            self.step(|log| log.mark_flushed_and_offered(segment, records.len(), (&run, begin)))?;
            return Ok(());
        }
        let is_acked = segment.anchor == Anchoring::Own && is_last && {
            let handed = within(ACK_TIMEOUT, self.hand_to_anchorer(Some(segment)));
            matches!(handed.await, Ok(true))
        };
        self.step(|log| match is_acked {
            true => log.mark_flushed_and_acked(segment, records.len()),
            false => log.mark_flushed(segment, records.len()),
        })?;
        Ok(())
    }

    /// Hands the segments that wait to the Anchorer, and `newest`, which is in the database but not marked so. Returns
    /// whether the Anchorer acknowledged them.
    async fn hand_to_anchorer(&self, newest: Option<&OutboxSegment>) -> Result<bool, Problem> {
        let now = clock::now();
        if self.schedule.borrow().is_refused(now) {
            return Ok(false);
        }
        let unacked = self.look(|log| log.unacked_segments(MAX_SEGMENTS_AT_ONCE))?;
        if unacked.is_empty() && newest.is_none() {
            return Ok(true);
        }
        let state = self.state()?;
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let segments = unacked.iter().chain(newest).map(|one| segment_of(&state, one));
        let asked = AddSegments {
            segments: segments.collect(),
        };
        let SegmentsAdded { refused } = anchorer_object(&self.env, &new_request_id(), &config)?
            .call(asked)
            .await?;
        let Some(reason) = refused else {
            self.step(|log| log.ack_segments(&unacked))?;
            return Ok(true);
        };
        console_error!("outbox: the Anchorer has no room: {reason}");
        self.schedule.borrow_mut().handle_refusal(now);
        self.step(|log| log.keep_newest_segment(&unacked))?;
        Ok(false)
    }
}
