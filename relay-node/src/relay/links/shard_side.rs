//! A shard's links to other relays.
//!
//! What always holds: of a link that is not open here nothing reaches the shard; so a link that either end has ended is never
//! reported as lost.

use super::event::{Dial, LinkEvent};
use super::limits::{MAX_EVENTS, MAX_QUEUE_BYTES};
use super::queue::{LinkSender, link_queue};
use crate::core::link::{LinkFrame, UpFrame};
use crate::core::{LinkMessage, LinkPeer, Loss, Now, Shard};
use std::collections::HashMap;
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::wire::FollowGrant;
use tokio::sync::mpsc;

/// Most events that a shard takes in one turn, so that its sockets have theirs.
const MAX_EVENTS_PER_TURN: usize = 64;

struct Open {
    stream: ShortId,
    sender: LinkSender,
}

/// A shard's ends of links to other relays.
pub(crate) struct RelayLinks {
    shard: usize,
    /// To the endpoint; `None` where the relay has no links to others.
    dials: Option<mpsc::UnboundedSender<Dial>>,
    events: mpsc::Receiver<LinkEvent>,
    taken: Vec<LinkEvent>,
    open: HashMap<u64, Open>,
    /// The numbers of those that this shard opened.
    dialed: HashMap<ShortId, u64>,
}

/// The endpoint's ends of the queues to and from all shards.
pub(crate) struct ShardQueues {
    pub(super) events: Vec<mpsc::Sender<LinkEvent>>,
    pub(super) dials: mpsc::UnboundedReceiver<Dial>,
}

impl RelayLinks {
    /// For a shard of a relay without links to others.
    pub(crate) fn none() -> Self {
        Self::new(0, None).0
    }

    /// For so many shards, and the other ends of their queues.
    pub(crate) fn of_shards(shards: usize) -> (Vec<Self>, ShardQueues) {
        let (dial, dials) = mpsc::unbounded_channel();
        let (links, events) = (0..shards)
            .map(|shard| Self::new(shard, Some(dial.clone())))
            .unzip();
        (links, ShardQueues { events, dials })
    }

    fn new(shard: usize, dials: Option<mpsc::UnboundedSender<Dial>>) -> (Self, mpsc::Sender<LinkEvent>) {
        let (sender, events) = mpsc::channel(MAX_EVENTS);
        let links = Self {
            shard,
            dials,
            events,
            taken: Vec::new(),
            open: HashMap::new(),
            dialed: HashMap::new(),
        };
        (links, sender)
    }

    /// Opens a link to the relay that leads a stream, in place of the one that there was.
    pub(crate) fn dial(&mut self, shard: &mut Shard, number: u64, grant: Box<FollowGrant>, now: Now) {
        let stream = grant.stream.short();
        if let Some(before) = self.dialed.insert(stream, number) {
            self.open.remove(&before);
        }
        let (sender, queue) = link_queue(MAX_QUEUE_BYTES);
        let dial = Dial {
            shard: self.shard,
            number,
            grant,
            queue,
        };
        let dials = self.dials.as_ref();
        match dials.is_some_and(|dials| dials.send(dial).is_ok()) {
            true => drop(self.open.insert(number, Open { stream, sender })),
            false => shard.handle_link_lost(stream, LinkPeer::Relay(number), Loss::Failed, now),
        }
    }

    /// Sends a frame to the other end. One whose link is not open is dropped: the shard knows, or will hear of it.
    pub(crate) fn send(&mut self, shard: &mut Shard, number: u64, message: LinkMessage, now: Now) {
        let LinkMessage { stream, frame, .. } = message;
        let Some(link) = self.open.get(&number) else {
            return;
        };
        let is_last = frame.is_last();
        let sent = link.sender.send(frame);
        if is_last || sent.is_err() {
            self.close(number);
        }
        if sent.is_err() && !is_last {
            shard.handle_link_lost(stream, LinkPeer::Relay(number), Loss::Failed, now);
        }
    }

    /// Waits until there is something for the shard.
    pub(crate) async fn wait(&mut self) {
        let received = self.events.recv_many(&mut self.taken, MAX_EVENTS_PER_TURN).await;
        if received == 0 {
            std::future::pending::<()>().await;
        }
    }

    /// Gives the shard what there is.
    pub(crate) fn hand_over(&mut self, shard: &mut Shard, now: Now) {
        for event in std::mem::take(&mut self.taken) {
            match event {
                LinkEvent::Opened {
                    number,
                    stream,
                    follow,
                    sender,
                } => {
                    self.open.insert(number, Open { stream, sender });
                    let frame = LinkFrame::Up(UpFrame::Follow(follow));
                    take(shard, stream, number, frame, now);
                }
                LinkEvent::Frame { number, frame } => {
                    let Some(link) = self.open.get(&number) else {
                        continue;
                    };
                    let stream = link.stream;
                    if frame.is_last() {
                        self.close(number);
                    }
                    take(shard, stream, number, frame, now);
                }
                LinkEvent::Lost { number, loss } => {
                    if let Some(stream) = self.close(number) {
                        shard.handle_link_lost(stream, LinkPeer::Relay(number), loss, now);
                    }
                }
            }
        }
    }

    fn close(&mut self, number: u64) -> Option<ShortId> {
        let Open { stream, .. } = self.open.remove(&number)?;
        if self.dialed.get(&stream) == Some(&number) {
            self.dialed.remove(&stream);
        }
        Some(stream)
    }
}

fn take(shard: &mut Shard, stream: ShortId, number: u64, frame: LinkFrame, now: Now) {
    let message = LinkMessage {
        stream,
        generation: number,
        frame,
    };
    shard.handle_link(LinkPeer::Relay(number), message, now);
}
