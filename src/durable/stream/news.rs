//! What is new behind a reader's cursor: answered at once when there is something, else when something comes.
//!
//! Nothing about a reader is kept here: the cursor comes with every question. In memory there is only who waits.

use super::{NewsAnswer, Stream};
use crate::http::Answer;
use crate::problem::{Kind, Problem};
use futures_util::future::{Either, select};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;
use streamchain_edge_core::stream_log::Cursor;
use worker::{Date, Delay};

/// Most readers that wait at a time: each is a request of this object, which takes about 1,000 a second.
const READERS_MAX: u32 = 1_000;

/// Longest wait, milliseconds.
const WAIT_MAX_MS: u64 = 15_000;

/// Most bytes of messages, and of events, in one answer.
const NEWS_MAX_BYTES: usize = 256 * 1024;

/// Rung when something is new.
#[derive(Default)]
pub(super) struct Bell {
    rings: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
    readers: Cell<u32>,
}

impl Bell {
    /// Wakes all who wait.
    pub(super) fn ring(&self) {
        self.rings.set(self.rings.get() + 1);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Until it has been rung more than `heard` times.
    async fn rung(&self, heard: u64) {
        poll_fn(|context| {
            if self.rings.get() > heard {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            // A reader that is polled again, or gave up, leaves its old waker: no more of them than may wait.
            if waiting.len() > 2 * READERS_MAX as usize {
                waiting.drain(..).for_each(Waker::wake);
            }
            waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// One reader, as long as it waits.
struct Reader<'a>(&'a Bell);

impl<'a> Reader<'a> {
    fn enter(bell: &'a Bell) -> Result<Self, Problem> {
        if bell.readers.get() >= READERS_MAX {
            let detail = format!("{READERS_MAX} readers follow this stream: come back in a while");
            return Err(Problem::new(Kind::Overloaded, detail).header("retry-after", "10"));
        }
        bell.readers.set(bell.readers.get() + 1);
        Ok(Self(bell))
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.readers.set(self.0.readers.get() - 1);
    }
}

impl Stream {
    /// `GET /news?event=&seq=&wait=`
    pub(super) async fn news(&self, cursor: Cursor, wait_ms: u64) -> Answer {
        let _reader = Reader::enter(&self.bell)?;
        let until = Date::now().as_millis() + wait_ms.min(WAIT_MAX_MS);
        loop {
            let heard = self.bell.rings.get();
            let news = self.step(|log| log.news(cursor, NEWS_MAX_BYTES))?;
            let left = until.saturating_sub(Date::now().as_millis());
            if left == 0 || !news.is_empty(cursor) {
                return Ok(NewsAnswer::respond(news)?);
            }
            let timeout = Delay::from(Duration::from_millis(left));
            if let Either::Right(_) = select(pin!(self.bell.rung(heard)), pin!(timeout)).await {
                return Ok(NewsAnswer::respond(news)?);
            }
        }
    }
}
