//! A stream as it is: its row, and what was committed since the row was written.
//!
//! What always holds:
//! - a commit writes the batch alone. The row and the rows of the producers, written later, and the batches that they lack
//!   give what is committed: after a restart the batches are applied again, by the function that applied them first;
//! - what is kept in memory was committed, whatever step failed since;
//! - the batches that have to be applied again are bounded, also while nothing can be flushed.

use super::error::LogError;
use super::groups::marks_of;
use super::state::{CommittedBatch, LastBatch, LogState, ProducerMark};
use super::store::{LogStore, Step};
use alloy_primitives::keccak256;
use streamchain_protocol::ids::ProducerId;
use streamchain_protocol::limits::{MAX_BATCH_MESSAGES, MAX_SEGMENT_BYTES};
use streamchain_protocol::util::SortedMap;
use streamchain_protocol::wire::{ProducerKey, decode_records};

/// Most messages whose producers have no row yet: some milliseconds of work for the object that wakes.
const MAX_UNSAVED_MESSAGES: u64 = MAX_BATCH_MESSAGES as u64;

/// Most encoded bytes of batches that are read again by the object that wakes.
const MAX_UNSAVED_BYTES: u64 = MAX_SEGMENT_BYTES as u64;

/// A stream as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Live {
    /// The row, as it would be written now.
    pub(super) state: LogState,
    /// How far each producer got that committed since the producers' rows were written.
    unsaved: SortedMap<ProducerKey, ProducerMark>,
    /// Encoded bytes of the batches since then.
    unsaved_bytes: u64,
    /// How often the two above were changed.
    noted: u64,
}

impl Live {
    /// Returns the stream with all that its rows say.
    pub(super) fn new(state: LogState) -> Self {
        Self {
            state,
            unsaved: SortedMap::default(),
            unsaved_bytes: 0,
            noted: 0,
        }
    }

    /// Returns a number that is another one once anything of producers was noted or written.
    pub(super) fn noted(&self) -> u64 {
        self.noted
    }

    /// Returns the stream with another row.
    pub(super) fn with_state(self, state: LogState) -> Self {
        Self { state, ..self }
    }

    /// Reads the stream's row, and applies the batches that it lacks.
    pub(super) fn load<S: LogStore>(store: &S) -> Step<Option<Self>, S> {
        let Some(state) = store.state().map_err(LogError::Store)? else {
            return Ok(None);
        };
        let mut next = state.unsaved_from.unwrap_or(state.head);
        let mut live = Self::new(state);
        loop {
            let batches = store.batches(next, MAX_SEGMENT_BYTES);
            let batches = batches.map_err(LogError::Store)?;
            let Some(last) = batches.last() else {
                return Ok(Some(live));
            };
            next = last.end();
            for batch in &batches {
                live.apply_again(batch).ok_or(LogError::Corrupt(batch.first))?;
            }
        }
    }

    /// Applies a batch after a restart. `None` when it does not follow what is there, or is none.
    fn apply_again(&mut self, batch: &CommittedBatch) -> Option<()> {
        let marks = marks_of(self.state.id, &decode_records(&batch.records).ok()?)?;
        self.note_producers(marks, batch.records.len());
        match batch.first.cmp(&self.state.head) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => self.state.advance(batch, last_batch(batch)),
            std::cmp::Ordering::Greater => return None,
        }
        Some(())
    }

    /// Applies a batch that is being committed, with how far each of its producers got.
    pub(super) fn apply(
        &mut self,
        batch: &CommittedBatch,
        last: LastBatch,
        marks: SortedMap<ProducerKey, ProducerMark>,
    ) {
        self.note_producers(marks, batch.records.len());
        self.state.advance(batch, last);
    }

    fn note_producers(&mut self, marks: SortedMap<ProducerKey, ProducerMark>, bytes: usize) {
        self.noted += 1;
        for (producer, mark) in marks {
            self.unsaved.insert(producer, mark);
        }
        self.unsaved_bytes += bytes as u64;
    }

    /// Returns how far a producer got with what is committed.
    pub(super) fn producer<S: LogStore>(
        &self,
        store: &S,
        producer: ProducerKey,
    ) -> Result<Option<ProducerMark>, S::Error> {
        match self.unsaved.get(&producer) {
            Some(mark) => Ok(Some(*mark)),
            None => store.producer(producer),
        }
    }

    /// Returns the highest producer_seq committed under the id, whoever is the author.
    pub(super) fn highest_of<S: LogStore>(&self, store: &S, id: ProducerId) -> Result<Option<u64>, S::Error> {
        let unsaved = self.unsaved.entries().iter().filter(|(key, _)| key.id == id);
        let unsaved = unsaved.map(|(_, mark)| mark.last).max();
        Ok(store.highest_of(id)?.max(unsaved))
    }

    /// Returns whether so much would have to be applied again that the rows are to be written now.
    pub(super) fn is_far_ahead(&self) -> bool {
        let from = self.state.unsaved_from.unwrap_or(self.state.head);
        self.state.head.0 - from.0 > MAX_UNSAVED_MESSAGES || self.unsaved_bytes > MAX_UNSAVED_BYTES
    }

    /// Writes the rows of the producers. The stream's row has to be written in the same step.
    pub(super) fn save_producers<S: LogStore>(&mut self, store: &S) -> Result<(), S::Error> {
        self.noted += 1;
        for (producer, mark) in std::mem::take(&mut self.unsaved) {
            store.put_producer(producer, mark)?;
        }
        self.unsaved_bytes = 0;
        self.state.unsaved_from = None;
        Ok(())
    }
}

/// Returns what the retry of a batch is recognized by.
pub(super) fn last_batch(batch: &CommittedBatch) -> LastBatch {
    LastBatch {
        epoch: batch.epoch,
        first: batch.first,
        digest: keccak256(&batch.records),
    }
}
