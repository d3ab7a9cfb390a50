//! The owners for whose streams the account pays more than the anchors themselves.

use std::collections::BTreeSet;

use alloy_primitives::Address;

/// The owners whose streams may have digests, messages or stored anchors on chain. The streams of all others are
/// anchored by their roots alone, which costs the same whatever their messages are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GasOwners {
    /// Every owner. Safe only where gas costs nothing.
    All,
    /// These owners.
    Listed(BTreeSet<Address>),
}

/// A text is neither `*` nor a list of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected * or addresses, 0x and 40 hexadecimal digits, with commas between")]
pub struct BadGasOwners;

impl GasOwners {
    /// Reads `*`, or addresses with commas between.
    pub fn parse(text: &str) -> Result<Self, BadGasOwners> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        if parts.clone().any(|part| part == "*") {
            return Ok(Self::All);
        }
        let owners = parts.map(|part| part.parse().map_err(|_| BadGasOwners));
        Ok(Self::Listed(owners.collect::<Result<_, _>>()?))
    }

    /// The same owners and `more`.
    #[must_use]
    pub fn with(self, more: impl IntoIterator<Item = Address>) -> Self {
        match self {
            Self::All => Self::All,
            Self::Listed(mut owners) => {
                owners.extend(more);
                Self::Listed(owners)
            }
        }
    }

    /// Whether the account pays for what this owner's streams put on chain beside their roots.
    pub fn includes(&self, owner: Address) -> bool {
        match self {
            Self::All => true,
            Self::Listed(owners) => owners.contains(&owner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_includes_its_addresses_and_nobody_else() {
        let (one, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let owners = GasOwners::parse(&format!(" {one}, ,{one},")).unwrap();
        assert!(owners.includes(one) && !owners.includes(other));
        assert!(owners.with([other]).includes(other));
        assert!(
            !GasOwners::parse("").unwrap().includes(one),
            "an empty list is nobody"
        );
    }

    #[test]
    fn a_star_anywhere_is_everybody_and_words_are_refused() {
        let one = Address::repeat_byte(1);
        assert!(
            GasOwners::parse(&format!("{one}, *"))
                .unwrap()
                .includes(Address::ZERO)
        );
        assert_eq!(GasOwners::parse("all"), Err(BadGasOwners));
        assert_eq!(GasOwners::parse("0x12"), Err(BadGasOwners));
    }
}
