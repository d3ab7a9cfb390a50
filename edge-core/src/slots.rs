//! Slots that many want: how many there are in all, and the share of one network.
//!
//! What always holds: no network has more than its share, whatever it asks for, so one client never shuts out the others;
//! memory is bounded by the number of slots.

use std::collections::HashMap;

/// Most requests that wait at one object at a time: each is a request of that object, which takes about 1,000 a second.
pub const MAX_WAITING: u32 = 1_000;

/// Most of them from one network: ten networks at least wait beside each other. An office behind one address has a
/// hundred readers by HTTP at a time; all others read over data channels.
const WAITING_PER_NETWORK: u32 = 100;

/// Why no slot was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSlot {
    /// All slots are taken.
    #[error("{MAX_WAITING} readers follow this stream: come back in a while")]
    Full,
    /// The network has its share.
    #[error("{WAITING_PER_NETWORK} readers of one network follow this stream: come back in a while")]
    Share,
}

/// The slots that are taken.
#[derive(Debug, Default)]
pub struct Slots {
    taken: HashMap<String, u32>,
    total: u32,
}

impl Slots {
    /// Takes a slot for a network.
    pub fn take(&mut self, network: &str) -> Result<(), NoSlot> {
        let of_network = self.taken.get(network).copied().unwrap_or(0);
        if of_network >= WAITING_PER_NETWORK {
            return Err(NoSlot::Share);
        }
        if self.total >= MAX_WAITING {
            return Err(NoSlot::Full);
        }
        self.total += 1;
        self.taken.insert(network.to_owned(), of_network + 1);
        Ok(())
    }

    /// Gives a slot of a network back.
    pub fn give_back(&mut self, network: &str) {
        let Some(taken) = self.taken.get_mut(network) else {
            return;
        };
        self.total = self.total.saturating_sub(1);
        *taken = taken.saturating_sub(1);
        if *taken == 0 {
            self.taken.remove(network);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_never_takes_the_slots_of_all() {
        let mut slots = Slots::default();
        let taken = (0..5_000).filter(|_| slots.take("192.0.2.1").is_ok()).count();
        assert_eq!(taken, WAITING_PER_NETWORK as usize);
        assert_eq!(slots.take("192.0.2.1"), Err(NoSlot::Share));
        assert_eq!(slots.take("192.0.2.2"), Ok(()), "another network has its share");
    }

    #[test]
    fn all_slots_together_are_bounded_and_come_back() {
        let mut slots = Slots::default();
        let networks: Vec<String> = (0..2_000).map(|index| format!("network {index}")).collect();
        let taken = networks.iter().filter(|one| slots.take(one).is_ok()).count();
        assert_eq!(taken, MAX_WAITING as usize);
        assert_eq!(slots.take("late"), Err(NoSlot::Full));
        networks.iter().for_each(|one| slots.give_back(one));
        assert_eq!(slots.take("late"), Ok(()));
        assert_eq!((slots.total, slots.taken.len()), (1, 1));
    }
}
