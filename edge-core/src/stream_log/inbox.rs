//! The inbox: messages that came by HTTP, kept until the stream's leader has committed them.
//!
//! What always holds:
//! - a message is in the inbox or committed, never both: the commit takes it out, in one transaction;
//! - the producer_seqs that wait of a producer follow those that are committed, without a gap.

use super::error::{LogError, Refusal};
use super::state::{Inbox, Waiting};
use super::store::{LogStore, Step};
use streamchain_protocol::ids::{RelayId, Seq};
use streamchain_protocol::limits::{MAX_BATCH_BYTES, MAX_PAYLOAD_BYTES};
use streamchain_protocol::wire::{Batch, Record};

/// Most messages that wait for one stream's relay: it fetches them within seconds, and each commit meanwhile
/// compares itself with all of them.
pub(crate) const MAX_INBOX_MESSAGES: u64 = 1_024;

/// Most encoded bytes that wait for one stream's relay: 64 of the largest messages.
pub(crate) const MAX_INBOX_BYTES: u64 = 64 * (MAX_PAYLOAD_BYTES + Record::MAX_OVERHEAD) as u64;

/// Most encoded bytes that a relay fetches at once: more would not fit the batch that it becomes.
pub(crate) const MAX_FETCH_BYTES: usize = MAX_BATCH_BYTES - (MAX_PAYLOAD_BYTES + Record::MAX_OVERHEAD);

impl Inbox {
    /// Takes a message in.
    pub(super) fn add<S: LogStore>(&mut self, store: &S, record: &Record) -> Step<(), S> {
        let mut encoded = Vec::new();
        record.write(&mut encoded);
        let bytes = encoded.len() as u64;
        if self.messages >= MAX_INBOX_MESSAGES || self.bytes + bytes > MAX_INBOX_BYTES {
            return Err(Refusal::InboxFull(self.messages).into());
        }
        let waiting = Waiting {
            position: self.next,
            producer: record.producer_key(),
            producer_seq: record.producer_seq,
            record: encoded,
        };
        self.messages += 1;
        self.bytes += bytes;
        self.next += 1;
        store.put_waiting(&waiting).map_err(LogError::Store)
    }

    /// Returns what waits, oldest first, as encoded records: about [`MAX_FETCH_BYTES`] at most.
    pub(super) fn records<S: LogStore>(&self, store: &S) -> Result<Vec<u8>, S::Error> {
        if self.messages == 0 {
            return Ok(Vec::new());
        }
        let rows = store.waiting(MAX_FETCH_BYTES)?;
        Ok(rows.into_iter().flat_map(|row| row.record).collect())
    }

    /// Takes out what a commit of `relay` stores, and remembers the seqs for those who ask again.
    pub(super) fn take_committed<S: LogStore>(
        &mut self,
        store: &S,
        relay: &RelayId,
        batch: &Batch,
    ) -> Result<(), S::Error> {
        let waiting = match self.messages {
            0 => Vec::new(),
            _ => store.waiting_keys()?,
        };
        let is_edge = relay.is_edge();
        if !is_edge && waiting.is_empty() {
            return Ok(());
        }
        for (seq, record) in (batch.first.0..).zip(&batch.records) {
            let (producer, producer_seq) = (record.producer_key(), record.producer_seq);
            let key = |one: &&(_, u64, u64)| one.0 == producer && one.1 == producer_seq;
            let waited = waiting.iter().find(key);
            if let Some((.., bytes)) = waited {
                store.drop_waiting(producer, producer_seq)?;
                self.messages = self.messages.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(*bytes);
            }
            if is_edge || waited.is_some() {
                store.put_producer_seq(producer, producer_seq, Seq(seq))?;
            }
        }
        Ok(())
    }
}
