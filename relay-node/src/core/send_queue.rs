//! What waits to be sent to one peer, and in which order.
//!
//! What always holds, for each peer: `accepted` goes out before any `committed` that covers it; `committed(n)`
//! goes out only when every message below `n` was sent to the peer or declared a `gap`; a notice goes out only
//! behind the `committed` that covers it. A peer that can't take more waits here alone. Nothing larger than the peer takes is
//! ever written, so that nothing waits behind it: a message is declared a `gap`, and a notice is dropped. HTTP has both.

use crate::core::limits::{MAX_NOTICES, MAX_PENDING_BYTES};
use crate::core::replay_buffer::{Chunk, ReplayBuffer};
use bytes::Bytes;
use std::collections::VecDeque;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::limits::{MAX_CHANNEL_MESSAGE_BYTES, MAX_COALESCE_BYTES};
use streamchain_protocol::wire::frame::RelayFrame;

/// Where messages to the peer go.
pub(crate) trait Sink {
    /// Takes a data-channel message whole, or not at all when there is no room now.
    fn write(&mut self, message: &[u8]) -> bool;
}

/// What a stream has for its peers.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub replay: &'a ReplayBuffer,
    /// Chunks of this turn's new messages, made once for all peers that are caught up.
    pub fresh: &'a [Chunk],
    /// Every seq below it is committed.
    pub committed: Seq,
}

impl View<'_> {
    fn chunk(&self, from: Seq, max: usize) -> Option<Chunk> {
        let shared = self
            .fresh
            .iter()
            .find(|chunk| chunk.first == from && chunk.bytes.len() <= max);
        shared.cloned().or_else(|| self.replay.chunk(from, max))
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub messages: u64,
    pub gapped: u64,
    /// Whether anything was written at all.
    pub wrote: bool,
}

/// More waits for the peer than it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overflow;

#[derive(Debug)]
pub(crate) struct SendQueue {
    /// Control frames, joined to messages of up to 16 KiB.
    pending: VecDeque<Vec<u8>>,
    pending_bytes: usize,
    /// Frames about a run of messages that ends at the seq.
    notices: VecDeque<(Seq, Bytes)>,
    /// The next message for the peer; `None` unless it subscribed.
    cursor: Option<Seq>,
    /// The last `committed` that was sent; `None` before the peer's hello or subscribe.
    committed_sent: Option<Seq>,
    /// No room at the last try; cleared by [`SendQueue::unblock`].
    blocked: bool,
    chunk_max: usize,
    /// The largest message that the peer takes.
    message_max: usize,
}

impl Default for SendQueue {
    fn default() -> Self {
        Self {
            pending: VecDeque::new(),
            pending_bytes: 0,
            notices: VecDeque::new(),
            cursor: None,
            committed_sent: None,
            blocked: false,
            chunk_max: MAX_COALESCE_BYTES,
            message_max: MAX_CHANNEL_MESSAGE_BYTES,
        }
    }
}

impl SendQueue {
    /// Frames are joined to messages of at most this many bytes from now on.
    pub(crate) fn set_chunk_max(&mut self, bytes: usize) {
        self.chunk_max = bytes.min(self.message_max);
    }

    /// The peer takes no message above this many bytes (RFC 8841 §6). At least [`MIN_CHANNEL_MESSAGE_BYTES`](crate::core::limits::MIN_CHANNEL_MESSAGE_BYTES), so that every
    /// control frame fits.
    pub(crate) fn set_message_max(&mut self, bytes: usize) {
        self.message_max = bytes;
        self.set_chunk_max(self.chunk_max);
    }

    /// Queues a control frame.
    pub(crate) fn send(&mut self, frame: &RelayFrame<'_>) -> Result<(), Overflow> {
        let before = self.pending.back().map_or(0, Vec::len);
        match self
            .pending
            .back_mut()
            .filter(|last| last.len() + 256 <= self.chunk_max)
        {
            Some(last) => {
                frame.write(last);
                self.pending_bytes += last.len() - before;
            }
            None => {
                let mut message = Vec::with_capacity(64);
                frame.write(&mut message);
                self.pending_bytes += message.len();
                self.pending.push_back(message);
            }
        }
        if self.pending_bytes > MAX_PENDING_BYTES {
            Err(Overflow)
        } else {
            Ok(())
        }
    }

    /// Queues the answer to hello, which also says how far the stream is stored.
    pub(crate) fn welcome(&mut self, frame: &RelayFrame<'_>, committed: Seq) -> Result<(), Overflow> {
        self.send(frame)?;
        // A subscriber is sent `committed` behind the messages themselves; for all others `welcome` has it.
        if self.cursor.is_none() {
            self.committed_sent = self.committed_sent.max(Some(committed));
        }
        Ok(())
    }

    /// The peer wants the messages from `from` on.
    pub(crate) fn subscribe(&mut self, from: Seq) {
        self.cursor = Some(from);
        self.committed_sent = Some(self.committed_sent.unwrap_or(Seq(0)).min(from));
    }

    /// Queues a frame about messages below `end`; the oldest is dropped when there are too many.
    pub(crate) fn notice(&mut self, end: Seq, frame: Bytes) {
        if self.committed_sent.is_none() || frame.len() > self.message_max {
            return;
        }
        if self.notices.len() >= MAX_NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back((end, frame));
    }

    /// Whether the last try found no room.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(crate) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Bytes of control frames that wait.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Whether all control frames are out.
    pub(crate) fn is_flushed(&self) -> bool {
        self.pending.is_empty()
    }

    /// Writes the control frames alone: for a peer whose stream is gone or not there yet.
    pub(crate) fn flush(&mut self, sink: &mut impl Sink) -> Sent {
        let mut sent = Sent::default();
        self.flush_pending(sink, &mut sent);
        sent
    }

    /// Writes as much as there is and the sink takes.
    pub(crate) fn pump(&mut self, view: &View<'_>, sink: &mut impl Sink) -> Sent {
        let mut sent = Sent::default();
        // A slow peer is sent `committed` too, not only when it has caught up: hence before and after the messages.
        let _ = self.flush_pending(sink, &mut sent)
            && self.send_committed(view, sink, &mut sent)
            && self.send_messages(view, sink, &mut sent)
            && self.send_committed(view, sink, &mut sent)
            && self.send_notices(sink, &mut sent);
        sent
    }

    fn write(&mut self, sink: &mut impl Sink, message: &[u8], sent: &mut Sent) -> bool {
        let taken = !self.blocked && sink.write(message);
        self.blocked = !taken;
        sent.wrote |= taken;
        taken
    }

    fn flush_pending(&mut self, sink: &mut impl Sink, sent: &mut Sent) -> bool {
        while let Some(message) = self.pending.pop_front() {
            if !self.write(sink, &message, sent) {
                self.pending.push_front(message);
                return false;
            }
            self.pending_bytes -= message.len();
        }
        true
    }

    fn send_messages(&mut self, view: &View<'_>, sink: &mut impl Sink, sent: &mut Sent) -> bool {
        let Some(mut cursor) = self.cursor else {
            return true;
        };
        let start = view.replay.start();
        if cursor < start {
            if !self.write(
                sink,
                &encode(&RelayFrame::Gap {
                    from: cursor,
                    to: start,
                }),
                sent,
            ) {
                return false;
            }
            sent.gapped += start.0 - cursor.0;
            cursor = start;
        }
        let mut room = true;
        while !self.blocked
            && room
            && let Some(chunk) = view.chunk(cursor, self.chunk_max)
        {
            if chunk.bytes.len() > self.message_max {
                let to = self.behind_large(view, chunk.end);
                room = self.write(sink, &encode(&RelayFrame::Gap { from: cursor, to }), sent);
                if room {
                    sent.gapped += to.0 - cursor.0;
                    cursor = to;
                }
                continue;
            }
            room = self.write(sink, &chunk.bytes, sent);
            if room {
                sent.messages += chunk.end.0 - chunk.first.0;
                cursor = chunk.end;
            }
        }
        self.cursor = Some(cursor);
        !self.blocked
    }

    /// The first message from `next` on that the peer takes.
    fn behind_large(&self, view: &View<'_>, mut next: Seq) -> Seq {
        while let Some(chunk) = view.chunk(next, self.chunk_max)
            && chunk.bytes.len() > self.message_max
        {
            next = chunk.end;
        }
        next
    }

    fn send_committed(&mut self, view: &View<'_>, sink: &mut impl Sink, sent: &mut Sent) -> bool {
        let Some(committed_sent) = self.committed_sent else {
            return true;
        };
        let committed = self
            .cursor
            .map_or(view.committed, |cursor| cursor.min(view.committed));
        if committed <= committed_sent {
            return true;
        }
        let taken = self.write(sink, &encode(&RelayFrame::Committed { committed }), sent);
        if taken {
            self.committed_sent = Some(committed);
        }
        taken
    }

    fn send_notices(&mut self, sink: &mut impl Sink, sent: &mut Sent) -> bool {
        while let Some((end, frame)) = self.notices.front().cloned() {
            // A subscriber from the tail does not wait for messages before it.
            if self
                .committed_sent
                .is_none_or(|committed_sent| committed_sent < end)
            {
                break;
            }
            if !self.write(sink, &frame, sent) {
                return false;
            }
            self.notices.pop_front();
        }
        true
    }
}

/// A frame as a message of its own.
pub(crate) fn encode(frame: &RelayFrame<'_>) -> Vec<u8> {
    let mut message = Vec::with_capacity(32);
    frame.write(&mut message);
    message
}

#[cfg(test)]
#[path = "send_queue_tests.rs"]
mod tests;
