//! What a log consists of: the stream's one row, and the rows beside it. Data alone; the steps are elsewhere.
//!
//! The row is stored as JSON. Its members keep the names that they had in earlier versions. It may be behind what is
//! committed; see [`super::live`].

use super::serving::Serving;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use streamchain_protocol::ids::{Epoch, Incarnation, RelayId, Seq, SessionId, StreamId, StreamName};
use streamchain_protocol::proof::Segment;
use streamchain_protocol::stream_settings::{Anchoring, Mode, StreamSettings};
use streamchain_protocol::time::{UnixMs, UnixSec};
use streamchain_protocol::wire::ProducerKey;

/// Most members of one stream: the list is answered as a whole.
pub(crate) const MAX_MEMBERS: usize = 1_000;

/// A run of a relay that was granted an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// The relay.
    pub relay: RelayId,
    /// The run of its process.
    pub incarnation: Incarnation,
}

/// The batch that was committed last: its retry is recognized by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBatch {
    /// The epoch that it was committed under.
    pub epoch: Epoch,
    /// The first record's seq.
    pub first: Seq,
    /// keccak256 of its encoded records.
    pub digest: B256,
}

/// How much waits in the inbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// How many messages wait.
    pub messages: u64,
    /// Their encoded bytes.
    pub bytes: u64,
    /// The position that the next message gets.
    pub next: u64,
}

/// Which events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRange {
    /// The number of the oldest event that is kept; equal to `next` when there is none.
    pub first: u64,
    /// The number that the next event gets.
    pub next: u64,
    /// Bytes of the events that are kept.
    pub bytes: u64,
}

impl Default for EventRange {
    fn default() -> Self {
        Self {
            first: 1,
            next: 1,
            bytes: 0,
        }
    }
}

/// What a stream is and how far it got: one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogState {
    /// `keccak256(abi.encode(owner, keccak256(name)))`.
    pub id: StreamId,
    /// The account that the stream belongs to.
    pub owner: Address,
    /// The stream's name.
    pub name: StreamName,
    /// What the owner chose.
    #[serde(default = "StreamSettings::of_version_before")]
    pub settings: StreamSettings,
    /// When the stream was created.
    pub created: UnixMs,
    /// Whether the database's table of streams has the stream with its present settings.
    pub listed: bool,
    /// The fencing number in force; 0 before the first relay acquired the stream.
    pub epoch: Epoch,
    /// The run of a relay that the epoch was granted to; `None` once it released the stream.
    #[serde(rename = "holder")]
    pub leader: Option<Leader>,
    /// Whether the authors of the leader's batches are checked: not for a leader that was granted the epoch before there
    /// was this check, for its sessions may be of authors who are not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) checks_authors: bool,
    /// Whether the leader takes signed groups: a relay of the version before can't read them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) takes_groups: bool,
    /// The relay that new sessions are sent to; where relays share the stream, the one that leads it or is to.
    pub assigned: Option<RelayId>,
    /// The relays that share the stream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) serving: Vec<Serving>,
    /// When a relay was granted the epoch last, also the same one again; `None` before there was this member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) granted: Option<UnixMs>,
    /// When a relay got the stream last since it reported that the leader is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) taken_over: Option<UnixMs>,
    /// How many messages are committed: the next seq to be given.
    pub head: Seq,
    /// How many messages are flushed: in segments of the database.
    pub flushed: Seq,
    /// Encoded bytes of the batches that are not flushed.
    pub backlog: u64,
    /// The last commit.
    pub last_batch: Option<LastBatch>,
    /// How many messages are under anchors that are on chain.
    pub anchored: Seq,
    /// How many messages are under anchors in finalized blocks.
    pub finalized: Seq,
    /// Runs on chain that lie ahead of the marks: a run before them was not seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ahead: Vec<AheadRun>,
    /// What waits for the relay.
    #[serde(default)]
    pub inbox: Inbox,
    /// Which events are kept.
    #[serde(default)]
    pub events: EventRange,
    /// Withdrawn rights that the relay is to learn with the answer to a batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<PendingWithdrawal>,
    /// The segment that is being written to the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sealing: Option<OutboxSegment>,
    /// How far the stream got in rounds; `None` before its first segment for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<RunMarks>,
    /// The first message whose producer_seq is in no row of a producer, but only in its batch; `None` when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unsaved_from: Option<Seq>,
    /// What the Webhooks object is woken for; `None` while the stream has no webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
}

/// What the stream's webhooks are woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Watch {
    /// What the chain says.
    Events,
    /// That, and the stream's messages.
    All,
}

/// How far a stream got in rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunMarks {
    /// Where its first run began: what is before has anchors of the stream's own.
    #[serde(default)]
    pub(super) from: Seq,
    /// Where the next run begins: behind the last one that is in a round, as far as the batcher said.
    pub(super) begin: Seq,
    /// The seq behind the newest run that the batcher took.
    pub(super) offered: Seq,
}

/// Withdrawn rights that go out with the answer to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingWithdrawal {
    /// Whose sessions are over; `None` for everybody's.
    pub author: Option<Address>,
    /// Those that were opened until then.
    pub before: UnixSec,
    /// Whether an answer named it.
    pub sent: bool,
}

impl LogState {
    /// Returns the row of a stream that was created `now`.
    pub(super) fn new(new: &NewStream, now: UnixMs) -> Self {
        Self {
            id: StreamId::of(new.owner, &new.name),
            owner: new.owner,
            name: new.name.clone(),
            settings: new.settings,
            created: now,
            listed: false,
            epoch: Epoch(0),
            leader: None,
            checks_authors: true,
            takes_groups: false,
            assigned: None,
            serving: Vec::new(),
            granted: None,
            taken_over: None,
            head: Seq(0),
            flushed: Seq(0),
            backlog: 0,
            last_batch: None,
            anchored: Seq(0),
            finalized: Seq(0),
            ahead: Vec::new(),
            inbox: Inbox::default(),
            events: EventRange::default(),
            withdrawn: Vec::new(),
            sealing: None,
            run: None,
            unsaved_from: None,
            watch: None,
        }
    }

    /// Moves the head over a batch that was committed under `last`. What else a commit changes is written to the row.
    pub(super) fn advance(&mut self, batch: &CommittedBatch, last: LastBatch) {
        self.head = batch.end();
        self.backlog += batch.records.len() as u64;
        self.last_batch = Some(last);
        self.unsaved_from.get_or_insert(batch.first);
    }

    /// Returns whether the row has to be written after a step that began with `before`: whether anything changed but what
    /// [`Self::advance`] changes, which the batches give again.
    pub(super) fn needs_row(&mut self, before: &Self) -> bool {
        let advanced = (self.head, self.backlog, self.last_batch, self.unsaved_from);
        self.head = before.head;
        self.backlog = before.backlog;
        self.last_batch = before.last_batch;
        self.unsaved_from = before.unsaved_from;
        let is_other = *self != *before;
        (self.head, self.backlog, self.last_batch, self.unsaved_from) = advanced;
        is_other
    }

    /// Returns the relay that leads the stream; `None` when no relay does, or the edge itself.
    pub fn relay_leader(&self) -> Option<&RelayId> {
        let leader = self.leader.as_ref().map(|leader| &leader.relay);
        leader.filter(|relay| !relay.is_edge())
    }

    /// Returns the relay that leads the stream, or else the one that it is assigned to.
    pub fn relay(&self) -> Option<&RelayId> {
        self.relay_leader().or(self.assigned.as_ref())
    }
}

/// A run of messages on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AheadRun {
    /// Its first message.
    pub(super) first: Seq,
    /// The seq behind its last message.
    pub(super) end: Seq,
    /// Whether its anchor is final.
    pub(super) is_final: bool,
}

/// What a stream begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewStream {
    /// The account that the stream belongs to.
    pub owner: Address,
    /// The stream's name.
    pub name: StreamName,
    /// What the owner chose.
    #[serde(default)]
    pub settings: StreamSettings,
}

/// A committed batch, kept until it is flushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedBatch {
    /// The first record's seq.
    pub first: Seq,
    /// How many records it has.
    pub count: u64,
    /// The epoch that it was committed under; 0 in rows of the version before, where the stream's row says it.
    pub epoch: Epoch,
    /// The records, encoded one after the other ([`streamchain_protocol::wire::decode_records`]).
    pub records: Vec<u8>,
}

impl CommittedBatch {
    /// Returns the seq behind the last record.
    pub fn end(&self) -> Seq {
        Seq(self.first.0 + self.count)
    }
}

/// A segment on its way to the database and to the Anchorer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OutboxRow", into = "OutboxRow")]
pub struct OutboxSegment {
    /// The messages and their root.
    pub segment: Segment,
    /// Whether the database has the segment.
    pub flushed: bool,
    /// What goes on chain for it beside the root: the stream's mode when the segment was made.
    pub mode: Mode,
    /// Whether its anchor is kept on chain: the stream's setting when the segment was made.
    pub prove: bool,
    /// How it is anchored: the stream's setting when the segment was made.
    pub anchor: Anchoring,
}

/// An [`OutboxSegment`] as it is stored.
#[derive(Serialize, Deserialize)]
struct OutboxRow {
    first: Seq,
    count: u64,
    root: B256,
    stored: bool,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    prove: bool,
    #[serde(default, skip_serializing_if = "Anchoring::is_own")]
    anchor: Anchoring,
}

impl From<OutboxRow> for OutboxSegment {
    fn from(row: OutboxRow) -> Self {
        Self {
            segment: Segment {
                first: row.first,
                count: row.count,
                root: row.root,
            },
            flushed: row.stored,
            mode: row.mode,
            prove: row.prove,
            anchor: row.anchor,
        }
    }
}

impl From<OutboxSegment> for OutboxRow {
    fn from(one: OutboxSegment) -> Self {
        Self {
            first: one.segment.first,
            count: one.segment.count,
            root: one.segment.root,
            stored: one.flushed,
            mode: one.mode,
            prove: one.prove,
            anchor: one.anchor,
        }
    }
}

/// How far a producer got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerMark {
    /// Its last producer_seq.
    pub last: u64,
    /// The digest of its last group; `None` for a producer that does not sign.
    pub digest: Option<B256>,
}

/// A message, or a whole group, that waits in the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The position of its first message in the inbox; grows from message to message.
    pub position: u64,
    /// What the log knows it by.
    pub key: WaitingKey,
    /// The digest of the group; `None` for a message that is not signed.
    pub digest: Option<B256>,
    /// The encoded records.
    pub records: Vec<u8>,
}

/// What a message or group of the inbox is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingKey {
    /// Who published it.
    pub producer: ProducerKey,
    /// The number of its first message.
    pub first: u64,
    /// How many messages it has.
    pub count: u64,
    /// The digest of the group before it; `None` for a message that is not signed.
    pub previous: Option<B256>,
    /// Its encoded bytes.
    pub bytes: u64,
}

impl WaitingKey {
    /// Returns the number behind its last message.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }

    /// Returns whether it is a signed group.
    pub fn is_signed(&self) -> bool {
        self.previous.is_some()
    }
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number in the stream: 1, 2, 3 …
    pub number: u64,
    /// What kind of event it is: `anchored`, `final`, `chain` or `reorg`.
    pub name: String,
    /// The notice, as JSON.
    pub json: String,
}

/// A session that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The session's id.
    pub id: SessionId,
    /// Who opened it.
    pub author: Address,
    /// The relay that it was sent to.
    pub relay: RelayId,
    /// When it was opened.
    pub created: UnixMs,
}
