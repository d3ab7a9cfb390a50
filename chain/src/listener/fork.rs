//! The search for the block at which our chain and the node's part.

use super::ring::Mark;

/// A search by bisection among blocks that we have read.
///
/// What always holds: `fork` is on the node's chain and below all `candidates`; what was above them is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ForkSearch {
    /// Blocks of which it is not known whether they are on the node's chain, oldest first.
    candidates: Vec<Mark>,
    /// The newest block that is known to be on the node's chain.
    fork: Option<Mark>,
}

impl ForkSearch {
    /// Searches among blocks that are given oldest first.
    pub(super) fn new(candidates: Vec<Mark>) -> Self {
        Self {
            candidates,
            fork: None,
        }
    }

    fn middle(&self) -> usize {
        self.candidates.len() / 2
    }

    /// The block to ask for next; `None` when the search is over.
    pub(super) fn next(&self) -> Option<Mark> {
        self.candidates.get(self.middle()).copied()
    }

    /// The search after the node has said whether the block of [`Self::next`] is on its chain.
    pub(super) fn narrowed(mut self, is_on_chain: bool) -> Self {
        let mut upper = self.candidates.split_off(self.middle()).into_iter();
        let asked = upper.next();
        if is_on_chain {
            self.fork = asked;
            self.candidates = upper.collect();
        }
        self
    }

    /// The newest block that is known to be on the node's chain.
    pub(super) fn fork(&self) -> Option<Mark> {
        self.fork
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn every_fork_is_found_with_few_questions() {
        let marks: Vec<Mark> = (0..100)
            .map(|number| Mark {
                number,
                hash: B256::ZERO,
            })
            .collect();
        for on_chain in 0..=100 {
            let mut search = ForkSearch::new(marks.clone());
            let mut questions = 0;
            while let Some(mark) = search.next() {
                search = search.narrowed(mark.number < on_chain);
                questions += 1;
            }
            assert_eq!(search.fork().map(|mark| mark.number), on_chain.checked_sub(1));
            assert!(questions <= 7, "{questions} questions for {on_chain} of 100");
        }
    }
}
