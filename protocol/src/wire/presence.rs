//! Who is at a stream now: how many read and publish it, and who of them wished to be listed.

use crate::limits::{MAX_EXACT_INTEGER, MAX_LISTED_AUTHORS};
use crate::util::cbor::{CborError, Reader, Writer};
use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

/// The sessions at a stream, over all relays that have some. In JSON as a leader reports it and as the stream shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Presence {
    /// Sessions that subscribed.
    pub readers: u64,
    /// Sessions that were welcomed as producers and may publish.
    pub publishers: u64,
    /// Authors of such sessions who wished to be listed: each once, in the order of their bytes, at most
    /// [`MAX_LISTED_AUTHORS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<Address>,
}

/// Why a report of who is at a stream was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PresenceError {
    /// A count is larger than what all parts carry exactly.
    #[error("readers, publishers: expected at most {MAX_EXACT_INTEGER}")]
    Count,
    /// There are too many authors.
    #[error("authors: {0}, expected at most {MAX_LISTED_AUTHORS}")]
    Authors(usize),
}

impl Presence {
    /// Returns whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.readers == 0 && self.publishers == 0 && self.authors.is_empty()
    }

    /// Checks what the types do not.
    pub fn check(&self) -> Result<(), PresenceError> {
        if self.readers.max(self.publishers) > MAX_EXACT_INTEGER {
            return Err(PresenceError::Count);
        }
        match self.authors.len() > MAX_LISTED_AUTHORS {
            true => Err(PresenceError::Authors(self.authors.len())),
            false => Ok(()),
        }
    }

    /// Writes the items behind the kind of a frame: the counts, and the authors if there are any.
    pub(crate) fn write<'w, 'a>(&self, w: &'w mut Writer<'a>) -> &'w mut Writer<'a> {
        w.uint(self.readers).uint(self.publishers);
        if !self.authors.is_empty() {
            w.array(self.authors.len() as u64);
        }
        for author in &self.authors {
            w.bytes(author.as_slice());
        }
        w
    }

    /// How many items [`Self::write`] writes.
    pub(crate) fn items(&self) -> u64 {
        2 + u64::from(!self.authors.is_empty())
    }

    /// Reads the authors behind the counts. Memory is taken for no more than there may be.
    pub(crate) fn read_authors(reader: &mut Reader<'_>) -> Result<Vec<Address>, CborError> {
        let count = reader.array("authors")?;
        if count > MAX_LISTED_AUTHORS as u64 {
            return Err(CborError::Length {
                field: "authors",
                given: count,
                expected: "at most 100",
            });
        }
        let author = |_| reader.fixed::<20>("author").map(Address::from);
        (0..count).map(author).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::json::from_text;

    #[test]
    fn a_report_is_checked_for_its_bounds() {
        let of = |readers, authors| Presence {
            readers,
            publishers: 0,
            authors: vec![Address::ZERO; authors],
        };
        assert_eq!(of(5, MAX_LISTED_AUTHORS).check(), Ok(()));
        assert_eq!(of(MAX_EXACT_INTEGER + 1, 0).check(), Err(PresenceError::Count));
        assert_eq!(of(0, 101).check(), Err(PresenceError::Authors(101)));
    }

    #[test]
    fn authors_may_be_left_out() {
        let counts = Presence {
            readers: 2,
            publishers: 1,
            authors: Vec::new(),
        };
        let json = serde_json::to_string(&counts).unwrap();
        assert_eq!(json, r#"{"readers":2,"publishers":1}"#);
        assert_eq!(from_text::<Presence>(&json), Ok(counts));
    }
}
