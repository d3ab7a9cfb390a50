//! Patterns of stream names: `sensors.*`.

use crate::ids::StreamName;
use std::fmt;
use std::str::FromStr;

/// Names that begin with a text: `sensors.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    prefix: String,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the beginning of a stream's name, of at least one character, with one * behind it")]
pub struct NoPattern;

impl Pattern {
    /// Returns the least name that matches.
    pub fn least(&self) -> &str {
        &self.prefix
    }

    /// Returns a text above all names that match: names have ASCII characters below it.
    pub fn above(&self) -> String {
        format!("{}\u{7f}", self.prefix)
    }
}

impl FromStr for Pattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<Self, NoPattern> {
        let prefix = text.strip_suffix('*').ok_or(NoPattern)?;
        // The beginning of a name is a name itself; the system's own streams are not listed.
        let name: StreamName = prefix.parse().map_err(|_| NoPattern)?;
        match name.is_system() {
            true => Err(NoPattern),
            false => Ok(Self {
                prefix: prefix.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_beginning_of_a_name() {
        let pattern: Pattern = "sensors.*".parse().unwrap();
        let between = |name: &str| pattern.least() <= name && name < pattern.above().as_str();
        for name in ["sensors.", "sensors.a", "sensors.zz-_", "sensors.9"] {
            assert!(between(name), "{name}");
        }
        for name in ["sensors", "sensors-a", "sensor", "sensort", "sensors/a", "t"] {
            assert!(!between(name), "{name}");
        }
    }

    #[test]
    fn other_patterns_are_refused() {
        let long = format!("{}*", "a".repeat(65));
        for text in [
            "",
            "*",
            "sensors",
            "a*b*",
            "*a",
            "A*",
            "_audit*",
            "_*",
            "a%*",
            "a**",
            ".a*",
            long.as_str(),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(NoPattern), "{text}");
        }
    }

    #[test]
    fn a_pattern_is_written_as_it_was_read() {
        assert_eq!("sensors.*".parse::<Pattern>().unwrap().to_string(), "sensors.*");
    }
}
