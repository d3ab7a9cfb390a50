//! The inbox: messages and groups that came by HTTP, kept until the stream's leader has committed them.
//!
//! What always holds:
//! - a message is in the inbox or committed, never both: the commit takes it out, in one transaction;
//! - what waits of a producer follows what is committed of it, without a gap, and in the chain of its groups: what a commit
//!   of something else makes impossible goes with it, so that nothing waits that no leader could commit;
//! - a group waits, is fetched and is committed whole.

use super::error::{LogError, Refusal};
use super::groups::{MAX_PUBLICATION_BYTES, Place, Publication, with_places};
use super::state::{Inbox, ProducerMark, Waiting, WaitingKey};
use super::store::{LogStore, Step};
use streamchain_protocol::ids::{RelayId, Seq};
use streamchain_protocol::limits::{MAX_BATCH_BYTES, MAX_PAYLOAD_BYTES};
use streamchain_protocol::util::SortedMap;
use streamchain_protocol::wire::{Batch, ProducerKey, Record, encode_records};

/// Most messages that wait for one stream's relay: it fetches them within seconds, and each commit meanwhile
/// compares itself with all of them.
pub(crate) const MAX_INBOX_MESSAGES: u64 = 1_024;

/// Most encoded bytes that wait for one stream's relay: 64 of the largest messages.
pub(crate) const MAX_INBOX_BYTES: u64 = 64 * (MAX_PAYLOAD_BYTES + Record::MAX_OVERHEAD) as u64;

/// Most encoded bytes that a relay fetches at once: more would not fit the batch that it becomes.
pub(crate) const MAX_FETCH_BYTES: usize = MAX_BATCH_BYTES - MAX_PUBLICATION_BYTES;

impl Inbox {
    /// Takes a message or group in.
    pub(super) fn add<S: LogStore>(&mut self, store: &S, publication: &Publication<'_>) -> Step<(), S> {
        let records = encode_records(publication.records);
        let (count, bytes) = (publication.records.len() as u64, records.len() as u64);
        if self.messages + count > MAX_INBOX_MESSAGES || self.bytes + bytes > MAX_INBOX_BYTES {
            return Err(Refusal::InboxFull(self.messages).into());
        }
        let waiting = Waiting {
            position: self.next,
            key: WaitingKey {
                producer: publication.producer,
                first: publication.first,
                count,
                previous: publication.previous(),
                bytes,
            },
            digest: publication.digest(),
            records,
        };
        self.messages += count;
        self.bytes += bytes;
        self.next += count;
        store.put_waiting(&waiting).map_err(LogError::Store)
    }

    /// Returns what waits, oldest first, as encoded records: about [`MAX_FETCH_BYTES`] at most. Groups are left out where
    /// the leader can't read them.
    pub(super) fn records<S: LogStore>(&self, store: &S, takes_groups: bool) -> Result<Vec<u8>, S::Error> {
        if self.messages == 0 {
            return Ok(Vec::new());
        }
        let mut rows = store.waiting(MAX_FETCH_BYTES)?;
        rows.retain(|row| takes_groups || row.digest.is_none());
        Ok(rows.into_iter().flat_map(|row| row.records).collect())
    }

    /// Takes out what a commit of `relay` stores, and what it makes impossible; remembers the seqs for those who ask again.
    /// `marks` is how far each producer of the batch is with it.
    pub(super) fn take_committed<S: LogStore>(
        &mut self,
        store: &S,
        relay: &RelayId,
        batch: &Batch,
        marks: &SortedMap<ProducerKey, ProducerMark>,
    ) -> Result<(), S::Error> {
        let waiting = match self.messages {
            0 => Vec::new(),
            _ => store.waiting_keys()?,
        };
        let is_edge = relay.is_edge();
        if !is_edge && waiting.is_empty() {
            return Ok(());
        }
        for (seq, (record, place)) in (batch.first.0..).zip(with_places(&batch.records)) {
            let (producer, producer_seq) = (record.producer_key(), record.producer_seq);
            let waited = |one: &WaitingKey| one.producer == producer && one.first == producer_seq;
            if place != Place::Inside && (is_edge || waiting.iter().any(waited)) {
                store.put_producer_seq(producer, producer_seq, Seq(seq))?;
            }
        }
        for (producer, mark) in marks.entries() {
            let own = waiting.iter().filter(|one| one.producer == *producer);
            self.drop_passed(store, own, *mark)?;
        }
        Ok(())
    }

    /// Drops what waits of one producer, given in order, and does not follow how far the producer is now.
    fn drop_passed<'a, S: LogStore>(
        &mut self,
        store: &S,
        waiting: impl Iterator<Item = &'a WaitingKey>,
        mark: ProducerMark,
    ) -> Result<(), S::Error> {
        let mut follows = false;
        for one in waiting {
            // Each of the next ones follows the one before it.
            follows |= one.first == mark.last + 1 && one.previous == mark.digest;
            if !follows {
                store.drop_waiting(one.producer, one.first)?;
                self.messages = self.messages.saturating_sub(one.count);
                self.bytes = self.bytes.saturating_sub(one.bytes);
            }
        }
        Ok(())
    }
}
