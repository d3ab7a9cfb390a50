//! Where each producer's chain of groups stands, as far as it was seen in this run.

use super::groups::Fault;
use crate::recent::Recent;
use streamchain_protocol::ids::ProducerId;
use streamchain_protocol::signed::GroupDigest;
use streamchain_protocol::{Address, B256};

/// The producers of one stream that were seen last.
pub(super) struct Chains {
    /// The number behind the last group, and its digest.
    known: Recent<(Address, ProducerId), (u64, B256)>,
}

impl Chains {
    /// Remembers at most so many producers.
    pub(super) fn new(max: usize) -> Self {
        Self {
            known: Recent::new(max),
        }
    }

    /// Checks that a group whose signature holds follows the producer's group before it, if that was seen, and takes it.
    pub(super) fn push(&mut self, group: &GroupDigest) -> Result<(), Fault> {
        let producer = (group.author, group.producer);
        let expected = match self.known.get(&producer) {
            Some(known) => Some(*known),
            None => (group.first == 0).then_some((0, B256::ZERO)),
        };
        if expected.is_some_and(|expected| expected != (group.first, group.previous)) {
            return Err(
                "its group does not follow the producer's group before it: one was left out or changed",
            );
        }
        self.known.insert(producer, (group.end(), group.digest()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamchain_protocol::ids::StreamId;

    fn group(author: u8, first: u64, previous: B256) -> GroupDigest {
        GroupDigest {
            stream: StreamId([1; 32]),
            author: Address::repeat_byte(author),
            producer: ProducerId([2; 16]),
            first,
            count: 2,
            previous,
            root: B256::repeat_byte(3),
        }
    }

    #[test]
    fn a_group_follows_the_one_before_it() {
        let mut chains = Chains::new(10);
        let first = group(1, 4, B256::repeat_byte(9));
        assert_eq!(chains.push(&first), Ok(()), "the ones before it were not seen");
        assert!(chains.push(&first).is_err(), "it comes again");
        assert!(
            chains.push(&group(1, 8, first.digest())).is_err(),
            "one is left out"
        );
        assert!(chains.push(&group(1, 6, B256::ZERO)).is_err());
        assert_eq!(chains.push(&group(1, 6, first.digest())), Ok(()));
        assert!(chains.push(&group(2, 0, B256::repeat_byte(9))).is_err());
    }

    #[test]
    fn guests_that_come_and_go_hide_no_repeated_group() {
        const MAX: usize = 4;
        let mut chains = Chains::new(MAX);
        let first = group(1, 0, B256::ZERO);
        chains.push(&first).unwrap();
        let guest = |number: usize| group(10 + number as u8, 0, B256::ZERO);
        for number in 0..MAX - 1 {
            chains.push(&guest(number)).unwrap();
        }
        assert!(
            chains.push(&first).is_err(),
            "the memory is full, and has the author still"
        );
        let second = group(1, 2, first.digest());
        chains.push(&second).unwrap();
        for number in MAX..2 * MAX - 1 {
            chains.push(&guest(number)).unwrap();
        }
        assert!(
            chains.push(&second).is_err(),
            "the guests before were used longer ago"
        );
    }
}
