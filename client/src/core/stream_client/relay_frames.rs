//! What a relay sends, frame by frame.

use super::{Event, Link, StreamClient, frames};
use crate::core::failure::{Failure, Fatal};
use crate::core::limits::{MAX_GAP_PAUSES, MAX_PAUSE_MS, OVERLOAD_BACKOFF};
use crate::core::message::{Message, MessageSignature};
use crate::core::pacer::Pacer;
use std::sync::Arc;
use streamchain_protocol::ids::{Epoch, Seq};
use streamchain_protocol::wire::cbor::Reader;
use streamchain_protocol::wire::frame::{ChannelLimits, ErrorCode, RelayFrame, SignedGroup};

/// How a session ends because of a frame.
type Ends = Option<Failure>;

impl StreamClient {
    /// Takes a data-channel message: one or more frames.
    pub(super) fn received(&mut self, message: &[u8], now_ms: u64, bits: u64) -> Result<(), Fatal> {
        self.heard_ms = now_ms;
        let mut reader = Reader::new(message);
        while !reader.is_at_end() {
            let frame = RelayFrame::read(&mut reader).map_err(|error| Fatal::Protocol(error.to_string()))?;
            let ends = match frame {
                Some(frame) => self.frame(frame, now_ms, bits)?,
                None => None,
            };
            if let Some(failure) = ends {
                self.end_session(failure, now_ms, bits);
                return Ok(());
            }
        }
        Ok(())
    }

    fn frame(&mut self, frame: RelayFrame<'_>, now_ms: u64, bits: u64) -> Result<Ends, Fatal> {
        match frame {
            RelayFrame::Welcome {
                epoch,
                committed,
                stored,
                limits,
                ..
            } => return self.welcome((epoch, committed), stored, &limits, now_ms),
            RelayFrame::Message {
                epoch,
                seq,
                time,
                author,
                payload,
            } => {
                let message = Message {
                    seq,
                    time,
                    author,
                    payload: payload.to_vec(),
                    erased: None,
                    signature: None,
                };
                return Ok(self.message(epoch, message));
            }
            RelayFrame::Signature {
                epoch,
                seq,
                producer,
                producer_seq,
                group: header,
            } => {
                let signature = MessageSignature {
                    seq,
                    producer,
                    producer_seq,
                    header,
                };
                return Ok(self.signature(epoch, signature));
            }
            RelayFrame::SignedGroup(group) => return self.signed_group(&group, now_ms, bits),
            RelayFrame::Accepted {
                producer_seq,
                seq,
                count,
            } => {
                self.pauses = 0;
                if let Some(outbox) = &mut self.outbox {
                    outbox.accepted(producer_seq, seq, count)?;
                }
            }
            RelayFrame::Committed { committed } => self.committed(committed)?,
            RelayFrame::Gap { to, .. } => {
                if let Some(feed) = &mut self.feed {
                    feed.gap(to);
                }
            }
            RelayFrame::Anchored(anchor) => self.events.push_back(Event::Anchored(anchor)),
            RelayFrame::Error { code, text, retry_ms } => {
                return self.error(code, text, retry_ms, now_ms, bits);
            }
            _ => {}
        }
        Ok(None)
    }

    /// Takes a welcome: the first on a channel, or another one under another epoch.
    fn welcome(
        &mut self,
        (epoch, committed): (Epoch, Seq),
        stored: Option<u64>,
        limits: &ChannelLimits,
        now_ms: u64,
    ) -> Result<Ends, Fatal> {
        if let Some(outbox) = &mut self.outbox {
            if outbox.key().is_some() && limits.group_messages == 0 {
                let text = "the relay is of a version that takes no signed messages";
                return Ok(Some(Failure::Ended(text.into())));
            }
            outbox.welcome(stored, limits)?;
            self.pacer = Pacer::new(limits);
        }
        if let Some(feed) = &mut self.feed {
            if feed.enter(epoch) {
                self.signature = None;
            }
            feed.commit(committed);
            // The channel goes on under another epoch: what was asked of the leader before counts no longer.
            if matches!(self.link, Link::Open(_)) {
                self.control
                    .push_back(frames::subscribe(feed.resume(), self.signatures));
            }
        }
        (self.paused_until, self.pauses) = (None, 0);
        if matches!(self.link, Link::Greeting(_)) {
            self.is_open(now_ms);
        }
        Ok(None)
    }

    /// A frame of this epoch came: a message, or the signature before it. Who only reads is sent no welcome that would say so before.
    fn enter(&mut self, epoch: Epoch) -> Ends {
        let feed = self.feed.as_mut()?;
        if feed.is_outdated(epoch) {
            return Some(Failure::Ended("the relay's epoch is over".into()));
        }
        if feed.enter(epoch) {
            self.signature = None;
        }
        None
    }

    fn signature(&mut self, epoch: Epoch, signature: MessageSignature) -> Ends {
        let ends = self.enter(epoch);
        if ends.is_none() {
            self.signature = Some(Arc::new(signature));
        }
        ends
    }

    fn committed(&mut self, committed: Seq) -> Result<(), Fatal> {
        if let Some(outbox) = &mut self.outbox {
            outbox.committed(committed)?;
        }
        if let Some(feed) = &mut self.feed {
            feed.commit(committed);
        }
        Ok(())
    }

    fn message(&mut self, epoch: Epoch, message: Message) -> Ends {
        let ends = self.enter(epoch);
        if ends.is_some() {
            return ends;
        }
        let message = self.with_signature(message);
        if let Some(feed) = &mut self.feed {
            feed.message(message);
        }
        None
    }

    /// Takes a group as its signature and its messages.
    fn signed_group(&mut self, group: &SignedGroup<'_>, now_ms: u64, bits: u64) -> Result<Ends, Fatal> {
        for frame in std::iter::once(group.signature()).chain(group.messages()) {
            let ends = self.frame(frame, now_ms, bits)?;
            if ends.is_some() {
                return Ok(ends);
            }
        }
        Ok(None)
    }

    fn error(
        &mut self,
        code: u64,
        text: &str,
        retry_ms: Option<u64>,
        now_ms: u64,
        bits: u64,
    ) -> Result<Ends, Fatal> {
        let is = |one: ErrorCode| code == one as u64;
        if is(ErrorCode::StreamMoved) || is(ErrorCode::GoingAway) || is(ErrorCode::SessionEnded) {
            return Ok(Some(Failure::Ended(text.to_owned())));
        }
        // Without a wait the relay closes the session. Without an unanswered message, hello or subscribe was not taken.
        let has_sent = self.outbox.as_ref().is_some_and(|outbox| outbox.has_unanswered());
        if is(ErrorCode::RateLimited) && (retry_ms.is_none() || !has_sent) {
            return Ok(Some(Failure::Ended(text.to_owned())));
        }
        if is(ErrorCode::TooLarge) {
            let first = self.outbox.as_ref().map_or(0, |outbox| outbox.first_unanswered());
            return Err(Fatal::TooLarge(first));
        }
        if is(ErrorCode::ProducerGap) || is(ErrorCode::Overloaded) || is(ErrorCode::RateLimited) {
            if is(ErrorCode::ProducerGap) && self.pauses >= MAX_GAP_PAUSES {
                return Ok(Some(Failure::Ended(text.to_owned())));
            }
            if self.paused_until.is_none() {
                let wait = retry_ms.unwrap_or_else(|| OVERLOAD_BACKOFF.jittered_ms(self.pauses, bits));
                self.pauses = self.pauses.saturating_add(1);
                self.paused_until = Some(now_ms.saturating_add(wait.min(MAX_PAUSE_MS)));
            }
            return Ok(None);
        }
        if is(ErrorCode::Malformed) || is(ErrorCode::Unexpected) {
            return Err(Fatal::Protocol(text.to_owned()));
        }
        // No right, or what a later version refuses: the same frames would be refused again.
        Err(Fatal::NotAllowed(text.to_owned()))
    }
}
