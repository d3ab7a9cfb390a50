//! A [`LogStore`] in memory whose steps are transactions and whose writes can fail: what the tests run on.

use super::{
    Acquiring, Asking, CommittedBatch, LogError, LogState, LogStore, MAX_ROWS, OutboxSegment, ProducerMark,
    SEQS_PER_PRODUCER, Session, Step, StoredEvent, StreamLog, Waiting, WaitingKey,
};
use alloy_primitives::Address;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use streamchain_protocol::auth::Rights;
use streamchain_protocol::ids::{ProducerId, RelayId, Seq, SessionId};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::{AcquireEpoch, Batch, Committed, EpochGrant, ProducerKey};

/// The storage refused a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the disk is full")]
pub struct DiskFull;

#[derive(Debug, Clone, Default)]
struct Rows {
    state: Option<LogState>,
    producers: BTreeMap<ProducerKey, ProducerMark>,
    batches: BTreeMap<Seq, CommittedBatch>,
    segments: BTreeMap<Seq, OutboxSegment>,
    sessions: BTreeMap<SessionId, Session>,
    /// Each with its position and when it was noted.
    authors: BTreeMap<(Address, RelayId), (u64, UnixMs)>,
    next_author: u64,
    members: BTreeMap<Address, Rights>,
    /// Each with its key and its state.
    events: BTreeMap<u64, (StoredEvent, String, String)>,
    waiting: BTreeMap<u64, Waiting>,
    seqs: BTreeMap<(ProducerKey, u64), (u64, Seq)>,
}

/// The rows of one stream.
#[derive(Debug, Default)]
pub struct Memory {
    rows: RefCell<Rows>,
    /// How many more writes succeed; `None` for all.
    pub writes_left: Cell<Option<u32>>,
    /// How often an author was looked up.
    pub author_reads: Cell<u64>,
    /// How many rows were written.
    pub writes: Cell<u64>,
}

impl Memory {
    fn write(&self, write: impl FnOnce(&mut Rows)) -> Result<(), DiskFull> {
        match self.writes_left.get() {
            Some(0) => return Err(DiskFull),
            Some(left) => self.writes_left.set(Some(left - 1)),
            None => {}
        }
        self.writes.set(self.writes.get() + 1);
        write(&mut self.rows.borrow_mut());
        Ok(())
    }
}

impl StreamLog<Memory> {
    /// A log without a stream.
    pub fn in_memory() -> Self {
        Self::new(Memory::default())
    }

    /// Runs a step as the Stream object does: what a failed step wrote is taken back.
    pub fn step<T>(&self, step: impl FnOnce(&Self) -> Step<T, Memory>) -> Step<T, Memory> {
        let before = self.store.rows.borrow().clone();
        step(self).inspect_err(|error: &LogError<DiskFull>| {
            self.store.rows.replace(before);
            if !matches!(error, LogError::Refused(_)) {
                self.forget();
            }
        })
    }

    /// Commits as the Stream object does: without a transaction where the log needs none.
    pub fn commit_as_object(&self, relay: &RelayId, batch: &Batch) -> Step<Committed, Memory> {
        if !self.commits_in_one_write()? {
            return self.step(|log| log.commit(relay, batch));
        }
        self.commit(relay, batch).inspect_err(|error| {
            if !matches!(error, LogError::Refused(_)) {
                self.forget();
            }
        })
    }

    /// Puts the stream into this state, as no step would.
    pub fn overwrite(&self, state: &LogState) -> Step<(), Memory> {
        self.store.put_state(state).map_err(LogError::Store)?;
        self.forget();
        Ok(())
    }

    /// The log after a restart of its object: another instance over the same rows.
    pub fn restarted(&self) -> Self {
        let rows = self.store.rows.clone();
        let writes_left = self.store.writes_left.clone();
        let writes = self.store.writes.clone();
        let author_reads = self.store.author_reads.clone();
        Self::new(Memory {
            rows,
            writes_left,
            writes,
            author_reads,
        })
    }

    /// How many writes succeeded so far.
    pub fn writes(&self) -> u64 {
        self.store.writes.get()
    }

    /// Runs a step whose transaction is committed, but reports a failure.
    pub fn step_but_report_failure<T>(&self, step: impl FnOnce(&Self) -> Step<T, Memory>) -> Step<T, Memory> {
        self.step(step)?;
        self.forget();
        Err(LogError::Store(DiskFull))
    }

    /// Grants the epoch to a relay that shares no streams.
    pub fn acquire_epoch(&self, relay: &RelayId, asked: impl Into<AcquireEpoch>) -> Step<EpochGrant, Memory> {
        let asking = Asking {
            relay,
            asked: &asked.into(),
            view: None,
            committed: UnixMs(0),
            since: UnixMs(0),
        };
        match self.acquire(&asking, UnixMs(0))? {
            Acquiring::Leads(grant) => Ok(grant),
            other => panic!("expected the epoch, got {other:?}"),
        }
    }

    /// How many batches are kept.
    pub fn batches_kept(&self) -> usize {
        self.store.rows.borrow().batches.len()
    }

    /// How many sessions are remembered.
    pub fn sessions_kept(&self) -> usize {
        self.store.rows.borrow().sessions.len()
    }
}

impl LogStore for Memory {
    type Error = DiskFull;

    fn state(&self) -> Result<Option<LogState>, DiskFull> {
        Ok(self.rows.borrow().state.clone())
    }
    fn put_state(&self, state: &LogState) -> Result<(), DiskFull> {
        self.write(|rows| rows.state = Some(state.clone()))
    }
    fn producer(&self, producer: ProducerKey) -> Result<Option<ProducerMark>, DiskFull> {
        Ok(self.rows.borrow().producers.get(&producer).copied())
    }
    fn highest_of(&self, id: ProducerId) -> Result<Option<u64>, DiskFull> {
        let rows = self.rows.borrow();
        let of_id = rows.producers.iter().filter(|(key, _)| key.id == id);
        Ok(of_id.map(|(_, mark)| mark.last).max())
    }
    fn put_producer(&self, producer: ProducerKey, mark: ProducerMark) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.producers.insert(producer, mark);
        })
    }
    fn add_batch(&self, batch: &CommittedBatch) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.batches.insert(batch.first, batch.clone());
        })
    }
    fn batches(&self, from: Seq, max_bytes: usize) -> Result<Vec<CommittedBatch>, DiskFull> {
        let rows = self.rows.borrow();
        let wanted = rows
            .batches
            .values()
            .filter(|batch| batch.end() > from)
            .take(MAX_ROWS);
        let mut bytes = 0;
        let wanted = wanted.take_while(|batch| {
            let more = bytes < max_bytes;
            bytes += batch.records.len();
            more
        });
        Ok(wanted.cloned().collect())
    }
    fn drop_batches(&self, below: Seq) -> Result<(), DiskFull> {
        self.write(|rows| rows.batches.retain(|_, batch| batch.end() > below))
    }
    fn segments(&self, limit: usize) -> Result<Vec<OutboxSegment>, DiskFull> {
        Ok(self
            .rows
            .borrow()
            .segments
            .values()
            .take(limit)
            .copied()
            .collect())
    }
    fn put_segment(&self, segment: &OutboxSegment) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.segments.insert(segment.segment.first, *segment);
        })
    }
    fn drop_segment(&self, first: Seq) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.segments.remove(&first);
        })
    }
    fn put_event(&self, event: &StoredEvent, key: &str, state: &str) -> Result<(), DiskFull> {
        self.write(|rows| {
            let row = (event.clone(), key.to_owned(), state.to_owned());
            rows.events.insert(event.number, row);
        })
    }
    fn events(&self, after: u64, max_bytes: usize) -> Result<Vec<StoredEvent>, DiskFull> {
        let (mut bytes, mut taken) = (0, Vec::new());
        for event in self
            .rows
            .borrow()
            .events
            .range(after + 1..)
            .map(|(_, row)| &row.0)
        {
            bytes += event.json.len();
            taken.push(event.clone());
            if bytes >= max_bytes || taken.len() >= MAX_ROWS {
                break;
            }
        }
        Ok(taken)
    }
    fn last_event(&self, key: &str) -> Result<Option<String>, DiskFull> {
        let rows = self.rows.borrow();
        let about = rows.events.values().rev().find(|row| row.1 == key);
        Ok(about.map(|row| row.2.clone()))
    }
    fn drop_event(&self, number: u64) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.events.remove(&number);
        })
    }
    fn put_waiting(&self, waiting: &Waiting) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.waiting.insert(waiting.position, waiting.clone());
        })
    }
    fn waiting(&self, max_bytes: usize) -> Result<Vec<Waiting>, DiskFull> {
        let (mut bytes, mut taken) = (0, Vec::new());
        for waiting in self.rows.borrow().waiting.values() {
            bytes += waiting.records.len();
            taken.push(waiting.clone());
            if bytes >= max_bytes {
                break;
            }
        }
        Ok(taken)
    }
    fn waiting_keys(&self) -> Result<Vec<WaitingKey>, DiskFull> {
        Ok(self.rows.borrow().waiting.values().map(|one| one.key).collect())
    }
    fn last_waiting(&self, producer: ProducerKey) -> Result<Option<ProducerMark>, DiskFull> {
        let rows = self.rows.borrow();
        let of_producer = rows.waiting.values().filter(|one| one.key.producer == producer);
        let mark = |one: &Waiting| ProducerMark {
            last: one.key.end() - 1,
            digest: one.digest,
        };
        Ok(of_producer.map(mark).max_by_key(|mark| mark.last))
    }
    fn drop_waiting(&self, producer: ProducerKey, first: u64) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.waiting
                .retain(|_, one| one.key.producer != producer || one.key.first != first)
        })
    }
    fn put_producer_seq(&self, producer: ProducerKey, producer_seq: u64, seq: Seq) -> Result<(), DiskFull> {
        self.write(|rows| {
            let key = (producer, producer_seq % SEQS_PER_PRODUCER);
            rows.seqs.insert(key, (producer_seq, seq));
        })
    }
    fn seq_of(&self, producer: ProducerKey, producer_seq: u64) -> Result<Option<Seq>, DiskFull> {
        let rows = self.rows.borrow();
        let found = rows.seqs.get(&(producer, producer_seq % SEQS_PER_PRODUCER));
        Ok(found.filter(|one| one.0 == producer_seq).map(|one| one.1))
    }
    fn session(&self, session: SessionId) -> Result<Option<Session>, DiskFull> {
        Ok(self.rows.borrow().sessions.get(&session).cloned())
    }
    fn put_session(&self, session: &Session) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.sessions.insert(session.id, session.clone());
        })
    }
    fn drop_session(&self, session: SessionId) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.sessions.remove(&session);
        })
    }
    fn author(&self, author: Address, relay: &RelayId) -> Result<Option<UnixMs>, DiskFull> {
        self.author_reads.set(self.author_reads.get() + 1);
        let rows = self.rows.borrow();
        Ok(rows.authors.get(&(author, relay.clone())).map(|row| row.1))
    }
    fn relays_of_author(&self, author: Address) -> Result<Vec<RelayId>, DiskFull> {
        self.author_reads.set(self.author_reads.get() + 1);
        let rows = self.rows.borrow();
        let of_author = rows.authors.keys().filter(|(one, _)| *one == author);
        Ok(of_author.map(|(_, relay)| relay.clone()).collect())
    }
    fn put_author(&self, author: Address, relay: &RelayId, seen: UnixMs) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.next_author += 1;
            let row = (rows.next_author, seen);
            rows.authors.insert((author, relay.clone()), row);
        })
    }
    fn prune_authors(&self, before: UnixMs, keep: usize) -> Result<(), DiskFull> {
        self.write(|rows| {
            let oldest = rows.next_author.saturating_sub(keep as u64);
            rows.authors
                .retain(|_, (position, seen)| *position > oldest && *seen >= before);
        })
    }
    fn member(&self, member: Address) -> Result<Option<Rights>, DiskFull> {
        Ok(self.rows.borrow().members.get(&member).copied())
    }
    fn members(&self) -> Result<Vec<(Address, Rights)>, DiskFull> {
        let rows = self.rows.borrow();
        Ok(rows
            .members
            .iter()
            .map(|(member, rights)| (*member, *rights))
            .collect())
    }
    fn put_member(&self, member: Address, rights: Rights) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.members.insert(member, rights);
        })
    }
    fn drop_member(&self, member: Address) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.members.remove(&member);
        })
    }
    fn prune_sessions(&self, before: UnixMs, keep: usize) -> Result<(), DiskFull> {
        self.write(|rows| {
            rows.sessions.retain(|_, session| session.created >= before);
            let mut by_age: Vec<_> = rows.sessions.values().map(|one| (one.created, one.id)).collect();
            by_age.sort_unstable();
            let surplus = by_age.len().saturating_sub(keep);
            by_age.truncate(surplus);
            by_age.iter().for_each(|(_, id)| drop(rows.sessions.remove(id)));
        })
    }
}
