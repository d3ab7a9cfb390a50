//! The Stream object's alarm: takes what was committed to the database and to the Anchorer.

use super::object::Stream;
use crate::api::anchorer::{AddSegments, SegmentsAdded, anchorer_object, segment_of};
use crate::api::call::new_request_id;
use crate::clock;
use crate::config::Config;
use crate::problem::Problem;
use crate::storage::d1::{segments, streams};
use streamchain_edge_core::stream_log::{
    FLUSH_BACKOFF, GATHER_MS, LogState, REFUSED_MS, SEGMENTS_PER_FLUSH, StreamLog,
};
use streamchain_protocol::time::UnixMs;
use worker::{Error, console_error};

/// Most segments handed to the Anchorer in one request.
const MAX_SEGMENTS_AT_ONCE: usize = 100;

impl Stream {
    /// Sets the alarm unless it is set. Called in the same turn as the write that needs it.
    pub(super) async fn arm(&self) -> Result<(), Error> {
        let failures = self.failures.get();
        let wait = match failures {
            0 => GATHER_MS,
            _ => FLUSH_BACKOFF.wait_ms(failures),
        };
        let due = clock::now().plus_ms(wait);
        self.alarm.arm(&self.state.storage(), Some(due)).await
    }

    /// Never fails and never panics on what others answer: an alarm that throws is dropped in the end.
    pub(super) async fn on_alarm(&self) {
        let storage = self.state.storage();
        if !self.step(StreamLog::has_work).unwrap_or(true) {
            return self.alarm.rest();
        }
        self.alarm
            .begin(&storage, FLUSH_BACKOFF.wait_ms(self.failures.get()))
            .await;
        if let Err(error) = self.flush().await {
            self.failures.set(self.failures.get().saturating_add(1));
            self.alarm.fail();
            console_error!("outbox: {error}");
            return;
        }
        self.failures.set(0);
        let more = self.step(StreamLog::has_work).unwrap_or(true);
        let due = more.then(|| self.next_flush());
        self.alarm.end(&storage, due).await;
    }

    /// When the next round is due: what the Anchorer alone has no room for can wait longer.
    fn next_flush(&self) -> UnixMs {
        let soon = clock::now().plus_ms(GATHER_MS);
        match self.step(StreamLog::has_unflushed).unwrap_or(true) {
            true => soon,
            false => soon.max(self.refused_until.get()),
        }
    }

    /// One round. What fails first is returned, but a database that is down does not keep the Anchorer waiting.
    async fn flush(&self) -> Result<(), Problem> {
        let written = self.write_segments().await;
        let served = self.serve_inbox().await;
        self.hand_to_anchorer().await?;
        written.and(served)
    }

    /// Puts the stream, as it is now, into the database's list of streams; what was put, or was there already.
    pub(super) async fn list(&self) -> Result<LogState, Problem> {
        let state = self.state()?;
        if !state.listed {
            streams::put(&self.env.d1("DB")?, &state).await?;
            self.step(|log| log.mark_listed(state.settings))?;
        }
        Ok(state)
    }

    pub(super) async fn write_segments(&self) -> Result<(), Problem> {
        let state = self.list().await?;
        let db = self.env.d1("DB")?;
        for _ in 0..SEGMENTS_PER_FLUSH {
            let Some((segment, records)) = self.step(StreamLog::next_segment)? else {
                return Ok(());
            };
            segments::insert(&db, state.id, &segment, &records).await?;
            self.step(|log| log.mark_flushed(&segment, records.len()))?;
        }
        Ok(())
    }

    async fn hand_to_anchorer(&self) -> Result<(), Problem> {
        if clock::now() < self.refused_until.get() {
            return Ok(());
        }
        let unacked = self.step(|log| log.unacked_segments(MAX_SEGMENTS_AT_ONCE))?;
        if unacked.is_empty() {
            return Ok(());
        }
        let state = self.state()?;
        let config = Config::of(&self.env).map_err(Problem::internal)?;
        let segments = unacked.iter().map(|one| segment_of(&state, one));
        let asked = AddSegments {
            segments: segments.collect(),
        };
        let SegmentsAdded { refused } = anchorer_object(&self.env, &new_request_id(), &config)?
            .call(asked)
            .await?;
        let Some(reason) = refused else {
            return Ok(self.step(|log| log.ack_segments(&unacked))?);
        };
        console_error!("outbox: the Anchorer has no room: {reason}");
        self.refused_until.set(clock::now().plus_ms(REFUSED_MS));
        Ok(self.step(|log| log.keep_newest_segment(&unacked))?)
    }
}
