//! What is shown of who signed a message.

use serde_json::{Value, json};
use streamchain_protocol::signed::PublicKey;

/// What was found of a message's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    /// It has none: the operator attests its author.
    No,
    /// The key signed it.
    By { key: PublicKey, voucher: VouchedBy },
}

/// Who vouches for it that a key is the author's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VouchedBy {
    /// The key itself: the author's address is made of it.
    Key,
    /// The author's wallet, by a sign-in.
    Wallet,
    /// The caller of the command, who named the key as the author's.
    Caller,
    /// The operator alone.
    Operator,
}

impl VouchedBy {
    /// The word in JSON lines.
    fn word(self) -> &'static str {
        match self {
            Self::Key => "self",
            Self::Wallet => "wallet",
            Self::Caller => "named",
            Self::Operator => "operator",
        }
    }
}

impl Signed {
    /// Returns the member `signed` of a JSON line.
    pub(crate) fn json(self) -> Value {
        match self {
            Self::No => json!(false),
            Self::By { key, voucher } => json!({ "key": key, "voucher": voucher.word() }),
        }
    }

    /// Returns the word that marks lines of text whose author the operator alone attests; none for the others.
    pub(crate) fn mark(self) -> Option<&'static str> {
        match self {
            Self::No => Some("unsigned"),
            Self::By { voucher, .. } => (voucher == VouchedBy::Operator).then(|| voucher.word()),
        }
    }
}
