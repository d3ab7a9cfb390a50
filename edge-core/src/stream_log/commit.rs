//! Commits: a batch becomes part of the stream, whole or not at all.
//!
//! What always holds: batches follow each other without a gap; the messages of a producer are committed in the order of
//! their producer_seq, each once, beginning with 0.

use super::error::{LogError, Refusal};
use super::state::{CommittedBatch, LastBatch, LogState};
use super::store::{LogStore, Step};
use alloy_primitives::keccak256;
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::limits::MAX_BATCH_BYTES;
use streamchain_protocol::util::SortedMap;
use streamchain_protocol::wire::{Batch, Committed, ProducerKey, encode_records};

/// Most encoded bytes that a stream keeps while the database can't be written: about five minutes of a stream at
/// 1 MB/s. Beyond it batches are refused and publishers wait, so the object's memory and disk stay bounded.
pub(crate) const MAX_BACKLOG_BYTES: u64 = 256 * 1024 * 1024;

/// Commits a batch of the leader. The retry of the last batch is answered like the first time.
pub(super) fn commit<S: LogStore>(
    state: &mut LogState,
    store: &S,
    relay: &RelayId,
    batch: &Batch,
) -> Step<Committed, S> {
    state.check_leader(relay, batch.epoch)?;
    let records = encode_records(&batch.records);
    if records.len() > MAX_BATCH_BYTES {
        return Err(Refusal::TooLarge(records.len()).into());
    }
    let last = LastBatch {
        epoch: batch.epoch,
        first: batch.first,
        digest: keccak256(&records),
    };
    if state.last_batch != Some(last) {
        if batch.first != state.head {
            let (given, expected) = (batch.first, state.head);
            return Err(Refusal::Gap { given, expected }.into());
        }
        if state.backlog > MAX_BACKLOG_BYTES {
            return Err(Refusal::Backlog(state.backlog).into());
        }
        for (producer, producer_seq) in producers_after(store, batch)? {
            store
                .put_producer(producer, producer_seq)
                .map_err(LogError::Store)?;
        }
        state
            .inbox
            .take_committed(store, relay, batch)
            .map_err(LogError::Store)?;
        state.head = batch.end();
        state.backlog += records.len() as u64;
        state.last_batch = Some(last);
        let batch = CommittedBatch {
            first: batch.first,
            count: batch.records.len() as u64,
            records,
        };
        store.add_batch(&batch).map_err(LogError::Store)?;
    }
    Ok(Committed {
        committed: state.head,
        waiting: state.inbox.messages,
    })
}

/// Returns each producer's last producer_seq after the batch, if each follows the one before.
fn producers_after<S: LogStore>(store: &S, batch: &Batch) -> Step<SortedMap<ProducerKey, u64>, S> {
    let mut after = SortedMap::default();
    for record in &batch.records {
        let producer = record.producer_key();
        let stored = match after.get(&producer) {
            Some(stored) => Some(*stored),
            None => store.producer(producer).map_err(LogError::Store)?,
        };
        let given = record.producer_seq;
        if given != stored.map_or(0, |stored| stored + 1) {
            return Err(Refusal::ProducerConflict {
                producer: producer.id,
                given,
                stored,
            }
            .into());
        }
        after.insert(producer, given);
    }
    Ok(after)
}
