//! Names and numbers that identify things: each a type of its own, so that one can't pass for another.

use alloy_primitives::{Address, B256, hex, keccak256};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a text is not the id it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is not a stream name.
    #[error("stream name {0:?}: expected 1 to 64 characters of a-z 0-9 . _ -, the first a letter or digit")]
    StreamName(String),
    /// The text is not a relay id.
    #[error("relay id {0:?}: expected 1 to 32 characters of a-z 0-9 -, the first a letter or digit")]
    RelayId(String),
    /// The text has another length or other digits than the id.
    #[error("{what} {given:?}: expected {chars} hexadecimal digits")]
    Hex {
        /// The kind of id that was expected.
        what: &'static str,
        /// The text, cut to 80 characters.
        given: String,
        /// How many digits were expected.
        chars: usize,
    },
}

/// Cut for error messages: the text came from outside and may be long.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Returns whether `text` has 1 to `max` characters, begins with a letter or digit and holds only those and `more`.
fn is_label(text: &str, max: usize, more: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= max
        && bytes.first().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || more.contains(byte))
}

/// A stream's name: `[a-z0-9][a-z0-9._-]{0,63}`, or the system's own with a leading `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamName(String);

impl StreamName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the name is the system's own (`_audit` …); nobody else may write there.
    pub fn is_system(&self) -> bool {
        self.0.starts_with('_')
    }

    /// `keccak256(name)`, as the contract takes it.
    pub fn hash(&self) -> B256 {
        keccak256(self.0.as_bytes())
    }
}

impl FromStr for StreamName {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let own = text.strip_prefix('_').unwrap_or(text);
        if text.len() <= 64 && is_label(own, 64, b"._-") {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::StreamName(shown(text)))
        }
    }
}

/// A relay's id: `[a-z0-9][a-z0-9-]{0,31}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelayId(String);

impl RelayId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id under which the edge itself leads a stream that no relay leads. No relay registers under it.
    pub fn edge() -> Self {
        Self("edge".to_owned())
    }

    /// Returns whether this is the edge itself.
    pub fn is_edge(&self) -> bool {
        self.0 == "edge"
    }
}

impl FromStr for RelayId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if is_label(text, 32, b"-") {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::RelayId(shown(text)))
        }
    }
}

/// How serde reads and writes an id: as its text.
macro_rules! as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
as_text!(StreamName);

impl fmt::Display for RelayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
as_text!(RelayId);

/// `bytes` hexadecimal digits of `N` bytes, with or without `0x`.
fn parse_hex<const N: usize>(what: &'static str, text: &str) -> Result<[u8; N], IdError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut out = [0; N];
    if digits.len() == 2 * N && hex::decode_to_slice(digits, &mut out).is_ok() {
        Ok(out)
    } else {
        Err(IdError::Hex {
            what,
            given: shown(text),
            chars: 2 * N,
        })
    }
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Lower-case hexadecimal digits without a prefix.
            pub fn to_hex(&self) -> String {
                hex::encode(self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.to_hex())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.to_hex())
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex($what, text).map(Self)
            }
        }
        as_text!($name);
    };
}

byte_id!(
    /// Identifies a relay's key without revealing it: another master secret gives the relay a key of another id.
    RelayKeyId, 8, "relay key id", ""
);
byte_id!(
    /// A stream's id on chain: `keccak256(abi.encode(owner, keccak256(name)))`.
    StreamId, 32, "stream id", "0x"
);
byte_id!(
    /// The first 20 bytes of a [`StreamId`]: as hard to collide as an Ethereum address, and short enough for
    /// the session token. It names the stream's Durable Object and routes every request.
    ShortId, 20, "short stream id", "0x"
);
byte_id!(
    /// One client's peer connection; random, so that it can't be guessed.
    SessionId, 8, "session id", ""
);
byte_id!(
    /// An API key of an account; its secret is another part of the key.
    KeyId, 8, "key id", ""
);
byte_id!(
    /// A webhook of a stream.
    WebhookId, 8, "webhook id", ""
);
byte_id!(
    /// A publisher, which numbers its messages; random, chosen by the client.
    ProducerId, 16, "producer id", ""
);
byte_id!(
    /// One run of a relay process; random at its start, so that a restarted relay is not taken for its
    /// predecessor.
    Incarnation, 8, "incarnation", ""
);

impl ShortId {
    /// The id of no stream: in a notice it stands for every stream.
    pub const EVERY: Self = Self([0; Self::LEN]);
}

impl StreamId {
    /// Returns the id of `owner`'s stream called `name`.
    pub fn of(owner: Address, name: &StreamName) -> Self {
        let mut encoded = [0; 64];
        encoded[12..32].copy_from_slice(owner.as_slice());
        encoded[32..].copy_from_slice(name.hash().as_slice());
        Self(keccak256(encoded).0)
    }

    /// Returns the id's first 20 bytes.
    pub fn short(&self) -> ShortId {
        let mut short = [0; ShortId::LEN];
        short.copy_from_slice(&self.0[..ShortId::LEN]);
        ShortId(short)
    }

    /// Returns the id as a 32-byte word, as the contract takes it.
    pub fn word(&self) -> B256 {
        B256::from(self.0)
    }
}

/// A stream as a URL names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamRef {
    /// The operator's stream of this name.
    Name(StreamName),
    /// `0x` and 64 digits.
    Id(StreamId),
    /// `0x` and 40 digits.
    Short(ShortId),
}

impl FromStr for StreamRef {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match (text.starts_with("0x"), text.len()) {
            (true, 66) => text.parse().map(Self::Id),
            (true, 42) => text.parse().map(Self::Short),
            _ => text.parse().map(Self::Name),
        }
    }
}

impl fmt::Display for StreamRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name.as_str()),
            Self::Id(id) => id.fmt(f),
            Self::Short(short) => short.fmt(f),
        }
    }
}

impl StreamRef {
    /// Returns the short id, which routes to the stream's object, given the operator who owns the named streams.
    pub fn short(&self, operator: Address) -> ShortId {
        match self {
            Self::Name(name) => StreamId::of(operator, name).short(),
            Self::Id(id) => id.short(),
            Self::Short(short) => *short,
        }
    }
}

/// A session with its stream, as `/v1/sessions/{id}` names it: 40 and 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRef {
    /// The stream that the session is of.
    pub stream: ShortId,
    /// The session.
    pub session: SessionId,
}

impl fmt::Display for SessionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.stream.to_hex(), self.session.to_hex())
    }
}

impl FromStr for SessionRef {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let all: [u8; ShortId::LEN + SessionId::LEN] = parse_hex("session", text)?;
        let (mut stream, mut session) = ([0; ShortId::LEN], [0; SessionId::LEN]);
        stream.copy_from_slice(&all[..ShortId::LEN]);
        session.copy_from_slice(&all[ShortId::LEN..]);
        Ok(Self {
            stream: ShortId(stream),
            session: SessionId(session),
        })
    }
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl $name {
            /// Returns the number after this one.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
    };
}
counter!(
    /// A message's number in its stream: 0, 1, 2 … without gaps.
    Seq
);
counter!(
    /// A stream's fencing number; it grows whenever another run of a relay acquires the stream.
    Epoch
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_name_has_1_to_64_plain_characters() {
        for good in ["a", "0", "demo", "a.b_c-d", "_audit", &"x".repeat(64)] {
            assert!(good.parse::<StreamName>().is_ok(), "{good} should be taken");
        }
        for bad in [
            "",
            "_",
            "-",
            "-a",
            ".a",
            "A",
            "ä",
            "a b",
            "a%20b",
            "%C3%A4",
            "0x12zz__%",
            "a/b",
            "__a",
            &"x".repeat(65),
            "a\n",
        ] {
            assert!(bad.parse::<StreamName>().is_err(), "{bad:?} should be refused");
        }
        assert!("_audit".parse::<StreamName>().is_ok_and(|name| name.is_system()));
    }

    #[test]
    fn a_stream_reference_is_a_name_an_id_or_a_short_id() {
        let owner = Address::repeat_byte(7);
        let name: StreamName = "demo".parse().unwrap();
        let id = StreamId::of(owner, &name);
        for text in ["demo".to_owned(), id.to_string(), id.short().to_string()] {
            let parsed: StreamRef = text.parse().unwrap();
            assert_eq!(parsed.short(owner), id.short(), "{text}");
        }
        assert!(
            "0xzz".parse::<StreamRef>().is_ok(),
            "a short 0x… text is a name like any other"
        );
        assert!(format!("0x{}", "g".repeat(64)).parse::<StreamRef>().is_err());
    }

    #[test]
    fn a_session_reference_survives_its_own_text() {
        let given = SessionRef {
            stream: ShortId([1; 20]),
            session: SessionId([2; 8]),
        };
        assert_eq!(given.to_string().parse(), Ok(given));
        assert!("12".parse::<SessionRef>().is_err());
    }
}
