//! Notices: what happened to the streams of a relay, from the edge.
//!
//! They are written as `serde` derives it: the kind beside the members. They are read in two steps instead, first the
//! kind, then the members of all kinds as one flat struct; what `serde` derives for tags would read every type anew.

use crate::ids::{Seq, SessionId, ShortId};
use crate::omitted::Omitted;
use crate::proof::{AnchorRef, AnchorState};
use crate::time::UnixSec;
use crate::util::json::{self, JsonError};
use alloy_primitives::{Address, B256, Bytes};
use serde::de::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A notice to the relay of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Notice {
    /// The stream.
    pub stream: ShortId,
    /// What happened to the stream.
    #[serde(flatten)]
    pub event: NoticeEvent,
}

/// What happened to a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum NoticeEvent {
    /// A run of messages is (or no longer is) on chain.
    Anchored(AnchorRef),
    /// A round is (or no longer is) on chain, with runs of streams that the relay leads: as many [`NoticeEvent::Anchored`] in
    /// one. The notice's stream is [`ShortId::EVERY`]. Only for relays whose registration says that they read it.
    Round {
        /// The transaction that anchored the round.
        tx: B256,
        /// Number of the transaction's block.
        block: u64,
        /// How sure it is.
        state: AnchorState,
        /// The runs, one of each stream.
        runs: Vec<RunInRound>,
    },
    /// Somebody published on chain.
    Chain {
        /// The block's number.
        block: u64,
        /// The log's index in that block.
        log_index: u64,
        /// Who published it.
        author: Address,
        /// The message's bytes; none when only the state is new.
        payload: Option<Bytes>,
        /// What is known of the payload when it is left out: then `payload` is empty.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        omitted: Option<Omitted>,
        /// The transaction.
        tx: B256,
        /// How sure it is.
        state: AnchorState,
    },
    /// A session was ended at the edge.
    SessionEnded {
        /// The session.
        session: SessionId,
    },
    /// A message's payload was erased: it is not to be sent to anybody any more.
    Erased {
        /// The message.
        seq: Seq,
    },
    /// Messages came by HTTP and wait to be fetched.
    Append,
    /// Rights were withdrawn: sessions opened until `before` are over. With the stream's id
    /// all zeros: on every stream.
    Withdrawn {
        /// Whose sessions, when they are of one author.
        author: Option<Address>,
        /// Whose sessions, when they are of several. Without author and authors: everybody's; a relay of the version
        /// before, which does not know this member, ends everybody's too.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        authors: Vec<Address>,
        /// By the edge's clock.
        before: UnixSec,
        /// Whether the client should open another session, whose rights may be others.
        again: bool,
    },
    /// A kind of a later version, which is ignored.
    Unknown,
}

/// A run of a stream in a round, as the relay of the stream is notified of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInRound {
    /// The stream.
    pub stream: ShortId,
    /// The first message.
    pub first: Seq,
    /// How many messages.
    pub count: u64,
    /// The Merkle root over them.
    pub root: B256,
}

impl Notice {
    /// Returns the notices of single streams that a notice of a round stands for; any other notice stands for itself.
    pub fn by_stream(self) -> Vec<Self> {
        let NoticeEvent::Round {
            tx,
            block,
            state,
            runs,
        } = self.event
        else {
            return vec![self];
        };
        let of_run = |run: RunInRound| Self {
            stream: run.stream,
            event: NoticeEvent::Anchored(AnchorRef {
                first: run.first,
                count: run.count,
                root: run.root,
                tx,
                block,
                state,
            }),
        };
        runs.into_iter().map(of_run).collect()
    }
}

/// What every notice has.
#[derive(Deserialize)]
struct Head {
    stream: ShortId,
    kind: String,
}

/// What else the notices have that this version knows.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    seq: Option<Seq>,
    first: Option<Seq>,
    count: Option<u64>,
    root: Option<B256>,
    tx: Option<B256>,
    block: Option<u64>,
    log_index: Option<u64>,
    author: Option<Address>,
    authors: Option<Vec<Address>>,
    payload: Option<Bytes>,
    omitted: Option<Omitted>,
    state: Option<AnchorState>,
    session: Option<SessionId>,
    before: Option<UnixSec>,
    again: Option<bool>,
    runs: Option<Vec<RunInRound>>,
}

impl Members {
    /// Returns the event of this kind; `None` when it lacks a member.
    fn event(self, kind: &str) -> Option<NoticeEvent> {
        Some(match kind {
            "anchored" => NoticeEvent::Anchored(AnchorRef {
                first: self.first?,
                count: self.count?,
                root: self.root?,
                tx: self.tx?,
                block: self.block?,
                state: self.state?,
            }),
            "round" => NoticeEvent::Round {
                tx: self.tx?,
                block: self.block?,
                state: self.state?,
                runs: self.runs?,
            },
            "chain" => NoticeEvent::Chain {
                block: self.block?,
                log_index: self.log_index?,
                author: self.author?,
                payload: self.payload,
                omitted: self.omitted,
                tx: self.tx?,
                state: self.state?,
            },
            "sessionEnded" => NoticeEvent::SessionEnded {
                session: self.session?,
            },
            "erased" => NoticeEvent::Erased { seq: self.seq? },
            "append" => NoticeEvent::Append,
            "withdrawn" => NoticeEvent::Withdrawn {
                author: self.author,
                authors: self.authors.unwrap_or_default(),
                before: self.before?,
                again: self.again?,
            },
            _ => NoticeEvent::Unknown,
        })
    }
}

const KINDS: [&str; 7] = [
    "anchored",
    "round",
    "chain",
    "sessionEnded",
    "erased",
    "append",
    "withdrawn",
];

impl TryFrom<Value> for Notice {
    type Error = JsonError;

    fn try_from(notice: Value) -> Result<Self, JsonError> {
        let Head { stream, kind } = json::from_value(&notice)?;
        // Members of a later version's kinds may have the names of ours, and other types.
        let event = match KINDS.contains(&kind.as_str()) {
            true => json::from_value::<Members>(&notice)?.event(&kind),
            false => Some(NoticeEvent::Unknown),
        };
        let event = event.ok_or_else(|| JsonError::custom(format!("the notice {kind} lacks a member")))?;
        Ok(Self { stream, event })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn every_kind() -> Vec<NoticeEvent> {
        let (tx, author) = (B256::repeat_byte(1), Address::repeat_byte(2));
        let anchored = NoticeEvent::Anchored(AnchorRef {
            first: Seq(1),
            count: 2,
            root: B256::repeat_byte(3),
            tx,
            block: 4,
            state: AnchorState::Final,
        });
        let chain = |payload, omitted| NoticeEvent::Chain {
            block: 4,
            log_index: 5,
            author,
            payload,
            omitted,
            tx,
            state: AnchorState::Reverted,
        };
        let withdrawn = |author, authors| NoticeEvent::Withdrawn {
            author,
            authors,
            before: UnixSec(6),
            again: true,
        };
        let session = SessionId([7; 8]);
        let run = RunInRound {
            stream: ShortId([9; 20]),
            first: Seq(1),
            count: 2,
            root: B256::repeat_byte(3),
        };
        let round = NoticeEvent::Round {
            tx,
            block: 4,
            state: AnchorState::Anchored,
            runs: vec![run],
        };
        vec![
            anchored,
            round,
            chain(None, None),
            chain(Some(Bytes::from_static(b"x")), None),
            chain(Some(Bytes::new()), Some(Omitted::of(b"large"))),
            NoticeEvent::SessionEnded { session },
            NoticeEvent::Erased { seq: Seq(8) },
            NoticeEvent::Append,
            withdrawn(None, Vec::new()),
            withdrawn(Some(author), Vec::new()),
            withdrawn(None, vec![author, Address::repeat_byte(8)]),
        ]
    }

    #[test]
    fn every_notice_is_read_as_it_was_written() {
        let stream = ShortId([1; 20]);
        for event in every_kind() {
            let notice = Notice { stream, event };
            let text = serde_json::to_string(&notice).unwrap();
            assert_eq!(json::from_text::<Notice>(&text).as_ref(), Ok(&notice), "{text}");
            assert_eq!(serde_json::from_str::<Notice>(&text).unwrap(), notice, "{text}");
        }
    }

    #[test]
    fn a_notice_with_a_missing_or_malformed_member_is_refused() {
        let stream = ShortId([1; 20]);
        for event in every_kind() {
            let whole = serde_json::to_value(Notice { stream, event }).unwrap();
            let names = whole.as_object().unwrap().keys().cloned();
            for name in
                names.filter(|name| !["payload", "omitted", "author", "authors"].contains(&name.as_str()))
            {
                let mut changed = whole.clone();
                changed.as_object_mut().unwrap().remove(&name);
                assert!(json::from_value::<Notice>(&changed).is_err(), "{changed}");
                changed[&name] = json!([7]);
                assert!(json::from_value::<Notice>(&changed).is_err(), "{changed}");
            }
        }
    }

    #[test]
    fn a_round_is_a_notice_for_each_of_its_streams() {
        let event = every_kind().remove(1);
        let stream = ShortId::EVERY;
        let by_stream = Notice { stream, event }.by_stream();
        let of_run = NoticeEvent::Anchored(AnchorRef {
            first: Seq(1),
            count: 2,
            root: B256::repeat_byte(3),
            tx: B256::repeat_byte(1),
            block: 4,
            state: AnchorState::Anchored,
        });
        let stream = ShortId([9; 20]);
        assert_eq!(
            by_stream,
            [Notice {
                stream,
                event: of_run
            }]
        );
        let event = NoticeEvent::Append;
        let other = Notice { stream, event };
        assert_eq!(other.clone().by_stream(), [other]);
    }

    #[test]
    fn a_kind_of_a_later_version_is_ignored() {
        let stream = ShortId([1; 20]);
        let later = json!({ "stream": stream, "kind": "later", "state": 5, "before": {} });
        let event = NoticeEvent::Unknown;
        assert_eq!(json::from_value::<Notice>(&later), Ok(Notice { stream, event }));
    }
}
