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
    readers: RefCell<Slots>,
    publishers: RefCell<Slots>,
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
            if wakers.len() > 4 * MAX_WAITING as usize {
                wakers.drain(..).for_each(Waker::wake);
            }
            wakers.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Counts one more reader of a network, until the guard is dropped; refuses it when there are too many.
    pub(super) fn enter(&self, network: &str) -> Result<Waiting<'_>, Problem> {
        let taken = self.readers.borrow_mut().take(network);
        taken.map_err(|none| Problem::new(Kind::Overloaded, none.to_string()).header("retry-after", "10"))?;
        Ok(Waiting::of(&self.readers, network))
    }

    /// Counts one more publication of a network that waits to be stored, until the guard is dropped. `None` when there are
    /// too many: that publication is answered at once instead.
    pub(super) fn enter_publisher(&self, network: &str) -> Option<Waiting<'_>> {
        let taken = self.publishers.borrow_mut().take(network);
        taken.is_ok().then(|| Waiting::of(&self.publishers, network))
    }
}

/// One request, as long as it waits.
pub(super) struct Waiting<'a> {
    slots: &'a RefCell<Slots>,
    network: String,
}

impl<'a> Waiting<'a> {
    fn of(slots: &'a RefCell<Slots>, network: &str) -> Self {
        let network = network.to_owned();
        Self { slots, network }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.slots.borrow_mut().give_back(&self.network);
    }
}
