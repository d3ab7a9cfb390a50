//! How much of a scarce thing each network has.
//!
//! What always holds: no network has more than [`Shares`] lets it, whatever it asks for; and as long as anything is free, a
//! network that has nothing yet gets one.

use std::collections::HashMap;
use streamchain_protocol::util::Network;

/// A network gets one more only while this many times what it has is free. So one network alone gets a ninth of all, the next
/// one a ninth of what is left, and it takes dozens of them to leave nothing to others.
const FREE_FOR_EACH: usize = 8;

/// A network may have this many as long as any is free: one host has a few connections.
const MIN_SHARE: usize = 4;

/// Places that networks share.
#[derive(Debug)]
pub(crate) struct Shares {
    places: usize,
    per_network: usize,
    taken: usize,
    of: HashMap<Network, usize>,
}

impl Shares {
    /// `places` in all, none of them taken.
    pub(crate) fn new(places: usize) -> Self {
        Self::with_share(places, places)
    }

    /// `places` in all, of which no network gets more than `per_network`, however many are free.
    pub(crate) fn with_share(places: usize, per_network: usize) -> Self {
        Self {
            places,
            per_network,
            taken: 0,
            of: HashMap::new(),
        }
    }

    /// Whether a network may take one more place.
    pub(crate) fn has_room(&self, network: Network) -> bool {
        let (own, free) = (self.of(network), self.places.saturating_sub(self.taken));
        let share = (own < MIN_SHARE && free > 0) || own.saturating_mul(FREE_FOR_EACH) < free;
        share && own < self.per_network
    }

    /// Whether all places are taken, whoever asks.
    pub(crate) fn is_full(&self) -> bool {
        self.taken >= self.places
    }

    /// Takes a place; whether there was room.
    pub(crate) fn take(&mut self, network: Network) -> bool {
        let room = self.has_room(network);
        if room {
            self.taken += 1;
            *self.of.entry(network).or_default() += 1;
        }
        room
    }

    /// Gives a place back that was taken.
    pub(crate) fn give_back(&mut self, network: Network) {
        let Some(own) = self.of.get_mut(&network) else {
            return;
        };
        self.taken = self.taken.saturating_sub(1);
        *own = own.saturating_sub(1);
        if *own == 0 {
            self.of.remove(&network);
        }
    }

    /// How many places a network has.
    pub(crate) fn of(&self, network: Network) -> usize {
        self.of.get(&network).copied().unwrap_or(0)
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }
}

#[cfg(test)]
#[path = "shares_tests.rs"]
mod tests;
