//! What clients say: hello, publish, subscribe.

use super::{Now, Shard};
use crate::core::counters::ErrorCounts;
use crate::core::limits::{MAX_REPLAY_MESSAGES, SUBSCRIBE_FRAMES};
use crate::core::rates::{Cost, Verdict};
use crate::core::send_queue::Overflow;
use crate::core::session::{Hello, Session, SessionKey};
use crate::core::stream::{Publish, Published};
use streamchain_protocol::ids::{ProducerId, Seq};
use streamchain_protocol::limits::PAYLOAD_MAX_BYTES;
use streamchain_protocol::wire::cbor::{CborError, Reader};
use streamchain_protocol::wire::frame::{ChannelLimits, ClientFrame, ErrorCode, RelayFrame};

/// What a frame leads to.
enum Outcome {
    /// The session goes on.
    Fine,
    /// The session goes on, and is told.
    Refuse(ErrorCode, String),
    /// The session goes on, and is told to wait this many milliseconds.
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
                    self.close_with_text(key, ErrorCode::RateLimited, FLOOD_TEXT, now);
                    return Ok(());
                }
            };
            let Some(session) = self.sessions.get_mut(&key) else {
                return Ok(());
            };
            self.errors.count_outcome(&outcome);
            let told = match &outcome {
                Outcome::Fine => continue,
                Outcome::Refuse(code, text) => session.send_queue.send(&RelayFrame::error(*code, text)),
                Outcome::Slow(wait_ms) => session.send_queue.send(&slow_down(*wait_ms)),
            };
            if told.is_err() {
                self.remove(key, now);
                return Ok(());
            }
        }
        Ok(())
    }

    fn take_frame(&mut self, key: SessionKey, frame: ClientFrame<'_>, now: Now) -> Outcome {
        match frame {
            ClientFrame::Hello { producer } => self.hello(key, producer, now),
            ClientFrame::Publish {
                producer_seq,
                payload,
            } => self.publish(key, producer_seq, payload, now),
            ClientFrame::Subscribe { from } => self.subscribe(key, from),
        }
    }

    /// Whether the session may send this frame now; one of a kind that is not known counts too.
    fn judge(&mut self, key: SessionKey, frame: Option<&ClientFrame<'_>>, now: Now) -> Verdict {
        let Some(session) = self.sessions.get_mut(&key) else {
            return Verdict::Drop;
        };
        let (frames, bytes) = match frame {
            Some(ClientFrame::Publish { payload, .. }) => (1, payload.len()),
            Some(ClientFrame::Subscribe { .. }) => (SUBSCRIBE_FRAMES, 0),
            Some(ClientFrame::Hello { .. }) | None => (1, 0),
        };
        let verdict = session
            .gate
            .judge(self.rates.session, Cost { frames, bytes }, now.instant);
        if verdict != Verdict::Pass {
            self.counters.frames_limited += 1;
        }
        verdict
    }

    /// A frame over the rate: a message must come again before those behind it.
    fn hold_back(&mut self, key: SessionKey, frame: Option<&ClientFrame<'_>>, wait_ms: u64) -> Outcome {
        if let Some(session) = self.sessions.get_mut(&key)
            && let Some(ClientFrame::Publish { producer_seq, .. }) = frame
        {
            let first = session.refused_from.unwrap_or(*producer_seq);
            session.refused_from = Some(first.min(*producer_seq));
        }
        Outcome::Slow(wait_ms)
    }

    fn hello(&mut self, key: SessionKey, producer: ProducerId, now: Now) -> Outcome {
        let Some(session) = self.sessions.get_mut(&key) else {
            return Outcome::Fine;
        };
        if session.hello.is_some() {
            return Outcome::Refuse(ErrorCode::Unexpected, "hello was said before".into());
        }
        session.hello = Some(Hello {
            producer,
            welcomed: false,
        });
        self.try_welcome(key, now);
        Outcome::Fine
    }

    /// The stream, or a producer of it, is known now: whoever waits for that goes on.
    pub(super) fn stream_is_there(&mut self, key: SessionKey, now: Now) {
        let waits = |session: &Session| session.hello.is_some_and(|hello| !hello.welcomed);
        if self.sessions.get(&key).is_some_and(waits) {
            self.try_welcome(key, now);
        }
        if let Some(session) = self.sessions.get_mut(&key)
            && let Some(from) = session.wanted.take()
        {
            self.subscribe(key, from);
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
        let stored = match session.token.rights.publish {
            false => None,
            true => match leadership.producers.join(hello.producer) {
                Some(stored) => stored,
                None => return self.look_up(id, hello.producer),
            },
        };
        session.hello = Some(Hello {
            welcomed: true,
            ..hello
        });
        let limits = ChannelLimits {
            payload: PAYLOAD_MAX_BYTES as u64,
            batch_ms: self.commit_interval.as_millis() as u64,
            buffer: MAX_REPLAY_MESSAGES as u64,
            messages_per_s: u64::from(self.rates.session.messages_per_s),
            bytes_per_s: u64::from(self.rates.session.bytes_per_s),
        };
        let committed = leadership.backlog.committed();
        let head = leadership.replay.end();
        let welcome = RelayFrame::Welcome {
            epoch: leadership.epoch,
            head,
            committed,
            stored,
            limits,
        };
        let early = session.take_early();
        if session.send_queue.welcome(&welcome, committed).is_err() {
            return self.remove(key, now);
        }
        for (producer_seq, payload) in early {
            let outcome = self.publish(key, producer_seq, &payload, now);
            let Some(session) = self.sessions.get_mut(&key) else {
                return;
            };
            self.errors.count_outcome(&outcome);
            // Too much for one that reads nothing is found again at its next frame.
            let _ = match outcome {
                Outcome::Fine => Ok(()),
                Outcome::Refuse(code, text) => session.send_queue.send(&RelayFrame::error(code, &text)),
                Outcome::Slow(wait_ms) => session.send_queue.send(&slow_down(wait_ms)),
            };
        }
    }

    fn subscribe(&mut self, key: SessionKey, from: Option<Seq>) -> Outcome {
        let Some(session) = self.sessions.get_mut(&key) else {
            return Outcome::Fine;
        };
        if !session.token.rights.subscribe {
            return Outcome::Refuse(ErrorCode::NotAllowed, "this session may not subscribe".into());
        }
        let leadership = self
            .streams
            .get(&session.stream())
            .and_then(|stream| stream.leadership.as_ref());
        match leadership {
            Some(leadership) => session
                .send_queue
                .subscribe(from.unwrap_or(leadership.replay.end())),
            None => session.wanted = Some(from),
        }
        Outcome::Fine
    }

    fn publish(&mut self, key: SessionKey, producer_seq: u64, payload: &[u8], now: Now) -> Outcome {
        let outcome = self.try_publish(key, producer_seq, payload, now);
        if !matches!(outcome, Outcome::Fine) {
            self.counters.messages_refused += 1;
        }
        outcome
    }

    fn try_publish(&mut self, key: SessionKey, producer_seq: u64, payload: &[u8], now: Now) -> Outcome {
        let takes_messages = self.takes_messages();
        let Some(session) = self.sessions.get_mut(&key) else {
            return Outcome::Fine;
        };
        if !session.token.rights.publish {
            return Outcome::Refuse(ErrorCode::NotAllowed, "this session may not publish".into());
        }
        let Some(hello) = session.hello else {
            return Outcome::Refuse(ErrorCode::Unexpected, "publish before hello".into());
        };
        if payload.len() > PAYLOAD_MAX_BYTES {
            let text = format!("{} bytes: at most {PAYLOAD_MAX_BYTES}", payload.len());
            return Outcome::Refuse(ErrorCode::TooLarge, text);
        }
        if session.refused_from.is_some_and(|from| producer_seq > from) {
            self.counters.messages_refused += 1;
            return Outcome::Fine;
        }
        if !takes_messages {
            // Not told to go yet: the edge, which does not know, would send it back here.
            return refuse(
                session,
                producer_seq,
                ErrorCode::Overloaded,
                leaving_text(producer_seq),
            );
        }
        if !hello.welcomed {
            return match session.keep_early(producer_seq, payload) {
                true => Outcome::Fine,
                false => refuse(
                    session,
                    producer_seq,
                    ErrorCode::Overloaded,
                    early_text(producer_seq),
                ),
            };
        }
        let room = self.uncommitted_bytes + payload.len() <= self.memory.uncommitted_bytes;
        let id = session.stream();
        let leadership = self
            .streams
            .get_mut(&id)
            .and_then(|stream| stream.leadership.as_mut());
        let publish = Publish {
            author: session.token.author,
            producer: hello.producer,
            producer_seq,
            payload,
        };
        let rate = self.rates.stream;
        let published = leadership
            .and_then(|leadership| leadership.publish(publish, room, rate, now.instant, now.unix_ms));
        match published {
            Some(Published::Accepted(seq)) => {
                session.refused_from = None;
                self.uncommitted_bytes += payload.len();
                self.counters.messages_accepted += 1;
                self.counters.payload_bytes_accepted += payload.len() as u64;
                let answered = accepted(session, producer_seq, Some(seq));
                self.queue_stream(id);
                self.end_on_overflow(key, answered, now)
            }
            Some(Published::Duplicate(seq)) => {
                self.counters.messages_duplicate += 1;
                let answered = accepted(session, producer_seq, seq);
                self.end_on_overflow(key, answered, now)
            }
            Some(Published::Ahead(next)) => refuse(
                session,
                next,
                ErrorCode::ProducerGap,
                format!("expected producer_seq {next}, got {producer_seq}"),
            ),
            Some(Published::Overloaded) => refuse(
                session,
                producer_seq,
                ErrorCode::Overloaded,
                full_text(producer_seq),
            ),
            Some(Published::TooFast(wait_ms)) => {
                self.counters.frames_limited += 1;
                session.refused_from = Some(producer_seq);
                session.gate.silence(wait_ms, now.instant);
                Outcome::Slow(wait_ms)
            }
            // The stream was let go in this very turn; the session is being told.
            None => Outcome::Fine,
        }
    }

    fn end_on_overflow(&mut self, key: SessionKey, answered: Result<(), Overflow>, now: Now) -> Outcome {
        if answered.is_err() {
            self.hang_up(key, now);
        }
        Outcome::Fine
    }
}

/// What ends a session that does not slow down.
const FLOOD_TEXT: &str = "far above the rate for too long";

fn slow_down(wait_ms: u64) -> RelayFrame<'static> {
    RelayFrame::Error {
        code: ErrorCode::RateLimited as u64,
        text: "too fast: send it again after the wait",
        retry_ms: Some(wait_ms),
    }
}

fn accepted(session: &mut Session, producer_seq: u64, seq: Option<Seq>) -> Result<(), Overflow> {
    session
        .send_queue
        .send(&RelayFrame::Accepted { producer_seq, seq })
}

/// Refuses a message once: those behind it are passed over until it comes again.
fn refuse(session: &mut Session, from: u64, code: ErrorCode, text: String) -> Outcome {
    session.refused_from = Some(from);
    Outcome::Refuse(code, text)
}

fn full_text(producer_seq: u64) -> String {
    format!("too many messages are not committed yet: send {producer_seq} and those after it again later")
}

fn leaving_text(producer_seq: u64) -> String {
    format!("this relay is shutting down: the next relay takes {producer_seq} and those after it")
}

fn early_text(producer_seq: u64) -> String {
    format!("too many messages before welcome: send {producer_seq} and those after it again after welcome")
}

fn text_message() -> CborError {
    CborError::Item {
        field: "message",
        reason: "text, but frames are binary",
    }
}

/// Cut to what an error frame may carry.
fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}
