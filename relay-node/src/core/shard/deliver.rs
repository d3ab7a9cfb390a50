//! What a stream's peers are sent: messages, `committed`, notices.

use super::links::down;
use super::{Now, Shard};
use crate::core::limits::MIN_CHANNEL_MESSAGE_BYTES;
use crate::core::send_queue::{NoticeFrame, Sent, encode};
use crate::core::session::{Phase, SessionKey};
use crate::core::stream::Stream;
use crate::core::timers::Owner;
use crate::core::withdrawals::{Whose, means};
use streamchain_protocol::ids::{Seq, ShortId};
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::frame::{ErrorCode, RelayFrame};
use streamchain_protocol::wire::{Notice, NoticeEvent, Omitted};

impl Shard {
    /// Sends every peer of a stream what is new.
    pub(super) fn fan_out(&mut self, id: ShortId, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.queued = false;
        let Stream {
            role,
            sessions,
            downstreams,
            ..
        } = stream;
        let Some((fan, committed)) = role.fan_mut() else {
            return;
        };
        fan.freshen();
        // Followers first: what they have, they send on while this shard sends to its sessions.
        for (peer, link) in downstreams {
            let (generation, commands) = (link.generation, &mut self.commands);
            let sent = link.pump(fan, committed, &mut |frame| {
                commands.push_back(down(id, *peer, generation, frame));
            });
            self.counters.link_messages_sent += sent;
        }
        let view = fan.view(committed);
        for key in &*sessions {
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            let Some(peer) = self.peers.get_mut(&session.peer) else {
                continue;
            };
            if session.phase != Phase::Open || session.send_queue.is_blocked() {
                continue;
            }
            if session.must_hold(peer, now.instant) {
                if let Some(at) = session.next_timeout() {
                    self.timers
                        .schedule(Owner::Session(*key), at, &mut session.scheduled);
                }
                continue;
            }
            let (send_queue, mut sink) = session.send_queue_and_channel(peer);
            let sent = send_queue.pump(&view, &mut sink);
            self.counters.deliveries += sent.messages;
            self.counters.messages_gapped += sent.gapped;
            if sent.wrote {
                session.last_write = Some(now.instant);
            }
            if sent.wrote && !peer.queued {
                peer.queued = true;
                self.to_drive.push_back(session.peer);
            }
        }
        self.close_batch(id, now);
        self.resign_if_done(id);
        self.schedule_stream(id);
    }

    /// Sends one peer what it has not been sent; returns whether anything was written.
    pub(super) fn pump(&mut self, key: SessionKey, now: Now) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else {
            return false;
        };
        let Some(peer) = self.peers.get_mut(&session.peer) else {
            return false;
        };
        if session.channel.is_none() {
            return false;
        }
        if session.must_hold(peer, now.instant) {
            if let Some(at) = session.next_timeout() {
                self.timers
                    .schedule(Owner::Session(key), at, &mut session.scheduled);
            }
            return false;
        }
        let closing = matches!(session.phase, Phase::Closing(_));
        let stream = self.streams.get(&session.stream());
        let view = stream.filter(|_| !closing).and_then(|stream| stream.role.view());
        let (send_queue, mut sink) = session.send_queue_and_channel(peer);
        let sent: Sent = match view {
            Some(view) => send_queue.pump(&view, &mut sink),
            None => send_queue.flush(&mut sink),
        };
        self.counters.deliveries += sent.messages;
        self.counters.messages_gapped += sent.gapped;
        if sent.wrote {
            session.last_write = Some(now.instant);
        }
        sent.wrote
    }

    /// Takes what happened to a stream at the edge or on chain; at least once each.
    pub fn handle_notice(&mut self, notice: &Notice, now: Now) {
        let id = notice.stream;
        if let NoticeEvent::SessionEnded { session } = &notice.event {
            let keys = self
                .streams
                .get(&id)
                .map(|stream| stream.sessions.clone())
                .unwrap_or_default();
            for key in keys {
                if self
                    .sessions
                    .get(&key)
                    .is_some_and(|open| open.token.session == *session)
                {
                    self.close_with(key, ErrorCode::SessionEnded, "the session was ended", now);
                }
            }
            // One that has not begun yet will not.
            self.spend(*session, now);
            return;
        }
        if matches!(notice.event, NoticeEvent::Append) {
            return self.fetch(id, now);
        }
        if let NoticeEvent::Withdrawn {
            author,
            authors,
            before,
            again,
        } = &notice.event
        {
            if authors.is_empty() {
                self.withdraw((id, *author), *before, *again, now);
            }
            for author in authors {
                self.withdraw((id, Some(*author)), *before, *again, now);
            }
            return;
        }
        if let NoticeEvent::Erased { seq } = notice.event {
            return self.erase(id, seq);
        }
        if let Some(frame) = notice_frame(&notice.event) {
            self.pass_notice(id, &frame);
        }
    }
}

impl Shard {
    /// Ends the sessions whose rights were withdrawn, and opens none with tokens from before.
    pub(super) fn withdraw(&mut self, whose: Whose, before: UnixSec, again: bool, now: Now) {
        let (code, text) = match again {
            true => (ErrorCode::StreamMoved, CHANGED_TEXT),
            false => (ErrorCode::SessionEnded, "the session's credentials were revoked"),
        };
        let over: Vec<SessionKey> = self
            .sessions
            .iter()
            .filter(|(_, session)| means(whose, before, &session.token))
            .map(|(key, _)| *key)
            .collect();
        for key in over {
            self.close_with(key, code, text, now);
        }
        self.withdrawals.add(whose, before);
        if whose.0 != ShortId::EVERY {
            self.withdraw_at_links(whose.0, whose.1, before, again);
        }
        if let (stream, None) = whose {
            self.refresh_settings(Some(stream).filter(|stream| *stream != ShortId::EVERY));
        }
    }
}

/// What sessions end with when settings or rights changed.
pub(super) const CHANGED_TEXT: &str = "what this session may do has changed: connect again";

/// The frame for a notice, if clients get one.
fn notice_frame(event: &NoticeEvent) -> Option<NoticeFrame> {
    let alone = |end, frame: &RelayFrame<'_>| NoticeFrame {
        end,
        whole: encode(frame).into(),
        brief: None,
    };
    Some(match event {
        NoticeEvent::Anchored(anchor) => alone(anchor.end(), &RelayFrame::Anchored(*anchor)),
        NoticeEvent::Chain {
            block,
            log_index,
            author,
            payload,
            omitted,
            tx,
            state,
        } => {
            let (block, log_index, tx, state) = (*block, *log_index, *tx, *state);
            let Some(payload) = payload else {
                let frame = RelayFrame::ChainState {
                    block,
                    log_index,
                    tx,
                    state,
                };
                return Some(alone(Seq(0), &frame));
            };
            let chain = |payload, omitted| RelayFrame::Chain {
                block,
                log_index,
                author: *author,
                payload,
                tx,
                state,
                omitted,
            };
            let whole = alone(Seq(0), &chain(payload, *omitted));
            // Smaller ones fit for every peer.
            let brief = (whole.whole.len() > MIN_CHANNEL_MESSAGE_BYTES)
                .then(|| encode(&chain(&[], Some(Omitted::of(payload)))).into());
            NoticeFrame { brief, ..whole }
        }
        // Those of rounds were divided among their streams.
        NoticeEvent::Round { .. }
        | NoticeEvent::SessionEnded { .. }
        | NoticeEvent::Erased { .. }
        | NoticeEvent::Withdrawn { .. }
        | NoticeEvent::Append
        | NoticeEvent::Unknown => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::proof::AnchorState;
    use streamchain_protocol::wire::cbor::Reader;
    use streamchain_protocol::{Address, B256};

    #[test]
    fn a_chain_event_that_is_too_large_goes_without_its_payload() {
        for bytes in [2_000, 1_000_000] {
            let payload = vec![7; bytes];
            let event = NoticeEvent::Chain {
                block: 1,
                log_index: 2,
                author: Address::ZERO,
                payload: Some(payload.clone().into()),
                omitted: None,
                tx: B256::ZERO,
                state: AnchorState::Anchored,
            };
            let brief = notice_frame(&event).unwrap().brief.unwrap();
            assert!(brief.len() <= MIN_CHANNEL_MESSAGE_BYTES);
            let read = RelayFrame::read(&mut Reader::new(&brief)).unwrap().unwrap();
            let RelayFrame::Chain {
                payload: left,
                omitted,
                ..
            } = read
            else {
                panic!("a chain frame: {read:?}");
            };
            assert_eq!((left.len(), omitted), (0, Some(Omitted::of(&payload))));
        }
    }
}
