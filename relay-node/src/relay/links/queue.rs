//! What waits to be sent over one link.
//!
//! What always holds: a shard never waits here, and no more than a bounded number of bytes does.

use crate::core::link::LinkFrame;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// The end that the link's shard has. The link ends, behind what was sent, when it is dropped.
pub(crate) struct LinkSender {
    frames: mpsc::UnboundedSender<LinkFrame>,
    waiting: Arc<AtomicUsize>,
    max_bytes: usize,
}

/// The end that writes to the connection.
pub(super) struct LinkQueue {
    frames: mpsc::UnboundedReceiver<LinkFrame>,
    waiting: Arc<AtomicUsize>,
}

/// More waits for the link than may, or it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// A queue in which so many bytes may wait.
pub(super) fn link_queue(max_bytes: usize) -> (LinkSender, LinkQueue) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let sender = LinkSender {
        frames: sender,
        waiting: Arc::clone(&waiting),
        max_bytes,
    };
    let queue = LinkQueue {
        frames: receiver,
        waiting,
    };
    (sender, queue)
}

impl LinkSender {
    /// Queues a frame.
    pub(super) fn send(&self, frame: LinkFrame) -> Result<(), Full> {
        let weight = frame.weight();
        let before = self.waiting.fetch_add(weight, Ordering::Relaxed);
        match before.saturating_add(weight) > self.max_bytes {
            true => Err(Full),
            false => self.frames.send(frame).map_err(|_| Full),
        }
    }
}

impl LinkQueue {
    /// The next frame; `None` once the sender is gone and all was taken.
    pub(super) async fn next(&mut self) -> Option<LinkFrame> {
        let frame = self.frames.recv().await;
        self.taken(frame)
    }

    /// The next frame if there is one now.
    pub(super) fn try_next(&mut self) -> Option<LinkFrame> {
        let frame = self.frames.try_recv().ok();
        self.taken(frame)
    }

    fn taken(&self, frame: Option<LinkFrame>) -> Option<LinkFrame> {
        if let Some(frame) = &frame {
            self.waiting.fetch_sub(frame.weight(), Ordering::Relaxed);
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::link::UpFrame;

    #[test]
    fn a_queue_that_is_not_read_is_full_in_the_end() {
        let (sender, mut queue) = link_queue(2_000);
        let frame = || LinkFrame::Up(UpFrame::Leave(1));
        let mut sent = 0;
        while sender.send(frame()).is_ok() {
            sent += 1;
        }
        assert_eq!(sent, 2_000 / frame().weight());
        (0..sent).for_each(|_| assert!(queue.try_next().is_some()));
        assert!(queue.try_next().is_none(), "what was refused is not sent");
    }

    #[tokio::test]
    async fn what_was_sent_before_the_end_is_taken() {
        let (sender, mut queue) = link_queue(2_000);
        sender.send(LinkFrame::Up(UpFrame::Unfollow)).unwrap();
        drop(sender);
        assert!(queue.next().await.is_some() && queue.next().await.is_none());
    }
}
