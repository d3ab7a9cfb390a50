//! Links between the shards of one relay: queues between their threads.
//!
//! What always holds: sending never waits, so no two shards wait for each other. A queue has no bound of its own; what may be in it is
//! bounded by what the ends of its links allow each other: the credit of messages and notices, the publications without an answer,
//! and one greeting for each session.

use crate::core::LinkMessage;
use tokio::sync::mpsc;

/// Most frames that a shard takes in one turn, so that its sockets have theirs.
const MAX_FRAMES_PER_TURN: usize = 256;

/// A shard's queues to and from the others.
pub struct ShardLinks {
    index: usize,
    peers: Vec<mpsc::UnboundedSender<(usize, LinkMessage)>>,
    inbox: mpsc::UnboundedReceiver<(usize, LinkMessage)>,
}

impl ShardLinks {
    /// The queues of so many shards, in their order.
    pub fn between(shards: usize) -> Vec<Self> {
        let (peers, inboxes): (Vec<_>, Vec<_>) = (0..shards).map(|_| mpsc::unbounded_channel()).unzip();
        let of_shard = |(index, inbox)| Self {
            index,
            peers: peers.clone(),
            inbox,
        };
        inboxes.into_iter().enumerate().map(of_shard).collect()
    }

    /// Sends another shard a frame. One that has ended takes none any more, and the relay is about to end.
    pub(super) fn send(&self, shard: usize, message: LinkMessage) {
        if let Some(peer) = self.peers.get(shard) {
            let _ = peer.send((self.index, message));
        }
    }

    /// Waits for frames, and takes those that are there: each with the shard that sent it.
    pub(super) async fn take(&mut self, taken: &mut Vec<(usize, LinkMessage)>) {
        self.inbox.recv_many(taken, MAX_FRAMES_PER_TURN).await;
    }
}
