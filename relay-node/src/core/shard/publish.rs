//! Publications of a session, messages and signed groups: checked, given seqs, and answered.
//!
//! What always holds: after a refusal no later message of the session is accepted before the refused one comes again
//! (`Session::refused_from`); a group is accepted whole or not at all.

use super::frames::Outcome;
use super::links::up;
use super::{Now, Shard};
use crate::core::leadership::By;
use crate::core::link::{Forwarded, Forwarding};
use crate::core::publication::{Extent, Publication};
use crate::core::reply::{Reply, early_text, full_text, leaving_text};
use crate::core::send_queue::Overflow;
use crate::core::session::{Hello, Session, SessionKey};
use crate::core::stream::Role;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::wire::frame::{ErrorCode, RelayFrame};

impl Shard {
    /// Takes a publication and counts its messages when it is refused.
    pub(super) fn publish(&mut self, key: SessionKey, publication: Publication<'_>, now: Now) -> Outcome {
        let outcome = match self.check_publish(key, publication) {
            Ok(hello) => self.sequence(key, hello, publication, now),
            Err(outcome) => outcome,
        };
        self.count_refused(&outcome, publication.messages());
        outcome
    }

    /// Counts messages that are refused.
    pub(super) fn count_refused(&mut self, outcome: &Outcome, messages: u64) {
        if !matches!(outcome, Outcome::Fine) {
            self.counters.messages_refused += messages;
        }
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
        if session.is_between_epochs {
            return Err(Outcome::Fine); // the client publishes it again behind its welcome
        }
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

    /// Has the stream give the publication its seqs and answers, or forwards it to the leader.
    fn sequence(&mut self, key: SessionKey, hello: Hello, publication: Publication<'_>, now: Now) -> Outcome {
        let measure = self.measure(now);
        let Some(session) = self.sessions.get_mut(&key) else {
            return Outcome::Fine;
        };
        let (id, first) = (session.stream(), publication.producer_seq);
        let Some(stream) = self.streams.get_mut(&id) else {
            // The stream was lost in this very turn: the session is being closed.
            return Outcome::Fine;
        };
        match &mut stream.role {
            Role::Asking => Outcome::Fine,
            Role::Leader(leadership) => {
                let by = By {
                    producer: hello.producer,
                    signer: &session.signer,
                    network: session.network,
                };
                let Some(published) = leadership.take(publication, by, &mut self.checks, measure) else {
                    return Outcome::Fine;
                };
                let reply = Reply::of(first, published);
                if matches!(reply, Reply::Accepted(_)) {
                    self.count_accepted(id, publication);
                }
                self.reply(key, publication.extent(), reply, now)
            }
            Role::Follower(following) => {
                let (taken, frame) = following.forward(Forwarded::new(key.0, publication));
                if let Some(frame) = frame {
                    self.commands.push_back(up(id, following, frame));
                }
                match taken {
                    // From here on the leader refuses what comes behind a refused one.
                    Forwarding::Taken => session.refused_from = None,
                    Forwarding::Full => return overloaded(session, first, full_text(first)),
                }
                Outcome::Fine
            }
        }
    }

    /// Answers a publication.
    pub(super) fn reply(&mut self, key: SessionKey, extent: Extent, reply: Reply, now: Now) -> Outcome {
        let Some(session) = self.sessions.get_mut(&key) else {
            return Outcome::Fine;
        };
        match reply {
            Reply::Accepted(seq) => {
                session.refused_from = None;
                let answered = accepted(session, extent, Some(seq));
                self.end_on_overflow(key, answered, now)
            }
            Reply::Duplicate(seq) => {
                self.counters.messages_duplicate += extent.messages;
                let answered = accepted(session, extent, seq);
                self.end_on_overflow(key, answered, now)
            }
            Reply::TooFast(wait_ms) => {
                self.counters.frames_limited += 1;
                session.refused_from = Some(extent.producer_seq);
                session.gate.silence(wait_ms, now.instant);
                Outcome::Slow(wait_ms)
            }
            Reply::Refused(refusal) => {
                if refusal.cost > 0 {
                    self.counters.signatures_refused += 1;
                    session.gate.owe(refusal.cost);
                }
                session.refused_from = Some(refusal.from);
                Outcome::Refuse(refusal.code, refusal.text)
            }
            Reply::Passed => {
                self.counters.messages_refused += extent.messages;
                Outcome::Fine
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

fn accepted(session: &mut Session, extent: Extent, seq: Option<Seq>) -> Result<(), Overflow> {
    session.send_queue.send(&RelayFrame::Accepted {
        producer_seq: extent.producer_seq,
        seq,
        count: extent.count(),
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
