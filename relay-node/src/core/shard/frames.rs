//! The frames of clients: hello, publish, group, subscribe.

use super::publication::Publication;
use super::{Now, Shard};
use crate::core::counters::ErrorCounts;
use crate::core::edge_requests::Lookup;
use crate::core::limits::{MAX_REPLAY_MESSAGES, SUBSCRIBE_FRAMES};
use crate::core::rates::{Cost, Rates, Verdict};
use crate::core::session::{Hello, Session, SessionKey, Wanted};
use crate::core::signer::Signer;
use std::time::Duration;
use streamchain_protocol::ids::ProducerId;
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
            let Some(session) = self.sessions.get_mut(&key) else {
                return Ok(());
            };
            self.errors.count_outcome(&outcome);
            let sent = match &outcome {
                Outcome::Fine => continue,
                Outcome::Refuse(code, text) => session.send_queue.send(&RelayFrame::error(*code, cut(text))),
                Outcome::Slow(wait_ms) => session.send_queue.send(&slow_down(*wait_ms)),
            };
            if sent.is_err() {
                self.remove(key, now);
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
            ClientFrame::Subscribe { from, signatures } => self.subscribe(key, Wanted { from, signatures }),
            ClientFrame::Join { grant } => self.renew(key, grant, now),
            ClientFrame::Abilities(_) => Outcome::Fine,
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
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let Some(hello) = session.hello.filter(|hello| !hello.welcomed) else {
            return;
        };
        let id = session.stream();
        let Some(leadership) = self
            .streams
            .get_mut(&id)
            .and_then(|stream| stream.leadership.as_mut())
        else {
            return;
        };
        if leadership.is_refreshing {
            return;
        }
        let stored = match session.token.rights.publish {
            false => None,
            true => {
                // An edge that stores no groups knows no keys.
                let signs = session.signer.asked().filter(|_| leadership.signed.is_some());
                let is_known = signs.is_none() && leadership.producers.knows(hello.producer);
                if !is_known {
                    let producer = hello.producer;
                    return self.look_up(id, Lookup { producer, key: signs });
                }
                leadership.producers.join(hello.producer).flatten()
            }
        };
        session.hello = Some(Hello {
            welcomed: true,
            ..hello
        });
        let limits = channel_limits(self.commit_clock.interval(), self.rates, leadership.signed);
        let committed = leadership.backlog.committed();
        let head = leadership.replay.end();
        let welcome = RelayFrame::Welcome {
            epoch: leadership.epoch,
            head,
            committed,
            stored,
            limits,
        };
        let early = session.early.take();
        if session.send_queue.welcome(&welcome, committed).is_err() {
            return self.remove(key, now);
        }
        for publication in early {
            let payloads: Vec<&[u8]> = publication.payloads.iter().map(Vec::as_slice).collect();
            let publication = Publication {
                producer_seq: publication.producer_seq,
                payloads: &payloads,
                signed: publication.signed,
            };
            let outcome = self.publish(key, publication, now);
            let Some(session) = self.sessions.get_mut(&key) else {
                return;
            };
            self.errors.count_outcome(&outcome);
            // An overflow is found again at the next frame.
            let _ = match outcome {
                Outcome::Fine => Ok(()),
                Outcome::Refuse(code, text) => session.send_queue.send(&RelayFrame::error(code, cut(&text))),
                Outcome::Slow(wait_ms) => session.send_queue.send(&slow_down(wait_ms)),
            };
        }
    }

    fn subscribe(&mut self, key: SessionKey, wanted: Wanted) -> Outcome {
        let Some(session) = self.sessions.get_mut(&key) else {
            return Outcome::Fine;
        };
        if !session.token.rights.subscribe {
            return Outcome::Refuse(ErrorCode::NotAllowed, "this session may not subscribe".into());
        }
        let leadership = self
            .streams
            .get_mut(&session.stream())
            .and_then(|stream| stream.leadership.as_mut());
        match leadership {
            Some(leadership) => {
                let Wanted { from, signatures } = wanted;
                leadership.has_verifiers |= signatures;
                let from = from.unwrap_or(leadership.replay.end());
                session.send_queue.subscribe(from, signatures);
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
