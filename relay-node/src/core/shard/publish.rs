//! Publications of a session: checked, given a seq, and answered.
//!
//! What always holds: after a refusal no later message of the session is accepted before the refused one comes again
//! (`Session::refused_from`).

use super::frames::Outcome;
use super::{Now, Shard};
use crate::core::send_queue::Overflow;
use crate::core::session::{Hello, Session, SessionKey};
use crate::core::stream::{Publish, Published};
use streamchain_protocol::ids::Seq;
use streamchain_protocol::limits::MAX_PAYLOAD_BYTES;
use streamchain_protocol::wire::frame::{ErrorCode, RelayFrame};

impl Shard {
    /// Takes a publication and counts it when it is refused.
    pub(super) fn publish(
        &mut self,
        key: SessionKey,
        producer_seq: u64,
        payload: &[u8],
        now: Now,
    ) -> Outcome {
        let outcome = match self.check_publish(key, producer_seq, payload) {
            Ok(hello) => self.sequence(key, hello, producer_seq, payload, now),
            Err(outcome) => outcome,
        };
        if !matches!(outcome, Outcome::Fine) {
            self.counters.messages_refused += 1;
        }
        outcome
    }

    /// The session's producer, if the session may publish this now. A message that comes before the welcome is kept.
    fn check_publish(
        &mut self,
        key: SessionKey,
        producer_seq: u64,
        payload: &[u8],
    ) -> Result<Hello, Outcome> {
        let takes_messages = self.takes_messages();
        let session = self.sessions.get_mut(&key).ok_or(Outcome::Fine)?;
        if !session.token.rights.publish {
            let text = "this session may not publish".into();
            return Err(Outcome::Refuse(ErrorCode::NotAllowed, text));
        }
        let Some(hello) = session.hello else {
            let text = "publish before hello".into();
            return Err(Outcome::Refuse(ErrorCode::Unexpected, text));
        };
        if payload.len() > MAX_PAYLOAD_BYTES {
            let text = format!("{} bytes: at most {MAX_PAYLOAD_BYTES}", payload.len());
            return Err(Outcome::Refuse(ErrorCode::TooLarge, text));
        }
        if session.refused_from.is_some_and(|from| producer_seq > from) {
            self.counters.messages_refused += 1;
            return Err(Outcome::Fine);
        }
        if !takes_messages {
            // Not *going away* yet: the edge does not know of the shutdown, and would send the client back here.
            return Err(overloaded(session, producer_seq, leaving_text(producer_seq)));
        }
        if !hello.welcomed {
            return Err(match session.keep_early(producer_seq, payload) {
                true => Outcome::Fine,
                false => overloaded(session, producer_seq, early_text(producer_seq)),
            });
        }
        Ok(hello)
    }

    /// Has the stream give the message its seq, and answers.
    fn sequence(
        &mut self,
        key: SessionKey,
        hello: Hello,
        producer_seq: u64,
        payload: &[u8],
        now: Now,
    ) -> Outcome {
        let Some(session) = self.sessions.get_mut(&key) else {
            return Outcome::Fine;
        };
        let id = session.stream();
        let room = self.uncommitted_bytes + payload.len() <= self.memory.uncommitted_bytes;
        let stream = self.streams.get_mut(&id);
        let publish = Publish {
            producer: hello.producer,
            producer_seq,
            payload,
        };
        let rate = self.rates.stream;
        let published = stream
            .and_then(|stream| stream.leadership.as_mut())
            .and_then(|leadership| leadership.publish(publish, room, rate, now.instant, now.unix));
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
            Some(Published::Ahead(next)) => {
                let text = format!("expected producer_seq {next}, got {producer_seq}");
                refuse(session, next, ErrorCode::ProducerGap, text)
            }
            Some(Published::Overloaded) => overloaded(session, producer_seq, full_text(producer_seq)),
            Some(Published::TooFast(wait_ms)) => {
                self.counters.frames_limited += 1;
                session.refused_from = Some(producer_seq);
                session.gate.silence(wait_ms, now.instant);
                Outcome::Slow(wait_ms)
            }
            // The epoch was lost in this very turn: the session is being closed.
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

fn accepted(session: &mut Session, producer_seq: u64, seq: Option<Seq>) -> Result<(), Overflow> {
    session
        .send_queue
        .send(&RelayFrame::Accepted { producer_seq, seq })
}

/// Refuses a message once: those after it are passed over until it comes again.
fn refuse(session: &mut Session, from: u64, code: ErrorCode, text: String) -> Outcome {
    session.refused_from = Some(from);
    Outcome::Refuse(code, text)
}

fn overloaded(session: &mut Session, from: u64, text: String) -> Outcome {
    refuse(session, from, ErrorCode::Overloaded, text)
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
