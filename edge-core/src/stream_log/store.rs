//! Where a log keeps its rows.

use super::error::LogError;
use super::state::{
    CommittedBatch, LogState, OutboxSegment, ProducerMark, Session, StoredEvent, Waiting, WaitingKey,
};
use alloy_primitives::Address;
use streamchain_protocol::auth::Rights;
use streamchain_protocol::ids::{ProducerId, RelayId, Seq, SessionId};
use streamchain_protocol::time::UnixMs;
use streamchain_protocol::wire::ProducerKey;

/// Most rows that one read returns, however small they are.
pub const MAX_ROWS: usize = 1_024;

/// How many of a producer's last seqs are remembered, for the answers to retries: more than a client that waits
/// for each answer has under way.
pub const SEQS_PER_PRODUCER: u64 = 16;

/// What a step gives.
pub type Step<T, S> = Result<T, LogError<<S as LogStore>::Error>>;

/// Where a log keeps its rows. Synchronous, as a Durable Object's SQLite is; the writes of one step commit together.
pub trait LogStore {
    /// Why a row could not be read or written.
    type Error;

    /// Reads the stream's row, which may be behind what is committed; `None` before the stream is created.
    fn state(&self) -> Result<Option<LogState>, Self::Error>;
    /// Writes the stream's row.
    fn put_state(&self, state: &LogState) -> Result<(), Self::Error>;

    /// Reads a producer's row: its last committed producer_seq and group. Rows of the version before have no author: such a row counts for each
    /// author of the id who has none of its own.
    fn producer(&self, producer: ProducerKey) -> Result<Option<ProducerMark>, Self::Error>;
    /// Reads the highest producer_seq committed under the id, whoever is the author.
    fn highest_of(&self, id: ProducerId) -> Result<Option<u64>, Self::Error>;
    /// Writes a producer's row.
    fn put_producer(&self, producer: ProducerKey, mark: ProducerMark) -> Result<(), Self::Error>;
    /// Remembers a committed message's seq, in place of the one [`SEQS_PER_PRODUCER`] messages before.
    fn put_producer_seq(&self, producer: ProducerKey, producer_seq: u64, seq: Seq)
    -> Result<(), Self::Error>;
    /// Reads a committed message's seq, if it is still remembered.
    fn seq_of(&self, producer: ProducerKey, producer_seq: u64) -> Result<Option<Seq>, Self::Error>;

    /// Keeps a batch: the only row that a commit of a relay needs.
    fn add_batch(&self, batch: &CommittedBatch) -> Result<(), Self::Error>;
    /// Reads the batches with seqs from `from` on, in order: at most [`MAX_ROWS`], and no more once their encoded
    /// bytes reach `max_bytes`.
    fn batches(&self, from: Seq, max_bytes: usize) -> Result<Vec<CommittedBatch>, Self::Error>;
    /// Drops the batches that end at or below `below`.
    fn drop_batches(&self, below: Seq) -> Result<(), Self::Error>;

    /// Reads up to `rows` segments of the outbox, in order.
    fn segments(&self, rows: usize) -> Result<Vec<OutboxSegment>, Self::Error>;
    /// Writes a segment of the outbox; its `first` is its key.
    fn put_segment(&self, segment: &OutboxSegment) -> Result<(), Self::Error>;
    /// Drops a segment of the outbox.
    fn drop_segment(&self, first: Seq) -> Result<(), Self::Error>;

    /// Keeps an event by its number. `key` names what the event is about, and `state` the state that it is in now.
    fn put_event(&self, event: &StoredEvent, key: &str, state: &str) -> Result<(), Self::Error>;
    /// Reads the events above `after`, in order: at most [`MAX_ROWS`], and no more once their JSON reaches
    /// `max_bytes`.
    fn events(&self, after: u64, max_bytes: usize) -> Result<Vec<StoredEvent>, Self::Error>;
    /// Reads the state in the newest event about `key`.
    fn last_event(&self, key: &str) -> Result<Option<String>, Self::Error>;
    /// Drops an event.
    fn drop_event(&self, number: u64) -> Result<(), Self::Error>;

    /// Keeps a message or group in the inbox.
    fn put_waiting(&self, waiting: &Waiting) -> Result<(), Self::Error>;
    /// Reads the messages and groups of the inbox in the order of their positions: no more once their bytes reach `max_bytes`.
    fn waiting(&self, max_bytes: usize) -> Result<Vec<Waiting>, Self::Error>;
    /// Reads what every message and group of the inbox is known by, in the order of their positions.
    fn waiting_keys(&self) -> Result<Vec<WaitingKey>, Self::Error>;
    /// Reads how far a producer got with what is in the inbox.
    fn last_waiting(&self, producer: ProducerKey) -> Result<Option<ProducerMark>, Self::Error>;
    /// Drops the message or group of the inbox that begins with this number.
    fn drop_waiting(&self, producer: ProducerKey, first: u64) -> Result<(), Self::Error>;

    /// Reads a session.
    fn session(&self, session: SessionId) -> Result<Option<Session>, Self::Error>;
    /// Writes a session.
    fn put_session(&self, session: &Session) -> Result<(), Self::Error>;
    /// Drops a session.
    fn drop_session(&self, session: SessionId) -> Result<(), Self::Error>;
    /// Drops the sessions opened before `before`, and the oldest beyond the `keep` newest.
    fn prune_sessions(&self, before: UnixMs, keep: usize) -> Result<(), Self::Error>;

    /// Reads when a session of `author` at `relay` was noted last.
    fn author(&self, author: Address, relay: &RelayId) -> Result<Option<UnixMs>, Self::Error>;
    /// Reads at which relays sessions of `author` were noted.
    fn relays_of_author(&self, author: Address) -> Result<Vec<RelayId>, Self::Error>;
    /// Notes an author at a relay as the newest one.
    fn put_author(&self, author: Address, relay: &RelayId, seen: UnixMs) -> Result<(), Self::Error>;
    /// Drops authors noted before `before`, and the oldest beyond the `keep` newest.
    fn prune_authors(&self, before: UnixMs, keep: usize) -> Result<(), Self::Error>;

    /// Reads a member's rights.
    fn member(&self, member: Address) -> Result<Option<Rights>, Self::Error>;
    /// Reads all members, in the order of their addresses.
    fn members(&self) -> Result<Vec<(Address, Rights)>, Self::Error>;
    /// Writes a member's rights.
    fn put_member(&self, member: Address, rights: Rights) -> Result<(), Self::Error>;
    /// Drops a member.
    fn drop_member(&self, member: Address) -> Result<(), Self::Error>;
}
