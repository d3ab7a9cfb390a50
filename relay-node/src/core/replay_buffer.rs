//! The recent messages of a stream, encoded once each, for subscribers that have not been sent them yet.
//!
//! What always holds: the buffer is one contiguous run of seqs `start()..end()`; it never holds more than its
//! bounds, however far behind a subscriber is; the signature of a group stands at its first message, and goes with it.

use crate::core::limits::MAX_REPLAY_MESSAGES;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use streamchain_protocol::ids::{Epoch, Seq};
use streamchain_protocol::wire::cbor::Reader;
use streamchain_protocol::wire::frame::{RelayFrame, SignedGroup};

/// How a subscriber is sent signed groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum GroupForm {
    /// Their messages alone.
    #[default]
    Unsigned,
    /// The signature, and behind it the messages one by one.
    InParts,
    /// As one frame where the group is here whole and fits in one data-channel message; in parts where not.
    Whole,
}

/// A run of encoded frames as one data-channel message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Seq of the first message in it.
    pub first: Seq,
    /// One past the last.
    pub end: Seq,
    /// The frames, one after the other (RFC 8742).
    pub bytes: Bytes,
}

/// An encoded message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EncodedMessage {
    pub message: Bytes,
    /// The signature of the group that begins with it, encoded.
    pub signature: Option<Bytes>,
}

impl EncodedMessage {
    pub(crate) fn len(&self) -> usize {
        self.message.len() + self.signature.as_ref().map_or(0, Bytes::len)
    }

    /// The signature of the group that begins with it, for who is sent signatures.
    fn signature(&self, form: GroupForm) -> Option<&Bytes> {
        self.signature.as_ref().filter(|_| form != GroupForm::Unsigned)
    }
}

/// What of the buffer goes out together or not at all.
enum Piece<'a> {
    /// A message, and the signature of the group that begins with it where it is sent.
    Message(Option<&'a Bytes>, &'a Bytes),
    /// A group of so many messages as one frame.
    Group(Bytes, usize),
}

impl Piece<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Message(signature, message) => signature.map_or(0, Bytes::len) + message.len(),
            Self::Group(frame, _) => frame.len(),
        }
    }

    fn messages(&self) -> usize {
        match self {
            Self::Message(..) => 1,
            Self::Group(_, messages) => *messages,
        }
    }

    fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Message(signature, message) => {
                if let Some(signature) = signature {
                    out.extend_from_slice(signature);
                }
                out.extend_from_slice(message);
            }
            Self::Group(frame, _) => out.extend_from_slice(frame),
        }
    }
}

/// Encoded messages `start()..end()`.
#[derive(Debug)]
pub(crate) struct ReplayBuffer {
    start: Seq,
    frames: VecDeque<EncodedMessage>,
    bytes: usize,
    max_bytes: usize,
}

impl ReplayBuffer {
    /// An empty buffer that begins at `start` and keeps at most `max_bytes` of encoded messages.
    pub(crate) fn new(start: Seq, max_bytes: usize) -> Self {
        Self {
            start,
            frames: VecDeque::new(),
            bytes: 0,
            max_bytes,
        }
    }

    /// The messages below `end` under another epoch, which their frames name; `None` where they do not reach as far.
    pub(crate) fn under(&self, epoch: Epoch, end: Seq) -> Option<Self> {
        let kept = usize::try_from(end.0.checked_sub(self.start.0)?).ok()?;
        if kept > self.frames.len() {
            return None;
        }
        let mut under = Self::new(self.start, self.max_bytes);
        for EncodedMessage { message, signature } in self.frames.iter().take(kept) {
            let signature = match signature {
                Some(signature) => Some(frame_under(epoch, signature)?),
                None => None,
            };
            under.push(frame_under(epoch, message)?, signature);
        }
        Some(under)
    }

    /// The oldest message that is still here.
    pub(crate) fn start(&self) -> Seq {
        self.start
    }

    /// The next seq: one past the newest message.
    pub(crate) fn end(&self) -> Seq {
        Seq(self.start.0 + self.frames.len() as u64)
    }

    /// Bytes of the encoded messages that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the next message, with the signature of the group that begins with it, and drops the oldest beyond the bounds.
    pub(crate) fn push(&mut self, message: Bytes, signature: Option<Bytes>) {
        let frame = EncodedMessage { message, signature };
        self.bytes += frame.len();
        self.frames.push_back(frame);
        while self.frames.len() > MAX_REPLAY_MESSAGES || self.bytes > self.max_bytes {
            let Some(oldest) = self.frames.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
            self.start = self.start.next();
        }
    }

    /// Drops a message and all that are older: who is behind gets a gap, and reads history.
    pub(crate) fn forget(&mut self, seq: Seq) {
        while self.start <= seq {
            let Some(oldest) = self.frames.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
            self.start = self.start.next();
        }
    }

    /// The next message will be `seq`: what lies between is a gap, and what was here is dropped. Nothing changes when the buffer
    /// reaches as far already.
    pub(crate) fn skip_to(&mut self, seq: Seq) {
        if seq > self.end() {
            self.frames.clear();
            self.bytes = 0;
            self.start = seq;
        }
    }

    /// The messages from `from` on, with their signatures: at most `max_messages`, and of at most `max_bytes` or one.
    pub(crate) fn run(&self, from: Seq, max_bytes: usize, max_messages: usize) -> Vec<EncodedMessage> {
        let Some(index) = from.0.checked_sub(self.start.0) else {
            return Vec::new();
        };
        let skipped = usize::try_from(index).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |frame: &&EncodedMessage| {
            let is_first = bytes == 0;
            bytes += frame.len();
            is_first || bytes <= max_bytes
        };
        let frames = self.frames.iter().skip(skipped).take(max_messages);
        frames.take_while(fits).cloned().collect()
    }

    fn frame(&self, seq: Seq) -> Option<&EncodedMessage> {
        let index = usize::try_from(seq.0.checked_sub(self.start.0)?).ok()?;
        self.frames.get(index)
    }

    /// The signature of the group that begins with this message.
    pub(crate) fn signature(&self, seq: Seq) -> Option<&Bytes> {
        self.frame(seq)?.signature.as_ref()
    }

    /// Whether a group begins in the messages from `from` on.
    pub(crate) fn has_signatures(&self, from: Seq) -> bool {
        let skipped = usize::try_from(from.0.saturating_sub(self.start.0)).unwrap_or(usize::MAX);
        self.frames
            .iter()
            .skip(skipped)
            .any(|frame| frame.signature.is_some())
    }

    /// The messages from `from` on in this form, as one data-channel message of at most `max` bytes or one message; `None` when
    /// there are none or they are no longer here.
    pub(crate) fn chunk(&self, from: Seq, max: usize, form: GroupForm) -> Option<Chunk> {
        let mut index = usize::try_from(from.0.checked_sub(self.start.0)?).ok()?;
        let first = self.piece(index, max, form)?;
        let mut length = first.len();
        index += first.messages();
        let mut pieces = vec![first];
        while let Some(next) = self.piece(index, max, form)
            && length + next.len() <= max
        {
            length += next.len();
            index += next.messages();
            pieces.push(next);
        }
        let bytes = match pieces.as_slice() {
            [Piece::Message(None, only)] => (*only).clone(),
            [Piece::Group(only, _)] => only.clone(),
            _ => {
                let mut joined = BytesMut::with_capacity(length);
                pieces.iter().for_each(|piece| piece.write(&mut joined));
                joined.freeze()
            }
        };
        Some(Chunk {
            first: from,
            end: Seq(self.start.0 + index as u64),
            bytes,
        })
    }

    fn piece(&self, index: usize, max: usize, form: GroupForm) -> Option<Piece<'_>> {
        let whole = match form {
            GroupForm::Whole => self.group(index, max),
            GroupForm::Unsigned | GroupForm::InParts => None,
        };
        match whole {
            Some(group) => Some(group),
            None => {
                let frame = self.frames.get(index)?;
                Some(Piece::Message(frame.signature(form), &frame.message))
            }
        }
    }

    /// The group that begins with this message as one frame of at most `max` bytes; `None` where no group begins, and where it is
    /// larger or not here whole.
    fn group(&self, index: usize, max: usize) -> Option<Piece<'_>> {
        let signature = read_frame(self.frames.get(index)?.signature.as_ref()?)?;
        let mut room = max;
        // It ends at the first message too many: a large group is not read for each chunk.
        let messages = self.frames.iter().skip(index).map_while(|frame| {
            room = room.checked_sub(frame.message.len())?;
            read_frame(&frame.message)
        });
        let RelayFrame::Signature { group, .. } = signature else {
            return None;
        };
        let count = usize::from(group.count);
        let joined = RelayFrame::SignedGroup(SignedGroup::join(&signature, messages.take(count))?);
        let mut frame = Vec::with_capacity(max - room);
        joined.write(&mut frame);
        (frame.len() <= max).then(|| Piece::Group(frame.into(), count))
    }
}

/// A *message* or *signature* under another epoch.
fn frame_under(another: Epoch, bytes: &[u8]) -> Option<Bytes> {
    let mut frame = read_frame(bytes)?;
    match &mut frame {
        RelayFrame::Message { epoch, .. } | RelayFrame::Signature { epoch, .. } => *epoch = another,
        _ => return None,
    }
    let mut out = Vec::with_capacity(bytes.len() + size_of::<Epoch>());
    frame.write(&mut out);
    Some(out.into())
}

fn read_frame(bytes: &[u8]) -> Option<RelayFrame<'_>> {
    RelayFrame::read(&mut Reader::new(bytes)).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::limits::MAX_REPLAY_BYTES;
    use streamchain_protocol::Address;
    use streamchain_protocol::time::UnixMs;

    fn replay(frames: usize, length: usize) -> ReplayBuffer {
        let mut replay = ReplayBuffer::new(Seq(10), MAX_REPLAY_BYTES);
        (0..frames).for_each(|index| replay.push(Bytes::from(vec![index as u8; length]), None));
        replay
    }

    #[test]
    fn small_frames_share_a_chunk_and_a_large_one_is_alone() {
        let replay = replay(5, 100);
        let chunk = replay.chunk(Seq(11), 250, GroupForm::Unsigned).unwrap();
        assert_eq!(
            (chunk.first, chunk.end, chunk.bytes.len()),
            (Seq(11), Seq(13), 200)
        );
        let alone = replay.chunk(Seq(14), 50, GroupForm::Unsigned).unwrap();
        assert_eq!(
            (alone.end, alone.bytes.len()),
            (Seq(15), 100),
            "a frame is never split"
        );
        assert_eq!(
            replay.chunk(Seq(15), 250, GroupForm::Unsigned),
            None,
            "nothing is newer than the newest"
        );
        assert_eq!(
            replay.chunk(Seq(9), 250, GroupForm::Unsigned),
            None,
            "nothing is older than the oldest"
        );
    }

    #[test]
    fn a_signature_goes_with_its_groups_first_message() {
        let mut replay = ReplayBuffer::new(Seq(0), MAX_REPLAY_BYTES);
        for seq in 0..6u8 {
            let signature = (seq % 3 == 0).then(|| Bytes::from_static(b"S"));
            replay.push(Bytes::from(vec![b'0' + seq]), signature);
        }
        let read = |from, max, form| {
            let chunk = replay.chunk(Seq(from), max, form).unwrap();
            String::from_utf8(chunk.bytes.to_vec()).unwrap()
        };
        assert_eq!(read(0, 99, GroupForm::InParts), "S012S345");
        assert_eq!(
            read(0, 99, GroupForm::Unsigned),
            "012345",
            "who did not ask gets what there was before"
        );
        assert_eq!(
            read(1, 99, GroupForm::InParts),
            "12S345",
            "a group that is begun has none"
        );
        assert_eq!(
            read(0, 4, GroupForm::InParts),
            "S012",
            "a signature is not parted from its message"
        );
        assert_eq!(read(0, 0, GroupForm::InParts), "S0");
        assert_eq!(replay.bytes(), 8, "signatures count to the bound");
        assert!(replay.has_signatures(Seq(3)) && !replay.has_signatures(Seq(4)));
    }

    #[test]
    fn what_is_forgotten_goes_with_all_that_is_older() {
        let mut replay = replay(5, 100);
        replay.forget(Seq(9));
        assert_eq!(
            (replay.start(), replay.bytes()),
            (Seq(10), 500),
            "it is older than all"
        );
        replay.forget(Seq(11));
        assert_eq!(
            (replay.start(), replay.end(), replay.bytes()),
            (Seq(12), Seq(15), 300)
        );
        replay.forget(Seq(100));
        assert_eq!(
            (replay.start(), replay.end(), replay.bytes()),
            (Seq(15), Seq(15), 0)
        );
    }

    #[test]
    fn the_stored_messages_go_on_under_the_next_epoch() {
        let message = |epoch, seq| {
            let mut out = Vec::new();
            RelayFrame::Message {
                epoch: Epoch(epoch),
                seq: Seq(seq),
                time: UnixMs(1),
                author: Address::ZERO,
                payload: b"text",
            }
            .write(&mut out);
            Bytes::from(out)
        };
        let of = |epoch, seqs: std::ops::Range<u64>| {
            let mut replay = ReplayBuffer::new(Seq(seqs.start), MAX_REPLAY_BYTES);
            seqs.for_each(|seq| replay.push(message(epoch, seq), None));
            replay
        };
        let next = of(3, 10..15).under(Epoch(1_000), Seq(13)).unwrap();
        assert_eq!((next.start(), next.end()), (Seq(10), Seq(13)));
        let frames: Vec<Bytes> = next.frames.iter().map(|frame| frame.message.clone()).collect();
        assert_eq!(
            frames,
            [message(1_000, 10), message(1_000, 11), message(1_000, 12)]
        );
        assert!(of(3, 10..15).under(Epoch(4), Seq(15)).is_some());
        assert!(
            of(3, 10..15).under(Epoch(4), Seq(16)).is_none(),
            "some are missing"
        );
        assert!(of(3, 10..15).under(Epoch(4), Seq(9)).is_none(), "none are stored");
    }

    #[test]
    fn the_oldest_are_dropped_beyond_either_bound() {
        let many = replay(MAX_REPLAY_MESSAGES + 3, 1);
        assert_eq!(
            (many.start(), many.end()),
            (Seq(13), Seq(10 + MAX_REPLAY_MESSAGES as u64 + 3))
        );
        let large = replay(10, MAX_REPLAY_BYTES / 4);
        assert_eq!(large.start(), Seq(16), "four of a quarter of the bound fit");
    }
}
