//! The frames of clients: hello, publish, group, subscribe.

use super::links::up;
use super::{Now, Shard};
use crate::core::counters::ErrorCounts;
use crate::core::leadership::Greeted;
use crate::core::limits::{MAX_REPLAY_MESSAGES, SUBSCRIBE_FRAMES};
use crate::core::link::{Greeting, Origin};
use crate::core::publication::Publication;
use crate::core::rates::{Cost, Rates, Verdict};
use crate::core::session::{Hello, Session, SessionKey, Wanted};
use crate::core::signer::Signer;
use crate::core::stream::Role;
use std::time::Duration;
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::limits::MAX_PAYLOAD_BYTES;
use streamchain_protocol::signed::{MAX_GROUP_MESSAGES, PublicKey};
use streamchain_protocol::stream_settings::Signed;
use streamchain_protocol::wire::ProducerKey;
use streamchain_protocol::wire::cbor::{CborError, Reader};
use streamchain_protocol::wire::frame::{ChannelLimits, ClientFrame, ErrorCode, RelayFrame};
use tracing::info;

/// What a frame leads to. The session goes on in each case.
pub(super) enum Outcome {
    /// There is nothing to answer, or it is answered.
    Fine,
    /// The client is sent this error.
    Refuse(ErrorCode, String),
    /// The client is sent *rate limited*: it must wait this many milliseconds.
    Slow(u64),
}

impl ErrorCounts {
    fn count_outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Fine => {}
            Outcome::Refuse(code, _) => self.count(*code),
            Outcome::Slow(_) => self.count(ErrorCode::RateLimited),
        }
    }
}

impl Shard {
    /// Takes a data-channel message: one or more frames.
    pub(super) fn handle_message(&mut self, key: SessionKey, message: &[u8], binary: bool, now: Now) {
        let read = if binary {
            self.handle_frames(key, message, now)
        } else {
            Err(text_message())
        };
        if let Err(malformed) = read {
            self.counters.frames_malformed += 1;
            self.close_with_text(key, ErrorCode::Malformed, &shown(&malformed.to_string()), now);
            return;
        }
        // All answers of one turn share their messages.
        if let Some(session) = self.sessions.get_mut(&key) {
            session.wants_pump = true;
        }
    }

    fn handle_frames(&mut self, key: SessionKey, message: &[u8], now: Now) -> Result<(), CborError> {
        let mut reader = Reader::new(message);
        while !reader.is_at_end() {
            let frame = ClientFrame::read(&mut reader)?;
            let outcome = match self.judge(key, frame.as_ref(), now) {
                Verdict::Pass => frame.map_or(Outcome::Fine, |frame| self.take_frame(key, frame, now)),
                Verdict::Drop => Outcome::Fine,
                Verdict::Refuse(wait_ms) => self.hold_back(key, frame.as_ref(), wait_ms),
                Verdict::End => {
                    self.counters.sessions_flooding += 1;
                    self.log_flood(key);
                    self.close_with_text(key, ErrorCode::RateLimited, FLOOD_TEXT, now);
                    return Ok(());
                }
            };
            if !self.send_outcome(key, outcome, now) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn log_flood(&self, key: SessionKey) {
        if let Some(session) = self.sessions.get(&key) {
            session.span.in_scope(|| info!("ended: it went on flooding"));
        }
    }

    fn take_frame(&mut self, key: SessionKey, frame: ClientFrame<'_>, now: Now) -> Outcome {
        match frame {
            ClientFrame::Hello { producer, key: signs } => self.hello(key, producer, signs, now),
            ClientFrame::Publish {
                producer_seq,
                payload,
            } => {
                let publication = Publication {
                    producer_seq,
                    payloads: &[payload],
                    signed: None,
                };
                self.publish(key, publication, now)
            }
            ClientFrame::Group {
                producer_seq,
                previous,
                signature,
                payloads,
            } => {
                let publication = Publication {
                    producer_seq,
                    payloads: &payloads,
                    signed: Some((previous, signature)),
                };
                self.publish(key, publication, now)
            }
            ClientFrame::Subscribe { from, signatures } => self.subscribe(key, Wanted::new(from, signatures)),
            ClientFrame::Abilities(abilities) => {
                self.take_abilities(key, abilities);
                Outcome::Fine
            }
            ClientFrame::Join { grant } => self.renew(key, grant, now),
        }
    }

    /// Whether the session may send this frame now; one of a kind that is not known counts too.
    fn judge(&mut self, key: SessionKey, frame: Option<&ClientFrame<'_>>, now: Now) -> Verdict {
        let Some(session) = self.sessions.get_mut(&key) else {
            return Verdict::Drop;
        };
        let (frames, bytes) = match frame {
            Some(ClientFrame::Publish { payload, .. }) => (1, payload.len()),
            Some(ClientFrame::Group { payloads, .. }) => (
                u32::try_from(payloads.len()).unwrap_or(u32::MAX),
                payloads.iter().map(|payload| payload.len()).sum(),
            ),
            Some(ClientFrame::Subscribe { .. }) => (SUBSCRIBE_FRAMES, 0),
            Some(ClientFrame::Hello { .. } | ClientFrame::Join { .. } | ClientFrame::Abilities(_)) | None => {
                (1, 0)
            }
        };
        let cost = Cost { frames, bytes };
        let mut verdict = session.gate.judge(self.rates.session, cost, now.instant);
        // One stream alone never sends as much as a connection may.
        if let Some(peer) = self
            .peers
            .get_mut(&session.peer)
            .filter(|peer| peer.channels.len() > 1)
        {
            let all = peer.gate.judge(self.rates.session, cost, now.instant);
            verdict = match (verdict, all) {
                (Verdict::Pass, Verdict::Refuse(wait_ms)) => {
                    session.gate.silence(wait_ms, now.instant);
                    all
                }
                (_, Verdict::End) => all,
                (own, _) => own,
            };
        }
        if verdict != Verdict::Pass {
            self.counters.frames_limited += 1;
        }
        verdict
    }

    /// Refuses a frame over the rate: a message must come again before later ones.
    fn hold_back(&mut self, key: SessionKey, frame: Option<&ClientFrame<'_>>, wait_ms: u64) -> Outcome {
        if let Some(session) = self.sessions.get_mut(&key)
            && let Some(number) = frame.and_then(ClientFrame::first_number)
        {
            let first = session.refused_from.unwrap_or(number);
            session.refused_from = Some(first.min(number));
        }
        Outcome::Slow(wait_ms)
    }

    fn hello(
        &mut self,
        key: SessionKey,
        producer: ProducerId,
        signs: Option<PublicKey>,
        now: Now,
    ) -> Outcome {
        let Some(session) = self.sessions.get_mut(&key) else {
            return Outcome::Fine;
        };
        if session.hello.is_some() {
            return Outcome::Refuse(ErrorCode::Unexpected, "a second hello".into());
        }
        session.hello = Some(Hello {
            producer: ProducerKey {
                author: session.token.author,
                id: producer,
            },
            key: signs,
            welcomed: false,
        });
        session.signer = Signer::of(signs, session.token.author);
        self.try_welcome(key, now);
        Outcome::Fine
    }

    /// The stream's epoch, or a producer of it, is known now: a session that waits for it goes on.
    pub(super) fn stream_is_there(&mut self, key: SessionKey, now: Now) {
        let waits = |session: &Session| session.hello.is_some_and(|hello| !hello.welcomed);
        if self.sessions.get(&key).is_some_and(waits) {
            self.try_welcome(key, now);
        }
        if let Some(session) = self.sessions.get_mut(&key)
            && let Some(wanted) = session.wanted.take()
        {
            self.subscribe(key, wanted);
        }
        if self.pump(key, now) {
            self.queue_session(key);
        }
    }

    /// Answers hello, if all is known that the answer says.
    fn try_welcome(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let Some(hello) = session.hello.filter(|hello| !hello.welcomed) else {
            return;
        };
        let (id, publishes) = (session.stream(), session.token.rights.publish);
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let stored = match &mut stream.role {
            Role::Asking => return,
            Role::Leader(leadership) if leadership.is_refreshing => return,
            Role::Follower(following) if !following.is_up() => return,
            Role::Leader(_) | Role::Follower(_) if !publishes => None,
            Role::Leader(leadership) => match leadership.greet(hello.producer, session.signer.asked()) {
                Greeted::Known(stored) => stored,
                Greeted::LookUp(lookup) => return self.look_up(id, lookup),
            },
            Role::Follower(following) => {
                let greeting = Greeting {
                    publisher: key.0,
                    producer: hello.producer,
                    key: hello.key,
                    network: session.network,
                };
                if let Some(frame) = following.hello(Origin::Session(key), greeting) {
                    self.commands.push_back(up(id, following, frame));
                }
                return; // the leader's welcome is the answer
            }
        };
        self.welcome(key, stored, now);
    }

    /// Sends *welcome*, and takes what the session published before it. `stored` is its producer's last committed number.
    pub(super) fn welcome(&mut self, key: SessionKey, stored: Option<u64>, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let stream = self.streams.get(&session.stream());
        let Some(standing) = stream.and_then(|stream| stream.role.standing()) else {
            return;
        };
        let Some(hello) = &mut session.hello else {
            return;
        };
        hello.welcomed = true;
        session.is_between_epochs = false;
        let welcome = RelayFrame::Welcome {
            epoch: standing.epoch,
            head: standing.head,
            committed: standing.committed,
            stored,
            limits: channel_limits(self.commit_clock.interval(), self.rates, standing.signed),
        };
        let (early, id) = (session.early.take(), session.stream());
        let welcomed = session.send_queue.welcome(&welcome, standing.committed);
        if welcomed.is_err() {
            return self.remove(key, now);
        }
        self.touch_presence(id);
        for publication in early {
            let payloads: Vec<&[u8]> = publication.payloads.iter().map(Vec::as_slice).collect();
            let publication = Publication {
                producer_seq: publication.producer_seq,
                payloads: &payloads,
                signed: publication.signed,
            };
            let outcome = self.publish(key, publication, now);
            if !self.send_outcome(key, outcome, now) {
                return;
            }
        }
    }

    /// Counts and sends what a frame leads to; `false` when the session is gone.
    pub(super) fn send_outcome(&mut self, key: SessionKey, outcome: Outcome, now: Now) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else {
            return false;
        };
        self.errors.count_outcome(&outcome);
        let sent = match &outcome {
            Outcome::Fine => Ok(()),
            Outcome::Refuse(code, text) => session.send_queue.send(&RelayFrame::error(*code, cut(text))),
            Outcome::Slow(wait_ms) => session.send_queue.send(&slow_down(*wait_ms)),
        };
        if sent.is_err() {
            self.remove(key, now);
        }
        sent.is_ok()
    }

    fn subscribe(&mut self, key: SessionKey, wanted: Wanted) -> Outcome {
        let Some(session) = self.sessions.get_mut(&key) else {
            return Outcome::Fine;
        };
        if !session.token.rights.subscribe {
            return Outcome::Refuse(ErrorCode::NotAllowed, "this session may not subscribe".into());
        }
        if session.is_between_epochs {
            return Outcome::Fine; // it subscribes again behind its welcome
        }
        let id = session.stream();
        let stream = self.streams.get_mut(&id);
        let head = stream.as_ref().and_then(|stream| stream.role.standing());
        let head = head.map_or(Seq(u64::MAX), |standing| standing.head);
        match stream.and_then(|stream| stream.role.fan_mut()) {
            Some((fan, _)) => {
                let from = match wanted.from {
                    None => fan.replay.end(),
                    Some(from) if wanted.is_at_tail => from.min(head),
                    Some(from) => from,
                };
                session.is_at_tail = wanted.is_at_tail;
                session.send_queue.subscribe(from, wanted.signatures);
                fan.asked.add(session.send_queue.group_form());
                self.touch_presence(id);
            }
            None => session.wanted = Some(wanted),
        }
        Outcome::Fine
    }
}

/// What *welcome* says of a relay with these settings, on a stream with this setting.
fn channel_limits(commit_interval: Duration, rates: Rates, signed: Option<Signed>) -> ChannelLimits {
    ChannelLimits {
        payload: MAX_PAYLOAD_BYTES as u64,
        batch_ms: commit_interval.as_millis() as u64,
        buffer: MAX_REPLAY_MESSAGES as u64,
        messages_per_s: u64::from(rates.session.messages_per_s),
        bytes_per_s: u64::from(rates.session.bytes_per_s),
        group_messages: signed.map_or(0, |_| MAX_GROUP_MESSAGES as u64),
        signed: signed == Some(Signed::Required),
    }
}

/// What ends a session that does not slow down.
const FLOOD_TEXT: &str = "far above the rate limit for too long";

fn slow_down(wait_ms: u64) -> RelayFrame<'static> {
    RelayFrame::Error {
        code: ErrorCode::RateLimited as u64,
        text: "rate limited: send it again after the wait",
        retry_ms: Some(wait_ms),
    }
}

pub(super) fn text_message() -> CborError {
    CborError::Item {
        field: "message",
        reason: "text, but frames are binary",
    }
}

/// Most bytes of the text of an error that is about a frame: control frames share messages in steps of 256 bytes.
const MAX_REFUSAL_BYTES: usize = 200;

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_REFUSAL_BYTES))
        .unwrap_or(text)
}

/// Cut to what an error frame may carry.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}
