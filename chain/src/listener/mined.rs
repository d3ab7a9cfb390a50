//! Transactions of our own that are in a block: their receipts say that they have events, whatever a log query says.
//!
//! What always holds: a transaction is here until its events were seen, or its block was read for certain, or went away.

use alloy_primitives::B256;
use streamchain_protocol::util::SortedMap;

use super::ring::Mark;
use crate::journal::{self, Journal, RestoreError};

/// The prefix of this module's rows.
pub(super) const PREFIX: &str = "mined/";
/// Transactions kept at most. One is sent at a time, so there are several only while the chain is read late.
const MAX_MINED: usize = 256;

/// The transactions, by block.
#[derive(Debug, Default)]
pub(super) struct Mined {
    transactions: SortedMap<(u64, B256), B256>,
}

impl Mined {
    /// Takes in one saved row.
    pub(super) fn restore(&mut self, key: &str, value: &str) -> Result<(), RestoreError> {
        let (mark, tx): (Mark, B256) = journal::read(key, value)?;
        self.transactions.insert((mark.number, tx), mark.hash);
        Ok(())
    }

    /// Notes a transaction in a block that is yet to be read. The one in the newest block goes when there are too many.
    pub(super) fn add(&mut self, mark: Mark, tx: B256, journal: &mut Journal) {
        if self.transactions.insert((mark.number, tx), mark.hash) != Some(mark.hash) {
            journal.put(row_key(mark.number, tx), &(mark, tx));
        }
        if self.transactions.entries().len() > MAX_MINED {
            let last = self.transactions.entries().last().map(|(key, _)| *key);
            self.forget(&Vec::from_iter(last), journal);
        }
    }

    /// The transactions in this very block.
    pub(super) fn in_block(&self, mark: Mark) -> Vec<B256> {
        let of_block = self.transactions.entries().iter();
        let of_block = of_block.filter(|((number, _), hash)| (*number, *hash) == (mark.number, mark.hash));
        of_block.map(|((_, tx), _)| *tx).collect()
    }

    /// The transactions in blocks up to this height.
    pub(super) fn up_to(&self, number: u64) -> Vec<(Mark, B256)> {
        let all = self.transactions.entries().iter();
        let below = all.take_while(|((block, _), _)| *block <= number);
        below
            .map(|((number, tx), hash)| {
                let mark = Mark {
                    number: *number,
                    hash: *hash,
                };
                (mark, *tx)
            })
            .collect()
    }

    /// The blocks up to this height were read.
    pub(super) fn settle(&mut self, number: u64, journal: &mut Journal) {
        let gone: Vec<(u64, B256)> = self
            .up_to(number)
            .iter()
            .map(|(mark, tx)| (mark.number, *tx))
            .collect();
        self.forget(&gone, journal);
    }

    /// Drops what is above a block, or everything.
    pub(super) fn cut_above(&mut self, block: Option<u64>, journal: &mut Journal) {
        let all = self.transactions.entries().iter().map(|(key, _)| *key);
        let gone: Vec<(u64, B256)> = all
            .filter(|(number, _)| block.is_none_or(|block| *number > block))
            .collect();
        self.forget(&gone, journal);
    }

    fn forget(&mut self, keys: &[(u64, B256)], journal: &mut Journal) {
        for key in keys {
            self.transactions.remove(key);
            journal.remove(row_key(key.0, key.1));
        }
    }
}

fn row_key(number: u64, tx: B256) -> String {
    format!("{PREFIX}{number:020}/{tx}")
}
