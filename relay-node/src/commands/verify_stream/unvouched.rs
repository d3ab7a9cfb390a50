//! Groups whose signature holds, and of whose key nobody but the operator says whose it is.
//!
//! What always holds: such a group counts as attested by the operator alone, as messages without a signature do, and the check goes
//! on behind it. A [`Unvouched::is_forged`] one is a fault: no honest edge stores it, whatever participants do. The others can come
//! about beside an honest edge: a contract wallet may say no to what it said yes to, and a key may be revoked while messages are on
//! their way. If those were faults, any participant could spoil the check of a stream for good.

use super::key_use::KeyUse;
use streamchain_chain::authors::AuthorFault;
use streamchain_protocol::Address;
use streamchain_protocol::ids::Seq;
use streamchain_protocol::proof::AuthorError;
use streamchain_protocol::signed::PublicKey;

/// How many groups are named in the report: a participant can make any number of them.
pub(super) const MAX_NAMED: usize = 10;

/// Why nobody vouches for it that a key is an author's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unvouched {
    /// The edge has none, although it takes no group without one.
    #[error("the edge has no certificate for it")]
    Absent,
    /// It does not vouch for this key of this author, at whatever time.
    #[error("{0}")]
    Invalid(AuthorFault),
    /// It is right, and not for this stream or these times.
    #[error("{0}")]
    Elsewhere(AuthorError),
    /// The chain was asked.
    #[error("on the chain, the author's account does not accept the signature under the certificate")]
    Refused,
    /// The chain was asked, and the node answers other questions.
    #[error("the node has no answer about the author's contract wallet: {0}")]
    Silent(String),
}

impl Unvouched {
    /// Whether only the operator can have brought it about, so that it is a fault whatever the caller requires.
    pub(super) fn is_forged(&self) -> bool {
        matches!(self, Self::Absent | Self::Invalid(_))
    }
}

/// A group that is named in the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedGroup {
    /// The group's last message.
    pub seq: Seq,
    pub author: Address,
    pub key: PublicKey,
    pub reason: Unvouched,
}

/// The groups of a stream for whose keys nobody vouches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UnvouchedGroups {
    pub groups: u64,
    pub messages: u64,
    /// The first ones.
    pub named: Vec<NamedGroup>,
}

impl UnvouchedGroups {
    /// Counts a group.
    pub(super) fn add(&mut self, used: &KeyUse, reason: Unvouched) {
        self.groups += 1;
        self.messages += used.messages;
        if self.named.len() < MAX_NAMED {
            let KeyUse { seq, author, key, .. } = *used;
            self.named.push(NamedGroup {
                seq,
                author,
                key,
                reason,
            });
        }
    }
}
