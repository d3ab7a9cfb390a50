//! Which events a webhook is for.

use serde::{Deserialize, Serialize};

/// The kinds that can be chosen, as event streams name them.
const WORDS: [&str; 5] = [MESSAGES, "anchored", "final", "reorg", "chain"];

/// The kind of the stream's messages.
const MESSAGES: &str = "stored";

/// A set of kinds of events, not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Kinds(u8);

/// The list has no kind, or a word that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("events: expected one or more of stored, anchored, final, reorg, chain")]
pub struct NoKinds;

impl Kinds {
    /// Every kind.
    pub const ALL: Self = Self((1 << WORDS.len()) - 1);

    /// Returns whether the stream's messages are among them.
    pub(super) fn has_messages(self) -> bool {
        self.has(MESSAGES)
    }

    /// Returns whether events of this name are delivered. What is not a kind, as a gap in the events, always is.
    pub(super) fn has(self, name: &str) -> bool {
        match WORDS.iter().position(|word| *word == name) {
            Some(place) => self.0 & (1 << place) != 0,
            None => true,
        }
    }
}

impl TryFrom<Vec<String>> for Kinds {
    type Error = NoKinds;

    fn try_from(words: Vec<String>) -> Result<Self, NoKinds> {
        let mut kinds = 0;
        for given in &words {
            let place = WORDS.iter().position(|word| word == given).ok_or(NoKinds)?;
            kinds |= 1 << place;
        }
        match kinds {
            0 => Err(NoKinds),
            kinds => Ok(Self(kinds)),
        }
    }
}

impl From<Kinds> for Vec<String> {
    fn from(kinds: Kinds) -> Self {
        let words = WORDS.into_iter().filter(|word| kinds.has(word));
        words.map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_words_and_never_none() {
        let read = |json: &str| serde_json::from_str::<Kinds>(json);
        let kinds = read(r#"["chain","stored","chain"]"#).unwrap();
        assert_eq!(serde_json::to_string(&kinds).unwrap(), r#"["stored","chain"]"#);
        assert!(kinds.has_messages() && kinds.has("chain") && !kinds.has("final"));
        assert!(kinds.has("gap"), "what is lost is always said");
        for wrong in ["[]", r#"["gap"]"#, r#"["stored","else"]"#, r#""stored""#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            read(r#"["stored","anchored","final","reorg","chain"]"#).unwrap(),
            Kinds::ALL
        );
    }
}
