//! How long a stream keeps the payloads of its messages.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Longest time that can be set, days: a century; what is to be kept longer is kept for ever.
const MAX_DAYS: u16 = 36_500;

/// How long payloads are kept: a number of days, or for ever. In JSON a number, or the word `forever`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention(u16);

impl Retention {
    /// Payloads stay.
    pub(crate) const FOREVER: Self = Self(0);

    /// Returns the setting of so many days; `None` when they are too many, or none.
    pub fn of_days(days: u64) -> Option<Self> {
        let days = u16::try_from(days).ok()?;
        (1..=MAX_DAYS).contains(&days).then_some(Self(days))
    }

    /// Returns how many days payloads are kept; `None` for ever.
    pub fn days(self) -> Option<u64> {
        (self.0 > 0).then(|| self.0.into())
    }

    /// Returns whether payloads stay.
    pub(crate) fn is_forever(&self) -> bool {
        self.0 == 0
    }
}

impl Serialize for Retention {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.days() {
            Some(days) => serializer.serialize_u64(days),
            None => serializer.serialize_str("forever"),
        }
    }
}

impl<'de> Deserialize<'de> for Retention {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let days = value.as_u64().and_then(Self::of_days);
        let word = (value.as_str() == Some("forever")).then_some(Self::FOREVER);
        let expected =
            || D::Error::custom("retention: expected a number of days from 1 to 36500, or \"forever\"");
        days.or(word).ok_or_else(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_number_of_days_or_a_word() {
        for (text, days) in [("1", Some(1)), ("36500", Some(36_500)), ("\"forever\"", None)] {
            let retention: Retention = serde_json::from_str(text).unwrap();
            assert_eq!(retention.days(), days);
            assert_eq!(serde_json::to_string(&retention).unwrap(), text);
        }
        for wrong in ["0", "36501", "-1", "1.5", "\"never\"", "\"30\"", "null", "[]"] {
            assert!(serde_json::from_str::<Retention>(wrong).is_err(), "{wrong}");
        }
    }
}
