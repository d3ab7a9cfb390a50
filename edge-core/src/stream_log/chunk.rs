//! Batches in rows of several: small batches share a row, so that dropping what is flushed costs few rows.
//!
//! What always holds: a row's list says where each of its batches ends, so that batches are read as they were committed.

use super::state::CommittedBatch;
use std::fmt::Write;
use streamchain_protocol::ids::{Epoch, Seq};

/// Most encoded bytes of a row that another batch joins: some pages of SQLite, since each commit writes the row's pages.
pub const MAX_CHUNK_BYTES: usize = 16 * 1024;

/// Returns a batch's entry in the list of its row: how many records, how many bytes, which epoch.
pub fn chunk_entry(batch: &CommittedBatch) -> String {
    let mut entry = String::new();
    // Writing to a text does not fail.
    let _ = write!(entry, "{} {} {};", batch.count, batch.records.len(), batch.epoch);
    entry
}

/// Returns the batches of a row that begins at `first`. `None` when the list is not that of these records.
pub fn chunk_batches(first: Seq, entries: &str, records: &[u8]) -> Option<Vec<CommittedBatch>> {
    let (mut first, mut rest, mut batches) = (first, records, Vec::new());
    for entry in entries.split_terminator(';') {
        let mut numbers = entry.split(' ').map(str::parse::<u64>);
        let (count, bytes, epoch) = (
            numbers.next()?.ok()?,
            numbers.next()?.ok()?,
            numbers.next()?.ok()?,
        );
        let (records, behind) = rest.split_at_checked(usize::try_from(bytes).ok()?)?;
        let batch = CommittedBatch {
            first,
            count,
            epoch: Epoch(epoch),
            records: records.to_vec(),
        };
        (first, rest) = (batch.end(), behind);
        batches.push(batch);
    }
    rest.is_empty().then_some(batches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_are_read_as_they_were_joined(
            first in 0..1_000_u64,
            parts in prop::collection::vec((1..9_u64, 0..4_u64, prop::collection::vec(any::<u8>(), 0..20)), 0..10),
        ) {
            let (mut next, mut batches) = (Seq(first), Vec::new());
            let (mut entries, mut all) = (String::new(), Vec::new());
            for (count, epoch, records) in parts {
                let batch = CommittedBatch { first: next, count, epoch: Epoch(epoch), records };
                next = batch.end();
                entries.push_str(&chunk_entry(&batch));
                all.extend(&batch.records);
                batches.push(batch);
            }
            prop_assert_eq!(chunk_batches(Seq(first), &entries, &all), Some(batches.clone()));
            all.push(0);
            prop_assert_eq!(chunk_batches(Seq(first), &entries, &all), None, "bytes that are in no batch");
        }
    }

    #[test]
    fn a_list_of_other_records_is_refused() {
        for entries in [
            "1 2",
            "1;",
            "1 2 x;",
            "1 -1 0;",
            "1 3 0;",
            "1 1 0;",
            ";",
            "1 18446744073709551615 0;",
        ] {
            assert_eq!(chunk_batches(Seq(0), entries, &[1, 2]), None, "{entries}");
        }
    }
}
