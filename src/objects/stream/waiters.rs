//! The requests of a Stream object that wait until something changes: readers of its events, and publications by HTTP.

use crate::problem::{Kind, Problem};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};
use streamchain_edge_core::slots::{MAX_WAITING, Slots};

/// Wakes the requests that wait, and counts the changes.
#[derive(Default)]
pub(super) struct Waiters {
    changes: Cell<u64>,
    wakers: RefCell<Vec<Waker>>,
    slots: RefCell<Slots>,
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

    /// Counts one more request of a network that waits, until the guard is dropped; refuses it when there are too many.
    pub(super) fn enter(&self, network: &str) -> Result<Waiting<'_>, Problem> {
        let taken = self.slots.borrow_mut().take(network);
        taken.map_err(|none| Problem::new(Kind::Overloaded, none.to_string()).header("retry-after", "10"))?;
        Ok(Waiting {
            waiters: self,
            network: network.to_owned(),
        })
    }
}

/// One request, as long as it waits.
pub(super) struct Waiting<'a> {
    waiters: &'a Waiters,
    network: String,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiters.slots.borrow_mut().give_back(&self.network);
    }
}
