//! The Stream object's alarm: takes what was committed to the database and to the Anchorer.

use super::object::Stream;
use crate::config::Config;
use crate::objects::anchorer_stub;
use crate::objects::call::{Method, call, expect_json, json_body};
use crate::objects::to_error;
use crate::storage::d1::{segments, streams};
use alloy_primitives::B256;
use serde::Serialize;
use std::time::Duration;
use streamchain_edge_core::stream_log::{
    FLUSH_BACKOFF, GATHER_MS, LogState, OutboxSegment, SEGMENTS_PER_FLUSH, StreamLog,
};
use streamchain_protocol::ids::{Seq, StreamId, StreamName};
use streamchain_protocol::stream_settings::Mode;
use worker::{Error, console_error};

/// Most segments told to the Anchorer in one request.
const TOLD_AT_ONCE: usize = 100;

#[derive(Serialize)]
struct Segments {
    segments: Vec<SegmentToAnchor>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SegmentToAnchor {
    stream: StreamId,
    owner: alloy_primitives::Address,
    name: StreamName,
    name_hash: B256,
    first: Seq,
    count: u64,
    root: B256,
    mode: Mode,
    prove: bool,
}

impl SegmentToAnchor {
    fn new(stream: &LogState, segment: &OutboxSegment) -> Self {
        Self {
            stream: stream.id,
            owner: stream.owner,
            name: stream.name.clone(),
            name_hash: stream.name.hash(),
            first: segment.segment.first,
            count: segment.segment.count,
            root: segment.segment.root,
            mode: segment.mode,
            prove: segment.prove,
        }
    }
}

impl Stream {
    /// Sets the alarm unless it is set. Called in the same turn as the write that needs it.
    pub(super) async fn arm(&self) -> Result<(), Error> {
        if self.armed.replace(true) {
            return Ok(());
        }
        let set = self
            .state
            .storage()
            .set_alarm(Duration::from_millis(GATHER_MS))
            .await;
        if set.is_err() {
            self.armed.set(false);
        }
        set
    }

    /// Never fails and never panics on what others answer: an alarm that throws is dropped in the end.
    pub(super) async fn on_alarm(&self) {
        self.armed.set(false);
        if !self.step(StreamLog::has_work).unwrap_or(true) {
            return;
        }
        // Armed first: whatever happens below, there is another time.
        self.armed.set(true);
        let again = Duration::from_millis(FLUSH_BACKOFF.wait_ms(self.failures.get()));
        if let Err(error) = self.state.storage().set_alarm(again).await {
            self.armed.set(false);
            console_error!("stream alarm: {error}");
        }
        if let Err(error) = self.flush().await {
            self.failures.set(self.failures.get().saturating_add(1));
            console_error!("outbox: {error}");
            return;
        }
        self.failures.set(0);
        let storage = self.state.storage();
        let more = self.step(StreamLog::has_work).unwrap_or(true);
        let set = if more {
            storage.set_alarm(Duration::from_millis(GATHER_MS)).await
        } else {
            self.disarm().await
        };
        if let Err(error) = set {
            console_error!("stream alarm: {error}");
        }
    }

    async fn disarm(&self) -> Result<(), Error> {
        self.armed.set(false);
        self.state.storage().delete_alarm().await
    }

    /// One round. What fails first is returned, but a database that is down does not keep the Anchorer waiting.
    async fn flush(&self) -> Result<(), Error> {
        let written = self.write_segments().await;
        let served = self.serve_inbox().await;
        self.tell_anchorer().await?;
        written.and(served)
    }

    /// Puts the stream, as it is now, into the database's list of streams; what was put, or was there already.
    pub(super) async fn list(&self) -> Result<LogState, Error> {
        let state = self.step(StreamLog::state).map_err(to_error)?;
        if !state.listed {
            streams::put(&self.env.d1("DB")?, &state).await?;
            self.step(|log| log.mark_listed(state.settings))
                .map_err(to_error)?;
        }
        Ok(state)
    }

    async fn write_segments(&self) -> Result<(), Error> {
        let state = self.list().await?;
        let db = self.env.d1("DB")?;
        for _ in 0..SEGMENTS_PER_FLUSH {
            let Some((segment, records)) = self.step(StreamLog::next_segment).map_err(to_error)? else {
                return Ok(());
            };
            segments::insert(&db, state.id, &segment.segment, &records).await?;
            self.step(|log| log.mark_flushed(&segment, records.len()))
                .map_err(to_error)?;
        }
        Ok(())
    }

    async fn tell_anchorer(&self) -> Result<(), Error> {
        let unacked_segments = self
            .step(|log| log.unacked_segments(TOLD_AT_ONCE))
            .map_err(to_error)?;
        if unacked_segments.is_empty() {
            return Ok(());
        }
        let state = self.step(StreamLog::state).map_err(to_error)?;
        let config = Config::of(&self.env).map_err(to_error)?;
        let body = Segments {
            segments: unacked_segments
                .iter()
                .map(|one| SegmentToAnchor::new(&state, one))
                .collect(),
        };
        let stub = anchorer_stub(&self.env, &config)?;
        let answer = call(&stub, Method::Post, "/segments", json_body(&body)?).await?;
        expect_json::<serde_json::Value>(answer).await?;
        self.step(|log| log.ack_segments(&unacked_segments))
            .map_err(to_error)
    }
}
