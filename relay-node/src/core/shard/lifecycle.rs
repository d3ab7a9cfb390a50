//! Sessions: driven, closed, removed; and the shard's own end.

use super::{Now, Shard, Shutdown};
use crate::core::limits::SEND_BUFFER_LOW_BYTES;
use crate::core::session::{Phase, SessionKey};
use crate::core::timers::Owner;
use crate::core::{Command, stream::Stream};
use std::time::Instant;
use str0m::channel::ChannelId;
use str0m::{Event, Input, Output};
use streamchain_protocol::ids::ShortId;
use streamchain_protocol::wire::frame::{ErrorCode, RelayFrame};
use tracing::{debug, info};

impl Shard {
    /// Takes all output of a session's peer connection.
    pub(super) fn drive(&mut self, key: SessionKey, now: Now) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.queued = false;
            session.undriven = 0;
            let commands = &mut self.commands;
            session.send_held(&mut |transmit| commands.push_back(Command::Transmit(transmit)));
        }
        loop {
            let Some(session) = self.sessions.get_mut(&key) else {
                return;
            };
            match session.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    let commands = &mut self.commands;
                    session.route(transmit, &mut |routed| {
                        commands.push_back(Command::Transmit(routed))
                    });
                }
                Ok(Output::Event(event)) => self.handle_event(key, event, now),
                Ok(Output::Timeout(at)) => {
                    session.rtc_timeout = at;
                    if !self.resume(key, now) {
                        break;
                    }
                }
                Err(_) => return self.remove(key, now),
            }
        }
        self.finish_turn(key, now);
    }

    /// Writes what this turn has for the peer, or what waited for room; whether there is now more to poll.
    fn resume(&mut self, key: SessionKey, now: Now) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else {
            return false;
        };
        let has_room = session.send_queue.is_blocked() && session.buffered() <= SEND_BUFFER_LOW_BYTES;
        if has_room {
            session.send_queue.unblock();
        }
        let wanted = std::mem::take(&mut session.wants_pump) || session.held_until.is_some();
        (has_room || wanted) && self.pump(key, now)
    }

    fn finish_turn(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if !session.rtc.is_alive() {
            return self.remove(key, now);
        }
        if let Some(opening) = session.take_opening() {
            let commands = &mut self.commands;
            session.route(opening, &mut |routed| {
                commands.push_back(Command::Transmit(routed))
            });
        }
        if matches!(session.phase, Phase::Closing(_))
            && session.send_queue.is_flushed()
            && session.buffered() == 0
        {
            return self.hang_up(key, now);
        }
        let at = session.next_timeout();
        self.timers
            .schedule(Owner::Session(key), at, &mut session.scheduled);
    }

    fn handle_event(&mut self, key: SessionKey, event: Event, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        match event {
            Event::Connected if Self::is_shaking(session) => self.connected(key, now),
            Event::ChannelOpen(id, _) if session.phase == Phase::Connected => {
                self.channel_opened(key, id, now)
            }
            Event::ChannelData(data)
                if session.channel == Some(data.id) && session.phase == Phase::Connected =>
            {
                self.handle_message(key, &data.data, data.binary, now);
            }
            Event::ChannelClose(id) if session.channel == Some(id) => {
                session.channel = None;
                self.hang_up(key, now);
            }
            _ => {}
        }
    }

    fn channel_opened(&mut self, key: SessionKey, id: ChannelId, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        match session.open_channel(id) {
            Ok(()) => match session.farewell.take() {
                Some((code, text)) => self.close_with(key, code, text, now),
                None => drop(self.pump(key, now)),
            },
            Err(text) => {
                self.errors.count(ErrorCode::Unexpected);
                if !session.refuse_channel(id, text) {
                    self.hang_up(key, now);
                }
            }
        }
    }

    fn connected(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let token = session.token;
        if session.has_right_certificate() {
            session.phase = Phase::Connected;
            session.reach.connected();
            self.handshakes.end(session.network, key);
            self.counters.sessions_connected += 1;
            session.span.in_scope(|| debug!("connected"));
        } else {
            session
                .span
                .in_scope(|| info!("refused: the certificate is not the one in the token"));
            self.counters.certificates_refused += 1;
            self.remove(key, now);
        }
        self.spend(token.session, now);
    }

    pub(super) fn session_due(&mut self, key: SessionKey, at: Instant, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        // An entry that a later and earlier one has overtaken.
        if session.scheduled != Some(at) {
            return;
        }
        session.scheduled = None;
        if session.ends.take_if(|ends| *ends <= now.instant).is_some() {
            self.close_with(
                key,
                ErrorCode::SessionEnded,
                "the session's credentials are over",
                now,
            );
            return self.queue_session(key);
        }
        if session.is_late(now.instant) {
            session.span.in_scope(|| debug!("timed out"));
            return self.hang_up(key, now);
        }
        if session.rtc_timeout <= now.instant
            && session.rtc.handle_input(Input::Timeout(now.instant)).is_err()
        {
            return self.remove(key, now);
        }
        if session.held_until.is_some() {
            self.pump(key, now);
        }
        self.queue_session(key);
    }

    /// Sends an error as the session's last frame: now, or as soon as it has a channel.
    pub(super) fn close_with(&mut self, key: SessionKey, code: ErrorCode, text: &'static str, now: Now) {
        self.leave_stream(key, now);
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if session.channel.is_none() {
            session.farewell = Some((code, text));
            return;
        }
        self.close_with_text(key, code, text, now);
    }

    /// Sends an error with a text of its own as the session's last frame.
    pub(super) fn close_with_text(&mut self, key: SessionKey, code: ErrorCode, text: &str, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if matches!(session.phase, Phase::Closing(_)) {
            return;
        }
        self.errors.count(code);
        session
            .span
            .in_scope(|| debug!(code = code as u64, text, "closing with an error"));
        // A peer with too much in its queue already gets no error.
        let _ = session.send_queue.send(&RelayFrame::error(code, text));
        session.begin_close(now.instant);
        self.leave_stream(key, now);
        self.pump(key, now);
        self.queue_session(key);
    }

    /// Says goodbye in DTLS and removes the session.
    pub(super) fn hang_up(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if !Self::is_shaking(session) && session.rtc.close().is_ok() {
            while let Ok(output) = session.rtc.poll_output() {
                match output {
                    Output::Transmit(transmit) => {
                        let commands = &mut self.commands;
                        session.route(transmit, &mut |routed| {
                            commands.push_back(Command::Transmit(routed))
                        });
                    }
                    Output::Event(_) => {}
                    Output::Timeout(_) => break,
                }
            }
        }
        self.remove(key, now);
    }

    pub(super) fn remove(&mut self, key: SessionKey, now: Now) {
        self.leave_stream(key, now);
        let Some(session) = self.sessions.remove(&key) else {
            return;
        };
        self.counters.sessions_ended += 1;
        session.span.in_scope(|| debug!("ended"));
        self.session_shares.give_back(session.network);
        self.handshakes.end(session.network, key);
        self.by_ufrag.remove(&session.ufrag);
        for address in session.reach.peers() {
            if self.by_address.get(&address) == Some(&key) {
                self.by_address.remove(&address);
            }
        }
    }

    /// Stops taking sessions and messages, and commits the backlog of every stream at once.
    pub fn begin_shutdown(&mut self) {
        if self.shutdown == Shutdown::No {
            self.shutdown = Shutdown::Shipping;
            let all: Vec<ShortId> = self.streams.keys().copied().collect();
            all.into_iter().for_each(|id| self.queue_stream(id));
        }
    }

    /// Whether everything that was accepted is committed.
    pub fn is_shipped(&self) -> bool {
        self.streams.values().all(Stream::is_settled)
    }

    /// The streams with uncommitted messages, and how many.
    pub fn unshipped(&self) -> Vec<(ShortId, u64)> {
        let leadership = self.streams.values().filter(|stream| stream.uncommitted() > 0);
        leadership
            .map(|stream: &Stream| (stream.ticket.stream, stream.uncommitted()))
            .collect()
    }

    /// Sends every peer *going away* and closes its session.
    pub fn say_goodbye(&mut self, now: Now) {
        self.shutdown = Shutdown::Goodbye;
        let mut all: Vec<SessionKey> = self.sessions.keys().copied().collect();
        all.sort_unstable();
        for key in all {
            self.close_with(
                key,
                ErrorCode::GoingAway,
                "this relay is shutting down: connect again",
                now,
            );
        }
    }

    /// Whether there is no session left.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub(super) fn takes_messages(&self) -> bool {
        self.shutdown == Shutdown::No
    }
}
