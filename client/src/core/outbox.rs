//! What was published and is not stored yet.
//!
//! What always holds:
//! - A message leaves the outbox only when it is known to be stored, and messages leave it in the order of `producer_seq`.
//! - A `producer_seq` names one message, whichever way it is sent, and however often.
//! - Within a session, frames are sent in the order of `producer_seq`; answers are a prefix of what was sent.
//! - Where the producer signs, messages are sent in whole groups, each as it was signed ([`super::groups`]).

use super::failure::{Failure, Fatal};
use super::frames;
use super::groups::{Groups, KeptChain, SealedGroup, Signing};
use super::limits::{MAX_POSTED_TOGETHER, MAX_UNSTORED_BYTES, MAX_UNSTORED_MESSAGES};
use std::collections::VecDeque;
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::limits::{MAX_COALESCE_BYTES, MAX_PAYLOAD_BYTES};
use streamchain_protocol::signed::PublicKey;
use streamchain_protocol::wire::frame::ChannelLimits;

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

/// A message, or a signed group of them, to post by HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Post<'a> {
    /// The number of the first message.
    pub(crate) producer_seq: u64,
    /// The payloads; one where nothing is signed.
    pub(crate) payloads: Vec<&'a [u8]>,
    /// The key and the group, where it is signed.
    pub(crate) signed: Option<(PublicKey, SealedGroup)>,
    /// Whether the edge shall answer without waiting until the message is stored, since more follow it.
    pub(crate) at_once: bool,
}

/// What the edge answered to a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PostAnswer {
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
    /// `None` where nothing is signed.
    groups: Option<Groups>,
}

impl Outbox {
    /// Returns an empty outbox whose first message gets the number 0; what it sends is signed if `signing` is given.
    pub(crate) fn new(producer: ProducerId, signing: Option<Signing>) -> Self {
        let groups = signing.map(|signing| Groups::new(signing, producer));
        Self {
            producer,
            entries: VecDeque::new(),
            first: 0,
            sent: 0,
            answered: 0,
            bytes: 0,
            max_payload: MAX_PAYLOAD_BYTES,
            stored_before: groups.as_ref().map_or(0, Groups::stored),
            stored: VecDeque::new(),
            next_post: 0,
            post_end: 0,
            groups,
        }
    }

    /// Returns who numbers the messages.
    pub(crate) fn producer(&self) -> ProducerId {
        self.producer
    }

    /// Returns the key that signs what is sent.
    pub(crate) fn key(&self) -> Option<PublicKey> {
        self.groups.as_ref().map(Groups::public_key)
    }

    /// Takes the groups that were signed since the last call. Keep them before anything that has them is sent.
    pub(crate) fn take_unkept(&mut self) -> Vec<SealedGroup> {
        self.groups.as_mut().map(Groups::take_unkept).unwrap_or_default()
    }

    /// Returns where the chain of groups stands, for a later run of the producer.
    pub(crate) fn chain(&self) -> Option<KeptChain> {
        self.groups.as_ref().map(Groups::kept)
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
    pub(super) fn welcome(&mut self, stored: Option<u64>, limits: &ChannelLimits) -> Result<(), Fatal> {
        self.max_payload = usize::try_from(limits.payload).unwrap_or(usize::MAX);
        if let Some(groups) = &mut self.groups {
            groups.set_max_messages(limits.group_messages);
        }
        self.session_ended();
        self.stored_through(stored)
    }

    /// Every message up to `stored` is stored.
    fn stored_through(&mut self, stored: Option<u64>) -> Result<(), Fatal> {
        let next = stored.map_or(0, |last| last.saturating_add(1));
        let known = self.groups.as_ref().map_or(0, Groups::stored);
        if next < self.first.max(known) {
            return Err(Fatal::StreamLost);
        }
        if let Some(groups) = &mut self.groups {
            groups.stored_through(next)?;
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

    /// Writes the frames of a data-channel message: at most `max_frames` of them, and about 16 KiB; or one group of as many
    /// messages. Returns how many messages and payload bytes it has; none when nothing can be sent now.
    pub(super) fn write_message(
        &mut self,
        max_frames: usize,
        out: &mut Vec<u8>,
    ) -> Result<(u64, u64), Fatal> {
        if self.groups.is_some() {
            return self.write_group(max_frames, out);
        }
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

    fn write_group(&mut self, max_messages: usize, out: &mut Vec<u8>) -> Result<(u64, u64), Fatal> {
        let Some((_, group)) = self.group_at(self.sent, max_messages)? else {
            return Ok((0, 0));
        };
        let payloads = self.payloads(self.sent, usize::from(group.count));
        if let Some(index) = payloads
            .iter()
            .position(|payload| payload.len() > self.max_payload)
        {
            return Err(Fatal::TooLarge(group.first.saturating_add(index as u64)));
        }
        let bytes = payloads.iter().map(|payload| payload.len() as u64).sum();
        frames::group(&group, payloads, out);
        self.sent += usize::from(group.count);
        Ok((u64::from(group.count), bytes))
    }

    fn payloads(&self, from: usize, count: usize) -> Vec<&[u8]> {
        let entries = self.entries.iter().skip(from).take(count);
        entries.map(|entry| entry.payload.as_slice()).collect()
    }

    /// The group that begins with this entry: the one that was signed, or a new one of at most so many messages. `None` while
    /// there is no message, or not all of a group that an earlier run signed.
    fn group_at(
        &mut self,
        index: usize,
        max_messages: usize,
    ) -> Result<Option<(PublicKey, SealedGroup)>, Fatal> {
        let number = self.first.saturating_add(index as u64);
        let Some(groups) = &mut self.groups else {
            return Ok(None);
        };
        let waiting = self.entries.iter().skip(index);
        let key = groups.public_key();
        if let Some(group) = groups.of(number) {
            let payloads: Vec<&[u8]> = waiting
                .take(usize::from(group.count))
                .map(|entry| entry.payload.as_slice())
                .collect();
            if payloads.len() < usize::from(group.count) {
                return Ok(None);
            }
            groups.check(number, &payloads)?;
            return Ok(Some((key, group)));
        }
        let max = max_messages.min(groups.max_messages());
        let (mut payloads, mut bytes): (Vec<&[u8]>, usize) = (Vec::new(), 0);
        for entry in waiting.take(max) {
            bytes += entry.payload.len();
            if !payloads.is_empty() && bytes > MAX_COALESCE_BYTES {
                break;
            }
            payloads.push(&entry.payload);
        }
        if payloads.is_empty() {
            return Ok(None);
        }
        groups.seal(&payloads).map(|group| Some((key, group)))
    }

    /// The relay accepted a message, or `count` of a group.
    pub(super) fn accepted(
        &mut self,
        producer_seq: u64,
        seq: Option<Seq>,
        count: Option<u64>,
    ) -> Result<(), Fatal> {
        let Some(index) = producer_seq
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok())
        else {
            return Ok(());
        };
        let count = usize::try_from(count.unwrap_or(1)).unwrap_or(usize::MAX);
        let end = index.saturating_add(count);
        if end > self.sent || count == 0 {
            return Ok(());
        }
        for (offset, entry) in self.entries.iter_mut().skip(index).take(count).enumerate() {
            entry.seq = seq.map(|seq| Seq(seq.0.saturating_add(offset as u64)));
        }
        self.answered = self.answered.max(end);
        // Without a seq it was stored before, and so was everything before it.
        if seq.is_none() {
            for _ in 0..end {
                self.drop_first(None);
            }
            return self.release_groups();
        }
        Ok(())
    }

    /// Groups whose messages have left are stored.
    fn release_groups(&mut self) -> Result<(), Fatal> {
        match &mut self.groups {
            Some(groups) => groups.stored_through(self.first),
            None => Ok(()),
        }
    }

    /// Every message of the stream below `mark` is stored.
    pub(super) fn committed(&mut self, mark: Seq) -> Result<(), Fatal> {
        while let Some(seq) = self.entries.front().and_then(|first| first.seq)
            && seq < mark
        {
            self.drop_first(Some(seq));
        }
        self.release_groups()
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

    /// Returns the message or group to post next: the first one that the edge does not have; else again the last that it has,
    /// to learn whether it is stored, and so all before it.
    pub(crate) fn post(&mut self) -> Result<Option<Post<'_>>, Fatal> {
        self.next_post = self.next_post.max(self.first);
        if self.post_end <= self.first {
            self.post_end = self.first.saturating_add(MAX_POSTED_TOGETHER);
        }
        let end = self.end().min(self.post_end);
        if self.first >= end {
            return Ok(None);
        }
        let number = self.next_post.min(end - 1);
        let signed_from = self.groups.as_ref().map(|groups| groups.of(number));
        // What was signed is posted from its group's beginning on.
        let number = signed_from.flatten().map_or(number, |group| group.first);
        let Some(index) = number
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok())
        else {
            return Ok(None);
        };
        let signed = match signed_from {
            None => None,
            Some(_) => match self.group_at(index, usize::MAX)? {
                Some(signed) => Some(signed),
                None => return Ok(None),
            },
        };
        let count = signed.map_or(1, |(_, group)| usize::from(group.count));
        Ok(Some(Post {
            producer_seq: number,
            at_once: number.saturating_add(count as u64) < end,
            payloads: self.payloads(index, count),
            signed,
        }))
    }

    /// The edge answered a post. Returns whether the next post should wait, since the edge has everything.
    pub(super) fn posted(&mut self, producer_seq: u64, answer: PostAnswer) -> Result<bool, Fatal> {
        let group = self.groups.as_ref().and_then(|groups| groups.of(producer_seq));
        let posted_end = producer_seq.saturating_add(group.map_or(1, |group| u64::from(group.count)));
        self.next_post = self.next_post.max(posted_end);
        match answer {
            PostAnswer::Stored(seq) => {
                while self.first < posted_end && !self.entries.is_empty() {
                    let place = self.first.checked_sub(producer_seq);
                    let own = seq
                        .zip(place)
                        .map(|(seq, place)| Seq(seq.0.saturating_add(place)));
                    self.drop_first(own);
                }
                self.release_groups().map(|()| false)
            }
            PostAnswer::Kept => Ok(self.next_post >= self.end().min(self.post_end)),
        }
    }

    /// The edge says that a number was left out: posts again from the first message that it does not have.
    pub(super) fn conflict(&mut self, failure: &Failure) -> Result<(), Fatal> {
        if let Failure::Refused { stored, .. } = failure {
            let next = stored.map_or(0, |last| last.saturating_add(1));
            if next < self.first {
                return Err(Fatal::StreamLost);
            }
            // What was signed in another run, and is not known here, can be neither repeated nor followed.
            if let Some(groups) = &self.groups
                && !groups.may_begin_at(next)
            {
                return Err(Fatal::ChainLost);
            }
        }
        (self.next_post, self.post_end) = (self.first, self.first);
        Ok(())
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
