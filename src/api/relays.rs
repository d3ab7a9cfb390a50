//! What the Relays object is asked. There is one, the directory of relays.

use crate::api::call::{
    Encoded, FieldReader, FieldWriter, Handle, Wire, requests, wire_as_json, wire_by_field,
};
use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use streamchain_edge_core::directory::{LeaderView, Placed, Wanted};
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::ids::{Incarnation, RelayId, RelayKeyId, ShortId};
use streamchain_protocol::util::json::JsonError;
use streamchain_protocol::webrtc::IceServer;
use streamchain_protocol::wire::{Location, Notice, RelayStatus, Renewed};
use worker::Env;

requests! {
    /// What the Relays object is asked. The Worker has authenticated whoever asks.
    RelaysRequest {
        /// Registers a relay, or renews its registration.
        Register -> Encoded<Renewed>,
        /// A relay ends.
        Goodbye -> (),
        /// Chooses the relay of a session.
        ChooseRelay -> Placed,
        /// What is known of a stream's leader.
        FindLeader -> LeaderView,
        /// Leaves notices for relays.
        PostNotices -> NoticesPosted,
        /// Ends sessions on all relays.
        WithdrawAuthors -> (),
        /// The status of every relay.
        RelayStatuses -> Encoded<Vec<RelayStatus>>,
        /// The STUN and TURN servers of the provider.
        ProviderIceServers -> Vec<IceServer>,
    }
}

wire_by_field! {
    Goodbye { relay, incarnation }
    ChooseRelay { wanted }
    FindLeader { leader, follower, lost }
    PostNotices { notices }
    NoticesPosted { dead }
    WithdrawAuthors { authors }
    RelayStatuses {}
    ProviderIceServers {}
}

wire_as_json!(Placed, LeaderView, Vec<IceServer>);

/// The directory of relays.
pub(crate) fn relays_object(env: &Env, id: &RequestId) -> worker::Result<Handle<RelaysRequest>> {
    Ok(Handle::new(
        env.durable_object("RELAYS")?.get_by_name("relays")?,
        id,
    ))
}

/// A relay's registration. Its body is passed on unread.
pub(crate) struct Register {
    /// The relay.
    pub relay: RelayId,
    /// The key that it showed.
    pub key: RelayKeyId,
    /// Where its request came from, as Cloudflare says.
    pub location: Option<Location>,
    /// The registration, as the relay sent it: JSON.
    pub registration: Vec<u8>,
}

impl Wire for Register {
    fn into_bytes(self) -> Vec<u8> {
        let mut fields = FieldWriter::default();
        fields.put(&self.relay);
        fields.put(&self.key);
        fields.put(&self.location);
        fields.finish_with(&self.registration)
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Self, JsonError> {
        let (mut fields, registration) = FieldReader::new_with(bytes)?;
        Ok(Self {
            relay: fields.take()?,
            key: fields.take()?,
            location: fields.take()?,
            registration,
        })
    }
}

/// The end of a run of a relay, or of any.
#[derive(Debug)]
pub(crate) struct Goodbye {
    /// The relay.
    pub relay: RelayId,
    /// The run.
    pub incarnation: Option<Incarnation>,
}

/// Asks for a relay that lives.
#[derive(Debug)]
pub(crate) struct ChooseRelay {
    /// What is known of the session and its stream.
    pub wanted: Wanted,
}

/// Asks for what a relay has to know that asks for a stream.
#[derive(Debug)]
pub(crate) struct FindLeader {
    /// The stream's leader.
    pub leader: RelayId,
    /// The relay that asks.
    pub follower: RelayId,
    /// The stream whose leader it reports as lost.
    pub lost: Option<ShortId>,
}

/// Notices for relays.
#[derive(Debug)]
pub(crate) struct PostNotices {
    /// The notices.
    pub notices: Vec<RelayNotice>,
}

/// One notice for one relay.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RelayNotice {
    /// The relay.
    pub relay: RelayId,
    /// What happened.
    pub notice: Notice,
}

/// The notices are kept.
#[derive(Debug)]
pub(crate) struct NoticesPosted {
    /// Those of the relays that are not alive, and may never fetch them.
    pub dead: Vec<RelayId>,
}

/// The end of these authors' sessions, on every stream and relay.
#[derive(Debug)]
pub(crate) struct WithdrawAuthors {
    /// The authors.
    pub authors: Vec<Address>,
}

/// Asks for the status of every relay.
#[derive(Debug)]
pub(crate) struct RelayStatuses {}

/// Asks for the provider's servers.
#[derive(Debug)]
pub(crate) struct ProviderIceServers {}
