//! Connections and sessions: driven, closed, removed; and the shard's own end.

use super::{Now, Shard, Shutdown};
use crate::core::Command;
use crate::core::limits::HANDSHAKE_TIMEOUT;
use crate::core::peer_connection::{Joining, PeerKey};
use crate::core::session::{Phase, Session, SessionKey};
use crate::core::timers::Owner;
use std::time::Instant;
use str0m::channel::ChannelId;
use str0m::{Event, Input, Output};
use streamchain_protocol::wire::frame::{ErrorCode, RelayFrame};
use tracing::{debug, info};

impl Shard {
    /// Takes all output of a peer connection.
    pub(super) fn drive(&mut self, key: PeerKey, now: Now) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.queued = false;
            peer.undriven = 0;
            let commands = &mut self.commands;
            peer.send_held(&mut |transmit| commands.push_back(Command::Transmit(transmit)));
        }
        loop {
            let Some(peer) = self.peers.get_mut(&key) else {
                return;
            };
            match peer.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    let commands = &mut self.commands;
                    peer.route(transmit, &mut |routed| {
                        commands.push_back(Command::Transmit(routed))
                    });
                }
                Ok(Output::Event(event)) => self.handle_event(key, event, now),
                Ok(Output::Timeout(at)) => {
                    peer.rtc_timeout = at;
                    if !self.resume(key, now) {
                        break;
                    }
                }
                Err(_) => return self.remove_peer(key, now),
            }
        }
        self.finish_turn(key, now);
    }

    /// Writes what this turn has for the client, or what waited for room; whether there is now more to poll.
    fn resume(&mut self, key: PeerKey, now: Now) -> bool {
        let Some(peer) = self.peers.get_mut(&key) else {
            return false;
        };
        let (mut wanting, mut blocked) = (Vec::new(), 0);
        for at in 0..peer.sessions.len() {
            let Some(key) = peer.sessions.get(at).copied() else {
                continue;
            };
            let Some(session) = self.sessions.get_mut(&key) else {
                continue;
            };
            let is_blocked = session.send_queue.is_blocked();
            blocked += usize::from(is_blocked);
            let has_room = is_blocked && peer.has_room(session.channel);
            if has_room {
                session.send_queue.unblock();
            }
            let wanted = std::mem::take(&mut session.wants_pump) || session.held_until.is_some();
            if has_room || wanted {
                wanting.push(key);
            }
        }
        peer.blocked = blocked;
        if peer.sessions.len() > 1 {
            // Each is the first to use room in its turn.
            peer.sessions.rotate_left(1);
        }
        let mut wrote = false;
        for key in wanting {
            wrote |= self.pump(key, now);
        }
        wrote
    }

    fn finish_turn(&mut self, key: PeerKey, now: Now) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if !peer.rtc.is_alive() {
            return self.remove_peer(key, now);
        }
        if let Some(opening) = peer.take_opening() {
            let commands = &mut self.commands;
            peer.route(opening, &mut |routed| {
                commands.push_back(Command::Transmit(routed))
            });
        }
        let mut over = Vec::new();
        for at in 0..peer.sessions.len() {
            let closing = peer
                .sessions
                .get(at)
                .and_then(|key| self.sessions.get(key).map(|session| (*key, session)))
                .filter(|(_, its)| matches!(its.phase, Phase::Closing(_)) && its.send_queue.is_flushed());
            if let Some((key, session)) = closing
                && peer.buffered(session.channel) == 0
            {
                over.push(key);
            }
        }
        let at = peer.next_timeout();
        self.timers.schedule(Owner::Peer(key), at, &mut peer.scheduled);
        over.into_iter().for_each(|key| self.hang_up(key, now));
    }

    fn handle_event(&mut self, key: PeerKey, event: Event, now: Now) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        match event {
            Event::Connected if !peer.is_connected => self.connected(key, now),
            Event::ChannelOpen(id, _) if peer.is_connected => self.channel_opened(key, id, now),
            Event::ChannelData(data) if peer.is_connected => {
                let Some(key) = peer.session_of(data.id) else {
                    if let Some(joining) = peer.take_joining(data.id) {
                        self.join(key, joining, &data.data, data.binary, now);
                    }
                    return;
                };
                if self
                    .sessions
                    .get(&key)
                    .is_some_and(|session| session.phase == Phase::Open)
                {
                    self.handle_message(key, &data.data, data.binary, now);
                }
            }
            Event::ChannelClose(id) => {
                if let Some(key) = peer.session_of(id) {
                    peer.drop_channel(id);
                    if let Some(session) = self.sessions.get_mut(&key) {
                        session.channel = None;
                    }
                    return self.hang_up(key, now);
                }
                if peer.take_joining(id).is_some() && peer.is_empty() {
                    self.hang_up_peer(key, now);
                }
            }
            _ => {}
        }
    }

    fn channel_opened(&mut self, key: PeerKey, id: ChannelId, now: Now) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let sessions = &mut self.sessions;
        // The session that the connection was opened with, unless it is over.
        let waiting = peer.sessions.iter().copied().find(|key| {
            let session = sessions.get(key);
            session.is_some_and(|session| session.channel.is_none() && session.phase == Phase::Opening)
        });
        let opened = match peer.open_channel(id) {
            Ok(opened) if opened.joins => {
                let by = now.instant + HANDSHAKE_TIMEOUT;
                return self.await_join(
                    key,
                    Joining {
                        channel: id,
                        opened,
                        by,
                    },
                    now,
                );
            }
            opened => opened,
        };
        let taken = "the session has its data channel: others join with protocol streamchain.join.v1";
        match opened.and_then(|opened| waiting.map(|session| (session, opened)).ok_or(taken)) {
            Ok((key, opened)) => {
                peer.channels.push((id, key));
                let farewell = sessions.get_mut(&key).and_then(|session| {
                    session.open(id, opened);
                    session.farewell.take()
                });
                match farewell {
                    Some((code, text)) => self.close_with(key, code, text, now),
                    None => drop(self.pump(key, now)),
                }
            }
            Err(text) => {
                self.errors.count(ErrorCode::Unexpected);
                if !peer.refuse_channel(id, ErrorCode::Unexpected, text) {
                    self.hang_up_peer(key, now);
                }
            }
        }
    }

    fn connected(&mut self, key: PeerKey, now: Now) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        let first = peer.sessions.first().and_then(|key| self.sessions.get(key));
        let log = |text| {
            if let Some(session) = first {
                session.span.in_scope(|| info!("{text}"));
            }
        };
        let token = peer.token;
        if peer.has_right_certificate() {
            peer.is_connected = true;
            peer.reach.connected();
            self.handshakes.end(peer.network, key);
            self.counters.sessions_connected += 1;
            if let Some(session) = first {
                session.span.in_scope(|| debug!("connected"));
            }
        } else {
            log("refused: the certificate is not the one in the token");
            self.counters.certificates_refused += 1;
            self.remove_peer(key, now);
        }
        self.spend(token.session, now);
    }

    pub(super) fn peer_due(&mut self, key: PeerKey, at: Instant, now: Now) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        // An entry that a later and earlier one has overtaken.
        if peer.scheduled != Some(at) {
            return;
        }
        peer.scheduled = None;
        if peer.is_late(now.instant) {
            debug!(session = %peer.token.session, "timed out");
            return self.hang_up_peer(key, now);
        }
        if peer.rtc_timeout <= now.instant && peer.rtc.handle_input(Input::Timeout(now.instant)).is_err() {
            return self.remove_peer(key, now);
        }
        self.refuse_late_joins(key, now);
        self.queue_peer(key);
    }

    pub(super) fn session_due(&mut self, key: SessionKey, at: Instant, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if session.scheduled != Some(at) {
            return;
        }
        session.scheduled = None;
        if session.ends.take_if(|ends| *ends <= now.instant).is_some() {
            let text = "the session's credentials are over";
            self.close_with(key, ErrorCode::SessionEnded, text, now);
        } else if session.is_late(now.instant) {
            session.span.in_scope(|| debug!("timed out"));
            return self.hang_up(key, now);
        } else if session
            .held_until
            .take_if(|until| *until <= now.instant)
            .is_some()
        {
            self.pump(key, now);
        }
        self.schedule_session(key);
        self.queue_session(key);
    }

    /// Makes sure that a session is called when it wants to be.
    pub(super) fn schedule_session(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(&key)
            && let Some(at) = session.next_timeout()
        {
            self.timers
                .schedule(Owner::Session(key), at, &mut session.scheduled);
        }
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
        self.schedule_session(key);
        self.pump(key, now);
        self.queue_session(key);
    }

    /// Closes a session's channel and removes the session; the last one says goodbye in DTLS and takes the connection with it.
    pub(super) fn hang_up(&mut self, key: SessionKey, now: Now) {
        if let Some(peer) = self.only_session_of(key) {
            return self.hang_up_peer(peer, now);
        }
        self.remove_session(key, now);
    }

    /// Says goodbye in DTLS and removes the connection with all of its sessions.
    pub(super) fn hang_up_peer(&mut self, key: PeerKey, now: Now) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        if peer.is_connected && peer.rtc.close().is_ok() {
            while let Ok(output) = peer.rtc.poll_output() {
                match output {
                    Output::Transmit(transmit) => {
                        let commands = &mut self.commands;
                        peer.route(transmit, &mut |routed| {
                            commands.push_back(Command::Transmit(routed))
                        });
                    }
                    Output::Event(_) => {}
                    Output::Timeout(_) => break,
                }
            }
        }
        self.remove_peer(key, now);
    }

    /// Removes a session; the last one takes the connection with it, and says no goodbye.
    pub(super) fn remove(&mut self, key: SessionKey, now: Now) {
        if let Some(peer) = self.only_session_of(key) {
            return self.remove_peer(peer, now);
        }
        self.remove_session(key, now);
    }

    /// The connection of a session that is alone there.
    fn only_session_of(&self, key: SessionKey) -> Option<PeerKey> {
        let peer = self.sessions.get(&key)?.peer;
        let its = self.peers.get(&peer)?;
        (its.sessions.len() <= 1 && its.joining.is_empty()).then_some(peer)
    }

    fn remove_session(&mut self, key: SessionKey, now: Now) {
        self.leave_stream(key, now);
        let Some(Session {
            peer,
            span,
            channel,
            network,
            is_joined,
            ..
        }) = self.sessions.remove(&key)
        else {
            return;
        };
        if is_joined {
            self.join_shares.give_back(network);
        }
        self.counters.sessions_ended += 1;
        span.in_scope(|| debug!("ended"));
        if let Some(its) = self.peers.get_mut(&peer) {
            its.sessions.retain(|other| *other != key);
            if let Some(channel) = channel {
                its.close_channel(channel);
            }
            self.queue_peer(peer);
        }
    }

    pub(super) fn remove_peer(&mut self, key: PeerKey, now: Now) {
        let Some(peer) = self.peers.remove(&key) else {
            return;
        };
        peer.sessions
            .iter()
            .for_each(|session| self.remove_session(*session, now));
        self.session_shares.give_back(peer.network);
        self.handshakes.end(peer.network, key);
        self.by_ufrag.remove(&peer.ufrag);
        for address in peer.reach.peers() {
            if self.by_address.get(&address) == Some(&key) {
                self.by_address.remove(&address);
            }
        }
    }

    /// Whether there is no connection left.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub(super) fn takes_messages(&self) -> bool {
        self.shutdown == Shutdown::No
    }
}
