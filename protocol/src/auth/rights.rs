//! What somebody may do with a stream: read it, write to it, manage it.

use super::session_token::SessionRights;
use crate::stream_settings::{ReadAccess, StreamSettings, WriteAccess};
use alloy_primitives::Address;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One thing that may be done with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// Read its messages, receipts, anchors and events.
    Read,
    /// Publish messages to it.
    Write,
    /// Change its settings and its members.
    Manage,
}

impl Right {
    /// Returns the right's word.
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
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// All rights.
    pub const ALL: Self = Self(7);

    /// Returns the set of the listed rights.
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

    /// Returns whether `right` is in the set.
    pub fn has(self, right: Right) -> bool {
        self.0 & Self::bit(right) != 0
    }

    /// Returns the rights that are in both sets.
    pub fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Returns the rights that are in either set.
    pub fn or(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Returns the set as a byte, for storage.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Returns the set of [`Rights::bits`]; unknown bits are dropped.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Returns what a session with these rights may do on the data channel.
    pub fn of_session(self) -> SessionRights {
        SessionRights {
            subscribe: self.has(Right::Read),
            publish: self.has(Right::Write),
        }
    }

    /// Returns the rights, each once.
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

/// What decides which rights an account has on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The account that the stream belongs to.
    pub owner: Address,
    /// The stream's settings.
    pub settings: StreamSettings,
    /// The rights of the account in question as a member.
    pub member: Rights,
}

impl Access {
    /// Returns the rights of `account`: all of them as the owner or the operator, else those of its membership and
    /// those that everybody has.
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

    /// Returns whether the stream is as if it were not there, for somebody who has these rights on it: it is private, and
    /// they may neither read nor manage it, nor does a membership of theirs say that it is there.
    pub fn is_hidden_from(&self, rights: Rights) -> bool {
        let knows = rights.has(Right::Read) || rights.has(Right::Manage);
        let is_stranger = rights == Rights::NONE || self.member == Rights::NONE;
        self.settings.read == ReadAccess::Private && !knows && is_stranger
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
    fn settings_and_membership_give_rights() {
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
    fn a_private_stream_is_hidden_from_strangers_alone() {
        use Right::{Manage, Read, Write};
        let (public, private) = (ReadAccess::Public, ReadAccess::Private);
        let (open, closed) = (WriteAccess::Open, WriteAccess::Closed);
        let cases: [(Access, &[Right], bool); 8] = [
            (access(private, closed, &[]), &[], true),
            (access(private, open, &[]), &[Write], true),
            (access(private, closed, &[Write]), &[Write], false),
            (access(private, closed, &[Read]), &[Read], false),
            (access(private, closed, &[Manage]), &[Manage], false),
            // A token that is narrowed to other streams, of a member or of the owner.
            (access(private, closed, &[Read]), &[], true),
            (access(public, closed, &[]), &[Read], false),
            (access(public, closed, &[]), &[], false),
        ];
        for (access, rights, hidden) in cases {
            assert_eq!(
                access.is_hidden_from(Rights::of(rights)),
                hidden,
                "{access:?} {rights:?}"
            );
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
