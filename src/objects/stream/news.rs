//! What is new behind a reader's cursor: answered at once when there is something, else when something comes.
//!
//! Nothing about a reader is kept here: the cursor comes with every question. In memory there is only who waits.

use super::api::NewsAnswer;
use super::object::Stream;
use crate::response::Answer;
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;
use streamchain_edge_core::stream_log::Cursor;
use worker::{Date, Delay};

/// Longest wait, milliseconds.
const WAIT_MAX_MS: u64 = 15_000;

/// Most bytes of messages, and of events, in one answer.
const NEWS_MAX_BYTES: usize = 256 * 1024;

impl Stream {
    /// `GET /news?event=&seq=&wait=`
    pub(super) async fn news(&self, cursor: Cursor, wait_ms: u64) -> Answer {
        let _reader = self.waiters.enter()?;
        let until = Date::now().as_millis() + wait_ms.min(WAIT_MAX_MS);
        loop {
            let heard = self.waiters.changes();
            let news = self.step(|log| log.news(cursor, NEWS_MAX_BYTES))?;
            let left = until.saturating_sub(Date::now().as_millis());
            if left == 0 || !news.is_empty(cursor) {
                return Ok(NewsAnswer::respond(news)?);
            }
            let timeout = Delay::from(Duration::from_millis(left));
            if let Either::Right(_) = select(pin!(self.waiters.changed(heard)), pin!(timeout)).await {
                return Ok(NewsAnswer::respond(news)?);
            }
        }
    }
}
