//! Messages that come by HTTP instead of a data channel: kept until whoever writes the stream has stored them.
//!
//! What always holds:
//! - a message is in the inbox or stored, never both: the commit that stores it takes it out, in one transaction;
//! - the numbers of a producer that wait follow what is stored of it, without a gap;
//! - while a relay holds the stream only that relay gives seqs: the messages wait for it to fetch them. The edge
//!   writes them itself only under an epoch of its own, so that a relay that comes back late is refused.

use super::{LogError, LogStore, Refusal, Step, StreamLog};
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{Epoch, Incarnation, ProducerId, RelayId, Seq};
use streamchain_protocol::limits::{BATCH_MAX_BYTES, PAYLOAD_MAX_BYTES};
use streamchain_protocol::wire::{Batch, Record, decode_records};

/// Most messages that wait for one stream's relay: it fetches them within seconds, and each commit meanwhile
/// compares itself with all of them.
pub const INBOX_MAX_MESSAGES: u64 = 1_024;

/// Most encoded bytes that wait for one stream's relay: 64 of the largest messages.
pub const INBOX_MAX_BYTES: u64 = 64 * (PAYLOAD_MAX_BYTES + Record::OVERHEAD_MAX) as u64;

/// Most encoded bytes that a relay fetches at once: more would not fit the batch that it becomes.
pub const FETCH_MAX_BYTES: usize = BATCH_MAX_BYTES - (PAYLOAD_MAX_BYTES + Record::OVERHEAD_MAX);

/// How many of a producer's last seqs are remembered, for the answers to retries: more than a client that waits
/// for each answer has under way.
pub const PLACES_PER_PRODUCER: u64 = 16;

/// The run under which the edge holds a stream: there is only one edge.
const OWN_RUN: Incarnation = Incarnation([0; 8]);

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// Messages.
    pub messages: u64,
    /// Their encoded bytes.
    pub bytes: u64,
    /// The place of the next one.
    pub next: u64,
}

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Grows from message to message.
    pub place: u64,
    /// Who numbered it.
    pub producer: ProducerId,
    /// Its number.
    pub number: u64,
    /// The encoded record.
    pub record: Vec<u8>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is stored, as this seq if that is remembered.
    Stored(Option<Seq>),
    /// It waits for this relay.
    Waits(RelayId),
}

impl<S: LogStore> StreamLog<S> {
    /// Takes a message, once: asked again with the same producer and number it tells what became of it.
    pub fn append(&self, record: &Record) -> Step<Appended, S> {
        let (producer, number) = (record.producer, record.producer_seq);
        let stored = self.store.producer(producer).map_err(LogError::Store)?;
        if stored.is_some_and(|stored| number <= stored) {
            let place = self.store.place(producer, number).map_err(LogError::Store)?;
            return Ok(Appended::Stored(place));
        }
        let waiting = self.store.last_waiting(producer).map_err(LogError::Store)?;
        let last = waiting.or(stored);
        let state = self.state()?;
        if last.is_none_or(|last| number > last) {
            if number != last.map_or(0, |last| last + 1) {
                return Err(Refusal::ProducerConflict {
                    producer,
                    given: number,
                    stored: last,
                }
                .into());
            }
            if state.relay_leader().is_none() && state.inbox.messages == 0 {
                self.write(vec![record.clone()])?;
                return Ok(Appended::Stored(Some(state.head)));
            }
            self.put_waiting(record)?;
        }
        if let Some(relay) = state.relay_leader() {
            return Ok(Appended::Waits(relay.clone()));
        }
        self.write_waiting()?;
        let place = self.store.place(producer, number).map_err(LogError::Store)?;
        Ok(Appended::Stored(place))
    }

    fn put_waiting(&self, record: &Record) -> Step<(), S> {
        let mut state = self.state()?;
        let mut encoded = Vec::new();
        record.write(&mut encoded);
        let Inbox { messages, bytes, .. } = state.inbox;
        if messages >= INBOX_MAX_MESSAGES || bytes + encoded.len() as u64 > INBOX_MAX_BYTES {
            return Err(Refusal::InboxFull(messages).into());
        }
        state.inbox.messages += 1;
        state.inbox.bytes += encoded.len() as u64;
        let waiting = Waiting {
            place: state.inbox.next,
            producer: record.producer,
            number: record.producer_seq,
            record: encoded,
        };
        state.inbox.next += 1;
        self.store.put_waiting(&waiting).map_err(LogError::Store)?;
        self.save(&state)
    }

    /// What waits for the relay that holds the stream, oldest first, as encoded records: at most about
    /// [`FETCH_MAX_BYTES`]. Asked under the epoch, so nobody else can store them meanwhile.
    pub fn waiting(&self, relay: &RelayId, epoch: Epoch) -> Step<Vec<u8>, S> {
        let state = self.led_by(relay, epoch)?;
        if state.inbox.messages == 0 {
            return Ok(Vec::new());
        }
        let rows = self.store.waiting(FETCH_MAX_BYTES).map_err(LogError::Store)?;
        Ok(rows.into_iter().flat_map(|row| row.record).collect())
    }

    /// A relay that holds the stream lets it go: nothing of it is unstored there. What waits is then written here.
    pub fn release(&self, relay: &RelayId, epoch: Epoch) -> Step<(), S> {
        let mut state = match self.led_by(relay, epoch) {
            // It was let go before, or somebody else has it.
            Err(LogError::Refused(Refusal::StaleEpoch { .. } | Refusal::NotLeader { .. })) => return Ok(()),
            held => held?,
        };
        state.leader = None;
        self.save(&state)?;
        self.write_waiting()
    }

    /// The relay is dead: if it is still the one that holds the stream, the edge writes what waits for it.
    pub fn take_over(&self, dead: &RelayId) -> Step<(), S> {
        match self.state()?.relay_leader() {
            Some(leader) if leader != dead => Ok(()),
            _ => self.write_waiting(),
        }
    }

    /// Stores all that waits, under an epoch of the edge's own. Only where no living relay holds the stream.
    pub fn write_waiting(&self) -> Step<(), S> {
        let mut left = self.state()?.inbox.messages;
        while left > 0 {
            let rows = self.store.waiting(FETCH_MAX_BYTES).map_err(LogError::Store)?;
            let head = self.state()?.head;
            let bytes: Vec<u8> = rows.into_iter().flat_map(|row| row.record).collect();
            let records = decode_records(&bytes).map_err(|_| LogError::Corrupt(head))?;
            self.write(records)?;
            let now = self.state()?.inbox.messages;
            if now >= left {
                return Err(LogError::Corrupt(head));
            }
            left = now;
        }
        Ok(())
    }

    /// Stores records behind the head, under an epoch of the edge's own.
    fn write(&self, records: Vec<Record>) -> Step<(), S> {
        let edge = RelayId::edge();
        let (epoch, first) = self.grant_epoch(&edge, OWN_RUN)?;
        let batch = Batch {
            epoch,
            first,
            records,
        };
        self.commit(&edge, &batch).map(drop)
    }

    /// Takes what a commit stores out of the inbox, and remembers the seqs for those who ask again.
    pub(super) fn settle(&self, inbox: &mut Inbox, relay: &RelayId, batch: &Batch) -> Step<(), S> {
        let own = relay.is_edge();
        let waiting = match inbox.messages {
            0 => Vec::new(),
            _ => self.store.waiting_keys().map_err(LogError::Store)?,
        };
        if !own && waiting.is_empty() {
            return Ok(());
        }
        for (index, record) in batch.records.iter().enumerate() {
            let (producer, number) = (record.producer, record.producer_seq);
            let waited = waiting.iter().find(|one| one.0 == producer && one.1 == number);
            if let Some((.., bytes)) = waited {
                self.store
                    .drop_waiting(producer, number)
                    .map_err(LogError::Store)?;
                inbox.messages -= 1;
                inbox.bytes -= bytes;
            }
            if own || waited.is_some() {
                let seq = Seq(batch.first.0 + index as u64);
                self.store
                    .put_place(producer, number, seq)
                    .map_err(LogError::Store)?;
            }
        }
        Ok(())
    }
}
