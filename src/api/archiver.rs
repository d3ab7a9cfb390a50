//! What the Archiver object is asked. There is one: the only writer of packs, and of segments once they are flushed.

use crate::api::call::{Encoded, Handle, requests, wire_as_json, wire_by_field};
use serde_json::Value;
use streamchain_edge_core::request_id::RequestId;
use streamchain_protocol::ids::{Seq, StreamId};
use streamchain_protocol::wire::Omitted;
use worker::Env;

requests! {
    /// What the Archiver object is asked.
    ArchiverRequest {
        /// Arms the alarm, if it is not.
        EnsureArchiver -> (),
        /// How full the database and the archive are.
        ArchiverStatus -> Encoded<Value>,
        /// Erases the payload of one message that is flushed.
        Erase -> Omitted,
    }
}

wire_by_field! {
    EnsureArchiver {}
    ArchiverStatus {}
    Erase { stream, seq }
}

wire_as_json!(Omitted);

/// The one object.
pub(crate) fn archiver_object(env: &Env, id: &RequestId) -> worker::Result<Handle<ArchiverRequest>> {
    Ok(Handle::new(
        env.durable_object("ARCHIVER")?.get_by_name("archiver")?,
        id,
    ))
}

/// Arms the alarm.
#[derive(Debug)]
pub(crate) struct EnsureArchiver {}

/// Asks for the status.
#[derive(Debug)]
pub(crate) struct ArchiverStatus {}

/// A message whose payload is to go.
#[derive(Debug)]
pub(crate) struct Erase {
    /// The stream.
    pub stream: StreamId,
    /// The message.
    pub seq: Seq,
}
