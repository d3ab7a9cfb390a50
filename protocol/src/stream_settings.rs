//! What the owner of a stream chooses: what goes on chain, and who may read and write.

pub use crate::retention::Retention;

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A text is not one of the words of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}")]
pub struct UnknownWord {
    /// The setting.
    pub what: &'static str,
    /// The words that were expected.
    pub expected: &'static str,
}

/// A setting that is one of a few words: in JSON, in queries and in the database alike.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal,
        $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Returns the word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { what: $what, expected: $expected }),
                }
            }
        }
    };
}

words!(
    /// What goes on chain for a stream.
    Mode, "mode", "root, hash or payload",
    /// Merkle roots only.
    #[default]
    Root = "root",
    /// A digest for each message.
    Hash = "hash",
    /// The messages themselves.
    Payload = "payload"
);

words!(
    /// Who may read a stream.
    ReadAccess, "read", "public or private",
    /// Everybody, without credentials.
    #[default]
    Public = "public",
    /// The owner, and members with the right.
    Private = "private"
);

words!(
    /// Who may write to a stream.
    WriteAccess, "write", "open or closed",
    /// Everybody, guests included.
    #[default]
    Open = "open",
    /// The owner, and members with the right.
    Closed = "closed"
);

words!(
    /// How a stream's messages get their anchors. The default is what a row without the setting means: rows of the version
    /// before have none.
    Anchoring, "anchor", "shared or own",
    /// In rounds, one transaction for all streams.
    Shared = "shared",
    /// Each run by an anchor of the stream's own, whose continuity the contract enforces.
    #[default]
    Own = "own"
);

impl Anchoring {
    /// What a new stream has unless its maker or the deployment chooses: rounds cost the same for any number of streams.
    pub const DEFAULT: Self = Self::Shared;

    /// Returns whether it is what rows without the setting mean.
    pub fn is_own(&self) -> bool {
        *self == Self::Own
    }
}

/// Settings that do not go together, or a change that cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsConflict {
    /// The field asks for more on chain than roots, and the stream is anchored in rounds.
    #[error("{0}: mode hash, mode payload and prove need anchor own, and this stream's anchor is shared")]
    NeedsOwn(&'static str),
    /// The stream is anchored in rounds, and stays so.
    #[error("anchor: it is shared, and cannot become own again")]
    StaysShared,
}

impl SettingsConflict {
    /// Returns the name of the field that is refused.
    pub fn field(self) -> &'static str {
        match self {
            Self::NeedsOwn(field) => field,
            Self::StaysShared => "anchor",
        }
    }
}

/// The settings of one stream. [`StreamSettings::default`] is what a new stream has; a row that lacks a setting is read as
/// one of the version before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default = "StreamSettings::of_version_before")]
pub struct StreamSettings {
    /// What goes on chain.
    pub mode: Mode,
    /// Who may read it.
    pub read: ReadAccess,
    /// Who may write to it.
    pub write: WriteAccess,
    /// Whether browsers may also connect to each other directly.
    pub p2p: bool,
    /// Whether its anchors are kept on chain, so that contracts can check messages.
    pub prove: bool,
    /// How its messages get their anchors.
    #[serde(skip_serializing_if = "Anchoring::is_own")]
    pub anchor: Anchoring,
    /// How long the payloads of its messages are kept.
    #[serde(skip_serializing_if = "Retention::is_forever")]
    pub retention: Retention,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            anchor: Anchoring::DEFAULT,
            ..Self::of_version_before()
        }
    }
}

impl StreamSettings {
    /// Returns what a stream has whose row says nothing of settings.
    pub fn of_version_before() -> Self {
        Self {
            mode: Mode::Root,
            read: ReadAccess::Public,
            write: WriteAccess::Open,
            p2p: false,
            prove: false,
            anchor: Anchoring::Own,
            retention: Retention::FOREVER,
        }
    }

    /// Returns the settings with what their maker chose for `anchor`. Without a choice it is what the deployment gives new
    /// streams, and what puts more than roots on chain has anchors of its own.
    #[must_use]
    pub fn anchored_by(self, choice: Option<Anchoring>, of_deployment: Anchoring) -> Self {
        let default = match self.puts_more_than_roots() {
            true => Anchoring::Own,
            false => of_deployment,
        };
        Self {
            anchor: choice.unwrap_or(default),
            ..self
        }
    }

    /// Refuses settings that do not go together. `before` is what the stream has now, or the settings of a new one.
    pub fn check(&self, before: &Self) -> Result<(), SettingsConflict> {
        match (self.anchor, before.anchor) {
            (Anchoring::Shared, _) if self.puts_more_than_roots() => Err(SettingsConflict::NeedsOwn(
                self.gas_field(before).unwrap_or("anchor"),
            )),
            (Anchoring::Own, Anchoring::Shared) => Err(SettingsConflict::StaysShared),
            _ => Ok(()),
        }
    }

    fn puts_more_than_roots(&self) -> bool {
        self.mode != Mode::Root || self.prove
    }

    /// Returns the settings with which only Merkle roots go on chain, whatever the messages are.
    #[must_use]
    pub fn by_root(self) -> Self {
        Self {
            mode: Mode::Root,
            prove: false,
            ..self
        }
    }

    /// Returns the name of the field that asks for more gas than `before` did, if there is one.
    pub fn gas_field(&self, before: &Self) -> Option<&'static str> {
        if self.mode != before.mode && self.mode != Mode::Root {
            return Some("mode");
        }
        (self.prove && !before.prove).then_some("prove")
    }
}

/// Changes to [`StreamSettings`]: what is absent stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsChange {
    /// [`StreamSettings::mode`]
    pub mode: Option<Mode>,
    /// [`StreamSettings::read`]
    pub read: Option<ReadAccess>,
    /// [`StreamSettings::write`]
    pub write: Option<WriteAccess>,
    /// [`StreamSettings::p2p`]
    pub p2p: Option<bool>,
    /// [`StreamSettings::prove`]
    pub prove: Option<bool>,
    /// [`StreamSettings::anchor`]
    pub anchor: Option<Anchoring>,
    /// [`StreamSettings::retention`]
    pub retention: Option<Retention>,
}

impl SettingsChange {
    /// Returns the settings with the changes made.
    pub fn of(self, settings: StreamSettings) -> StreamSettings {
        StreamSettings {
            mode: self.mode.unwrap_or(settings.mode),
            read: self.read.unwrap_or(settings.read),
            write: self.write.unwrap_or(settings.write),
            p2p: self.p2p.unwrap_or(settings.p2p),
            prove: self.prove.unwrap_or(settings.prove),
            anchor: self.anchor.unwrap_or(settings.anchor),
            retention: self.retention.unwrap_or(settings.retention),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_public_open_and_cheap_by_default() {
        let settings: StreamSettings = serde_json::from_str("{}").unwrap();
        let anchor = Anchoring::Own;
        assert_eq!(
            settings,
            StreamSettings {
                anchor,
                ..StreamSettings::default()
            }
        );
        assert_eq!(
            serde_json::to_string(&settings).unwrap(),
            r#"{"mode":"root","read":"public","write":"open","p2p":false,"prove":false}"#
        );
    }

    #[test]
    fn a_row_without_anchor_has_anchors_of_its_own() {
        let of_before: StreamSettings = serde_json::from_str(r#"{"read":"private"}"#).unwrap();
        assert_eq!(of_before.anchor, Anchoring::Own);
        assert_eq!(Anchoring::default(), Anchoring::Own);
        let shared = StreamSettings {
            anchor: Anchoring::Shared,
            ..of_before
        };
        let json = serde_json::to_string(&shared).unwrap();
        assert!(json.ends_with(r#""anchor":"shared"}"#), "{json}");
        assert_eq!(serde_json::from_str::<StreamSettings>(&json).unwrap(), shared);
    }

    #[test]
    fn what_puts_more_than_roots_on_chain_has_own_anchors() {
        use Anchoring::{Own, Shared};
        let settings = |mode, prove, anchor| StreamSettings {
            mode,
            prove,
            anchor,
            ..StreamSettings::default()
        };
        let new = settings(Mode::Root, false, Own);
        for (after, before, refused) in [
            (settings(Mode::Root, false, Shared), new, None),
            (settings(Mode::Hash, true, Own), new, None),
            (settings(Mode::Hash, false, Shared), new, Some("mode")),
            (settings(Mode::Payload, true, Shared), new, Some("mode")),
            (settings(Mode::Root, true, Shared), new, Some("prove")),
            (
                settings(Mode::Hash, false, Shared),
                settings(Mode::Hash, false, Own),
                Some("anchor"),
            ),
            (
                settings(Mode::Root, true, Shared),
                settings(Mode::Root, false, Shared),
                Some("prove"),
            ),
            (
                settings(Mode::Root, false, Own),
                settings(Mode::Root, false, Shared),
                Some("anchor"),
            ),
            (
                settings(Mode::Root, false, Shared),
                settings(Mode::Payload, true, Own),
                None,
            ),
        ] {
            let field = after.check(&before).err().map(SettingsConflict::field);
            assert_eq!(field, refused, "{after:?} after {before:?}");
        }
        for (mode, prove) in [(Mode::Hash, false), (Mode::Payload, false), (Mode::Root, true)] {
            let asked = settings(mode, prove, Shared);
            for usual in [Own, Shared] {
                assert_eq!(asked.anchored_by(None, usual).anchor, Own);
                let refused = asked.anchored_by(Some(Shared), usual);
                assert_eq!(refused.anchor, Shared, "and is refused");
            }
        }
        for usual in [Own, Shared] {
            assert_eq!(new.anchored_by(None, usual).anchor, usual);
            assert_eq!(new.anchored_by(Some(Shared), usual).anchor, Shared);
            assert_eq!(new.anchored_by(Some(Own), usual).anchor, Own);
        }
        assert_eq!(StreamSettings::default().anchor, Shared);
    }

    #[test]
    fn a_word_is_read_as_it_is_written() {
        for mode in [Mode::Root, Mode::Hash, Mode::Payload] {
            assert_eq!(mode.as_str().parse(), Ok(mode));
            assert_eq!(
                serde_json::to_string(&mode).unwrap(),
                format!("{:?}", mode.as_str())
            );
        }
        for read in [ReadAccess::Public, ReadAccess::Private] {
            assert_eq!(read.as_str().parse(), Ok(read));
        }
        for write in [WriteAccess::Open, WriteAccess::Closed] {
            assert_eq!(write.as_str().parse(), Ok(write));
        }
        for anchor in [Anchoring::Shared, Anchoring::Own] {
            assert_eq!(anchor.as_str().parse(), Ok(anchor));
        }
        assert!("Root".parse::<Mode>().is_err());
    }

    #[test]
    fn what_asks_for_gas_is_named_and_what_was_there_is_not() {
        let root = StreamSettings::default();
        let with = |mode, prove| StreamSettings { mode, prove, ..root };
        for (after, before, field) in [
            (root, root, None),
            (with(Mode::Payload, false), root, Some("mode")),
            (with(Mode::Hash, true), root, Some("mode")),
            (with(Mode::Root, true), root, Some("prove")),
            (with(Mode::Payload, true), with(Mode::Payload, true), None),
            (
                with(Mode::Payload, true),
                with(Mode::Payload, false),
                Some("prove"),
            ),
            (with(Mode::Payload, false), with(Mode::Hash, false), Some("mode")),
            (with(Mode::Root, false), with(Mode::Payload, true), None),
        ] {
            assert_eq!(after.gas_field(&before), field, "{after:?} after {before:?}");
        }
        let closed = StreamSettings {
            write: WriteAccess::Closed,
            ..with(Mode::Payload, true)
        };
        let expected = StreamSettings {
            write: WriteAccess::Closed,
            ..root
        };
        assert_eq!(closed.by_root(), expected);
    }

    #[test]
    fn a_change_touches_what_it_names_and_nothing_else() {
        let change: SettingsChange = serde_json::from_str(r#"{"read":"private","prove":true}"#).unwrap();
        let changed = change.of(StreamSettings::default());
        let expected = StreamSettings {
            read: ReadAccess::Private,
            prove: true,
            ..StreamSettings::default()
        };
        assert_eq!(changed, expected);
        assert!(serde_json::from_str::<SettingsChange>(r#"{"owner":"0x"}"#).is_err());
    }
}
