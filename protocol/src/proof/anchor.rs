//! Where an anchor is on chain, and how sure the chain is of it.

use crate::ids::Seq;
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// An anchor: the run of messages that it covers, the transaction that emitted it, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorRef {
    /// First seq of the run.
    pub first: Seq,
    /// Messages in the run.
    pub count: u64,
    /// The root that was emitted.
    pub root: B256,
    /// The transaction that emitted it.
    pub tx: B256,
    /// Number of the transaction's block.
    pub block: u64,
    /// How sure the anchor is.
    pub state: AnchorState,
}

impl AnchorRef {
    /// Returns the seq behind the run's last message.
    pub fn end(&self) -> Seq {
        Seq(self.first.0.saturating_add(self.count))
    }
}

/// How sure an anchor or a chain event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum AnchorState {
    /// It is in a block that a reorganisation may still take back.
    Anchored = 0,
    /// It is in a block that the chain has finalized.
    Final = 1,
    /// A reorganisation took it back; it will be sent again.
    Reverted = 2,
}

impl AnchorState {
    /// Returns the state of an event in a block that the chain has finalized or not.
    pub fn of(is_final: bool) -> Self {
        if is_final { Self::Final } else { Self::Anchored }
    }

    /// Returns the state's word in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anchored => "anchored",
            Self::Final => "final",
            Self::Reverted => "reverted",
        }
    }

    /// Reads the word of [`Self::as_str`].
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Anchored, Self::Final, Self::Reverted]
            .into_iter()
            .find(|state| state.as_str() == word)
    }

    /// Reads the number of a state in frames.
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        [Self::Anchored, Self::Final, Self::Reverted]
            .into_iter()
            .find(|state| *state as u64 == number)
    }
}
