//! A map of few entries: a list in the order of its keys.
//!
//! For up to some thousand small entries it is as quick as a `BTreeMap`, which costs the edge Worker ten kilobytes of
//! code for every pair of types; this one costs one kilobyte.

/// Entries, each with another key, in the order of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortedMap<K, V> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        let entries = Vec::new();
        Self { entries }
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// Returns the place of a key, or as an error the place where it would be.
    fn place(&self, key: &K) -> Result<usize, usize> {
        self.entries.binary_search_by(|(one, _)| one.cmp(key))
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let place = self.place(key).ok()?;
        self.entries.get(place).map(|(_, value)| value)
    }

    /// Returns the value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.place(key).ok()?;
        self.entries.get_mut(place).map(|(_, value)| value)
    }

    /// Returns the value of a key. Where there is none, the default is put there first.
    pub fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let place = self.place(&key).unwrap_or_else(|place| {
            self.entries.insert(place, (key, V::default()));
            place
        });
        #[allow(
            clippy::indexing_slicing,
            reason = "the key was found at this place, or put there just now"
        )]
        &mut self.entries[place].1
    }

    /// Puts a value at a key; returns the one that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(place) => self
                .entries
                .get_mut(place)
                .map(|entry| std::mem::replace(&mut entry.1, value)),
            Err(place) => {
                self.entries.insert(place, (key, value));
                None
            }
        }
    }

    /// Removes a key; returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.place(key).ok()?;
        Some(self.entries.remove(place).1)
    }

    /// Returns the entries, in order.
    pub fn entries(&self) -> &[(K, V)] {
        &self.entries
    }

    /// Returns the entries below a key, in order.
    pub fn below(&self, key: &K) -> &[(K, V)] {
        let end = self.place(key).unwrap_or_else(|place| place);
        self.entries.get(..end).unwrap_or_default()
    }

    /// Returns the entries at a key and above, in order.
    pub fn from(&self, key: &K) -> &[(K, V)] {
        self.entries.get(self.below(key).len()..).unwrap_or_default()
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn entries(map: &BTreeMap<u8, u16>) -> Vec<(u8, u16)> {
        map.iter().map(|(key, value)| (*key, *value)).collect()
    }

    proptest! {
        #[test]
        fn it_does_what_a_tree_does(steps: Vec<(u8, u8, u16)>) {
            let (mut map, mut tree) = (SortedMap::default(), BTreeMap::new());
            for (what, key, value) in steps {
                match what % 4 {
                    0 | 1 => prop_assert_eq!(map.insert(key, value), tree.insert(key, value)),
                    2 => prop_assert_eq!(map.remove(&key), tree.remove(&key)),
                    _ => {
                        *map.or_default(key) ^= value;
                        *tree.entry(key).or_default() ^= value;
                    }
                }
                prop_assert_eq!(map.get(&key), tree.get(&key));
                prop_assert_eq!(map.get_mut(&value.to_be_bytes()[1]), tree.get_mut(&value.to_be_bytes()[1]));
                prop_assert_eq!(map.entries(), entries(&tree));
                prop_assert_eq!(map.below(&key), entries(&tree.range(..key).map(|(k, v)| (*k, *v)).collect()));
                prop_assert_eq!(map.from(&key), entries(&tree.range(key..).map(|(k, v)| (*k, *v)).collect()));
            }
            prop_assert_eq!(map.into_iter().collect::<Vec<_>>(), entries(&tree));
        }
    }
}
