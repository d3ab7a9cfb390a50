//! Links: how a shard that follows a stream takes it from the shard that it follows.
//!
//! A link is of one stream. Its lower end ([`Following`]) follows: it is sent the messages, marks and notices of the stream,
//! and forwards what its own publishers send. Its upper end ([`Downstream`]) leads the stream, or follows it over a link of
//! its own.
//!
//! What always holds:
//! - An upper end sends no more bytes of messages and notices than the lower end gave it credit for; what it has not sent stays in
//!   its replay buffer, and what falls out of that is a gap.
//! - A lower end has no more than [`MAX_FORWARDED_BYTES`](crate::core::limits::MAX_FORWARDED_BYTES) of publications without an
//!   answer; it keeps each until it is answered, and forwards it again over the next link of the same epoch.
//! - Frames of a link that was replaced are known by its generation, and are ignored.

mod codec;
mod downstream;
mod following;
mod frame;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;

pub(crate) use codec::{MAX_LINK_FRAME_BYTES, read_down, read_follow, read_up, write_frame};
pub(crate) use downstream::Downstream;
pub(crate) use following::{Change, Following, Forwarding, Origin};
pub(crate) use frame::{DownFrame, Ended, Follow, Forwarded, Greeting, LinkFrame, UpFrame, presence_bytes};

use streamchain_protocol::ids::ShortId;

/// The first number of links that other relays opened: those that this relay opens are counted up from 1.
pub(crate) const FIRST_ACCEPTED_LINK: u64 = 1 << 63;

/// The other end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkPeer {
    /// Another shard of this relay, by its index.
    Shard(usize),
    /// Another relay: the number of the one link, which the lower end gave it, and at the upper end the shell. The shell's are
    /// [`FIRST_ACCEPTED_LINK`] and above.
    Relay(u64),
}

/// A frame of a link, for the shell to carry to the other end. One link's frames arrive in order or not at all.
#[derive(Debug, Clone)]
pub struct LinkMessage {
    /// The link's stream.
    pub(crate) stream: ShortId,
    /// Which link of the two ends for this stream: the lower end gives the numbers, and none twice.
    pub(crate) generation: u64,
    pub(crate) frame: LinkFrame,
}

impl LinkMessage {
    /// The stream that the link is of.
    pub fn stream(&self) -> ShortId {
        self.stream
    }
}

#[cfg(test)]
mod codec_tests;
#[cfg(test)]
mod tests;
