//! How many streams of each owner may have a run pending.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::Address;

/// Streams with a pending run at most: five rounds take them all. Each takes about 300 bytes of memory, and 500 while
/// the object starts.
pub const MAX_PENDING_STREAMS: usize = 40_960;
/// The part of [`MAX_PENDING_STREAMS`] that only the operators' own streams may take.
pub const OPERATORS_RESERVE: usize = 8_192;
/// Streams of one owner, who is no operator, with a pending run at most: one round takes so many, so an owner has
/// nothing from more.
pub const MAX_PENDING_STREAMS_OF_OWNER: usize = 8_192;

/// Who has how many streams with a pending run.
#[derive(Debug)]
pub(super) struct Shares {
    operators: BTreeSet<Address>,
    owners: BTreeMap<Address, usize>,
    total: usize,
    foreign: usize,
}

impl Shares {
    /// Nobody has any.
    pub(super) fn new(operators: BTreeSet<Address>) -> Self {
        Self {
            operators,
            owners: BTreeMap::new(),
            total: 0,
            foreign: 0,
        }
    }

    /// How many streams have a pending run.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    fn is_operator(&self, owner: Address) -> bool {
        self.operators.contains(&owner)
    }

    /// Why one more stream of this owner can have no pending run, if it cannot.
    pub(super) fn lack(&self, owner: Address) -> Option<String> {
        let of_owner = self.owners.get(&owner).copied().unwrap_or_default();
        let max_foreign = MAX_PENDING_STREAMS - OPERATORS_RESERVE;
        match self.is_operator(owner) {
            true if self.total < MAX_PENDING_STREAMS => None,
            false if of_owner >= MAX_PENDING_STREAMS_OF_OWNER => Some(format!(
                "{of_owner} streams of {owner} wait for a round: at most {MAX_PENDING_STREAMS_OF_OWNER} may"
            )),
            false if self.foreign < max_foreign => None,
            _ => Some(format!(
                "{} streams wait for a round: there is no room for more",
                self.total
            )),
        }
    }

    /// One more stream of this owner has a pending run.
    pub(super) fn add(&mut self, owner: Address) {
        *self.owners.entry(owner).or_default() += 1;
        self.total += 1;
        self.foreign += usize::from(!self.is_operator(owner));
    }

    /// One stream of this owner has no pending run any more.
    pub(super) fn take(&mut self, owner: Address) {
        if let Some(of_owner) = self.owners.get_mut(&owner) {
            *of_owner = of_owner.saturating_sub(1);
            if *of_owner == 0 {
                self.owners.remove(&owner);
            }
        }
        self.total = self.total.saturating_sub(1);
        let is_foreign = !self.is_operator(owner);
        self.foreign = self.foreign.saturating_sub(usize::from(is_foreign));
    }
}
