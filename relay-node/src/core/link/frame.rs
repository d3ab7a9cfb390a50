//! What the two ends of a link say to each other.

use crate::core::publication::{Extent, Publication};
use crate::core::replay_buffer::EncodedMessage;
use crate::core::reply::Reply;
use crate::core::send_queue::NoticeFrame;
use bytes::Bytes;
use std::sync::Arc;
use streamchain_protocol::ids::{Epoch, Seq};
use streamchain_protocol::signed::{PublicKey, Signature};
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::util::Network;
use streamchain_protocol::wire::{Presence, ProducerKey};
use streamchain_protocol::{Address, B256};

/// A frame of either direction.
#[derive(Debug, Clone)]
pub(crate) enum LinkFrame {
    Up(UpFrame),
    Down(DownFrame),
}

impl LinkFrame {
    /// Bytes that it counts for while it waits to be sent.
    pub(crate) fn weight(&self) -> usize {
        let contents = match self {
            Self::Up(UpFrame::Publish(forwarded)) => {
                forwarded.bytes() + forwarded.payloads.len() * size_of::<Bytes>()
            }
            Self::Down(DownFrame::Messages { messages, .. }) => {
                messages.iter().map(EncodedMessage::len).sum::<usize>()
            }
            Self::Down(DownFrame::Notice(notice)) => notice.bytes(),
            Self::Up(UpFrame::Here(presence)) => presence_bytes(presence),
            Self::Down(DownFrame::Presence(presence)) => presence_bytes(presence),
            Self::Up(_) | Self::Down(_) => 0,
        };
        contents + size_of::<Self>()
    }

    /// Whether nothing comes behind it.
    pub(crate) fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Up(UpFrame::Unfollow) | Self::Down(DownFrame::Ended(_))
        )
    }
}

/// From the lower end, which follows.
#[derive(Debug, Clone)]
pub(crate) enum UpFrame {
    /// The link begins.
    Follow(Follow),
    /// The upper end may send so many bytes more.
    Credit(u32),
    /// A publisher of the lower end begins; answered by *welcome*.
    Hello(Greeting),
    /// A publisher's message or group; answered by *answer*.
    Publish(Forwarded),
    /// A publisher is gone.
    Leave(u64),
    /// Who is at the stream at the lower end and at those who follow it; at most once in a second, and only when it changed.
    Here(Presence),
    /// The link ends.
    Unfollow,
}

/// How a link begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Follow {
    /// The epoch that the lower end knows, and the first message of it that it lacks.
    pub known: Option<(Epoch, Seq)>,
    /// Bytes that the upper end may send.
    pub credit: u32,
    /// Whose share of streams the upper end takes it from, if it does not have the stream yet.
    pub network: Option<Network>,
    /// The epoch under which the edge let another relay follow; `None` for a shard of this relay.
    pub granted: Option<Epoch>,
}

/// Who publishes through the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// The lower end's number of the publisher.
    pub publisher: u64,
    pub producer: ProducerKey,
    /// The key that its groups will be signed with.
    pub key: Option<PublicKey>,
    /// Whose share of checked signatures it uses.
    pub network: Network,
}

/// A publication on its way to the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub publisher: u64,
    /// The number of its first message.
    pub producer_seq: u64,
    pub payloads: Vec<Bytes>,
    /// `previous` and the signature of a group; `None` for a message of no group.
    pub signed: Option<(B256, Signature)>,
}

impl Forwarded {
    pub(crate) fn new(publisher: u64, publication: Publication<'_>) -> Self {
        let payloads = publication.payloads.iter();
        Self {
            publisher,
            producer_seq: publication.producer_seq,
            payloads: payloads.map(|payload| Bytes::copy_from_slice(payload)).collect(),
            signed: publication.signed,
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        Extent {
            producer_seq: self.producer_seq,
            messages: self.payloads.len() as u64,
            is_group: self.signed.is_some(),
        }
    }

    /// Payload bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.payloads.iter().map(Bytes::len).sum()
    }
}

/// From the upper end.
#[derive(Debug, Clone)]
pub(crate) enum DownFrame {
    /// What the lower end follows from now on: the answer to *follow*, and sent again when the epoch or a setting changed.
    Following {
        epoch: Epoch,
        /// The next seq to be given.
        head: Seq,
        committed: Seq,
        signed: Option<Signed>,
        /// The first message that will be sent.
        start: Seq,
    },
    /// Messages as the leader encoded them. Those between the last ones and `first` are a gap.
    Messages {
        first: Seq,
        messages: Vec<EncodedMessage>,
    },
    /// Every seq below is committed.
    Committed(Seq),
    /// A notice, as sessions get it.
    Notice(NoticeFrame),
    /// The answer to *hello*: the producer's last committed number.
    Welcome { publisher: u64, stored: Option<u64> },
    /// The answer to *publish*.
    Answer {
        publisher: u64,
        producer_seq: u64,
        reply: Reply,
    },
    /// Sessions whose rights were withdrawn.
    Withdrawn {
        author: Option<Address>,
        before: UnixSec,
        again: bool,
    },
    /// A message's payload was erased.
    Erased(Seq),
    /// Who is at the stream, as the leader knows it; only when it changed.
    Presence(Arc<Presence>),
    /// The link is over.
    Ended(Ended),
}

/// Why an upper end ends a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It no longer leads the stream.
    Moved,
    /// It shuts down.
    Gone,
    /// It has no room for the stream, or does not reach the leader.
    Unreachable,
}

/// What a frame about who is there counts for, bytes: as many as a session is sent.
pub(crate) fn presence_bytes(presence: &Presence) -> usize {
    24 + 21 * presence.authors.len()
}
