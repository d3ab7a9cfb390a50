//! What a Stream object is asked. The object is named by the digits of the stream's short id.

use crate::api::call::{
    Encoded, FieldReader, FieldWriter, Handle, Wire, requests, wire_as_json, wire_by_field,
};
pub(crate) use crate::api::presence::{GetOverview, Overview, ReportPresence};
pub(crate) use crate::api::watching::{ReadAsWebhook, SetWatch};
use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use streamchain_edge_core::directory::Chosen;
use streamchain_edge_core::publication::GroupSignature;
use streamchain_edge_core::request_id::RequestId;
use streamchain_edge_core::signalling::Looked;
use streamchain_edge_core::stream_log::{LogState, NewStream, News, Reader, StoredEvent, Tail};
use streamchain_protocol::auth::{Access, Rights};
use streamchain_protocol::ids::{Epoch, ProducerId, RelayId, Seq, SessionId, ShortId};
use streamchain_protocol::stream_settings::SettingsChange;
use streamchain_protocol::util::json::JsonError;
use streamchain_protocol::wire::{AcquireEpoch, Acquired, Committed, Location, Notice, ProducerState};
use worker::Env;

requests! {
    /// What a Stream object is asked. The Worker has authenticated whoever asks.
    StreamRequest {
        /// Makes the stream, if it is not there.
        Create -> Created,
        /// What the stream is and how far it got.
        GetState -> LogState,
        /// What the stream is, and who is there.
        GetOverview -> Overview,
        /// What decides on what an account may do.
        GetAccess -> Access,
        /// Changes the settings.
        ChangeSettings -> LogState,
        /// The members.
        ListMembers -> Vec<Member>,
        /// Gives a member rights.
        PutMember -> (),
        /// Takes a member's rights.
        RemoveMember -> (),
        /// Ends sessions on this stream.
        Withdraw -> (),
        /// Opens a session.
        OpenSession -> SessionOpened,
        /// Which relay has a session.
        FindSession -> RelayId,
        /// Ends a session.
        EndSession -> (),
        /// Leaves a signal for another session.
        PostSignal -> (),
        /// Reads a session's mailbox.
        ReadSignals -> Looked,
        /// Makes a relay the leader, or names the leader that it is to follow.
        Acquire -> Encoded<Acquired>,
        /// The leader gives the stream back.
        Release -> (),
        /// The leader reports who is at the stream.
        ReportPresence -> (),
        /// The messages that wait for the leader.
        ReadInbox -> Vec<u8>,
        /// How far a producer got.
        GetProducer -> Encoded<ProducerState>,
        /// Stores a batch.
        Commit -> Encoded<Committed>,
        /// Stores or keeps a message that came by HTTP.
        Append -> Appended,
        /// The messages that the object has itself.
        ReadTail -> Tail,
        /// What is behind a reader's cursor, once there is something.
        ReadNews -> News,
        /// Takes a message to the database, and answers the state.
        FlushTo -> LogState,
        /// Has relays forget an erased message.
        ForgetErased -> (),
        /// Takes what the Listener saw of this stream.
        ApplyNotices -> NoticesApplied,
        /// Sets what the Webhooks object is woken for.
        SetWatch -> (),
        /// What is behind a webhook's cursor.
        ReadAsWebhook -> News,
    }
}

wire_by_field! {
    Create { stream, client, account }
    Created { state, created }
    GetState {}
    GetAccess { account }
    ChangeSettings { change }
    ListMembers {}
    PutMember { address, rights, services }
    RemoveMember { address, services }
    Withdraw { authors }
    OpenSession { create, session, author, account, operator, limit, client, joins, location }
    SessionOpened { chosen, rights }
    FindSession { session, author }
    EndSession { session, author }
    PostSignal { session, author, to, signal }
    ReadSignals { session, author, after, client, peers }
    Acquire { relay, asked }
    Release { relay, epoch }
    ReadInbox { relay, epoch }
    GetProducer { relay, epoch, producer, author }
    Append { create, publisher, author, producer, producer_seq, payloads, signed, wait_ms }
    Appended { stored, seq, digest }
    ReadTail { reader, from, max_bytes }
    ReadNews { reader, client, event, seq, wait_ms }
    FlushTo { seq }
    ForgetErased { seq }
    ApplyNotices { notices, in_rounds }
    NoticesApplied { relay, missing_anchor }
}

wire_as_json!(LogState, Access, Vec<Member>, Looked, RelayId);

/// The object of one stream.
pub(crate) fn stream_object(
    env: &Env,
    id: &RequestId,
    stream: ShortId,
) -> worker::Result<Handle<StreamRequest>> {
    Ok(Handle::new(
        env.durable_object("STREAM")?.get_by_name(&stream.to_hex())?,
        id,
    ))
}

/// A stream to be made, and who is counted for it.
#[derive(Debug)]
pub(crate) struct Create {
    /// What it begins with.
    pub stream: NewStream,
    /// What the client's address is counted by.
    pub client: String,
    /// Who makes it; `None` without credentials.
    pub account: Option<Address>,
}

/// The stream is there.
#[derive(Debug)]
pub(crate) struct Created {
    /// What it is.
    pub state: LogState,
    /// Whether it was not there before.
    pub created: bool,
}

/// Asks for the state.
#[derive(Debug)]
pub(crate) struct GetState {}

/// Asks for what decides on an account's rights.
#[derive(Debug)]
pub(crate) struct GetAccess {
    /// The account; `None` for one without credentials.
    pub account: Option<Address>,
}

/// A change of the settings.
#[derive(Debug)]
pub(crate) struct ChangeSettings {
    /// The change.
    pub change: SettingsChange,
}

/// Asks for the members.
#[derive(Debug)]
pub(crate) struct ListMembers {}

/// A member of a stream.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    /// The account.
    pub address: Address,
    /// What the member may do.
    pub rights: Rights,
}

/// A member with the rights that hold from now on.
#[derive(Debug)]
pub(crate) struct PutMember {
    /// The account.
    pub address: Address,
    /// What the member may do.
    pub rights: Rights,
    /// The authors of the member's services: their sessions end with the member's own.
    pub services: Vec<Address>,
}

/// A member who is to be one no more.
#[derive(Debug)]
pub(crate) struct RemoveMember {
    /// The account.
    pub address: Address,
    /// The authors of the member's services: their sessions end with the member's own.
    pub services: Vec<Address>,
}

/// The end of these authors' sessions on this stream. They may be opened again, with other rights.
#[derive(Debug)]
pub(crate) struct Withdraw {
    /// The authors.
    pub authors: Vec<Address>,
}

/// A session to be opened.
#[derive(Debug)]
pub(crate) struct OpenSession {
    /// Makes the stream first, should it not be there.
    pub create: Option<NewStream>,
    /// The new session's id.
    pub session: SessionId,
    /// Who opens it.
    pub author: Address,
    /// Whose rights count; `None` for one without credentials.
    pub account: Option<Address>,
    /// Whether that is an operator.
    pub operator: bool,
    /// What its credentials are limited to on this stream.
    pub limit: Rights,
    /// What the client's address is counted by.
    pub client: String,
    /// The relay of the connection that it joins; `None` for one with a connection of its own.
    pub joins: Option<RelayId>,
    /// Where the client is, as Cloudflare says.
    pub location: Option<Location>,
}

/// A session that is open.
#[derive(Debug)]
pub(crate) struct SessionOpened {
    /// The relay that the client is sent to.
    pub chosen: Chosen,
    /// What the session may do.
    pub rights: Rights,
}

/// Asks for a session of an author.
#[derive(Debug)]
pub(crate) struct FindSession {
    /// The session.
    pub session: SessionId,
    /// Who asks.
    pub author: Address,
}

/// The end of a session.
#[derive(Debug)]
pub(crate) struct EndSession {
    /// The session.
    pub session: SessionId,
    /// Who asks.
    pub author: Address,
}

/// A signal of one session for another.
#[derive(Debug)]
pub(crate) struct PostSignal {
    /// The session that sends it.
    pub session: SessionId,
    /// Who asks.
    pub author: Address,
    /// The session that it is for.
    pub to: SessionId,
    /// The signal.
    pub signal: String,
}

/// Asks for a session's mailbox.
#[derive(Debug)]
pub(crate) struct ReadSignals {
    /// The session.
    pub session: SessionId,
    /// Who asks.
    pub author: Address,
    /// The number of the last signal that was read.
    pub after: u64,
    /// What the client's address is counted by.
    pub client: String,
    /// Sessions that it has direct connections to.
    pub peers: Vec<SessionId>,
}

/// A run of a relay that is to be the leader.
#[derive(Debug)]
pub(crate) struct Acquire {
    /// The relay.
    pub relay: RelayId,
    /// The run, and what it takes.
    pub asked: AcquireEpoch,
}

/// The leader gives the stream back.
#[derive(Debug)]
pub(crate) struct Release {
    /// The relay.
    pub relay: RelayId,
    /// Its epoch.
    pub epoch: Epoch,
}

/// Asks for the messages that wait for the leader.
#[derive(Debug)]
pub(crate) struct ReadInbox {
    /// The relay.
    pub relay: RelayId,
    /// Its epoch.
    pub epoch: Epoch,
}

/// The leader asks how far a producer got.
#[derive(Debug)]
pub(crate) struct GetProducer {
    /// The relay.
    pub relay: RelayId,
    /// Its epoch.
    pub epoch: Epoch,
    /// The producer's id.
    pub producer: ProducerId,
    /// Whose producer; `None` from a relay of the version before.
    pub author: Option<Address>,
}

/// A batch of a relay.
pub(crate) struct Commit {
    /// The relay.
    pub relay: RelayId,
    /// The batch, as the relay sent it: CBOR.
    pub batch: Vec<u8>,
}

impl Wire for Commit {
    fn into_bytes(self) -> Vec<u8> {
        let mut fields = FieldWriter::default();
        fields.put(&self.relay);
        fields.finish_with(&self.batch)
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Self, JsonError> {
        let (mut fields, batch) = FieldReader::new_with(bytes)?;
        let relay = fields.take()?;
        Ok(Self { relay, batch })
    }
}

/// Longest wait for a message's seq, milliseconds: a relay hears of it with its next renewal, within 2 s.
pub(crate) const MAX_APPEND_WAIT_MS: u64 = 5_000;

/// A message or a signed group that comes by HTTP. The same producer and numbers make one, however often they come.
#[derive(Debug)]
pub(crate) struct Append {
    /// Makes the stream first, should it not be there.
    pub create: Option<NewStream>,
    /// Who publishes, when that is not the system itself: its own streams take nothing from others.
    pub publisher: Option<Publisher>,
    /// Whose messages they are.
    pub author: Address,
    /// Who numbers them.
    pub producer: ProducerId,
    /// The number of the first: 0, 1, 2 … for each producer.
    pub producer_seq: u64,
    /// The bytes of each: of one message, or of all of a group.
    pub payloads: Vec<Bytes>,
    /// What makes them a group. That the key is the author's was checked; the object verifies the signature.
    pub signed: Option<GroupSignature>,
    /// How long the answer may wait for the message to be stored, milliseconds.
    pub wait_ms: u64,
}

/// Who publishes by HTTP.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Publisher {
    /// Whose rights count.
    pub account: Address,
    /// Whether that is an operator.
    pub operator: bool,
    /// What the credentials are limited to.
    pub limit: Rights,
    /// What the client's address is counted by.
    pub client: String,
}

/// A message that is stored, or kept.
#[derive(Debug)]
pub(crate) struct Appended {
    /// Whether it is stored; else it will be, and the same request again finds out.
    pub stored: bool,
    /// Its seq, or that of the group's first message, if it is stored and that is remembered.
    pub seq: Option<Seq>,
    /// The group's digest.
    pub digest: Option<B256>,
}

/// Asks for the messages that the object has itself.
#[derive(Debug)]
pub(crate) struct ReadTail {
    /// Who reads.
    pub reader: Reader,
    /// From this one on.
    pub from: Seq,
    /// About so many bytes of them at most.
    pub max_bytes: usize,
}

/// Asks for what is behind a cursor.
#[derive(Debug)]
pub(crate) struct ReadNews {
    /// Who reads: checked again before each answer.
    pub reader: Reader,
    /// What the client's address is counted by.
    pub client: String,
    /// The last event that the reader has.
    pub event: u64,
    /// The first message that the reader lacks.
    pub seq: Seq,
    /// How long the answer may wait for something, milliseconds.
    pub wait_ms: u64,
}

/// A message that has to be in the database.
#[derive(Debug)]
pub(crate) struct FlushTo {
    /// The message.
    pub seq: Seq,
}

/// A message that was erased: relays are to forget it.
#[derive(Debug)]
pub(crate) struct ForgetErased {
    /// The message.
    pub seq: Seq,
}

/// What the Listener saw of a stream, in the order of the chain.
#[derive(Debug)]
pub(crate) struct ApplyNotices {
    /// The notices.
    pub notices: Vec<Notice>,
    /// Whether they are about runs in rounds, which are on the chain in their order.
    pub in_rounds: bool,
}

/// The notices are applied.
#[derive(Debug)]
pub(crate) struct NoticesApplied {
    /// The relay that is to have them too.
    pub relay: Option<RelayId>,
    /// The first message whose anchor was not seen although that of a later one was.
    pub missing_anchor: Option<Seq>,
}

impl Wire for News {
    fn into_bytes(self) -> Vec<u8> {
        let mut fields = FieldWriter::default();
        fields.put(&self.tail.state);
        fields.put(&self.tail.first);
        fields.put(&(self.events.len() as u64));
        for event in self.events {
            fields.put(&event.number);
            fields.put(&event.name);
            fields.put(&event.json);
        }
        fields.finish_with(&self.tail.records)
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Self, JsonError> {
        let (mut fields, records) = FieldReader::new_with(bytes)?;
        let tail = Tail {
            state: fields.take()?,
            first: fields.take()?,
            records,
        };
        let mut events = Vec::new();
        for _ in 0..fields.take::<u64>()? {
            events.push(StoredEvent {
                number: fields.take()?,
                name: fields.take()?,
                json: fields.take()?,
            });
        }
        Ok(Self { tail, events })
    }
}

impl Wire for Tail {
    fn into_bytes(self) -> Vec<u8> {
        let events = Vec::new();
        News { tail: self, events }.into_bytes()
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Self, JsonError> {
        Ok(News::from_bytes(bytes)?.tail)
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
