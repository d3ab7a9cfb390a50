//! What happened to a stream on chain, in the order in which the Listener told it: what event streams resume from.
//!
//! What always holds: events have the numbers 1, 2, 3 …, and one that was told again gets no second number; the
//! newest are kept, within two bounds, so that a reader either goes on exactly behind its last event or learns that
//! some are gone.

use super::{LogError, LogState, LogStore, Step, StreamLog, Tail};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::proof::{AnchorRef, AnchorState};
use streamchain_protocol::wire::NoticeEvent;

/// Most events kept for one stream: two for each anchor, so some hours of a busy stream.
pub const EVENTS_MAX: u64 = 4_096;

/// Most bytes of them: strangers publish on chain what they pay for.
pub const EVENTS_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Which events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRange {
    /// The oldest that is kept, or the next one.
    pub first: u64,
    /// The next number.
    pub next: u64,
    /// Bytes of those that are kept.
    pub bytes: u64,
}

impl Default for EventRange {
    fn default() -> Self {
        Self {
            first: 1,
            next: 1,
            bytes: 0,
        }
    }
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number.
    pub number: u64,
    /// What kind it is of.
    pub name: String,
    /// The notice, as JSON.
    pub json: String,
}

/// How far a reader of a stream's events is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The last event that it has; 0 for none.
    pub event: u64,
    /// The next message that it wants.
    pub seq: Seq,
}

/// Not two numbers with a hyphen between them.
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

/// What is new behind a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The stream's state, and the messages that it keeps itself.
    pub tail: Tail,
    /// The events, in order.
    pub events: Vec<StoredEvent>,
}

impl News {
    /// Whether there is nothing behind `cursor`.
    pub fn is_empty(&self, cursor: Cursor) -> bool {
        self.events.is_empty() && self.tail.state.head <= cursor.seq
    }
}

impl<S: LogStore> StreamLog<S> {
    /// Takes what the chain says of the stream, at least once and in the chain's order.
    pub fn apply_notice(&self, event: &NoticeEvent) -> Step<LogState, S> {
        let (key, state, is_new) = match event {
            NoticeEvent::Anchored(anchor) => {
                self.mark(anchor)?;
                let AnchorRef { first, tx, block, .. } = anchor;
                (format!("a/{block}/{first}/{tx}"), anchor.state, false)
            }
            NoticeEvent::Chain {
                block,
                log_index,
                tx,
                state,
                payload,
                ..
            } => (format!("c/{block}/{log_index}/{tx}"), *state, payload.is_some()),
            NoticeEvent::SessionEnded { .. }
            | NoticeEvent::Withdrawn { .. }
            | NoticeEvent::Append
            | NoticeEvent::Unknown => {
                return self.state();
            }
        };
        let before = self.store.last_event(&key).map_err(LogError::Store)?;
        let word = state.as_str();
        let again = before.as_deref() == Some(word)
            || (before.as_deref() == Some("final") && state == AnchorState::Anchored);
        if again {
            return self.state();
        }
        let name = match state {
            AnchorState::Reverted => "reorg",
            _ if is_new => "chain",
            AnchorState::Anchored => "anchored",
            AnchorState::Final => "final",
        };
        self.put_event(&key, word, name, event)
    }

    fn put_event(&self, key: &str, state: &str, name: &str, event: &NoticeEvent) -> Step<LogState, S> {
        let mut log = self.state()?;
        let json = serde_json::to_string(event).map_err(|_| LogError::Corrupt(log.head))?;
        let range = &mut log.events;
        range.bytes += json.len() as u64;
        let event = StoredEvent {
            number: range.next,
            name: name.to_owned(),
            json,
        };
        range.next += 1;
        self.store
            .put_event(&event, key, state)
            .map_err(LogError::Store)?;
        while range.next - range.first > EVENTS_MAX
            || (range.bytes > EVENTS_MAX_BYTES && range.next - range.first > 1)
        {
            let oldest = self.store.events(range.first - 1, 1).map_err(LogError::Store)?;
            let bytes = oldest.first().map_or(0, |event| event.json.len());
            range.bytes = range.bytes.saturating_sub(bytes as u64);
            self.store.drop_event(range.first).map_err(LogError::Store)?;
            range.first += 1;
        }
        self.save(&log)?;
        Ok(log)
    }

    /// What is new behind `cursor`: about `max_bytes` of messages and of events at most.
    pub fn news(&self, cursor: Cursor, max_bytes: usize) -> Step<News, S> {
        let tail = self.tail(cursor.seq, max_bytes)?;
        let events = match cursor.event + 1 < tail.state.events.next {
            true => self
                .store
                .events(cursor.event, max_bytes)
                .map_err(LogError::Store)?,
            false => Vec::new(),
        };
        Ok(News { tail, events })
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::super::tests::new_stream;
    use super::*;
    use alloy_primitives::{Address, B256, Bytes};

    fn stream() -> StreamLog<Memory> {
        let log = StreamLog::in_memory();
        log.create(&new_stream(), 0).unwrap();
        log
    }

    fn anchored(first: u64, state: AnchorState) -> NoticeEvent {
        NoticeEvent::Anchored(AnchorRef {
            first: Seq(first),
            count: 5,
            root: B256::ZERO,
            tx: B256::repeat_byte(1),
            block: 9,
            state,
        })
    }

    fn published(payload: Option<&[u8]>, state: AnchorState) -> NoticeEvent {
        NoticeEvent::Chain {
            block: 9,
            log_index: 2,
            author: Address::ZERO,
            payload: payload.map(Bytes::copy_from_slice),
            tx: B256::repeat_byte(2),
            state,
        }
    }

    fn names(log: &StreamLog<Memory>, after: u64) -> Vec<(u64, String)> {
        let cursor = Cursor {
            event: after,
            seq: Seq(0),
        };
        let news = log.news(cursor, usize::MAX).unwrap();
        news.events
            .into_iter()
            .map(|event| (event.number, event.name))
            .collect()
    }

    #[test]
    fn what_is_told_twice_is_one_event_and_what_is_taken_back_may_come_again() {
        use AnchorState::{Anchored, Final, Reverted};
        let log = stream();
        let told = [
            published(Some(b"hi"), Anchored),
            published(Some(b"hi"), Anchored),
            published(None, Reverted),
            published(None, Reverted),
            published(Some(b"hi"), Anchored),
            published(None, Final),
            published(Some(b"hi"), Anchored),
            anchored(0, Anchored),
            anchored(0, Final),
            anchored(0, Final),
        ];
        for event in &told {
            log.step(|log| log.apply_notice(event)).unwrap();
        }
        let expected = ["chain", "reorg", "chain", "final", "anchored", "final"];
        let expected: Vec<_> = (1..).zip(expected.map(str::to_owned)).collect();
        assert_eq!(names(&log, 0), expected);
        assert_eq!(
            names(&log, 4),
            expected[4..],
            "a reader goes on exactly behind its last event"
        );
        assert_eq!(names(&log, 6), []);
    }

    #[test]
    fn the_newest_events_are_kept_within_both_bounds() {
        let log = stream();
        for first in 0..EVENTS_MAX + 10 {
            log.apply_notice(&anchored(first * 5, AnchorState::Anchored))
                .unwrap();
        }
        let events = log.state().unwrap().events;
        assert_eq!((events.first, events.next), (11, EVENTS_MAX + 11));
        let large = vec![7; 5 << 20];
        log.apply_notice(&published(Some(&large), AnchorState::Anchored))
            .unwrap();
        let mut again = published(Some(&large), AnchorState::Anchored);
        if let NoticeEvent::Chain { block, .. } = &mut again {
            *block += 1;
        }
        log.apply_notice(&again).unwrap();
        let events = log.state().unwrap().events;
        assert_eq!(
            events.next - events.first,
            1,
            "one that is above the bound alone is kept alone"
        );
        assert!(events.bytes < 11 << 20, "{}", events.bytes);
    }

    #[test]
    fn a_cursor_survives_its_text_and_nothing_else_is_one() {
        let cursor = Cursor {
            event: 7,
            seq: Seq(90),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in [
            "",
            "7",
            "7-",
            "-7",
            "7-9-1",
            "+7-9",
            "7-99999999999999999999",
            "a-b",
        ] {
            assert_eq!(wrong.parse::<Cursor>(), Err(BadCursor), "{wrong}");
        }
    }
}
