//! What a stream's peers are sent: messages, `committed`, notices.

use super::{Now, Shard};
use crate::core::send_queue::{Sent, encode};
use crate::core::session::{Phase, SessionKey};
use crate::core::timers::Owner;
use crate::core::withdrawals::{Whose, means};
use bytes::Bytes;
use streamchain_protocol::ids::{Seq, ShortId};
use streamchain_protocol::time::UnixSec;
use streamchain_protocol::wire::frame::{ErrorCode, RelayFrame};
use streamchain_protocol::wire::{Notice, NoticeEvent};

impl Shard {
    /// Sends every peer of a stream what is new.
    pub(super) fn fan_out(&mut self, id: ShortId, now: Now) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.queued = false;
        let Some(leadership) = &mut stream.leadership else {
            return;
        };
        leadership.freshen();
        let view = leadership.view();
        for key in &stream.sessions {
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            if session.phase != Phase::Connected || session.send_queue.is_blocked() {
                continue;
            }
            if session.must_hold(now.instant) {
                let at = session.next_timeout();
                self.timers
                    .schedule(Owner::Session(*key), at, &mut session.scheduled);
                continue;
            }
            let (send_queue, mut sink) = session.send_queue_and_channel();
            let sent = send_queue.pump(&view, &mut sink);
            self.counters.deliveries += sent.messages;
            self.counters.messages_gapped += sent.gapped;
            if sent.wrote {
                session.last_write = Some(now.instant);
            }
            if sent.wrote && !session.queued {
                session.queued = true;
                self.to_drive.push_back(*key);
            }
        }
        self.close_batch(id, now);
        self.schedule_stream(id);
    }

    /// Sends one peer what it has not been sent; returns whether anything was written.
    pub(super) fn pump(&mut self, key: SessionKey, now: Now) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else {
            return false;
        };
        if session.channel.is_none() || session.must_hold(now.instant) {
            return false;
        }
        let closing = matches!(session.phase, Phase::Closing(_));
        let leadership = self
            .streams
            .get(&session.stream())
            .and_then(|stream| stream.leadership.as_ref());
        let (send_queue, mut sink) = session.send_queue_and_channel();
        let sent: Sent = match leadership.filter(|_| !closing) {
            Some(leadership) => send_queue.pump(&leadership.view(), &mut sink),
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
        let Some((end, frame)) = notice_frame(&notice.event) else {
            return;
        };
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        for key in &stream.sessions {
            if let Some(session) = self.sessions.get_mut(key) {
                session.send_queue.notice(end, frame.clone());
            }
        }
        self.queue_stream(id);
    }
}

impl Shard {
    /// Ends the sessions whose rights were withdrawn, and opens none with tokens from before.
    pub(super) fn withdraw(&mut self, whose: Whose, before: UnixSec, again: bool, now: Now) {
        let (code, text) = match again {
            true => (
                ErrorCode::StreamMoved,
                "what this session may do has changed: connect again",
            ),
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
    }
}

/// The frame for a notice, and the end of the run of messages it is about.
fn notice_frame(event: &NoticeEvent) -> Option<(Seq, Bytes)> {
    Some(match event {
        NoticeEvent::Anchored(anchor) => (anchor.end(), encode(&RelayFrame::Anchored(*anchor)).into()),
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
            let frame = match payload {
                Some(payload) => RelayFrame::Chain {
                    block,
                    log_index,
                    author: *author,
                    payload,
                    tx,
                    state,
                    omitted: *omitted,
                },
                None => RelayFrame::ChainState {
                    block,
                    log_index,
                    tx,
                    state,
                },
            };
            (Seq(0), encode(&frame).into())
        }
        NoticeEvent::SessionEnded { .. }
        | NoticeEvent::Withdrawn { .. }
        | NoticeEvent::Append
        | NoticeEvent::Unknown => {
            return None;
        }
    })
}
