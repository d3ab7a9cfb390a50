//! One stream's log: the machine of the Stream object.
//!
//! What always holds:
//! - every seq below `head` is stored exactly once: below `flushed` in a segment of the database, from there on
//!   in a batch kept here (`flushed <= head`);
//! - the numbers of a producer are stored in order, each once, beginning with 0;
//! - an epoch belongs to one run of one relay, and only that run commits under it.
//!
//! Every function of [`StreamLog`] is one step. The owner runs it in one storage transaction: a step that fails leaves
//! nothing behind, so each of them may be tried again.

mod events;
mod inbox;
mod members;
mod outbox;
mod sessions;
mod state;

pub use events::{BadCursor, Cursor, EVENTS_MAX, EVENTS_MAX_BYTES, EventRange, News, StoredEvent};
pub use inbox::{
    Appended, FETCH_MAX_BYTES, INBOX_MAX_BYTES, INBOX_MAX_MESSAGES, Inbox, PLACES_PER_PRODUCER, Waiting,
};
pub use members::MEMBERS_MAX;
pub use outbox::{GATHER_MS, SEGMENTS_PER_FLUSH, Segment, retry_after_ms};
pub use sessions::Session;
pub use state::{LastBatch, Leader, LogState, NewStream, StoredBatch};

use alloy_primitives::{Address, keccak256};
use streamchain_protocol::auth::Rights;
use streamchain_protocol::ids::{Epoch, Incarnation, ProducerId, RelayId, Seq, SessionId, StreamId};
use streamchain_protocol::limits::BATCH_MAX_BYTES;
use streamchain_protocol::proof::{AnchorRef, AnchorState};
use streamchain_protocol::util::SortedMap;
use streamchain_protocol::wire::{Batch, encode_records};
use streamchain_protocol::wire::{Committed, EpochGrant, ProducerState};

/// Most encoded bytes that a stream keeps here while the database can't be written: about five minutes of a
/// stream at 1 MB/s. Beyond it batches are refused and publishers wait, so the object's memory and disk stay
/// bounded.
pub const BACKLOG_MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Where a log keeps its rows. Synchronous, as a Durable Object's SQLite is; writes of one step commit together.
pub trait LogStore {
    /// Why a row could not be read or written.
    type Error;

    /// The stream's row; `None` before [`StreamLog::create`].
    fn state(&self) -> Result<Option<LogState>, Self::Error>;
    /// Writes the stream's row.
    fn put_state(&self, state: &LogState) -> Result<(), Self::Error>;
    /// A producer's last stored number.
    fn producer(&self, producer: ProducerId) -> Result<Option<u64>, Self::Error>;
    /// Sets a producer's last stored number.
    fn put_producer(&self, producer: ProducerId, stored: u64) -> Result<(), Self::Error>;
    /// Keeps a batch.
    fn add_batch(&self, batch: &StoredBatch) -> Result<(), Self::Error>;
    /// The batches with seqs from `from` on, in order: at most [`ROWS_MAX`], and no more once their encoded
    /// bytes reach `max_bytes`.
    fn batches(&self, from: Seq, max_bytes: usize) -> Result<Vec<StoredBatch>, Self::Error>;
    /// Drops the batches that begin below `below`.
    fn drop_batches(&self, below: Seq) -> Result<(), Self::Error>;
    /// Up to `rows` sealed segments, in order.
    fn segments(&self, rows: usize) -> Result<Vec<Segment>, Self::Error>;
    /// Writes a sealed segment; its `first` is its key.
    fn put_segment(&self, segment: &Segment) -> Result<(), Self::Error>;
    /// Drops a sealed segment.
    fn drop_segment(&self, first: Seq) -> Result<(), Self::Error>;
    /// Keeps an event, by its number, and that what it is about, `key`, is in `state` now.
    fn put_event(&self, event: &StoredEvent, key: &str, state: &str) -> Result<(), Self::Error>;
    /// The events above `after`, in order: at most [`ROWS_MAX`], and no more once their JSON reaches `max_bytes`.
    fn events(&self, after: u64, max_bytes: usize) -> Result<Vec<StoredEvent>, Self::Error>;
    /// The state in the newest event about `key`.
    fn last_event(&self, key: &str) -> Result<Option<String>, Self::Error>;
    /// Drops an event.
    fn drop_event(&self, number: u64) -> Result<(), Self::Error>;
    /// Keeps a message that waits for the relay.
    fn put_waiting(&self, waiting: &Waiting) -> Result<(), Self::Error>;
    /// The messages that wait, in the order of their places: no more once their bytes reach `max_bytes`.
    fn waiting(&self, max_bytes: usize) -> Result<Vec<Waiting>, Self::Error>;
    /// Producer, number and encoded bytes of every message that waits.
    fn waiting_keys(&self) -> Result<Vec<(ProducerId, u64, u64)>, Self::Error>;
    /// A producer's highest number that waits.
    fn last_waiting(&self, producer: ProducerId) -> Result<Option<u64>, Self::Error>;
    /// Drops a message that waited.
    fn drop_waiting(&self, producer: ProducerId, number: u64) -> Result<(), Self::Error>;
    /// Remembers a stored message's seq, in place of the one [`PLACES_PER_PRODUCER`] numbers before.
    fn put_place(&self, producer: ProducerId, number: u64, seq: Seq) -> Result<(), Self::Error>;
    /// A stored message's seq, if it is remembered.
    fn place(&self, producer: ProducerId, number: u64) -> Result<Option<Seq>, Self::Error>;
    /// A session.
    fn session(&self, session: SessionId) -> Result<Option<Session>, Self::Error>;
    /// Writes a session.
    fn put_session(&self, session: &Session) -> Result<(), Self::Error>;
    /// Drops a session.
    fn drop_session(&self, session: SessionId) -> Result<(), Self::Error>;
    /// What a member was given.
    fn member(&self, member: Address) -> Result<Option<Rights>, Self::Error>;
    /// All members, in the order of their addresses.
    fn members(&self) -> Result<Vec<(Address, Rights)>, Self::Error>;
    /// Writes what a member is given.
    fn put_member(&self, member: Address, rights: Rights) -> Result<(), Self::Error>;
    /// Drops a member.
    fn drop_member(&self, member: Address) -> Result<(), Self::Error>;
    /// Drops the sessions made before `before`, and the oldest beyond the `keep` newest.
    fn prune_sessions(&self, before: u64, keep: usize) -> Result<(), Self::Error>;
}

/// Why a step was refused: nothing was changed, and the same request will be refused again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The stream was never made.
    #[error("there is no such stream")]
    NoSuchStream,
    /// The epoch is over (or never was).
    #[error("epoch {given} is not the stream's epoch {epoch}: let the stream go")]
    StaleEpoch {
        /// The request's.
        given: Epoch,
        /// The stream's.
        epoch: Epoch,
    },
    /// The stream is assigned to another relay.
    #[error("the stream is assigned to relay {relay}")]
    NotLeader {
        /// The one that has it.
        relay: RelayId,
    },
    /// The batch does not follow what is stored.
    #[error("the batch begins at {given}, but the next message is {expected}")]
    Gap {
        /// The batch's first seq.
        given: Seq,
        /// The stream's head.
        expected: Seq,
    },
    /// A producer's number was stored before, or leaves one out.
    #[error("producer {producer} sent number {given}, but the last one stored is {stored:?}")]
    ProducerConflict {
        /// Whose.
        producer: ProducerId,
        /// The number in the batch.
        given: u64,
        /// The last number stored.
        stored: Option<u64>,
    },
    /// More encoded bytes than one segment takes.
    #[error("the batch has {0} encoded bytes: expected at most 786432")]
    TooLarge(usize),
    /// The database has not taken the older messages yet.
    #[error("{0} bytes wait for the database: send the batch again later")]
    Backlog(u64),
    /// The relay has not fetched the older messages yet.
    #[error("{0} messages wait for the stream's relay: send this one again later")]
    InboxFull(u64),
    /// No such session, or it is over.
    #[error("there is no such session")]
    NoSuchSession,
    /// The session is somebody else's.
    #[error("the session belongs to another author")]
    NotYourSession,
    /// No such member.
    #[error("{0} is no member of the stream")]
    NoSuchMember(Address),
    /// No room for another member.
    #[error("the stream has {MEMBERS_MAX} members: no more are taken")]
    TooManyMembers,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError<E> {
    /// The request does not fit the stream.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What was stored can't be read back.
    #[error("the messages kept from {0} on can't be read")]
    Corrupt(Seq),
    /// The storage failed; the step may be tried again.
    #[error("storage: {0}")]
    Store(E),
}

/// What a step gives.
pub type Step<T, S> = Result<T, LogError<<S as LogStore>::Error>>;

/// The messages that a log keeps itself, and the state they were read under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// How far the stream is: what is below `flushed` is in the database.
    pub state: LogState,
    /// The first record's seq; `head` when there is none.
    pub first: Seq,
    /// Encoded records.
    pub records: Vec<u8>,
}

/// Most batches that one read returns, however small they are.
pub const ROWS_MAX: usize = 1_024;

/// The steps over one stream's rows.
#[derive(Debug)]
pub struct StreamLog<S> {
    store: S,
}

impl<S: LogStore> StreamLog<S> {
    /// Over `store`.
    pub fn new(store: S) -> Self {
        Self { store }
    }

    /// The rows themselves, for what only their owner does with them.
    pub fn rows(&self) -> &S {
        &self.store
    }

    /// The stream's row.
    pub fn state(&self) -> Step<LogState, S> {
        self.store
            .state()
            .map_err(LogError::Store)?
            .ok_or(Refusal::NoSuchStream.into())
    }

    fn save(&self, state: &LogState) -> Step<(), S> {
        self.store.put_state(state).map_err(LogError::Store)
    }

    /// Makes the stream unless it is there; whether it was made.
    pub fn create(&self, new: &NewStream, now_ms: u64) -> Step<(LogState, bool), S> {
        if let Some(state) = self.store.state().map_err(LogError::Store)? {
            return Ok((state, false));
        }
        let state = LogState {
            id: StreamId::of(new.owner, &new.name),
            owner: new.owner,
            name: new.name.clone(),
            settings: new.settings,
            created: now_ms,
            listed: false,
            epoch: Epoch(0),
            leader: None,
            assigned: None,
            head: Seq(0),
            flushed: Seq(0),
            backlog: 0,
            last_batch: None,
            anchored: Seq(0),
            finalized: Seq(0),
            inbox: Inbox::default(),
            events: EventRange::default(),
        };
        self.save(&state)?;
        Ok((state, true))
    }

    /// Grants the epoch to a run of a relay: the same one again to the same run, a higher one to any other.
    pub fn acquire_epoch(&self, relay: &RelayId, incarnation: Incarnation) -> Step<EpochGrant, S> {
        let mut state = self.state()?;
        if let Some(assigned) = state.assigned.as_ref().filter(|assigned| *assigned != relay) {
            return Err(Refusal::NotLeader {
                relay: assigned.clone(),
            }
            .into());
        }
        if state.assigned.is_none() {
            state.assigned = Some(relay.clone());
            self.save(&state)?;
        }
        let (epoch, head) = self.grant_epoch(relay, incarnation)?;
        Ok(EpochGrant {
            stream: state.id,
            name: state.name,
            epoch,
            head,
            waiting: state.inbox.messages,
        })
    }

    /// Gives the stream to a run of a relay, or of the edge itself; its epoch, and the head.
    fn grant_epoch(&self, relay: &RelayId, incarnation: Incarnation) -> Step<(Epoch, Seq), S> {
        let mut state = self.state()?;
        let leader = Leader {
            relay: relay.clone(),
            incarnation,
        };
        if state.leader.as_ref() != Some(&leader) {
            state.epoch = state.epoch.next();
            state.leader = Some(leader);
            self.save(&state)?;
        }
        Ok((state.epoch, state.head))
    }

    /// The state, if `relay` holds it under `epoch`.
    fn led_by(&self, relay: &RelayId, given: Epoch) -> Step<LogState, S> {
        let state = self.state()?;
        if given != state.epoch {
            return Err(Refusal::StaleEpoch {
                given,
                epoch: state.epoch,
            }
            .into());
        }
        match &state.leader {
            Some(leader) if leader.relay == *relay => Ok(state),
            Some(leader) => Err(Refusal::NotLeader {
                relay: leader.relay.clone(),
            }
            .into()),
            None => Err(Refusal::StaleEpoch {
                given,
                epoch: state.epoch,
            }
            .into()),
        }
    }

    /// How far a producer got. Asked under the epoch, so no other relay can store more of it meanwhile.
    pub fn producer(&self, relay: &RelayId, epoch: Epoch, producer: ProducerId) -> Step<ProducerState, S> {
        self.led_by(relay, epoch)?;
        let stored = self.store.producer(producer).map_err(LogError::Store)?;
        Ok(ProducerState { stored })
    }

    /// Stores a batch, whole or not at all. The retry of the last batch is answered like the first time.
    pub fn commit(&self, relay: &RelayId, batch: &Batch) -> Step<Committed, S> {
        let mut state = self.led_by(relay, batch.epoch)?;
        let records = encode_records(&batch.records);
        if records.len() > BATCH_MAX_BYTES {
            return Err(Refusal::TooLarge(records.len()).into());
        }
        let last = LastBatch {
            epoch: batch.epoch,
            first: batch.first,
            digest: keccak256(&records),
        };
        if state.last_batch == Some(last) {
            return Ok(Committed {
                committed: state.head,
                waiting: state.inbox.messages,
            });
        }
        if batch.first != state.head {
            return Err(Refusal::Gap {
                given: batch.first,
                expected: state.head,
            }
            .into());
        }
        if state.backlog > BACKLOG_MAX_BYTES {
            return Err(Refusal::Backlog(state.backlog).into());
        }
        for (producer, stored) in self.producers_after(batch)? {
            self.store
                .put_producer(producer, stored)
                .map_err(LogError::Store)?;
        }
        self.settle(&mut state.inbox, relay, batch)?;
        state.head = batch.end();
        state.backlog += records.len() as u64;
        state.last_batch = Some(last);
        let batch = StoredBatch {
            first: batch.first,
            count: batch.records.len() as u64,
            records,
        };
        self.store.add_batch(&batch).map_err(LogError::Store)?;
        self.save(&state)?;
        Ok(Committed {
            committed: state.head,
            waiting: state.inbox.messages,
        })
    }

    /// Where the producers of a batch stand after it, if each number follows the one before.
    fn producers_after(&self, batch: &Batch) -> Step<SortedMap<ProducerId, u64>, S> {
        let mut after = SortedMap::default();
        for record in &batch.records {
            let producer = record.producer;
            let stored = match after.get(&producer) {
                Some(stored) => Some(*stored),
                None => self.store.producer(producer).map_err(LogError::Store)?,
            };
            let given = record.producer_seq;
            if given != stored.map_or(0, |stored| stored + 1) {
                return Err(Refusal::ProducerConflict {
                    producer,
                    given,
                    stored,
                }
                .into());
            }
            after.insert(producer, given);
        }
        Ok(after)
    }

    /// The messages from `from` on that are kept here, about `max_bytes` of them at most.
    ///
    /// A reader asks here first and then reads what is below `flushed` from the database: it is there, for
    /// `flushed` moves only after the database's commit, and nothing at or above it is read twice.
    pub fn tail(&self, from: Seq, max_bytes: usize) -> Step<Tail, S> {
        let state = self.state()?;
        let batches = self
            .store
            .batches(from.max(state.flushed), max_bytes)
            .map_err(LogError::Store)?;
        let first = batches.first().map_or(state.head, |batch| batch.first);
        let records = batches.into_iter().flat_map(|batch| batch.records).collect();
        Ok(Tail {
            state,
            first,
            records,
        })
    }

    /// Applies what the chain says of an anchor: at least once each, in the chain's order.
    fn mark(&self, anchor: &AnchorRef) -> Step<LogState, S> {
        let mut state = self.state()?;
        let before = (state.anchored, state.finalized);
        let (first, end) = (anchor.first, anchor.end().min(state.head));
        match anchor.state {
            AnchorState::Anchored => state.anchored = state.anchored.max(end),
            AnchorState::Final => {
                state.finalized = state.finalized.max(end);
                state.anchored = state.anchored.max(end);
            }
            AnchorState::Reverted => state.anchored = state.anchored.min(first).max(state.finalized),
        }
        if before != (state.anchored, state.finalized) {
            self.save(&state)?;
        }
        Ok(state)
    }
}

#[cfg(test)]
mod inbox_tests;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod outage_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod takeover_tests;
#[cfg(test)]
mod tests;
