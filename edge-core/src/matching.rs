//! Streams whose names match a pattern: how far a list of them was read.
//!
//! What always holds: a list of matches is read in two parts. First come those that were there when the list began, in the order
//! of their names; then those made since, in the order in which they were made. A cursor names only what its reader was shown.

use std::fmt;
use std::str::FromStr;
use streamchain_protocol::ids::StreamName;

/// Most streams on one page of matches: a page connects to no more than a connection has channels and a few besides.
pub const MAX_MATCHES: usize = 100;

/// Most rows behind a cursor that one question looks at; with more new streams the next question goes on.
const MAX_NEW_ROWS: u64 = 5_000;

/// How far a list of matches was read: `{mark}-{name}` while those are read that were there at first, then `{mark}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchCursor {
    /// Streams up to this place in the table were there when the list began, or were looked at since.
    pub mark: u64,
    /// The last name that was shown of those that were there; `None` once all were.
    pub behind: Option<StreamName>,
}

/// Why a text is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("after: expected the value of an answer before")]
pub struct NoCursor;

impl MatchCursor {
    /// The cursor behind a page of those that were there when the list began; `last` is there when the page is full.
    pub fn after_names(mark: u64, last: Option<&StreamName>) -> Self {
        Self {
            mark,
            behind: last.cloned(),
        }
    }

    /// The cursor behind a page of new streams, read up to the place `looked_at`; `last` is the place of the last one of a full page.
    pub fn after_new(looked_at: u64, last: Option<u64>) -> Self {
        Self {
            mark: last.unwrap_or(looked_at),
            behind: None,
        }
    }

    /// The places of new streams that a question looks at, when the table has `count` of them: behind the first, up to the second.
    pub fn new_places(&self, count: u64) -> (u64, u64) {
        let end = self.mark.saturating_add(MAX_NEW_ROWS).min(count);
        (self.mark, end.max(self.mark))
    }
}

impl fmt::Display for MatchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.behind {
            Some(name) => write!(f, "{}-{}", self.mark, name.as_str()),
            None => write!(f, "{}", self.mark),
        }
    }
}

impl FromStr for MatchCursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (mark, name) = match text.split_once('-') {
            Some((mark, name)) => (mark, Some(name)),
            None => (text, None),
        };
        let is_number = !mark.is_empty() && mark.bytes().all(|byte| byte.is_ascii_digit());
        let mark = mark.parse().ok().filter(|_| is_number).ok_or(NoCursor)?;
        let behind = name.map(str::parse).transpose().map_err(|_| NoCursor)?;
        Ok(Self { mark, behind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for text in ["0", "17", "17-sensors.a-b", "3-a"] {
            assert_eq!(text.parse::<MatchCursor>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "-",
            "-a",
            "x",
            "17-",
            "17-A",
            "+1",
            "17-'",
            "99999999999999999999",
        ] {
            assert_eq!(text.parse::<MatchCursor>(), Err(NoCursor), "{text}");
        }
    }

    #[test]
    fn new_streams_are_looked_at_in_bounded_steps() {
        let cursor = MatchCursor::after_names(10, None);
        assert_eq!(cursor.new_places(10), (10, 10));
        assert_eq!(cursor.new_places(12), (10, 12));
        assert_eq!(cursor.new_places(1_000_000), (10, 10 + MAX_NEW_ROWS));
        assert_eq!(cursor.new_places(3), (10, 10), "a table never shrinks");
        assert_eq!(MatchCursor::after_new(12, None).mark, 12);
        assert_eq!(
            MatchCursor::after_new(12, Some(11)).mark,
            11,
            "the rest of a full page comes next"
        );
    }
}
