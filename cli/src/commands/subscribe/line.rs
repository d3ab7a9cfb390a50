//! What the parts of a subscription to a pattern have in common.

use super::args::{Place, SubArgs};
use crate::edge::ReachArgs;
use crate::exit::Exit;
use crate::roster::Start;
use serde_json::Value;
use streamchain_client::core::{Guarantee, Message};
use streamchain_client::http::{EdgeClient, ListedStream};
use streamchain_protocol::Address;
use streamchain_protocol::ids::{Seq, StreamId, StreamName, StreamRef};

/// What the tasks of the command have for its output.
pub(super) enum Line {
    /// The edge lists these; whether they came since the command began.
    Listed(Vec<ListedStream>, bool),
    /// The stream is reached.
    Opened(StreamId),
    Message(StreamName, Box<Message>, Option<Value>),
    /// The messages of a stream from `from` on are taken back, of which `written` had been written.
    Retracted {
        stream: StreamName,
        from: Seq,
        written: u64,
    },
    Note(String),
    /// The connection to a stream ended, and would go on at `start`.
    Ended {
        stream: StreamId,
        start: Start,
        note: String,
    },
    /// The command can't go on.
    Failed(Exit),
}

/// What is the same for all streams.
pub(super) struct How {
    pub(super) edge: EdgeClient,
    pub(super) reach: ReachArgs,
    pub(super) from: Place,
    pub(super) guarantee: Guarantee,
    pub(super) verify: bool,
    pub(super) allow_unsigned: bool,
    /// Whose streams they are; the operator's without one.
    pub(super) owner: Option<Address>,
}

impl How {
    pub(super) fn new(args: &SubArgs) -> Result<Self, Exit> {
        Ok(Self {
            edge: args.edge.client()?,
            reach: args.reach.clone(),
            from: args.from,
            guarantee: args.guarantee(),
            verify: args.verify,
            allow_unsigned: args.allow_unsigned,
            owner: args.owner,
        })
    }

    /// The name that a stream is asked for by: only the operator's streams have their names for it.
    pub(super) fn reference(&self, stream: &ListedStream) -> StreamRef {
        match self.owner {
            Some(_) => StreamRef::Id(stream.id),
            None => StreamRef::Name(stream.name.clone()),
        }
    }
}
