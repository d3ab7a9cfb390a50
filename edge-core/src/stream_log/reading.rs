//! What readers get: committed messages that are not flushed yet, and events.

use super::error::{LogError, Refusal};
use super::members::Members;
use super::state::{LogState, StoredEvent};
use super::store::{LogStore, Step};
use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use streamchain_protocol::auth::{Access, Right, Rights};
use streamchain_protocol::ids::Seq;

/// The messages that a log keeps itself, and the state they were read under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// How far the stream is: what is below `flushed` is in the database.
    pub state: LogState,
    /// The first record's seq; `head` when there is none.
    pub first: Seq,
    /// Encoded records.
    pub records: Vec<u8>,
}

/// Who reads a stream, as far as it decides on the right to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// Whose rights count; `None` without credentials.
    pub account: Option<Address>,
    /// Whether that is an operator.
    pub operator: bool,
    /// What the credentials are limited to on this stream.
    pub limit: Rights,
}

impl Reader {
    /// Refuses a reader who lacks the right to read the stream as it is now. Called in the step that reads, so that
    /// nothing is read under rights that are over.
    pub(super) fn check<S: LogStore>(&self, state: &LogState, store: &S) -> Step<(), S> {
        let member = Members(store).rights(self.account).map_err(LogError::Store)?;
        let access = Access {
            owner: state.owner,
            settings: state.settings,
            member,
        };
        let rights = access.rights(self.account, self.operator).and(self.limit);
        match rights.has(Right::Read) {
            true => Ok(()),
            false => Err(Refusal::MayNotRead {
                has_credentials: self.account.is_some(),
                is_hidden: access.is_hidden_from(rights),
            }
            .into()),
        }
    }
}

/// How far a reader of a stream's messages and events is; as text `{event}-{seq}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The last event that the reader has; 0 for none.
    pub event: u64,
    /// The next message that the reader wants.
    pub seq: Seq,
}

/// The text is not two numbers with a hyphen between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the id of an event: two numbers with a hyphen between them")]
pub struct BadCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.event, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let number = |text: &str| {
            let digits = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        let (event, seq) = text.split_once('-').ok_or(BadCursor)?;
        Ok(Self {
            event: number(event).ok_or(BadCursor)?,
            seq: Seq(number(seq).ok_or(BadCursor)?),
        })
    }
}

/// What there is behind a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The stream's state, and the messages that it keeps itself.
    pub tail: Tail,
    /// The events, in order.
    pub events: Vec<StoredEvent>,
}

impl News {
    /// Returns whether there is nothing behind `cursor`.
    pub fn is_empty(&self, cursor: Cursor) -> bool {
        self.events.is_empty() && self.tail.state.head <= cursor.seq
    }
}

/// Reads the messages from `from` on that are kept here, about `max_bytes` of them at most.
pub(super) fn tail<S: LogStore>(state: LogState, store: &S, from: Seq, max_bytes: usize) -> Step<Tail, S> {
    let batches = store.batches(from.max(state.flushed), max_bytes);
    let batches = batches.map_err(LogError::Store)?;
    let first = batches.first().map_or(state.head, |batch| batch.first);
    let records = batches.into_iter().flat_map(|batch| batch.records).collect();
    Ok(Tail {
        state,
        first,
        records,
    })
}

/// Reads what there is behind `cursor`: about `max_bytes` of messages and of events at most.
pub(super) fn news<S: LogStore>(
    state: LogState,
    store: &S,
    cursor: Cursor,
    max_bytes: usize,
) -> Step<News, S> {
    let events = match cursor.event + 1 < state.events.next {
        true => store.events(cursor.event, max_bytes).map_err(LogError::Store)?,
        false => Vec::new(),
    };
    let tail = tail(state, store, cursor.seq, max_bytes)?;
    Ok(News { tail, events })
}
