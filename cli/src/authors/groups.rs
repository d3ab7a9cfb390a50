//! Signed groups, put together from the messages of one stream.
//!
//! What always holds: the messages that are taken have seq after seq, so that nothing can stand between those of a group; a group
//! begins before the reader only where the reader itself begins. What relay and edge say of a group counts only together with
//! its signature, which is checked over all its messages.

use std::sync::Arc;
use streamchain_client::core::{Message, MessageSignature};
use streamchain_protocol::ids::Seq;
use streamchain_protocol::limits::MAX_GROUP_MESSAGES;

/// Why a message is not of the group that it came as a part of.
pub(super) type Fault = &'static str;

/// The group that is being read, and where the reader is.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// The messages of a group that is not whole yet.
    open: Vec<Message>,
    /// What came with the first of them.
    signature: Option<Arc<MessageSignature>>,
    /// Behind the last message that was taken; none before the first one.
    next: Option<Seq>,
    /// Behind the last message that was taken with its whole group; none before the first one.
    whole: Option<Seq>,
}

impl Groups {
    /// A reader that took the messages before this seq, or none.
    pub(super) fn behind(seq: Option<Seq>) -> Self {
        Self {
            next: seq,
            whole: seq,
            ..Self::default()
        }
    }

    /// Begins again behind the last group that was whole, as a reader does that connects again.
    pub(super) fn go_on(&mut self) {
        *self = Self::behind(self.whole);
    }

    /// Checks that a message is the next one. A reader that checks authors reads what is stored, without gaps: none is taken back.
    pub(super) fn check_next(&self, seq: Seq) -> Result<(), Fault> {
        match self.next.is_none_or(|next| next == seq) {
            true => Ok(()),
            false => Err("it is not the message that comes next"),
        }
    }

    /// Takes a message without a signature.
    pub(super) fn push_unsigned(&mut self, seq: Seq) -> Result<(), Fault> {
        if !self.open.is_empty() {
            return Err("it stands inside a signed group");
        }
        self.check_next(seq)?;
        self.next = Some(seq.next());
        self.whole = self.next;
        Ok(())
    }

    /// Returns how many messages of the group are before this one and are to be read first: the reader begins inside the group.
    pub(super) fn lacks(&self, signature: &MessageSignature, seq: Seq) -> Result<u64, Fault> {
        let count = usize::from(signature.header.count);
        if count == 0 || count > MAX_GROUP_MESSAGES || !signature.covers(seq) {
            return Err("it is not of the group whose signature it came with");
        }
        if !self.open.is_empty() || seq == signature.seq {
            return Ok(0);
        }
        match self.next {
            Some(_) => Err("its group would begin among messages that were read before"),
            None => Ok(seq.0.saturating_sub(signature.seq.0)),
        }
    }

    /// Takes the messages of the group that [`Self::lacks`] asked for.
    pub(super) fn begin(
        &mut self,
        signature: &Arc<MessageSignature>,
        before: Vec<Message>,
    ) -> Result<(), Fault> {
        let seqs = (signature.seq.0..).map(Seq);
        if before.iter().zip(seqs).any(|(message, seq)| message.seq != seq) {
            return Err("history has other messages before it than those of its group");
        }
        self.next = before.last().map(|last| last.seq.next());
        self.signature = Some(signature.clone());
        self.open = before;
        Ok(())
    }

    /// Takes a message of a group; returns the group's messages when they are whole.
    pub(super) fn push(
        &mut self,
        signature: &Arc<MessageSignature>,
        message: Message,
    ) -> Result<Option<Vec<Message>>, Fault> {
        self.check_next(message.seq)?;
        let place = self.open.len();
        let follows = signature.seq.0.checked_add(place as u64) == Some(message.seq.0)
            && self.open.iter().all(|member| member.author == message.author)
            && self.signature.as_ref().is_none_or(|open| open == signature);
        if !follows {
            return Err("it is not of the group whose signature it came with");
        }
        self.next = Some(message.seq.next());
        self.signature = Some(signature.clone());
        self.open.push(message);
        if self.open.len() < usize::from(signature.header.count) {
            return Ok(None);
        }
        self.signature = None;
        self.whole = self.next;
        Ok(Some(std::mem::take(&mut self.open)))
    }
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
