//! What somebody may do with a stream: read it, write to it, manage it.

use super::session_token::SessionRights;
use crate::stream_settings::{ReadAccess, StreamSettings, WriteAccess};
use alloy_primitives::Address;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One thing that may be done with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Its messages, receipts, anchors and events.
    Read,
    /// Publishing to it.
    Write,
    /// Its settings and its members.
    Manage,
}

impl Right {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Manage => "manage",
        }
    }
}

/// A set of [`Right`]s; in JSON a list of words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// None at all.
    pub const NONE: Self = Self(0);
    /// All there are.
    pub const ALL: Self = Self(7);

    /// Those in the list.
    pub fn of(rights: &[Right]) -> Self {
        Self(rights.iter().fold(0, |bits, right| bits | Self::bit(*right)))
    }

    fn bit(right: Right) -> u8 {
        match right {
            Right::Read => 1,
            Right::Write => 2,
            Right::Manage => 4,
        }
    }

    /// Whether `right` is among them.
    pub fn has(self, right: Right) -> bool {
        self.0 & Self::bit(right) != 0
    }

    /// Whether all of `others` are among them.
    pub fn has_all(self, others: Self) -> bool {
        self.and(others) == others
    }

    /// Those that are in both.
    pub fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Those that are in either.
    pub fn or(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// One byte for each set, for storage.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// From [`Rights::bits`]; unknown bits are dropped.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// What a session with these rights may do on the data channel.
    pub fn of_session(self) -> SessionRights {
        SessionRights {
            subscribe: self.has(Right::Read),
            publish: self.has(Right::Write),
        }
    }

    /// The rights, each once.
    pub fn list(self) -> impl Iterator<Item = Right> {
        [Right::Read, Right::Write, Right::Manage]
            .into_iter()
            .filter(move |right| self.has(*right))
    }
}

impl Serialize for Rights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.list())
    }
}

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of(&Vec::deserialize(deserializer)?))
    }
}

/// What decides who may do what with one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Who owns it.
    pub owner: Address,
    /// Its settings.
    pub settings: StreamSettings,
    /// What the one who asks was given as a member.
    pub member: Rights,
}

impl Access {
    /// What `account` may do: everything as the owner or the operator, else what its membership says and what
    /// everybody may.
    pub fn rights(&self, account: Option<Address>, is_operator: bool) -> Rights {
        if is_operator || account == Some(self.owner) {
            return Rights::ALL;
        }
        let mut everybody = Rights::NONE;
        if self.settings.read == ReadAccess::Public {
            everybody = everybody.or(Rights::of(&[Right::Read]));
        }
        if self.settings.write == WriteAccess::Open {
            everybody = everybody.or(Rights::of(&[Right::Write]));
        }
        self.member.or(everybody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(read: ReadAccess, write: WriteAccess, member: &[Right]) -> Access {
        Access {
            owner: Address::repeat_byte(1),
            settings: StreamSettings {
                read,
                write,
                ..StreamSettings::default()
            },
            member: Rights::of(member),
        }
    }

    #[test]
    fn everybody_has_what_the_settings_say_and_members_what_they_were_given() {
        use Right::{Manage, Read, Write};
        let stranger = Some(Address::repeat_byte(9));
        let (public, private) = (ReadAccess::Public, ReadAccess::Private);
        let (open, closed) = (WriteAccess::Open, WriteAccess::Closed);
        let cases: [(Access, &[Right]); 6] = [
            (access(public, open, &[]), &[Read, Write]),
            (access(public, closed, &[]), &[Read]),
            (access(private, open, &[]), &[Write]),
            (access(private, closed, &[]), &[]),
            (access(private, closed, &[Read]), &[Read]),
            (access(public, closed, &[Manage]), &[Read, Manage]),
        ];
        for (access, expected) in cases {
            assert_eq!(access.rights(stranger, false), Rights::of(expected), "{access:?}");
            assert_eq!(access.rights(Some(access.owner), false), Rights::ALL);
            assert_eq!(access.rights(None, true), Rights::ALL);
        }
    }

    #[test]
    fn rights_are_words_in_json_and_survive_storage() {
        let rights: Rights = serde_json::from_str(r#"["write","read","write"]"#).unwrap();
        assert_eq!(serde_json::to_string(&rights).unwrap(), r#"["read","write"]"#);
        assert_eq!(Rights::from_bits(rights.bits()), rights);
        assert_eq!(Rights::from_bits(255), Rights::ALL);
        assert!(serde_json::from_str::<Rights>(r#"["own"]"#).is_err());
    }

    #[test]
    fn a_reading_session_may_not_publish() {
        let session = Rights::of(&[Right::Read]).of_session();
        assert!(session.subscribe && !session.publish);
    }
}
