//! What a shard and the endpoint of links say to each other.

use super::queue::{LinkQueue, LinkSender};
use crate::core::Loss;
use crate::core::link::{Follow, LinkFrame};
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::wire::FollowGrant;

/// A shard opens a link, to the relay that leads a stream.
pub(super) struct Dial {
    /// The shard.
    pub shard: usize,
    /// The link's number there.
    pub number: u64,
    pub grant: Box<FollowGrant>,
    /// What is to be sent over it.
    pub queue: LinkQueue,
}

/// What a shard is handed, in order for each link.
pub(crate) enum LinkEvent {
    /// Another relay follows a stream over a new link.
    Opened {
        number: u64,
        stream: ShortId,
        follow: Follow,
        sender: LinkSender,
    },
    /// A frame came.
    Frame { number: u64, frame: LinkFrame },
    /// The link has ended.
    Lost { number: u64, loss: Loss },
}
