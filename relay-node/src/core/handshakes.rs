//! The connections whose DTLS handshake is not done: nobody has proven anything there but that the edge signed a token.
//!
//! What always holds: there are never more than [`MAX_HANDSHAKES`], and no network has more than
//! [`MAX_NETWORK_HANDSHAKES`]. Where there is no room, a handshake makes way for another: the oldest of the network that has
//! most, if it has more than the newcomer's, or one that takes longer than an honest one would. So networks that leave
//! handshakes half done can't keep others out, however many they are. A session that is connected is none of these.

use crate::core::keys::PeerKey;
use crate::core::limits::{HANDSHAKE_GRACE, MAX_HANDSHAKES, MAX_NETWORK_HANDSHAKES};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;
use streamchain_protocol::util::Network;

/// Whether one more handshake may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Free,
    /// Once this one is ended.
    InPlaceOf(PeerKey),
    Full,
}

/// Handshakes by network, and when each of them began. Keys grow, so that the smallest is the oldest.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    of: HashMap<Network, BTreeMap<PeerKey, Instant>>,
    count: usize,
}

impl Handshakes {
    /// Whether `network` may begin one more handshake at `now`.
    pub(crate) fn room(&self, network: Network, now: Instant) -> Room {
        let own = self.of.get(&network).map_or(0, BTreeMap::len);
        if own >= MAX_NETWORK_HANDSHAKES {
            return Self::oldest(self.of.get(&network))
                .map_or(Room::Full, |oldest| Self::if_slow(oldest, now));
        }
        if self.count < MAX_HANDSHAKES {
            return Room::Free;
        }
        // Networks with equally many: the one with the oldest handshake, so that the answer is always the same.
        let largest = self.of.values().max_by_key(|all| {
            let oldest = Self::oldest(Some(all)).map(|(key, _)| key);
            (all.len(), std::cmp::Reverse(oldest))
        });
        match (largest, Self::oldest(largest)) {
            (Some(all), Some((key, _))) if all.len() > own + 1 => Room::InPlaceOf(key),
            (_, Some(oldest)) => Self::if_slow(oldest, now),
            _ => Room::Full,
        }
    }

    fn oldest(all: Option<&BTreeMap<PeerKey, Instant>>) -> Option<(PeerKey, Instant)> {
        all?.first_key_value().map(|(key, began)| (*key, *began))
    }

    fn if_slow((key, began): (PeerKey, Instant), now: Instant) -> Room {
        match now.saturating_duration_since(began) >= HANDSHAKE_GRACE {
            true => Room::InPlaceOf(key),
            false => Room::Full,
        }
    }

    /// Counts a handshake that begins.
    pub(crate) fn begin(&mut self, network: Network, key: PeerKey, now: Instant) {
        if self.of.entry(network).or_default().insert(key, now).is_none() {
            self.count += 1;
        }
    }

    /// Counts a handshake that is done, or over.
    pub(crate) fn end(&mut self, network: Network, key: PeerKey) {
        let Some(all) = self.of.get_mut(&network) else {
            return;
        };
        if all.remove(&key).is_some() {
            self.count -= 1;
        }
        if all.is_empty() {
            self.of.remove(&network);
        }
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
#[path = "handshakes_tests.rs"]
mod tests;
