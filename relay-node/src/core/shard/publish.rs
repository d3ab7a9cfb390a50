//! Publications of a session, messages and signed groups: checked, given seqs, and answered.
//!
//! What always holds: after a refusal no later message of the session is accepted before the refused one comes again
//! (`Session::refused_from`); a group is accepted whole or not at all.

use super::frames::Outcome;
use super::publication::Publication;
use super::{Now, Shard};
use crate::core::limits::FAILED_CHECK_FRAMES;
use crate::core::send_queue::Overflow;
use crate::core::session::{Hello, Session, SessionKey};
use crate::core::stream::{Leadership, Measure, Proof, Publish, PublishGroup, Published};
use streamchain_protocol::ids::Seq;
use streamchain_protocol::signed::ChainError;
use streamchain_protocol::wire::frame::{ErrorCode, RelayFrame};

impl Shard {
    /// Takes a publication and counts its messages when it is refused.
    pub(super) fn publish(&mut self, key: SessionKey, publication: Publication<'_>, now: Now) -> Outcome {
        let outcome = match self.check_publish(key, publication) {
            Ok(hello) => self.sequence(key, hello, publication, now),
            Err(outcome) => outcome,
        };
        if !matches!(outcome, Outcome::Fine) {
            self.counters.messages_refused += publication.messages();
        }
        outcome
    }

    /// The session's producer, if the session may publish this now. What comes before the welcome is kept.
    fn check_publish(&mut self, key: SessionKey, publication: Publication<'_>) -> Result<Hello, Outcome> {
        let takes_messages = self.takes_messages();
        let producer_seq = publication.producer_seq;
        let session = self.sessions.get_mut(&key).ok_or(Outcome::Fine)?;
        if !session.token.rights.publish {
            let text = "this session may not publish".into();
            return Err(Outcome::Refuse(ErrorCode::NotAllowed, text));
        }
        let Some(hello) = session.hello else {
            let text = "publish before hello".into();
            return Err(Outcome::Refuse(ErrorCode::Unexpected, text));
        };
        let (bytes, most) = (publication.bytes(), publication.max_bytes());
        if bytes > most {
            let text = format!("{bytes} bytes: at most {most}");
            return Err(Outcome::Refuse(ErrorCode::TooLarge, text));
        }
        if session.refused_from.is_some_and(|from| producer_seq > from) {
            self.counters.messages_refused += publication.messages();
            return Err(Outcome::Fine);
        }
        if !takes_messages {
            // Not *going away* yet: the edge does not know of the shutdown, and would send the client back here.
            return Err(overloaded(session, producer_seq, leaving_text(producer_seq)));
        }
        if !hello.welcomed {
            let kept = session
                .early
                .keep(producer_seq, publication.payloads, publication.signed);
            return Err(match kept {
                true => Outcome::Fine,
                false => overloaded(session, producer_seq, early_text(producer_seq)),
            });
        }
        Ok(hello)
    }

    /// Has the stream give the publication its seqs, and answers.
    fn sequence(&mut self, key: SessionKey, hello: Hello, publication: Publication<'_>, now: Now) -> Outcome {
        let measure = Measure {
            room: self
                .memory
                .uncommitted_bytes
                .saturating_sub(self.uncommitted_bytes),
            rates: self.rates,
            instant: now.instant,
            due: self.commit_clock.due(now.instant),
            unix: now.unix,
        };
        let Some(session) = self.sessions.get_mut(&key) else {
            return Outcome::Fine;
        };
        let stream = self.streams.get_mut(&session.stream());
        let Some(leadership) = stream.and_then(|stream| stream.leadership.as_mut()) else {
            // The epoch was lost in this very turn: the session is being closed.
            return Outcome::Fine;
        };
        let published = match publication {
            Publication {
                signed: Some((previous, signature)),
                producer_seq: first,
                payloads,
            } => {
                if leadership.signed.is_none() {
                    let text = "this stream takes no groups yet".into();
                    return Outcome::Refuse(ErrorCode::Unexpected, text);
                }
                let group = PublishGroup {
                    producer: hello.producer,
                    first,
                    payloads,
                    previous,
                    signature,
                };
                let signer = session.signer.key(now.unix.to_sec());
                let proof = Proof::Key(signer, session.network, &mut self.checks);
                leadership.publish_group(group, proof, measure)
            }
            Publication {
                producer_seq,
                payloads: [payload],
                ..
            } => publish_alone(leadership, hello, producer_seq, payload, measure),
            // A message of no group is one payload.
            Publication { .. } => None,
        };
        match published {
            Some(published) => self.answer(key, publication, published, now),
            None => Outcome::Fine,
        }
    }

    /// Counts and answers what became of a publication.
    fn answer(
        &mut self,
        key: SessionKey,
        publication: Publication<'_>,
        published: Published,
        now: Now,
    ) -> Outcome {
        let Some(session) = self.sessions.get_mut(&key) else {
            return Outcome::Fine;
        };
        let first = publication.producer_seq;
        match published {
            Published::Accepted(seq) => {
                session.refused_from = None;
                let (id, bytes) = (session.stream(), publication.bytes());
                self.uncommitted_bytes += bytes;
                self.counters.messages_accepted += publication.messages();
                self.counters.payload_bytes_accepted += bytes as u64;
                self.counters.groups_accepted += u64::from(publication.signed.is_some());
                let answered = accepted(session, publication, Some(seq));
                self.queue_stream(id);
                self.end_on_overflow(key, answered, now)
            }
            Published::Duplicate(seq) => {
                self.counters.messages_duplicate += publication.messages();
                let answered = accepted(session, publication, seq);
                self.end_on_overflow(key, answered, now)
            }
            Published::Ahead(next) => {
                let text = format!("expected producer_seq {next}, got {first}");
                refuse(session, next, ErrorCode::ProducerGap, text)
            }
            Published::Overlaps(next) => {
                let text = format!(
                    "expected producer_seq {next}: of the group at {first} some numbers are taken, as other groups"
                );
                refuse(session, next, ErrorCode::ProducerGap, text)
            }
            Published::Overloaded => overloaded(session, first, full_text(first)),
            Published::TooFast(wait_ms) => {
                self.counters.frames_limited += 1;
                session.refused_from = Some(first);
                session.gate.silence(wait_ms, now.instant);
                Outcome::Slow(wait_ms)
            }
            Published::Unsigned => {
                let text = format!("producer_seq {first}: this stream takes signed groups only");
                refuse(session, first, ErrorCode::SignatureRequired, text)
            }
            Published::BrokenChain(error) => {
                refuse(session, first, ErrorCode::BrokenChain, broken_text(first, error))
            }
            Published::NoKey(reason) => {
                let text = format!("producer_seq {first}: {reason}");
                refuse(session, first, ErrorCode::BadSignature, text)
            }
            Published::BadSignature => {
                self.counters.signatures_refused += 1;
                session.gate.owe(FAILED_CHECK_FRAMES);
                let text = format!("producer_seq {first}: the signature does not hold");
                refuse(session, first, ErrorCode::BadSignature, text)
            }
        }
    }

    fn end_on_overflow(&mut self, key: SessionKey, answered: Result<(), Overflow>, now: Now) -> Outcome {
        if answered.is_err() {
            self.hang_up(key, now);
        }
        Outcome::Fine
    }
}

fn publish_alone(
    leadership: &mut Leadership,
    hello: Hello,
    producer_seq: u64,
    payload: &[u8],
    measure: Measure,
) -> Option<Published> {
    let publish = Publish {
        producer: hello.producer,
        producer_seq,
        payload,
        is_from_edge: false,
    };
    leadership.publish(publish, measure)
}

fn accepted(session: &mut Session, publication: Publication<'_>, seq: Option<Seq>) -> Result<(), Overflow> {
    session.send_queue.send(&RelayFrame::Accepted {
        producer_seq: publication.producer_seq,
        seq,
        count: publication.count(),
    })
}

/// Refuses a publication once: those after it are passed over until it comes again.
fn refuse(session: &mut Session, from: u64, code: ErrorCode, text: String) -> Outcome {
    session.refused_from = Some(from);
    Outcome::Refuse(code, text)
}

fn overloaded(session: &mut Session, from: u64, text: String) -> Outcome {
    refuse(session, from, ErrorCode::Overloaded, text)
}

fn broken_text(producer_seq: u64, error: ChainError) -> String {
    match error {
        ChainError::Previous { expected, .. } => {
            format!(
                "producer_seq {producer_seq}: previous must be the digest of the group before, {expected}"
            )
        }
        error => format!("producer_seq {producer_seq}: {error}"),
    }
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
