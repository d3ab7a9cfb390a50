//! What was published and is not stored yet.
//!
//! What always holds:
//! - A message leaves the outbox only when it is known to be stored, and messages leave it in the order of `producer_seq`.
//! - A `producer_seq` names one message, whichever way it is sent, and however often.
//! - Within a session, frames are sent in the order of `producer_seq`; answers are a prefix of what was sent.

use super::failure::{Failure, Fatal};
use super::frames;
use super::limits::{MAX_POSTED_TOGETHER, MAX_UNSTORED_BYTES, MAX_UNSTORED_MESSAGES};
use std::collections::VecDeque;
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::limits::{MAX_COALESCE_BYTES, MAX_PAYLOAD_BYTES};

/// Why a message can't be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The payload is larger than the protocol allows.
    #[error("a message of {0} bytes: expected at most 65536")]
    TooLarge(usize),
    /// Too much is not stored yet: publish again once something is.
    #[error("too many messages wait to be stored")]
    Full,
}

/// A published message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The number that the outbox gave it.
    pub producer_seq: u64,
    /// Its place in the stream; `None` where the answer was lost and the edge no longer knows it.
    pub seq: Option<Seq>,
}

/// A message to post by HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Post<'a> {
    /// Its number.
    pub(crate) producer_seq: u64,
    /// Its payload.
    pub(crate) payload: &'a [u8],
    /// Whether the edge shall answer without waiting until the message is stored, since more follow it.
    pub(crate) at_once: bool,
}

/// What the edge answered to a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostAnswer {
    /// It is stored.
    Stored(Option<Seq>),
    /// The edge keeps it, and it will be stored.
    Kept,
}

#[derive(Debug)]
struct Entry {
    payload: Vec<u8>,
    /// The seq that the present session's relay accepted it with.
    seq: Option<Seq>,
}

/// The messages of one producer that are not stored yet.
#[derive(Debug)]
pub(crate) struct Outbox {
    producer: ProducerId,
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    /// How many entries were sent in the present session.
    sent: usize,
    /// How many entries were answered in the present session: a prefix of those that were sent.
    answered: usize,
    bytes: usize,
    /// Largest payload of the present session's relay.
    max_payload: usize,
    /// Numbers below are stored, although no message of this outbox has had them: an earlier run published them.
    stored_before: u64,
    stored: VecDeque<Stored>,
    /// The number of the next message to post.
    next_post: u64,
    /// Messages from this number on wait until those before are stored.
    post_end: u64,
}

impl Outbox {
    /// Returns an empty outbox whose first message gets the number 0.
    pub(crate) fn new(producer: ProducerId) -> Self {
        Self {
            producer,
            entries: VecDeque::new(),
            first: 0,
            sent: 0,
            answered: 0,
            bytes: 0,
            max_payload: MAX_PAYLOAD_BYTES,
            stored_before: 0,
            stored: VecDeque::new(),
            next_post: 0,
            post_end: 0,
        }
    }

    /// Returns who numbers the messages.
    pub(crate) fn producer(&self) -> ProducerId {
        self.producer
    }

    /// Returns how many messages are not stored yet.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether [`Self::publish`] takes another message.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < MAX_UNSTORED_MESSAGES && self.bytes < MAX_UNSTORED_BYTES
    }

    /// Adds a message; returns its number. A number that an earlier run of the same producer stored adds nothing: the
    /// message counts as that one.
    pub(crate) fn publish(&mut self, payload: Vec<u8>) -> Result<u64, PublishError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(PublishError::TooLarge(payload.len()));
        }
        if !self.has_room() {
            return Err(PublishError::Full);
        }
        let producer_seq = self.end();
        if producer_seq < self.stored_before {
            self.first += 1;
            self.stored.push_back(Stored {
                producer_seq,
                seq: None,
            });
            return Ok(producer_seq);
        }
        self.bytes += payload.len();
        self.entries.push_back(Entry { payload, seq: None });
        Ok(producer_seq)
    }

    /// Returns the next message that became stored.
    pub(crate) fn next_stored(&mut self) -> Option<Stored> {
        self.stored.pop_front()
    }

    /// The number that the next message will get.
    fn end(&self) -> u64 {
        self.first.saturating_add(self.entries.len() as u64)
    }

    /// A session begins, whose relay has this producer's messages up to `stored`: sends all others (again).
    pub(super) fn welcome(&mut self, stored: Option<u64>, max_payload: u64) -> Result<(), Fatal> {
        self.max_payload = usize::try_from(max_payload).unwrap_or(usize::MAX);
        self.session_ended();
        self.stored_through(stored)
    }

    /// Every message up to `stored` is stored.
    fn stored_through(&mut self, stored: Option<u64>) -> Result<(), Fatal> {
        let next = stored.map_or(0, |last| last.saturating_add(1));
        if next < self.first {
            return Err(Fatal::StreamLost);
        }
        self.stored_before = self.stored_before.max(next);
        while self.first < next && !self.entries.is_empty() {
            self.drop_first(None);
        }
        Ok(())
    }

    fn drop_first(&mut self, seq: Option<Seq>) {
        let Some(entry) = self.entries.pop_front() else {
            return;
        };
        self.bytes = self.bytes.saturating_sub(entry.payload.len());
        let producer_seq = self.first;
        self.first += 1;
        self.sent = self.sent.saturating_sub(1);
        self.answered = self.answered.saturating_sub(1);
        self.stored.push_back(Stored { producer_seq, seq });
    }

    /// The session is over: nothing counts as sent.
    pub(super) fn session_ended(&mut self) {
        (self.sent, self.answered) = (0, 0);
        for entry in &mut self.entries {
            entry.seq = None;
        }
    }

    /// Writes the frames of a data-channel message: at most `max_frames` of them, and about 16 KiB. Returns how many frames
    /// and payload bytes it has; no frames when nothing is left to send.
    pub(super) fn write_message(
        &mut self,
        max_frames: usize,
        out: &mut Vec<u8>,
    ) -> Result<(u64, u64), Fatal> {
        let (mut frames, mut bytes) = (0, 0);
        while (frames as usize) < max_frames
            && let Some(entry) = self.entries.get(self.sent)
        {
            let producer_seq = self.first.saturating_add(self.sent as u64);
            if entry.payload.len() > self.max_payload {
                return Err(Fatal::TooLarge(producer_seq));
            }
            if frames > 0 && out.len() + entry.payload.len() > MAX_COALESCE_BYTES {
                break;
            }
            frames::publish(producer_seq, &entry.payload, out);
            bytes += entry.payload.len() as u64;
            frames += 1;
            self.sent += 1;
        }
        Ok((frames, bytes))
    }

    /// The relay accepted a message.
    pub(super) fn accepted(&mut self, producer_seq: u64, seq: Option<Seq>) {
        let Some(index) = producer_seq
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok())
        else {
            return;
        };
        if index >= self.sent {
            return;
        }
        if let Some(entry) = self.entries.get_mut(index) {
            entry.seq = seq;
            self.answered = self.answered.max(index + 1);
        }
        // Without a seq it was stored before, and so was everything before it.
        if seq.is_none() {
            for _ in 0..=index {
                self.drop_first(None);
            }
        }
    }

    /// Every message of the stream below `mark` is stored.
    pub(super) fn committed(&mut self, mark: Seq) {
        while let Some(seq) = self.entries.front().and_then(|first| first.seq)
            && seq < mark
        {
            self.drop_first(Some(seq));
        }
    }

    /// Sends again from the first message that was not answered.
    pub(super) fn resend_unanswered(&mut self) {
        self.sent = self.answered;
    }

    /// Whether a message was sent in this session and is not answered.
    pub(super) fn has_unanswered(&self) -> bool {
        self.sent > self.answered
    }

    /// The number of the first message that was sent and is not answered.
    pub(super) fn first_unanswered(&self) -> u64 {
        self.first.saturating_add(self.answered as u64)
    }

    /// HTTP takes the place of the session: begins with the first message that is not stored.
    pub(super) fn begin_posting(&mut self) {
        self.session_ended();
        (self.next_post, self.post_end) = (self.first, self.first);
    }

    /// Returns the message to post next: the first one that the edge does not have; else again the last that it has, to
    /// learn whether it is stored, and so all before it.
    pub(crate) fn post(&mut self) -> Option<Post<'_>> {
        self.next_post = self.next_post.max(self.first);
        if self.post_end <= self.first {
            self.post_end = self.first.saturating_add(MAX_POSTED_TOGETHER);
        }
        let end = self.end().min(self.post_end);
        if self.first >= end {
            return None;
        }
        let producer_seq = self.next_post.min(end - 1);
        let index = usize::try_from(producer_seq - self.first).ok()?;
        let at_once = producer_seq + 1 < end;
        let payload = &self.entries.get(index)?.payload;
        Some(Post {
            producer_seq,
            payload,
            at_once,
        })
    }

    /// The edge answered a post. Returns whether the next post should wait, since the edge has everything.
    pub(super) fn posted(&mut self, producer_seq: u64, answer: PostAnswer) -> bool {
        self.next_post = self.next_post.max(producer_seq.saturating_add(1));
        match answer {
            PostAnswer::Stored(seq) => {
                while self.first <= producer_seq && !self.entries.is_empty() {
                    let is_it = self.first == producer_seq;
                    self.drop_first(seq.filter(|_| is_it));
                }
                false
            }
            PostAnswer::Kept => self.next_post >= self.end().min(self.post_end),
        }
    }

    /// The edge says that a number was left out: posts again from the first message that it does not have.
    pub(super) fn conflict(&mut self, failure: &Failure) -> Result<(), Fatal> {
        if let Failure::Refused { stored, .. } = failure {
            let next = stored.map_or(0, |last| last.saturating_add(1));
            if next < self.first {
                return Err(Fatal::StreamLost);
            }
        }
        (self.next_post, self.post_end) = (self.first, self.first);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(messages: usize) -> Outbox {
        let mut outbox = Outbox::new(ProducerId([7; 16]));
        for number in 0..messages {
            outbox.publish(vec![number as u8]).unwrap();
        }
        outbox
    }

    fn send_all(outbox: &mut Outbox) -> u64 {
        outbox.write_message(usize::MAX, &mut Vec::new()).unwrap().0
    }

    #[test]
    fn messages_leave_when_the_mark_is_above_them() {
        let mut outbox = outbox(3);
        outbox.welcome(None, 65_536).unwrap();
        assert_eq!(send_all(&mut outbox), 3);
        for number in 0..3 {
            outbox.accepted(number, Some(Seq(10 + number)));
        }
        outbox.committed(Seq(12));
        assert_eq!(outbox.len(), 1);
        let stored: Vec<_> = std::iter::from_fn(|| outbox.next_stored()).collect();
        assert_eq!(
            stored.iter().map(|one| one.seq).collect::<Vec<_>>(),
            [Some(Seq(10)), Some(Seq(11))]
        );
    }

    #[test]
    fn a_new_session_sends_what_is_not_stored_again() {
        let mut outbox = outbox(3);
        outbox.welcome(None, 65_536).unwrap();
        send_all(&mut outbox);
        outbox.accepted(0, Some(Seq(0)));
        outbox.accepted(1, Some(Seq(1)));
        outbox.welcome(Some(0), 65_536).unwrap();
        outbox.committed(Seq(99));
        assert_eq!(outbox.len(), 2, "seqs of an earlier session count for nothing");
        assert_eq!(send_all(&mut outbox), 2);
    }

    #[test]
    fn a_relay_that_has_less_than_was_stored_is_fatal() {
        let mut outbox = outbox(3);
        outbox.welcome(Some(1), 65_536).unwrap();
        assert_eq!(outbox.welcome(Some(0), 65_536), Err(Fatal::StreamLost));
    }

    #[test]
    fn an_earlier_run_of_the_producer_counts() {
        let mut outbox = outbox(2);
        outbox.welcome(Some(4), 65_536).unwrap();
        assert!(outbox.len() == 0);
        for _ in 2..5 {
            outbox.publish(vec![1]).unwrap();
            assert!(outbox.len() == 0, "it is stored already");
        }
        assert_eq!(outbox.publish(vec![1]), Ok(5));
        assert_eq!(outbox.len(), 1);
        assert_eq!(std::iter::from_fn(|| outbox.next_stored()).count(), 5);
    }

    #[test]
    fn the_room_is_bounded() {
        let mut outbox = outbox(0);
        let refused = (0..).find_map(|_| outbox.publish(vec![0; 60_000]).err());
        assert_eq!(refused, Some(PublishError::Full));
        assert!(outbox.bytes < MAX_UNSTORED_BYTES + 60_000);
        assert_eq!(
            outbox.publish(vec![0; 65_537]),
            Err(PublishError::TooLarge(65_537))
        );
    }

    #[test]
    fn posts_go_on_until_the_last_one_is_stored() {
        let mut outbox = outbox(3);
        outbox.begin_posting();
        let mut posts = vec![];
        while let Some(post) = outbox.post() {
            posts.push((post.producer_seq, post.at_once));
            let is_last = !post.at_once;
            let answer = if is_last {
                PostAnswer::Stored(Some(Seq(9)))
            } else {
                PostAnswer::Kept
            };
            outbox.posted(posts.last().unwrap().0, answer);
        }
        assert_eq!(posts, [(0, true), (1, true), (2, false)]);
        assert!(outbox.len() == 0);
        assert_eq!(
            std::iter::from_fn(|| outbox.next_stored()).last().unwrap().seq,
            Some(Seq(9))
        );
    }

    #[test]
    fn a_message_that_the_edge_only_keeps_is_asked_for_again() {
        let mut outbox = outbox(1);
        outbox.begin_posting();
        assert!(outbox.posted(0, PostAnswer::Kept), "it waits");
        assert_eq!(outbox.post().unwrap().producer_seq, 0);
    }
}
