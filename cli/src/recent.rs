//! A map with a bound: where it is full, the entry that was used longest ago makes room for a new one.
//!
//! What always holds: an entry goes only when another one is new; each entry has a place of its own in the order of uses.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The entries that were used last.
pub(crate) struct Recent<K, V> {
    max: usize,
    /// Each value, and which use was its last one.
    entries: HashMap<K, (V, u64)>,
    order: BTreeMap<u64, K>,
    uses: u64,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// Returns an empty map for at most so many entries, at least one.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max: max.max(1),
            entries: HashMap::new(),
            order: BTreeMap::new(),
            uses: 0,
        }
    }

    /// Returns the value of a key, which counts as a use of it.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        let (value, last) = self.entries.get_mut(key)?;
        self.order.remove(last);
        self.uses += 1;
        *last = self.uses;
        self.order.insert(self.uses, key.clone());
        Some(value)
    }

    /// Sets the value of a key, which counts as a use of it.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if !self.entries.contains_key(&key)
            && self.entries.len() >= self.max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.uses += 1;
        if let Some((_, last)) = self.entries.insert(key.clone(), (value, self.uses)) {
            self.order.remove(&last);
        }
        self.order.insert(self.uses, key);
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (value, last) = self.entries.remove(key)?;
        self.order.remove(&last);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let mut recent = Recent::new(3);
        for key in 0..3 {
            recent.insert(key, key);
        }
        assert_eq!(recent.get(&0), Some(&0));
        recent.insert(1, 10);
        recent.insert(3, 3);
        assert_eq!(recent.get(&2), None, "nobody used it since");
        assert_eq!([0, 1].map(|key| recent.get(&key).copied()), [Some(0), Some(10)]);
        assert_eq!((recent.entries.len(), recent.order.len()), (3, 3));
    }

    #[test]
    fn one_that_is_known_needs_no_room() {
        let mut recent = Recent::new(2);
        recent.insert(0, 0);
        recent.insert(1, 1);
        for value in 2..5 {
            recent.insert(1, value);
        }
        assert_eq!([0, 1].map(|key| recent.get(&key).copied()), [Some(0), Some(4)]);
        assert_eq!(recent.remove(&1), Some(4));
        assert_eq!((recent.entries.len(), recent.order.len()), (1, 1));
    }
}
