//! The requests of a Stream object that wait until something changes: readers of its events, and publications by HTTP.

use crate::problem::{Kind, Problem};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Most requests that wait at a time: each is a request of this object, which takes about 1,000 a second.
const MAX_WAITING: u32 = 1_000;

/// Wakes the requests that wait, and counts the changes.
#[derive(Default)]
pub(super) struct Waiters {
    changes: Cell<u64>,
    wakers: RefCell<Vec<Waker>>,
    waiting: Cell<u32>,
}

impl Waiters {
    /// How many changes there were: what [`Self::changed`] waits to see exceeded.
    pub(super) fn changes(&self) -> u64 {
        self.changes.get()
    }

    /// Counts a change and wakes all who wait.
    pub(super) fn notify(&self) {
        self.changes.set(self.changes.get() + 1);
        self.wakers.take().into_iter().for_each(Waker::wake);
    }

    /// Returns once there were more than `seen` changes.
    pub(super) async fn changed(&self, seen: u64) {
        poll_fn(|context| {
            if self.changes.get() > seen {
                return Poll::Ready(());
            }
            let mut wakers = self.wakers.borrow_mut();
            // A request that is polled again, or gave up, leaves its old waker: no more of them than may wait.
            if wakers.len() > 2 * MAX_WAITING as usize {
                wakers.drain(..).for_each(Waker::wake);
            }
            wakers.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Counts one more request that waits, until the guard is dropped; refuses it when there are too many.
    pub(super) fn enter(&self) -> Result<Waiting<'_>, Problem> {
        if self.waiting.get() >= MAX_WAITING {
            let detail = format!("{MAX_WAITING} readers follow this stream: come back in a while");
            return Err(Problem::new(Kind::Overloaded, detail).header("retry-after", "10"));
        }
        self.waiting.set(self.waiting.get() + 1);
        Ok(Waiting(self))
    }
}

/// One request, as long as it waits.
pub(super) struct Waiting<'a>(&'a Waiters);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get().saturating_sub(1));
    }
}
