//! What is new behind a reader's cursor: answered at once when there is something, else when something comes.
//!
//! Nothing about a reader is kept here: the cursor comes with every question. In memory there is only who waits.

use super::object::Stream;
use crate::api::stream::ReadNews;
use crate::clock;
use crate::problem::Problem;
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;
use streamchain_edge_core::stream_log::{Cursor, News};
use worker::Delay;

/// Longest wait, milliseconds.
const MAX_WAIT_MS: u64 = 15_000;

/// Most bytes of messages, and of events, in one answer.
const MAX_NEWS_BYTES: usize = 256 * 1024;

impl Stream {
    pub(super) async fn read_news(&self, asked: &ReadNews) -> Result<News, Problem> {
        let cursor = Cursor {
            event: asked.event,
            seq: asked.seq,
        };
        let _waiting = self.waiters.enter(&asked.client)?;
        self.asked.set(Some(clock::now()));
        let until = clock::now().plus_ms(asked.wait_ms.min(MAX_WAIT_MS));
        if asked.wait_ms > 0 {
            self.begin_watching().await;
        }
        loop {
            let seen = self.waiters.changes();
            // In the step that reads: a reader who waits gets nothing that came after the right to it was gone.
            let news = self.look(|log| log.news(&asked.reader, cursor, MAX_NEWS_BYTES))?;
            let left = until.since(clock::now());
            if left == 0 || !news.is_empty(cursor) {
                return Ok(news);
            }
            let timeout = Delay::from(Duration::from_millis(left));
            if let Either::Right(_) = select(pin!(self.waiters.changed(seen)), pin!(timeout)).await {
                return Ok(news);
            }
        }
    }
}
