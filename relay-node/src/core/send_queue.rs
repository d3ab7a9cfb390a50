//! What waits to be sent to one peer, and in which order.
//!
//! What always holds, for each peer: `accepted` goes out before any `committed` that covers it; `committed(n)`
//! goes out only when every message below `n` was sent to the peer or declared a `gap`; a notice goes out only
//! behind the `committed` that covers it; a `signature` goes out right before the first message of its group or with the whole group,
//! to a peer that asked for it and to no other. A peer that can't take more waits here alone. Nothing larger than the peer takes is
//! ever written, so that nothing waits behind it: a message is declared a `gap`, and a notice goes without its payload. HTTP has both.

use crate::core::fresh::Fresh;
use crate::core::limits::{MAX_NOTICE_BYTES, MAX_NOTICES, MAX_PENDING_BYTES};
use crate::core::replay_buffer::{Chunk, GroupForm, ReplayBuffer};
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
    /// Chunks of this turn's new messages.
    pub fresh: &'a Fresh,
    /// Every seq below it is committed.
    pub committed: Seq,
}

impl View<'_> {
    fn chunk(&self, from: Seq, max: usize, form: GroupForm) -> Option<Chunk> {
        let mut fresh = self.fresh.chunks(form).iter();
        let shared = fresh.find(|chunk| chunk.first == from && chunk.bytes.len() <= max);
        shared.cloned().or_else(|| self.replay.chunk(from, max, form))
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub messages: u64,
    pub gapped: u64,
    /// Whether anything was written at all.
    pub wrote: bool,
}

/// A frame about what happened to messages below `end`.
#[derive(Debug, Clone)]
pub(crate) struct NoticeFrame {
    pub end: Seq,
    pub whole: Bytes,
    /// The same without its payload, which is marked as left out, for peers that take no message as large.
    pub brief: Option<Bytes>,
}

impl NoticeFrame {
    /// Bytes that it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.whole.len() + self.brief.as_ref().map_or(0, Bytes::len)
    }
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
    notices_bytes: usize,
    /// Who is at the stream: the newest state that it was not sent yet.
    presence: Option<Bytes>,
    /// The next message for the peer; `None` unless it subscribed.
    cursor: Option<Seq>,
    /// Whether the peer asked for signatures.
    signatures: bool,
    /// Whether it takes a signed group as one frame.
    takes_groups: bool,
    /// The message whose group's signature went out alone, since both together were too large.
    signed_at: Option<Seq>,
    /// Behind the last message of this epoch that was sent or declared a `gap`.
    sent_end: Seq,
    /// The last `committed` that was sent; `None` before the peer's hello or subscribe.
    committed_sent: Option<Seq>,
    /// No room at the last try; cleared by [`SendQueue::unblock`].
    blocked: bool,
    chunk_max: usize,
    /// The largest message that the peer takes.
    message_max: usize,
    /// Most bytes of control frames that wait.
    pending_max: usize,
}

impl Default for SendQueue {
    fn default() -> Self {
        Self {
            pending: VecDeque::new(),
            pending_bytes: 0,
            notices: VecDeque::new(),
            notices_bytes: 0,
            presence: None,
            cursor: None,
            signatures: false,
            takes_groups: false,
            signed_at: None,
            sent_end: Seq(0),
            committed_sent: None,
            blocked: false,
            chunk_max: MAX_COALESCE_BYTES,
            message_max: MAX_CHANNEL_MESSAGE_BYTES,
            pending_max: MAX_PENDING_BYTES,
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

    /// No more than this many bytes of control frames may wait.
    pub(crate) fn set_pending_max(&mut self, bytes: usize) {
        self.pending_max = bytes;
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
        if self.pending_bytes > self.pending_max {
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

    /// The peer wants the messages from `from` on, and the signatures of their groups or not.
    pub(crate) fn subscribe(&mut self, from: Seq, signatures: bool) {
        self.cursor = Some(from);
        self.signatures = signatures;
        self.signed_at = None;
        self.committed_sent = Some(self.committed_sent.unwrap_or(Seq(0)).min(from));
    }

    /// The peer takes signed groups as one frame from now on, or does not.
    pub(crate) fn set_takes_groups(&mut self, takes_groups: bool) {
        self.takes_groups = takes_groups;
    }

    /// How the peer is sent signed groups.
    pub(crate) fn group_form(&self) -> GroupForm {
        match (self.signatures, self.takes_groups) {
            (false, _) => GroupForm::Unsigned,
            (true, false) => GroupForm::InParts,
            (true, true) => GroupForm::Whole,
        }
    }

    /// The stream has another epoch: the peer is sent nothing of it before it has subscribed again.
    pub(crate) fn begin_epoch(&mut self) {
        self.cursor = None;
        self.signed_at = None;
        self.sent_end = Seq(0);
        self.committed_sent = None;
        self.notices.clear();
        self.notices_bytes = 0;
    }

    /// Whether the peer subscribed.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.cursor.is_some()
    }

    /// Whether the peer has something of this epoch that another one may not have: more than it was told is committed.
    pub(crate) fn is_tentative(&self) -> bool {
        self.signed_at.is_some() || self.committed_sent.unwrap_or(Seq(0)) < self.sent_end
    }

    /// The next message for the peer, and whether it asked for signatures; `None` unless it subscribed.
    pub(crate) fn subscription(&self) -> Option<(Seq, bool)> {
        self.cursor.map(|cursor| (cursor, self.signatures))
    }

    /// What the peer takes of a frame; `None` if neither form of it.
    fn fitting<'a>(&self, notice: &'a NoticeFrame) -> Option<&'a Bytes> {
        let forms = [Some(&notice.whole), notice.brief.as_ref()];
        let mut forms = forms.into_iter().flatten();
        forms.find(|frame| frame.len() <= self.message_max)
    }

    /// The peer is to be sent who is at the stream, in place of what it was not sent yet.
    pub(crate) fn set_presence(&mut self, frame: &NoticeFrame) {
        self.presence = self.fitting(frame).cloned();
    }

    /// Queues a notice; the oldest are dropped when there are too many.
    pub(crate) fn notice(&mut self, notice: &NoticeFrame) {
        let fitting = self.fitting(notice);
        let Some(frame) = fitting.filter(|_| self.committed_sent.is_some()) else {
            return;
        };
        self.notices_bytes += frame.len();
        self.notices.push_back((notice.end, frame.clone()));
        while (self.notices.len() > MAX_NOTICES || self.notices_bytes > MAX_NOTICE_BYTES)
            && let Some((_, oldest)) = self.notices.pop_front()
        {
            self.notices_bytes -= oldest.len();
        }
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
            && self.send_notices(sink, &mut sent)
            && self.send_presence(sink, &mut sent);
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
            && let Some(chunk) = self.next_chunk(view, cursor)
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
                self.signed_at = (chunk.end == chunk.first).then_some(cursor);
                cursor = chunk.end;
            }
        }
        if self.cursor.replace(cursor) != Some(cursor) {
            self.sent_end = self.sent_end.max(cursor);
        }
        !self.blocked
    }

    /// What the peer is sent next: messages, or, as a chunk of none, the signature that is too large to share a data-channel message
    /// with its group's first message.
    fn next_chunk(&self, view: &View<'_>, cursor: Seq) -> Option<Chunk> {
        let joined = view.chunk(cursor, self.chunk_max, self.group_form())?;
        if !self.signatures || joined.bytes.len() <= self.chunk_max {
            return Some(joined);
        }
        let Some(signature) = view.replay.signature(cursor) else {
            return Some(joined);
        };
        let alone = view.replay.chunk(cursor, 0, GroupForm::Unsigned)?;
        if alone.bytes.len() > self.message_max || self.signed_at == Some(cursor) {
            return Some(alone);
        }
        Some(Chunk {
            first: cursor,
            end: cursor,
            bytes: signature.clone(),
        })
    }

    /// The first message from `next` on that the peer takes.
    fn behind_large(&self, view: &View<'_>, mut next: Seq) -> Seq {
        while let Some(chunk) = view.chunk(next, self.chunk_max, GroupForm::Unsigned)
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

    /// Behind the answer to hello or subscribe, as all that is about the stream.
    fn send_presence(&mut self, sink: &mut impl Sink, sent: &mut Sent) -> bool {
        if self.committed_sent.is_some()
            && let Some(frame) = self.presence.take()
            && !self.write(sink, &frame, sent)
        {
            self.presence = Some(frame);
            return false;
        }
        true
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
            self.notices_bytes -= frame.len();
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
