//! What the bench of deliveries compares.

use streamchain_protocol::wire::frame::Abilities;

/// What is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Messages that nobody signed.
    Unsigned,
    /// Signed groups, to subscribers who ask for signatures and take each group as one frame.
    Signed,
    /// Signed groups, to subscribers who ask for signatures as clients of earlier versions do: each message comes by itself.
    SignedInParts,
    /// Signed groups, to subscribers who do not ask.
    SignedUnasked,
}

impl Kind {
    /// Whether subscribers ask for signatures.
    pub(super) fn asks(self) -> bool {
        matches!(self, Self::Signed | Self::SignedInParts)
    }

    /// What subscribers say that they can do.
    pub(super) fn abilities(self) -> Abilities {
        match self {
            Self::Signed => Abilities::TAKES_GROUPS,
            Self::Unsigned | Self::SignedInParts | Self::SignedUnasked => Abilities::default(),
        }
    }
}
