//! Commits: a batch becomes part of the stream, whole or not at all.
//!
//! What always holds: batches follow each other without a gap; the messages of a producer are committed in the order of
//! their producer_seq, each once, beginning with 0; signed ones in whole groups ([`super::groups`]).

use super::error::{LogError, Refusal};
use super::groups::follow;
use super::live::{Live, last_batch};
use super::state::{CommittedBatch, ProducerMark};
use super::store::{LogStore, Step};
use streamchain_protocol::ids::RelayId;
use streamchain_protocol::limits::MAX_BATCH_BYTES;
use streamchain_protocol::signed::{GroupWalker, Walked};
use streamchain_protocol::util::SortedMap;
use streamchain_protocol::wire::{Batch, Committed, ProducerKey, Record, encode_records};

/// Most encoded bytes that a stream keeps while the database can't be written: about five minutes of a stream at
/// 1 MB/s. Beyond it batches are refused and publishers wait, so the object's memory and disk stay bounded.
pub(crate) const MAX_BACKLOG_BYTES: u64 = 256 * 1024 * 1024;

/// Commits a batch of the leader. The retry of the last batch is answered like the first time.
pub(super) fn commit<S: LogStore>(
    live: &mut Live,
    store: &S,
    relay: &RelayId,
    batch: &Batch,
) -> Step<Committed, S> {
    let state = &mut live.state;
    state.check_leader(relay, batch.epoch)?;
    let committed = CommittedBatch {
        first: batch.first,
        count: batch.records.len() as u64,
        epoch: batch.epoch,
        records: encode_records(&batch.records),
    };
    let bytes = committed.records.len();
    if bytes > MAX_BATCH_BYTES {
        return Err(Refusal::TooLarge(bytes).into());
    }
    let last = last_batch(&committed);
    if state.last_batch != Some(last) {
        if batch.first != state.head {
            let (given, expected) = (batch.first, state.head);
            return Err(Refusal::Gap { given, expected }.into());
        }
        if state.backlog > MAX_BACKLOG_BYTES {
            return Err(Refusal::Backlog(state.backlog).into());
        }
        let marks = marks_after(live, store, &batch.records)?;
        let state = &mut live.state;
        state
            .inbox
            .take_committed(store, relay, batch, &marks)
            .map_err(LogError::Store)?;
        state.forget_sent_withdrawals();
        live.apply(&committed, last, marks);
        store.add_batch(&committed).map_err(LogError::Store)?;
    }
    let state = &mut live.state;
    Ok(Committed {
        committed: state.head,
        waiting: state.inbox.messages,
        withdrawn: state.send_withdrawals(),
    })
}

/// Checks that each message of a batch follows its producer's messages before it, in whole groups. Returns how far each
/// producer is after the batch.
fn marks_after<S: LogStore>(
    live: &Live,
    store: &S,
    records: &[Record],
) -> Step<SortedMap<ProducerKey, ProducerMark>, S> {
    let mut walker = GroupWalker::new(live.state.id);
    let mut after: SortedMap<ProducerKey, ProducerMark> = SortedMap::default();
    for record in records {
        let producer = record.producer_key();
        let walked = walker.push(record).map_err(Refusal::from)?;
        if walked == Walked::Inside {
            continue;
        }
        let before = match after.get(&producer) {
            Some(mark) => Some(*mark),
            None => live.producer(store, producer).map_err(LogError::Store)?,
        };
        let mark = match &walked {
            Walked::Group(group) => follow(producer, before, Ok(group))?,
            _ => follow(producer, before, Err(record.producer_seq))?,
        };
        after.insert(producer, mark);
    }
    walker.finish().map_err(Refusal::from)?;
    Ok(after)
}
